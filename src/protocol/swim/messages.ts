/** What the agent's thread and the worker tell each other. */
import type { Instant } from "../../time/instant.ts";
import type { Timing } from "./config.ts";
import type { SipKey } from "./siphash.ts";
import type { PeerState } from "./view.ts";

/** The worker's `workerData`. */
export interface WorkerOptions {
  readonly port: number;
  readonly sourcePort: number;
  readonly key: SipKey;
  readonly timing: Timing;
}

export type ToWorker =
  /** Addresses as canonical text. */
  | { readonly type: "peers"; readonly peers: readonly { readonly name: string; readonly address: string }[] }
  /** The latest report was heard; none follows before. */
  | { readonly type: "heard" }
  | { readonly type: "stop" };

/**
 * Always the whole truth of the moment; after every change and from time to time. One at a time: what changes while the agent has no time to
 * listen is in the next one, or hundreds of first answers would be as many reports about hundreds of peers.
 */
export interface Report {
  readonly isolated: boolean;
  readonly reunions: number;
  readonly changed: boolean;
  readonly peers: readonly {
    readonly name: string;
    readonly address: string;
    readonly state: PeerState;
    readonly lastAnswerAt: Instant | undefined;
    readonly expiresAt: Instant | undefined;
    readonly renewedAt: Instant | undefined;
    readonly idleSince: Instant;
    readonly leftAt: Instant | undefined;
    readonly away: boolean;
    /** Why the last request could not even be sent. */
    readonly problem: string | undefined;
  }[];
}
