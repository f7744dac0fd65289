/** How a step says what it found. */
import type { ExplainStep } from "../status.ts";

interface More {
  readonly details?: readonly string[];
  readonly todo?: string;
}

/** What a step found, before it is known whose step it is. */
export type Finding = Omit<ExplainStep, "step" | "protocol">;

export function well(found: string, details: readonly string[] = []): Finding {
  return { result: "ok", found, details };
}

export function warning(found: string, more: More = {}): Finding {
  return finding("warning", found, more);
}

export function failed(found: string, more: Required<Pick<More, "todo">> & More): Finding {
  return finding("failed", found, more);
}

/** An earlier step has to be put right first. */
export function skipped(found: string, details: readonly string[] = []): Finding {
  return { result: "skipped", found, details };
}

/** The agent on the node `ask` knows. */
export function elsewhere(found: string, ask: string): Finding {
  return { result: "elsewhere", found, details: [], ask, todo: `Ask there: fairlead explain on ${ask}.` };
}

function finding(result: ExplainStep["result"], found: string, { details = [], todo }: More): Finding {
  return { result, found, details, ...(todo === undefined ? {} : { todo }) };
}

/** `1 node`, `3 nodes`. */
export function counted(count: number | bigint, noun: string, plural = `${noun}s`): string {
  return `${count} ${BigInt(count) === 1n ? noun : plural}`;
}

export function listed(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.join(", ");
}
