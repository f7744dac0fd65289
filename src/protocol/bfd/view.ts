/** What the agent and its operator see of BFD. */
import type { Instant } from "../../time/instant.ts";
import type { ThreadPriority } from "./messages.ts";
import type { Remote } from "./session.ts";
import type { BfdState, Diagnostic } from "./packet.ts";

export interface BfdView {
  readonly sessions: readonly BfdSessionView[];
  /** How its thread is scheduled; absent: it has not said yet. */
  readonly priority?: ThreadPriority;
}

export interface BfdSessionView {
  readonly name: string;
  /** Canonical text; a link-local one with `%device`. */
  readonly peer: string;
  readonly state: BfdState;
  /** What the peer says of itself: `adminDown` is no failure (RFC 5882 §3.2). */
  readonly remoteState: BfdState;
  readonly diagnostic: Diagnostic;
  readonly remoteDiagnostic: Diagnostic;
  /** Of the last change of `state`. */
  readonly since: Instant;
  /** How often it left Up. */
  readonly flaps: number;
  /** What keeps it from sending, hearing, or offering the echo it was told to. */
  readonly problem: string | undefined;
}

/** For an operator who asks. */
export interface BfdDetails extends BfdSessionView {
  readonly multihop: boolean;
  readonly myDiscriminator: number;
  readonly yourDiscriminator: number;
  /** Between our packets, before jitter. */
  readonly transmitIntervalMilliseconds: number;
  /** Silence after which the peer is down; 0: it has not spoken. */
  readonly detectionMilliseconds: number;
  readonly remote: Remote;
  readonly sent: number;
  readonly received: number;
  /** By reason, among them the faults of packet.ts and authentication.ts. */
  readonly discarded: Readonly<Record<string, number>>;
  /** The longest pause between packets of the peer while Up: near the detection time, the session is in danger. */
  readonly longestGapMilliseconds: number;
  readonly echo: EchoDetails;
}

/** Our own echo packets, since the session was configured. */
export interface EchoDetails {
  /** Between packets, before jitter; 0: none are sent at the moment. */
  readonly intervalMilliseconds: number;
  /** When none has come back for so long, the peer's forwarding is down. */
  readonly detectionMilliseconds: number;
  readonly sent: number;
  readonly returned: number;
  /** Of the last that came back before the next was sent. */
  readonly roundTripMilliseconds?: number;
}

/**
 * A session left to the peer at a planned restart: it was told to wait, and does until `until`. Plain JSON. The next
 * process goes on with the same numbers, or the peer would see another session.
 */
export interface ParkedSession {
  readonly peer: string;
  readonly multihop: boolean;
  readonly myDiscriminator: number;
  readonly sourcePort: number;
  readonly sequence: number;
  readonly remote: Remote;
  readonly until: Instant;
}
