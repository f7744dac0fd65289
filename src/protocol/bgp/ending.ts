/** How connections end, what is said then, and when the next is tried. */
import { later } from "../../time/instant.ts";
import { calling, type Connection } from "./connection.ts";
import { bgpError, type BgpError } from "./error.ts";
import { recorded } from "./history.ts";
import { hardResetOf, notificationOf, type Notification } from "./notification.ts";
import { mayDial, stateOf, without, type Session, type Turn } from "./session.ts";

/** A peer that calls at once, again and again, is not answered more often. */
export const ACCEPT_PAUSE_MILLISECONDS = 500;

/** We end it, and say why. */
export function refused(session: Session, connection: Connection, error: BgpError, turn: Turn): Session {
  turn.effects.push({ type: "count", fault: `sent ${error.code}/${error.subcode}` });
  return ended(session, connection, error.reason, turn, { notification: notificationOf(error) });
}

/** One that must not keep the peer's helper from dropping our routes. */
export function fatal(connection: Connection, notification: Notification): Notification {
  return connection.negotiated?.keepsOverNotification === true ? hardResetOf(notification) : notification;
}

interface Ending {
  readonly notification?: Notification;
  readonly abort?: boolean;
}

/** The connection is over; where it was the last, another is tried after a pause. */
export function ended(
  session: Session,
  connection: Connection,
  reason: string,
  turn: Turn,
  ending: Ending = {},
): Session {
  turn.effects.push({ type: "close", connection: connection.id, ...ending });
  const rest = without(session, connection);
  if (connection.state === "established") {
    turn.effects.push({ type: "down", connection: connection.id });
    return goneDown(rest, connection, reason, turn);
  }
  // The other connection goes on, and this one's end says nothing about it.
  if (rest.connections.length > 0) return rest;
  const failed = recorded({ ...rest, lastReason: reason }, connection.state, stateOf(rest), reason, turn.now);
  const acceptAfter =
    connection.direction === "incoming" ? later(turn.now, ACCEPT_PAUSE_MILLISECONDS) : failed.acceptAfter;
  return paused({ ...failed, acceptAfter, failures: failed.failures + 1 }, turn);
}

function goneDown(rest: Session, connection: Connection, reason: string, turn: Turn): Session {
  const holdMilliseconds = 1000 * Math.max(rest.config.holdTimeSeconds, rest.config.connectTimeSeconds);
  const wasUpFor = turn.now - (connection.establishedAt ?? turn.now);
  // A peer that accepts and closes is not called in a loop.
  const failures = wasUpFor > holdMilliseconds ? 1 : rest.failures + 1;
  const down: Session = { ...rest, lastReason: reason, failures, offer: "full" };
  return paused(recorded(down, "established", stateOf(rest), reason, turn.now), turn);
}

/** 1, 2, 4 … seconds, each a little less at random, never longer than the configured time. */
function paused(session: Session, { now, random }: Turn): Session {
  if (!session.running) return { ...session, dialAt: undefined };
  const seconds = Math.min(2 ** Math.min(session.failures - 1, 20), session.config.connectTimeSeconds);
  return { ...session, dialAt: later(now, seconds * 1000 * (1 - random() / 4)) };
}

export function dialSoon(session: Session, turn: Turn): Session {
  return session.running ? { ...session, dialAt: turn.now } : session;
}

export function dial(session: Session, turn: Turn): Session {
  const { target, dialAt, dials } = session;
  if (!mayDial(session) || target === undefined || dialAt === undefined || dialAt > turn.now) return session;
  const connection = calling(`out:${dials + 1}`, turn.now);
  turn.effects.push({ type: "dial", connection: connection.id, target });
  return { ...session, dialAt: undefined, dials: dials + 1, connections: [...session.connections, connection] };
}

export function collisionLost(session: Session, connection: Connection, turn: Turn): Session {
  const error = bgpError("cease", "connectionCollision", "the other connection stays");
  turn.effects.push(
    { type: "close", connection: connection.id, notification: notificationOf(error) },
    { type: "count", fault: "collision" },
  );
  return without(session, connection);
}

/** A notification of an administrator is for the routes as well: they go. */
export function endAll(session: Session, reason: string, turn: Turn, notification?: Notification): Session {
  return session.connections.reduce((next, connection) => {
    if (connection.state === "connecting") return ended(next, connection, reason, turn, { abort: true });
    return ended(
      next,
      connection,
      reason,
      turn,
      notification === undefined ? {} : { notification: fatal(connection, notification) },
    );
  }, session);
}
