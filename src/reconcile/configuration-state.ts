/**
 * What a program makes of the configuration it reads, as MetalLB's ConfigurationState has it. Pure. Beyond MetalLB all problems
 * are named, not only the first, and a transition has the time at which it happened.
 */
import { formatProblem, type Problem } from "../net/problem.ts";
import type { Condition } from "../service/objects.ts";

export interface ConfigurationVerdict {
  readonly result: "Valid" | "Invalid" | "Unknown";
  /** The messages of the conditions that are false, one a line. */
  readonly errorSummary: string;
  readonly conditions: readonly Condition[];
}

/** Of MetalLB's programs: the controller's and the speaker's. */
export type VerdictType = "poolReconcilerValid" | "configReconcilerValid";

/** A condition's message holds 32768 characters, and nobody reads that many. */
const PROBLEMS_MAX = 100;
const MESSAGE_MAX = 32_000;
/** Of kinds that only a warning is about: they hide nothing. */
const IGNORED = /is not read by Fairlead and ignored$/;
/** While the API server is away what was read last is judged, as before; what becomes of it is not known to anybody. */
const AWAY = /^the API server cannot be reached: .*; what was last read stays in force$/s;
/** `Kind namespace/name`, alone or in brackets behind a file and a document. */
const OBJECT = /(?:^|\()([A-Z]\w+) [^\s()]+\)?$/;

/** `problems` undefined: the configuration has not been read yet. */
export function configurationVerdict(
  type: VerdictType,
  problems: readonly Problem[] | undefined,
  before: ConfigurationVerdict | undefined,
  now: Date,
): ConfigurationVerdict {
  const verdict = (status: Condition["status"], reason: string, message: string): ConfigurationVerdict => {
    const same = before?.conditions.find((condition) => condition.type === type && condition.status === status);
    const lastTransitionTime = same?.lastTransitionTime ?? now.toISOString();
    const result = RESULTS[status];
    const conditions = [{ type, status, reason, message, lastTransitionTime }];
    return { result, errorSummary: status === "False" ? message : "", conditions };
  };
  if (problems === undefined) return verdict("Unknown", "UnknownError", "the configuration has not been read yet");
  if (problems.length === 0) return verdict("True", "Reconciled", "");
  return verdict("False", "ConfigurationError", errorText(problems));
}

/** What of a snapshot's problems is about these kinds, or about something that may hide an object of them. */
export function aboutKinds(problems: readonly Problem[], kinds: readonly string[]): readonly Problem[] {
  return problems.filter(({ subject, message }) => {
    if (IGNORED.test(message) || AWAY.test(message)) return false;
    const kind = OBJECT.exec(subject)?.[1];
    return kind === undefined || kinds.includes(kind);
  });
}

/** Whether the two say the same, whenever they said it. */
export function sameVerdict(a: ConfigurationVerdict | undefined, b: ConfigurationVerdict): boolean {
  return a !== undefined && a.result === b.result && a.errorSummary === b.errorSummary;
}

const RESULTS = { True: "Valid", False: "Invalid", Unknown: "Unknown" } as const;

function errorText(problems: readonly Problem[]): string {
  const lines = problems.slice(0, PROBLEMS_MAX).map((problem) => `configuration error: ${formatProblem(problem)}`);
  const more = problems.length - lines.length;
  const text = [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
  return text.length > MESSAGE_MAX ? `${text.slice(0, MESSAGE_MAX)}…` : text;
}
