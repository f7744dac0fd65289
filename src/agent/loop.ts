/** When a pass runs: after every change, again after a failure, and now and then although nothing seems to have changed. */
import type { Log } from "../observe/log.ts";
import { failed } from "../reconcile/retry.ts";
import { PACE, type Pace, type Sliced } from "../time/slices.ts";
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
  readonly pass: () => Sliced<Passed>;
  /** How a pass is spread; its pauses are turns of the event loop. */
  readonly pace?: Pick<Pace, "now" | "sliceMilliseconds">;
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
  let running: Running | undefined;
  /** Something changed since the pass under way began. */
  let again = false;

  const turn = (): void => {
    scheduled = undefined;
    clearTimeout(timer);
    const { convergence } = state;
    // What changed meanwhile waits for the end of the pause as well: the kernel has just refused.
    const wait = convergence.state === "failed" ? convergence.retryAt - performance.now() : 0;
    if (wait > 0) {
      timer = setTimeout(soon, wait);
      return;
    }
    state.passes += 1;
    running = { work: options.pass(), startedAt: performance.now() };
    advance(running);
  };
  /** A slice of the pass; the next after everybody else had a turn. */
  const advance = (pass: Running): void => {
    scheduled = undefined;
    const next = attempt(pass, options);
    if (next === "paused") {
      scheduled = setImmediate(() => advance(pass));
      return;
    }
    running = undefined;
    timer = setTimeout(soon, next);
    if (again) soon();
  };
  const soon = (): void => {
    again = running !== undefined;
    if (!stopped && !again) scheduled ??= setImmediate(turn);
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

interface Running {
  readonly work: Sliced<Passed>;
  readonly startedAt: number;
}

/** A slice of a pass. At its end, the milliseconds until the next pass when nothing happens before. */
function attempt({ work, startedAt }: Running, options: LoopOptions): number | "paused" {
  const { state, log, onPass } = options;
  try {
    const passed = runSlice(work, options.pace ?? PACE);
    if (passed === "paused") return passed;
    const { written: operations, settled } = passed;
    const milliseconds = performance.now() - startedAt;
    const becameReady = settled && state.convergence.state !== "done";
    if (becameReady) log("ready", { milliseconds, operations });
    state.convergence = { state: settled ? "done" : "pending" };
    state.lastPass = { at: new Date(), milliseconds, operations };
    log("reconciled", { milliseconds, operations });
    onPass("done");
    if (becameReady || operations > TRIM_OPERATIONS) trimMemorySoon("large");
    else if (operations > 0) trimMemorySoon("small");
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

function runSlice(
  work: Sliced<Passed>,
  { now, sliceMilliseconds }: NonNullable<LoopOptions["pace"]>,
): Passed | "paused" {
  const end = now() + sliceMilliseconds;
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (now() >= end) return "paused";
  }
}

function isUnsettled(state: AgentState): boolean {
  return state.attachProblems.length > 0 || state.tables.troubled.size > 0;
}
