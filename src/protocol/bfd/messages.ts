/** What the agent's thread and the BFD worker tell each other. */
import type { BfdSessionConfig } from "./config.ts";
import type { BfdDetails, BfdSessionView, ParkedSession } from "./view.ts";

/** `nice`: only before others of its session; `ordinary`: like everything else. */
export type ThreadPriority = "realTime" | "nice" | "ordinary";

/** The worker's `workerData`. */
export interface WorkerOptions {
  readonly parked: readonly ParkedSession[];
}

/**
 * `leave`: the peers are told AdminDown. `restart`: they are told to wait so long for the next process. `silent`: nothing,
 * they will find out.
 */
export type StopMode =
  | { readonly type: "leave" }
  | { readonly type: "restart"; readonly holdMilliseconds: number }
  | { readonly type: "silent" };

export type ToWorker =
  | { readonly type: "sessions"; readonly sessions: readonly BfdSessionConfig[] }
  | { readonly type: "details" }
  | { readonly type: "stop"; readonly mode: StopMode };

export type FromWorker =
  /** Once, at the start: what the kernel made of the wish to run before others. */
  | { readonly type: "started"; readonly priority: ThreadPriority }
  /** After every change of a state; the whole truth. */
  | { readonly type: "changed"; readonly sessions: readonly BfdSessionView[] }
  | { readonly type: "details"; readonly sessions: readonly BfdDetails[] }
  | { readonly type: "stopped"; readonly parked: readonly ParkedSession[] };
