/**
 * Membership for the agent: the machine runs in a worker thread (worker/driver.ts); here are its latest report and this
 * node's own stamp. The stamp is written by the agent's own thread: an agent that hangs is none.
 */
import { Worker } from "node:worker_threads";
import { formatAddress } from "../../net/address.ts";
import { systemClock } from "../../time/clock.ts";
import { fromNanoseconds, later, nanoseconds } from "../../time/instant.ts";
import { DEFAULT_TIMING, GRACE_SECONDS, MEMBERSHIP_PORT, RESTART_SECONDS, type Timing } from "./config.ts";
import type { Report, ToWorker, WorkerOptions } from "./messages.ts";
import { Roster, type Peer } from "./roster.ts";
import type { SipKey } from "./siphash.ts";
import { initialStamp, isSettled, mayTake, stepStamp, type StampEvent } from "./stamp.ts";
import type { MembershipView } from "./view.ts";

export type { Peer };

export interface MembershipOptions {
  /** My name among the nodes. */
  readonly node: string;
  /** UDP port on which everybody's datapath answers. Default 7956. */
  readonly port?: number;
  /** UDP port we ask from. Default: `port`, so that one firewall rule is enough. */
  readonly sourcePort?: number;
  /** The same on all nodes, and in `runtime.probe_key`: see membershipKey() in config.ts. */
  readonly key: SipKey;
  /** How long this node stays an announcer without its agent. Default 60. */
  readonly graceSeconds?: number;
  /** `runtime.answer_margin_ns`, in milliseconds: a stamp that has less left counts as run out. */
  readonly answerMarginMilliseconds: number;
  readonly stamp: Stamp;
  /**
   * The stamp ran out, so others may have taken over: withdraw every announcement from the datapath before the promise
   * resolves; only then is the stamp renewed. Called at the start too, unless an earlier run left a valid stamp.
   */
  readonly onLapsed: () => void | Promise<void>;
  /** The worker failed, or `onLapsed` did: the stamp is not renewed any more. Default: throw, which ends the process. */
  readonly onFailure?: (error: Error) => void;
  readonly timing?: Timing;
}

/** `runtime.valid_until_ns`: CLOCK_MONOTONIC. */
export interface Stamp {
  read(): bigint;
  write(validUntilNanoseconds: bigint): void;
}

/**
 * What becomes of the stamp. `restart`: it is written ten minutes ahead, nothing moves; `leave`: it ends now, the others
 * take over; `failed`: it runs out by itself, so they do after the grace.
 */
export type StopMode = "restart" | "leave" | "failed";

export interface Membership {
  view(): MembershipView;
  /** The agent has read all that it decides from; before, this node takes nothing over, and its peers pass it over. */
  inform(): void;
  /** Calls back after every change of `alive`, `away`, `gone`, `isolated` or `reunions`, or of `mayTake`. Returns the way to stop. */
  onChange(listener: () => void): () => void;
  /** All other nodes, by the address their datapath answers at. Before the first call the view is not `complete`. */
  setPeers(peers: readonly Peer[]): void;
  stop(mode: StopMode): Promise<void>;
}

export function startMembership(options: MembershipOptions): Membership {
  const { port = MEMBERSHIP_PORT } = options;
  const fail = (error: Error): void => {
    stamp.end("failed");
    (options.onFailure ?? rethrow)(error);
  };
  const listeners = new Set<() => void>();
  const notify = (): void => {
    for (const listener of listeners) listener();
  };
  const roster = new Roster();
  const stamp = keepStamp(options, roster, notify, fail);
  const workerData: WorkerOptions = {
    port,
    sourcePort: options.sourcePort ?? port,
    key: options.key,
    timing: options.timing ?? DEFAULT_TIMING,
  };
  const worker = new Worker(new URL("./worker/driver.ts", import.meta.url), { workerData, name: "membership" });
  let stopping = false;
  // Also where it ended long before anybody asks: by a failure.
  const exited = new Promise((resolve) => worker.once("exit", resolve));
  const tell = (message: ToWorker): void => worker.postMessage(message);

  worker.on("message", (report: Report) => {
    tell({ type: "heard" });
    if (roster.hear(report)) notify();
  });
  worker.on("error", (error) =>
    fail(error instanceof Error ? error : new Error(`The membership worker failed: ${String(error)}`)),
  );
  worker.on("exit", (code) => {
    if (!stopping && code === 0) fail(new Error("The membership worker ended although nobody asked it to"));
  });

  return {
    view: () => roster.view(stamp.settled() ? options.node : undefined, stamp.mayTake(), systemClock.now()),
    inform: () => stamp.inform(),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    setPeers: (peers) => {
      roster.expect(peers);
      tell({ type: "peers", peers: peers.map(({ name, address }) => ({ name, address: formatAddress(address) })) });
    },
    stop: async (mode) => {
      stopping = true;
      listeners.clear();
      stamp.end(mode);
      tell({ type: "stop" });
      await exited;
    },
  };
}

interface StampKeeper {
  settled(): boolean;
  mayTake(): boolean;
  inform(): void;
  end(mode: StopMode): void;
}

function keepStamp(
  options: MembershipOptions,
  roster: Roster,
  onSettledChange: () => void,
  fail: (error: Error) => void,
): StampKeeper {
  const { graceSeconds = GRACE_SECONDS, answerMarginMilliseconds, stamp } = options;
  const { awayMilliseconds } = options.timing ?? DEFAULT_TIMING;
  const durations = {
    graceMilliseconds: graceSeconds * 1000,
    marginMilliseconds: answerMarginMilliseconds,
    awayMilliseconds,
  };
  if (durations.graceMilliseconds <= answerMarginMilliseconds)
    throw new RangeError(
      `A grace of ${graceSeconds} s leaves nothing after the margin of ${answerMarginMilliseconds} ms`,
    );
  let state = initialStamp(durations, fromNanoseconds(stamp.read()), systemClock.now());
  let ended = false;
  let cancel = (): void => {};

  const handle = (event: StampEvent): void => {
    if (ended) return;
    const before = state;
    const [next, effects] = stepStamp(state, event, systemClock.now());
    state = next;
    for (const effect of effects) {
      if (effect.type === "write") stamp.write(nanoseconds(effect.validUntil));
      if (effect.type === "withdraw") withdraw();
    }
    cancel();
    if (state.wakeAt !== undefined) cancel = systemClock.at(state.wakeAt, tick);
    if (isSettled(state) !== isSettled(before) || mayTake(state) !== mayTake(before)) onSettledChange();
  };
  const tick = (): void => handle({ type: "clock", othersSeen: roster.allSeenSince(state.settledAt) });
  const withdraw = (): void => {
    // Not before startMembership has returned: the caller may need what it returns.
    const withdrawn = Promise.resolve().then(options.onLapsed);
    withdrawn.then(
      () => handle({ type: "withdrawn" }),
      (error: unknown) =>
        fail(new Error("Cannot withdraw the announcements although this node's stamp ran out", { cause: error })),
    );
  };
  tick();

  return {
    settled: () => isSettled(state),
    mayTake: () => mayTake(state),
    inform: () => handle({ type: "informed" }),
    end: (mode) => {
      if (ended) return;
      ended = true;
      cancel();
      // A lapsed stamp is not made valid by leaving: what it would answer for may be somebody else's by now.
      if (mode === "leave") stamp.write(0n);
      if (mode === "restart" && isSettled(state))
        stamp.write(nanoseconds(later(systemClock.now(), RESTART_SECONDS * 1000)));
    },
  };
}

function rethrow(error: Error): never {
  throw error;
}
