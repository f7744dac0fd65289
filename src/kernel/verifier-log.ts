/** A verifier log is thousands of lines; what is wrong stands at its end. */

const LAST_LINES = 20;

/** The last lines, without the statistics the kernel adds, after a line that says how many were left out. */
export function summarizeVerifierLog(log: string): string {
  const lines = log.split("\n").filter((line) => line.trim() !== "" && !isStatistics(line));
  const kept = lines.slice(-LAST_LINES);
  const leftOut = lines.length - kept.length;
  return [...(leftOut > 0 ? [`(${leftOut} lines of the verifier log left out)`] : []), ...kept].join("\n");
}

function isStatistics(line: string): boolean {
  return /^(processed \d+ insns|verification time |stack depth )/.test(line);
}
