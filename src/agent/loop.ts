/** When a pass runs: after every change, again after a failure, and now and then although nothing seems to have changed. */
import type { Log } from "../observe/log.ts";
import { failed } from "../reconcile/retry.ts";
import { trimMemorySoon } from "./memory.ts";
import type { Passed } from "./pass.ts";
import type { AgentState } from "./state.ts";

const FULL_PASS_MS = 30_000;
/** How soon what found no room, or could not be attached, is tried again. */
const UNSETTLED_PASS_MS = 2000;

/** A pass that wrote more leaves so much garbage behind that it is worth a collection, as reading everything at the start does. */
const TRIM_OPERATIONS = 20_000;

export interface LoopOptions {
  readonly state: AgentState;
  readonly log: Log;
  /** One pass. Throws what the kernel refused. */
  readonly pass: () => Passed;
  /** Called after every pass. */
  readonly onPass: (result: "done" | "failed") => void;
}

export interface Loop {
  /** A pass after everything that happens in this turn of the event loop. */
  soon(): void;
  stop(): void;
}

export function startLoop(options: LoopOptions): Loop {
  const { state } = options;
  let scheduled: NodeJS.Immediate | undefined;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  const turn = (): void => {
    scheduled = undefined;
    clearTimeout(timer);
    const { convergence } = state;
    // What changed meanwhile waits for the end of the pause as well: the kernel has just refused.
    const wait = convergence.state === "failed" ? convergence.retryAt - performance.now() : 0;
    timer = setTimeout(soon, wait > 0 ? wait : attempt(options));
  };
  const soon = (): void => {
    if (!stopped) scheduled ??= setImmediate(turn);
  };
  return {
    soon,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      clearImmediate(scheduled);
    },
  };
}

/** Milliseconds until the next pass when nothing happens before. */
function attempt({ state, log, pass, onPass }: LoopOptions): number {
  const startedAt = performance.now();
  state.passes += 1;
  try {
    const { written: operations, settled } = pass();
    const milliseconds = performance.now() - startedAt;
    const becameReady = settled && state.convergence.state !== "done";
    if (becameReady) log("ready", { milliseconds, operations });
    state.convergence = { state: settled ? "done" : "pending" };
    state.lastPass = { at: new Date(), milliseconds, operations };
    log("reconciled", { milliseconds, operations });
    onPass("done");
    if (becameReady || operations > TRIM_OPERATIONS) trimMemorySoon();
    return settled && !isUnsettled(state) ? FULL_PASS_MS : UNSETTLED_PASS_MS;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const convergence = failed(state.convergence, message, { now: startedAt, random: Math.random() });
    state.convergence = convergence;
    log("reconcileFailed", { ...convergence, stack: error instanceof Error ? error.stack : undefined });
    onPass("failed");
    return convergence.retryAt - startedAt;
  }
}

function isUnsettled(state: AgentState): boolean {
  return (
    state.attachProblems.length > 0 || [...state.tables.services.values()].some(({ problems }) => problems.length > 0)
  );
}
