/** Membership for the agent: the machine and its sockets in a worker thread, the latest view here. */
import type { Address } from "../../net/address.ts";
import type { MembershipView } from "./view.ts";

export interface MembershipOptions {
  /** My name among the nodes. */
  readonly node: string;
  /** UDP port of everybody's datapath, and of our socket. Default 7956. */
  readonly port?: number;
  /** SipHash key, the same on all nodes: as written to `runtime.probe_key` (see membershipKey() in config.ts). */
  readonly key: readonly [bigint, bigint];
  /** How long this node stays an announcer without its agent. Default 60. */
  readonly graceSeconds?: number;
  /** `runtime.answer_margin_ns`, in milliseconds: a stamp that has less left counts as run out. */
  readonly answerMarginMilliseconds?: number;
  /**
   * Where the stamp (`runtime.valid_until_ns`) is: a module with `openStamp(argument): Stamp`, called inside the worker.
   * See {@link Stamp} in config.ts.
   */
  readonly stamp: { readonly module: string; readonly argument: string };
  /**
   * The stamp ran out, so others may have taken over: withdraw every announcement from the datapath before the promise
   * resolves; only then is the stamp renewed. Called at the start too, unless a valid stamp was left by an earlier run.
   */
  readonly onLapsed: () => void | Promise<void>;
  /** The worker failed. Default: throw, which ends the process; the datapath lives on for the grace. */
  readonly onFailure?: (error: Error) => void;
}

export interface Peer {
  readonly name: string;
  readonly address: Address;
}

export interface Membership {
  view(): MembershipView;
  /** After every change of `alive`, `gone`, `isolated` or `reunions`. Returns the way to stop. */
  onChange(listener: () => void): () => void;
  setPeers(peers: readonly Peer[]): void;
  /** `restart`: the stamp is written ten minutes ahead; `leave`: it ends now. */
  stop(mode: "restart" | "leave"): Promise<void>;
}

export function startMembership(_options: MembershipOptions): Membership {
  throw new Error("Not built yet");
}
