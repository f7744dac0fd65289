/**
 * One TCP connection of a session, from the call to its end: what RFC 4271 §8 keeps for each. All timers are moments; `undefined` is
 * a timer that does not run. Which of two connections stays, and when the next is tried, is machine.ts.
 */
import { earliest, later, type Instant } from "../../time/instant.ts";
import type { Random } from "../../time/jitter.ts";
import type { Negotiated } from "./negotiate.ts";
import type { Open } from "./open.ts";

export interface Connection {
  /** Given by whoever made it: `out:3`, `in:7`. */
  readonly id: string;
  /** Who called: us, or the peer. */
  readonly direction: "outgoing" | "incoming";
  readonly state: "connecting" | "openSent" | "openConfirm" | "established";
  readonly sent?: Open;
  readonly received?: Open;
  readonly negotiated?: Negotiated;
  /** An attempt to connect is given up. */
  readonly attemptEndsAt?: Instant | undefined;
  /** HoldTimer: the peer has been silent for too long. */
  readonly holdAt?: Instant | undefined;
  /** KeepaliveTimer: our next one is due. */
  readonly keepaliveAt?: Instant | undefined;
  /** SendHoldTimer (RFC 9687): runs while the peer takes nothing. */
  readonly sendHoldAt?: Instant | undefined;
  /** Our first KEEPALIVE waits for BFD until then. */
  readonly bfdWaitEndsAt?: Instant | undefined;
  /** The peer's first KEEPALIVE came while ours was waiting. */
  readonly confirmed?: boolean;
  readonly establishedAt?: Instant;
}

/** The kernel tries a SYN four times in this time; a peer that is there has answered by then. */
const ATTEMPT_MILLISECONDS = 10_000;
/** RFC 4271 §8.2.2: "a large value". */
const OPEN_HOLD_MILLISECONDS = 240_000;
/** RFC 9687 §4: the greater of 8 minutes and twice the hold time. */
const SEND_HOLD_MILLISECONDS_MIN = 480_000;

export function calling(id: string, now: Instant): Connection {
  return { id, direction: "outgoing", state: "connecting", attemptEndsAt: later(now, ATTEMPT_MILLISECONDS) };
}

/** TCP is there, and our OPEN under way. */
export function opened(connection: Pick<Connection, "id" | "direction">, sent: Open, now: Instant): Connection {
  const { id, direction } = connection;
  return { id, direction, state: "openSent", sent, holdAt: later(now, OPEN_HOLD_MILLISECONDS) };
}

/** The peer's OPEN is good. Nothing has been sent about it yet. */
export function agreed(connection: Connection, received: Open, negotiated: Negotiated, now: Instant): Connection {
  return heard({ ...connection, state: "openConfirm", received, negotiated, holdAt: undefined }, now);
}

/** HoldTimer starts anew. */
export function heard(connection: Connection, now: Instant): Connection {
  const seconds = connection.negotiated?.holdTimeSeconds ?? 0;
  return { ...connection, holdAt: seconds === 0 ? undefined : later(now, seconds * 1000) };
}

/** A KEEPALIVE is under way; the next is due a little earlier than agreed, never in step with others (RFC 4271 §10). */
export function keptAlive(connection: Connection, now: Instant, random: Random): Connection {
  const seconds = connection.negotiated?.keepaliveTimeSeconds ?? 0;
  if (seconds === 0) return { ...connection, keepaliveAt: undefined };
  return { ...connection, keepaliveAt: later(now, Math.max(1000, seconds * 1000 * (1 - random() / 4))) };
}

/** What was sent lies in our own buffer. */
export function blocked(connection: Connection, now: Instant): Connection {
  return connection.sendHoldAt === undefined ? { ...connection, sendHoldAt: sendHoldEnd(connection, now) } : connection;
}

/** The peer took something; `drained`: everything. */
export function taken(connection: Connection, drained: boolean, now: Instant): Connection {
  if (drained) return { ...connection, sendHoldAt: undefined };
  return connection.sendHoldAt === undefined ? connection : { ...connection, sendHoldAt: sendHoldEnd(connection, now) };
}

function sendHoldEnd({ negotiated }: Connection, now: Instant): Instant {
  return later(now, Math.max(SEND_HOLD_MILLISECONDS_MIN, 2000 * (negotiated?.holdTimeSeconds ?? 0)));
}

export function connectionDeadline(connection: Connection): Instant | undefined {
  const { attemptEndsAt, holdAt, keepaliveAt, sendHoldAt, bfdWaitEndsAt } = connection;
  return earliest([attemptEndsAt, holdAt, keepaliveAt, sendHoldAt, bfdWaitEndsAt]);
}

/**
 * Two connections to one peer, both with good OPENs: which one stays (RFC 4271 §6.8, RFC 6286 §2.3). Both sides come to the same
 * answer: the one that was opened by the speaker with the higher identifier, or AS where those are equal.
 */
export function collisionWinner(localAsn: number, { sent, received, negotiated }: Connection): Connection["direction"] {
  const ours = sent?.bgpIdentifier ?? 0;
  const theirs = received?.bgpIdentifier ?? 0;
  if (ours !== theirs) return ours > theirs ? "outgoing" : "incoming";
  return localAsn > (negotiated?.peerAsn ?? 0) ? "outgoing" : "incoming";
}
