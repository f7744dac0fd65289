/**
 * Control-plane scripts: one text file holds Kubernetes YAML, steps, and the tables that must come out.
 *
 *     # What the script shows.
 *     -- apply NAME --      the manifest file NAME now has this content
 *     -- delete NAME --     the file is removed
 *     -- restart --         the controller starts anew: it knows only the manifests and what it has written
 *     -- restart CLASS --   the same, with --lb-class CLASS from now on
 *     -- stop --            the controller does not run until it is started again
 *     -- edit POOL --       somebody changes the status of the pool (its key) by hand: some fields, as JSON
 *     -- wait DURATION --   time passes: 90s, 10m
 *     -- expect TABLE --    a table of tables.ts: services, pools, events (since the last such table), problems, …
 *     -- case NAME --       a test of its own: a new world, in which the steps before the first case come first
 *
 * Run with FAIRLEAD_REWRITE=1 to replace the expected tables by what comes out; then read the difference.
 */
export type Step =
  | { readonly type: "apply"; readonly name: string; readonly text: string }
  | { readonly type: "delete"; readonly name: string }
  | { readonly type: "restart"; readonly loadBalancerClass: string | undefined }
  | { readonly type: "stop" }
  | { readonly type: "edit"; readonly pool: string; readonly text: string }
  | { readonly type: "wait"; readonly duration: string }
  | { readonly type: "expect"; readonly table: string; readonly text: string };

export interface Script {
  readonly summary: string;
  /** Without cases, everything. */
  readonly steps: readonly Step[];
  readonly cases: readonly Case[];
}

export interface Case {
  readonly name: string;
  readonly steps: readonly Step[];
}

const HEADER = /^-- (?<verb>apply|delete|restart|stop|edit|wait|expect|case)(?: (?<argument>.+?))? --$/;

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
  const steps: Step[] = [];
  const cases: { readonly name: string; readonly steps: Step[] }[] = [];
  for (const { header, lines } of sections) {
    const { verb, argument = "" } = header.groups ?? {};
    if (verb === "case") cases.push({ name: argument, steps: [] });
    else (cases.at(-1)?.steps ?? steps).push(stepOf(header, lines.join("\n").trimEnd()));
  }
  return { summary: title, steps, cases };
}

export function formatScript(script: Script): string {
  const parts = [
    ...script.steps.map(formatStep),
    ...script.cases.flatMap(({ name, steps }) => [`-- case ${name} --\n`, ...steps.map(formatStep)]),
  ];
  return `${wrap(script.summary)}\n\n${parts.join("\n")}`;
}

function formatStep(step: Step): string {
  return `${headerOf(step)}${"text" in step ? `${step.text}\n` : ""}`;
}

function stepOf(header: RegExpExecArray, text: string): Step {
  const argument = header.groups?.["argument"] ?? "";
  switch (header.groups?.["verb"]) {
    case "apply":
      return { type: "apply", name: argument, text };
    case "delete":
      return { type: "delete", name: argument };
    case "restart":
      return { type: "restart", loadBalancerClass: argument === "" ? undefined : argument };
    case "stop":
      return { type: "stop" };
    case "edit":
      return { type: "edit", pool: argument, text };
    case "wait":
      return { type: "wait", duration: argument };
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
      return step.loadBalancerClass === undefined ? "-- restart --\n" : `-- restart ${step.loadBalancerClass} --\n`;
    case "stop":
      return "-- stop --\n";
    case "edit":
      return `-- edit ${step.pool} --\n`;
    case "wait":
      return `-- wait ${step.duration} --\n`;
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
