/** What a message does, by the state of the connection it comes by: the heart of RFC 4271 §8.2.2. */
import { later } from "../../time/instant.ts";
import { agreed, collisionWinner, heard, keptAlive, type Connection } from "./connection.ts";
import { collisionLost, dialSoon, ended, refused } from "./ending.ts";
import { bgpError, ERRORS, type BgpError } from "./error.ts";
import { recorded } from "./history.ts";
import { negotiate, type Offer } from "./negotiate.ts";
import { formatNotification, type Notification } from "./notification.ts";
import type { Open } from "./open.ts";
import type { RouteRefresh } from "./route-refresh.ts";
import { replaced, stateOf, without, type Received, type Session, type Turn } from "./session.ts";

/** How long a session may wait in OpenConfirm for BFD, where it has to. */
const BFD_WAIT_MILLISECONDS = 30_000;

export function received(session: Session, connection: Connection, message: Received, turn: Turn): Session {
  if (message.type === "notification") return notified(session, connection, message, turn);
  switch (connection.state) {
    case "connecting":
      return session;
    case "openSent":
      if (message.type === "open") return openReceived(session, connection, message, turn);
      return refused(session, connection, unexpected("unexpectedInOpenSent", message, connection), turn);
    case "openConfirm":
      if (message.type === "keepalive") return confirmed(session, heard(connection, turn.now), turn);
      return refused(session, connection, unexpected("unexpectedInOpenConfirm", message, connection), turn);
    case "established":
      if (message.type === "open")
        return refused(session, connection, unexpected("unexpectedInEstablished", message, connection), turn);
      if (message.type === "routeRefresh") return refresh(session, connection, message, turn);
      return replaced(session, heard(connection, turn.now));
  }
}

function unexpected(
  subcode: "unexpectedInOpenSent" | "unexpectedInOpenConfirm" | "unexpectedInEstablished",
  message: Received,
  { state }: Connection,
): BgpError {
  return bgpError("stateMachine", subcode, `the peer sent ${message.type.toUpperCase()} in state ${state}`);
}

function openReceived(session: Session, connection: Connection, message: Open, turn: Turn): Session {
  const { sent } = connection;
  if (sent === undefined) return session;
  const negotiation = negotiate(session.config, sent, message);
  if (!negotiation.ok) return refused(session, connection, negotiation.error, turn);
  const next = agreed(connection, message, negotiation.value, turn.now);
  const [survivors, survives] = collided(replaced(session, next), next, turn);
  if (!survives) return survivors;
  if (session.config.bfdStrict === true && session.bfd !== "up" && session.bfd !== "adminDown")
    return replaced(survivors, { ...next, bfdWaitEndsAt: later(turn.now, BFD_WAIT_MILLISECONDS) });
  return replaced(survivors, sendKeepalive(next, turn));
}

/** RFC 4271 §6.8. False: it is this connection that had to go. */
function collided(session: Session, connection: Connection, turn: Turn): readonly [Session, boolean] {
  const other = session.connections.find(
    ({ id, state }) => id !== connection.id && (state === "openConfirm" || state === "established"),
  );
  if (other === undefined) return [session, true];
  if (other.state === "established") {
    // RFC 4724 §5: the peer has restarted, and this side of TCP does not know yet.
    if (other.negotiated?.gracefulRestart === true)
      return [ended(session, other, "the peer opened a new connection: it has restarted", turn), true];
    return [collisionLost(session, connection, turn), false];
  }
  const wins = collisionWinner(session.config.localAsn, connection) === connection.direction;
  return [collisionLost(session, wins ? other : connection, turn), wins];
}

/** RFC 2918 §4, RFC 7313 §4: only requests mean something to a speaker that keeps no routes. */
function refresh(session: Session, connection: Connection, { family, subtype }: RouteRefresh, turn: Turn): Session {
  const negotiated = connection.negotiated?.families.some((one) => one === family) === true;
  if (!negotiated) turn.effects.push({ type: "count", fault: "refreshOfOtherFamily" });
  else if (subtype === "request") turn.effects.push({ type: "resend", family });
  return session;
}

/** The peer ends it. Nothing is answered. */
function notified(session: Session, connection: Connection, message: Notification, turn: Turn): Session {
  const reason = `the peer ended it: ${formatNotification(message)}`;
  turn.effects.push({ type: "count", fault: `received ${message.code}/${message.subcode}` });
  const other = session.connections.find(({ id }) => id !== connection.id);
  if (isCollision(message) && other !== undefined) {
    turn.effects.push({ type: "close", connection: connection.id });
    return without(session, connection);
  }
  const offer = connection.state === "established" ? "full" : lesserOffer(session.offer, message);
  const next = ended(session, connection, reason, turn);
  // What was refused is not said again: no need to wait. A peer that refuses the least as well has to.
  return offer === session.offer || offer === "full" ? { ...next, offer } : dialSoon({ ...next, offer }, turn);
}

function isCollision({ code, subcode }: Notification): boolean {
  return code === ERRORS.cease.code && subcode === ERRORS.cease.subcodes.connectionCollision;
}

/** RFC 5492 §3. A peer that refuses this too gets everything again: it may have been something else. */
function lesserOffer(offer: Offer, { code, subcode }: Notification): Offer {
  const { unsupportedOptionalParameter, unsupportedCapability, unspecific } = ERRORS.open.subcodes;
  if (code !== ERRORS.open.code) return offer;
  if (subcode === unsupportedOptionalParameter) return offer === "bare" ? "full" : "bare";
  if (subcode === unsupportedCapability || subcode === unspecific) return offer === "full" ? "minimal" : "full";
  return offer;
}

/** KEEPALIVE in OpenConfirm. */
export function confirmed(session: Session, connection: Connection, turn: Turn): Session {
  if (connection.bfdWaitEndsAt !== undefined) return replaced(session, { ...connection, confirmed: true });
  const { negotiated } = connection;
  if (negotiated === undefined) return session;
  // Ours that has got no further; its end is no failure.
  const others = session.connections.filter(({ id, state }) => id !== connection.id && state === "connecting");
  for (const { id } of others) turn.effects.push({ type: "close", connection: id, abort: true });
  turn.effects.push({ type: "up", connection: connection.id, negotiated });
  const alone = others.reduce(without, session);
  const up = replaced(alone, { ...connection, state: "established", establishedAt: turn.now });
  const reason = `established with AS ${negotiated.peerAsn}`;
  return recorded(
    { ...up, dialAt: undefined, restartingUntil: undefined, forwarding: true, lastReason: undefined },
    stateOf(session),
    "established",
    reason,
    turn.now,
  );
}

export function sendKeepalive(connection: Connection, turn: Turn): Connection {
  turn.effects.push({ type: "send", connection: connection.id, message: { type: "keepalive" } });
  return keptAlive(connection, turn.now, turn.random);
}
