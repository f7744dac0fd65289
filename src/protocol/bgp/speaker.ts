/** What the agent sees of the BGP speaker: one per node, originates routes, imports and forwards nothing. */
import type { Family } from "../../net/address.ts";
import type { SessionConfig } from "./config.ts";
import type { Message } from "./message.ts";
import type { Routes } from "./route.ts";
import type { SessionState } from "./session.ts";
import type { Observed } from "./traffic.ts";

export interface Speaker {
  /** All sessions from now on. Those that are no longer there end (Cease, Peer De-configured). */
  configure(sessions: readonly SessionConfig[]): void;
  /**
   * All routes from now on, by the name of the session. A route whose attributes changed replaces the one before; a
   * session without a row announces nothing.
   */
  announce(routes: ReadonlyMap<string, Routes>): void;
  /** This node's own addresses may be others than before: next hops follow them. */
  addressesChanged(): void;
  /** What was announced so far is all there is: End-of-RIB may be sent, and helpers drop what is left of an earlier run. */
  complete(): void;
  /** What BFD says of a session's peer. `down` ends the session; `adminDown` does not (RFC 5882 §3.2). */
  bfd(name: string, state: "up" | "down" | "adminDown"): void;
  /** Ends the session at once (Cease, Administrative Reset); it comes up again. False: there is none of this name. */
  reset(name: string, reason: string): boolean;
  view(): readonly SessionView[];
  /** What peers have told us, a thousand routes of each at most: to be looked at, not used. */
  received(): readonly ReceivedRow[];
  /** Calls back after every change of a session's state. Returns the way to stop. */
  onChange(listener: () => void): () => void;
  /** Shows everything that is sent and received from now on, and what becomes of sessions. Returns the way to stop. */
  observe(onlooker: (observed: Observed) => void): () => void;
  /** Messages that tell what a session's peer has been told, in slices to be taken one by one, End-of-RIB last; none while it is down. */
  told(name: string): Iterable<readonly Uint8Array[]>;
  /**
   * Leaves well: routes become routes of last resort (GRACEFUL_SHUTDOWN, lowest LOCAL_PREF) and stay so until
   * `announce` is called without them or the speaker is stopped. Resumable: `drain(false)`.
   */
  drain(draining: boolean): void;
  /**
   * Ends all sessions for another program of this node that has them next: without a word where the peer does graceful restart, so that it
   * keeps the routes. They come back with `configure`.
   */
  release(): void;
  /**
   * `leave`: last resort, wait, withdraw, Cease. `restart`: the connections close without a word, so that peers with
   * graceful restart keep the routes.
   */
  stop(mode: "leave" | "restart"): Promise<void>;
}

export interface SessionView {
  /** The configuration's name; `NAME/ADDRESS` where it has a prefix. */
  readonly name: string;
  /** Address, `address%device`, device or prefix. */
  readonly peer: string;
  readonly port: number;
  readonly vrf?: string;
  readonly state: SessionState;
  readonly since: Date;
  readonly localAsn: number;
  /** Configured, or said by the peer. */
  readonly peerAsn: number | "internal" | "external";
  /** While there is a connection. */
  readonly localAddress?: string;
  readonly peerAddress?: string;
  readonly routerId?: string;
  readonly peerRouterId?: string;
  /** Negotiated. */
  readonly holdTimeSeconds?: number;
  readonly keepaliveTimeSeconds?: number;
  readonly families: readonly Family[];
  readonly capabilities: { readonly sent: readonly string[]; readonly received: readonly string[] };
  /** Routes the peer has been told, by family; and those it has not been told yet. */
  readonly announced: Readonly<Record<Family, number>>;
  readonly pending: number;
  /** Routes the peer has told us. None is used; some are kept, to be looked at. */
  readonly received: Readonly<Record<Family, number>>;
  readonly counters: SessionCounters;
  /** Why the session is not up, or last went down. */
  readonly lastReason?: string;
  /** Newest last. */
  readonly history: readonly SessionChange[];
  /** What an operator should do something about. */
  readonly problems: readonly string[];
}

export interface ReceivedRow {
  /** The session's name. */
  readonly peer: string;
  readonly prefix: string;
  readonly nextHop: string;
}

export interface SessionChange {
  /** The last time. */
  readonly at: Date;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly times: number;
}

export interface SessionCounters {
  /** Messages by type. */
  readonly sent: Readonly<Record<Message["type"], number>>;
  readonly received: Readonly<Record<Message["type"], number>>;
  /** Routes announced or withdrawn, all in all. */
  readonly updates: number;
  /** Times it came up. */
  readonly established: number;
  /** UPDATEs of the peer whose routes were taken for withdrawn (RFC 7606 §2). */
  readonly treatedAsWithdraw: number;
  /** NOTIFICATIONs and RFC 7606's grades by name. */
  readonly faults: Readonly<Record<string, number>>;
}
