/**
 * Control-plane scripts: one text file holds Kubernetes YAML, steps, and the tables that must come out.
 *
 *     # What the script shows.
 *     -- apply NAME --      the manifest file NAME now has this content
 *     -- delete NAME --     the file is removed
 *     -- restart --         the controller starts anew: it knows only the manifests and what it has written
 *     -- expect TABLE --    services, pools, events (since the last such table), problems, writes (of the last step)
 *
 * Run with FAIRLEAD_REWRITE=1 to replace the expected tables by what comes out; then read the difference.
 */
export type Step =
  | { readonly type: "apply"; readonly name: string; readonly text: string }
  | { readonly type: "delete"; readonly name: string }
  | { readonly type: "restart" }
  | { readonly type: "expect"; readonly table: string; readonly text: string };

export interface Script {
  readonly summary: string;
  readonly steps: readonly Step[];
}

const HEADER = /^-- (?<verb>apply|delete|restart|expect)(?: (?<argument>\S+))? --$/;

/** Throws on a file that is no script: it is ours. */
export function parseScript(text: string): Script {
  const summary: string[] = [];
  const sections: { readonly header: RegExpExecArray; readonly lines: string[] }[] = [];
  for (const line of text.split("\n")) {
    const header = HEADER.exec(line);
    if (header !== null) sections.push({ header, lines: [] });
    else if (line.startsWith("-- ")) throw new SyntaxError(`Cannot read ${JSON.stringify(line)} as a step`);
    else (sections.at(-1)?.lines ?? summary).push(line);
  }
  const title = summary
    .map((line) => line.replace(/^# ?/, ""))
    .join(" ")
    .trim();
  return { summary: title, steps: sections.map(({ header, lines }) => stepOf(header, lines.join("\n").trimEnd())) };
}

export function formatScript(script: Script): string {
  const steps = script.steps.map((step) => `${headerOf(step)}${"text" in step ? `${step.text}\n` : ""}`);
  return `${wrap(script.summary)}\n\n${steps.join("\n")}`;
}

function stepOf(header: RegExpExecArray, text: string): Step {
  const argument = header.groups?.["argument"] ?? "";
  switch (header.groups?.["verb"]) {
    case "apply":
      return { type: "apply", name: argument, text };
    case "delete":
      return { type: "delete", name: argument };
    case "restart":
      return { type: "restart" };
    default:
      return { type: "expect", table: argument, text };
  }
}

function headerOf(step: Step): string {
  switch (step.type) {
    case "apply":
    case "delete":
      return `-- ${step.type} ${step.name} --\n`;
    case "restart":
      return "-- restart --\n";
    case "expect":
      return `-- expect ${step.table} --\n`;
  }
}

function wrap(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length > 110) lines.push(`# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join("\n");
}
