/**
 * BFD for the agent: sessions run in a worker thread (worker/driver.ts); here are their latest states. The worker tells only
 * changes of a state, so a busy agent costs the sessions nothing.
 */
import { Worker } from "node:worker_threads";
import type { BfdSessionConfig } from "./config.ts";
import type { FromWorker, StopMode, ToWorker, WorkerOptions } from "./messages.ts";
import { parseParked } from "./parked.ts";
import type { BfdDetails, BfdView, ParkedSession } from "./view.ts";

export interface BfdOptions {
  /** What `stop` of the process before gave, as it was read back: those sessions go on as if nothing had been. */
  readonly parked?: unknown;
  /** The worker failed: no session is watched any more. Default: throw, which ends the process. */
  readonly onFailure?: (error: Error) => void;
}

export interface Bfd {
  /** All that there should be; a session that is not among them tells its peer AdminDown and ends. */
  setSessions(sessions: readonly BfdSessionConfig[]): void;
  /** Calls back after every change of a session's own or remote state. Returns the way to stop. */
  onChange(listener: () => void): () => void;
  view(): BfdView;
  /** Counters and intervals of this moment. Empty where the worker has ended. */
  details(): Promise<readonly BfdDetails[]>;
  /** See {@link StopMode}; with `restart`, what to give to the next process. */
  stop(mode: StopMode): Promise<readonly ParkedSession[]>;
}

export function startBfd(options: BfdOptions = {}): Bfd {
  const workerData: WorkerOptions = { parked: parseParked(options.parked) };
  const worker = new Worker(new URL("./worker/driver.ts", import.meta.url), { workerData, name: "bfd" });
  const listeners = new Set<() => void>();
  const asking: ((details: readonly BfdDetails[]) => void)[] = [];
  let view: BfdView = { sessions: [] };
  let parked: readonly ParkedSession[] = [];
  let stopping = false;
  const tell = (message: ToWorker): void => worker.postMessage(message);
  const exited = new Promise<void>((resolve) => {
    worker.once("exit", () => {
      for (const answer of asking.splice(0)) answer([]);
      resolve();
    });
  });

  worker.on("message", (message: FromWorker) => {
    switch (message.type) {
      case "started":
        view = { ...view, priority: message.priority };
        return;
      case "changed":
        view = { ...view, sessions: message.sessions };
        for (const listener of listeners) listener();
        return;
      case "details":
        asking.shift()?.(message.sessions);
        return;
      case "stopped":
        parked = message.parked;
    }
  });
  onFailure(worker, () => stopping, options.onFailure ?? rethrow);

  return {
    setSessions: (wanted) => tell({ type: "sessions", sessions: wanted }),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    view: () => view,
    details: () =>
      stopping
        ? Promise.resolve([])
        : new Promise((resolve) => {
            asking.push(resolve);
            tell({ type: "details" });
          }),
    stop: async (mode) => {
      stopping = true;
      listeners.clear();
      tell({ type: "stop", mode });
      await exited;
      return parked;
    },
  };
}

function onFailure(worker: Worker, isStopping: () => boolean, fail: (error: Error) => void): void {
  worker.on("error", (error) =>
    fail(error instanceof Error ? error : new Error(`The BFD worker failed: ${String(error)}`)),
  );
  worker.on("exit", (code) => {
    if (!isStopping() && code === 0) fail(new Error("The BFD worker ended although nobody asked it to"));
  });
}

function rethrow(error: Error): never {
  throw error;
}
