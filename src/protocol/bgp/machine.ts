/**
 * A session with one peer: RFC 4271 §8, for a speaker that originates routes and takes none. Pure: time, randomness, messages and what
 * became of TCP come in; messages and calls go out. The driver wakes the machine at `deadline(session)`.
 *
 *      idle ── start ──► connect ── TCP ──► openSent ── OPEN ──► openConfirm ── KEEPALIVE ──► established
 *       ▲ ▲ stop          │  ▲                 │                    │                            │
 *       │ └───────────────┼──┼─────────────────┴──── any error ─────┴────────────────────────────┘
 *       │                 ▼  │ pause over                           │
 *       └─────────────  active  ◄───────────────────────────────────┘
 *
 * Up to two connections may be on their way at once, one called by each side; the state shown is that of the furthest.
 */
import { later, type Instant } from "../../time/instant.ts";
import type { Random } from "../../time/jitter.ts";
import { needsReset, type SessionConfig } from "./config.ts";
import { blocked, opened, taken, type Connection } from "./connection.ts";
import { ACCEPT_PAUSE_MILLISECONDS, collisionLost, dial, dialSoon, endAll, ended, fatal, refused } from "./ending.ts";
import { bgpError } from "./error.ts";
import { openOf } from "./negotiate.ts";
import { notificationOf, type Notification } from "./notification.ts";
import { confirmed, received, sendKeepalive } from "./receive.ts";
import { replaced, staticTarget, stateOf, type Effect, type Event, type Session, type Turn } from "./session.ts";

/** While a connection of the peer's is on its way, ours waits for it. */
const COURTESY_MILLISECONDS = 10_000;

export function step(
  before: Session,
  event: Event,
  now: Instant,
  random: Random,
): readonly [Session, readonly Effect[]] {
  const turn: Turn = { now, random, effects: [] };
  const after = dispatch(before, event, turn);
  const to = stateOf(after);
  const next = stateOf(before) === to ? after : { ...after, since: now };
  const same = stateOf(before) === to && before.lastReason === next.lastReason && before.history === next.history;
  return [next, same ? turn.effects : [...turn.effects, { type: "changed" }]];
}

function dispatch(session: Session, event: Event, turn: Turn): Session {
  switch (event.type) {
    case "start":
      return session.running ? session : dial({ ...session, running: true, dialAt: turn.now }, turn);
    case "stop":
      return stopped(session, event, turn);
    case "reset":
      return dialSoon(endAll(session, event.reason, turn, event.notification), turn);
    case "configure":
      return configured(session, event.config, turn);
    case "target":
      return dial({ ...session, target: event.target, dialAt: session.dialAt ?? turn.now }, turn);
    case "accepted":
      return accepted(session, event.connection, turn);
    case "bfd":
      return bfdChanged(session, event.state, turn);
    case "clock":
      return dial(
        session.connections.reduce((next, connection) => expired(next, connection, turn), session),
        turn,
      );
    case "connected":
    case "closed":
    case "received":
    case "faulty":
    case "blocked":
    case "taken": {
      // Of one that has ended already: what was under way meanwhile.
      const connection = session.connections.find(({ id }) => id === event.connection);
      return connection === undefined ? session : connectionEvent(session, connection, event, turn);
    }
  }
}

type ConnectionEvent = Exclude<Extract<Event, { connection: string }>, { type: "accepted" }>;

function connectionEvent(session: Session, connection: Connection, event: ConnectionEvent, turn: Turn): Session {
  switch (event.type) {
    case "connected":
      return connection.state === "connecting" ? sendOpen(session, connection, turn) : session;
    case "closed":
      return ended(session, connection, event.reason, turn);
    case "faulty":
      return refused(session, connection, event.error, turn);
    case "blocked":
      return replaced(session, blocked(connection, turn.now));
    case "taken":
      return replaced(session, taken(connection, event.drained, turn.now));
    case "received":
      return received(session, connection, event.message, turn);
  }
}

function accepted(before: Session, id: string, turn: Turn): Session {
  // Whatever becomes of it: a peer that calls without end gets two answers a second, not all our sockets.
  const session = { ...before, acceptAfter: later(turn.now, ACCEPT_PAUSE_MILLISECONDS) };
  const refuse = (fault: string, notification?: Notification): Session => {
    turn.effects.push(
      { type: "close", connection: id, ...(notification === undefined ? { abort: true } : { notification }) },
      { type: "count", fault },
    );
    return session;
  };
  if (before.acceptAfter !== undefined && turn.now < before.acceptAfter)
    return { ...refuse("connectionTooSoon"), acceptAfter: before.acceptAfter };
  if (!session.running || session.config.initiation === "dial")
    return refuse("connectionRejected", notificationOf(bgpError("cease", "connectionRejected", "")));
  const up = session.connections.find(({ state }) => state === "established");
  if (up !== undefined && up.negotiated?.gracefulRestart !== true)
    return refuse("collision", notificationOf(bgpError("cease", "connectionCollision", "")));
  // The peer called before, and calls again: the first call is of no use to it any more.
  const stale = session.connections.filter(
    ({ direction, state }) => direction === "incoming" && state !== "established",
  );
  const fresh = stale.reduce<Session>((next, connection) => collisionLost(next, connection, turn), session);
  const courtesy = later(turn.now, COURTESY_MILLISECONDS);
  const waiting = fresh.dialAt === undefined || fresh.dialAt > courtesy ? fresh : { ...fresh, dialAt: courtesy };
  return sendOpen({ ...waiting, connections: [...waiting.connections, incoming(id)] }, incoming(id), turn);
}

function incoming(id: string): Connection {
  return { id, direction: "incoming", state: "connecting" };
}

function sendOpen(session: Session, connection: Connection, turn: Turn): Session {
  const { config, identity, offer, restartingUntil, forwarding } = session;
  const message = openOf(config, {
    bgpIdentifier: config.routerId === undefined ? identity.bgpIdentifier : Number(config.routerId.value),
    hostname: identity.hostname,
    restarting: restartingUntil !== undefined && turn.now < restartingUntil,
    forwarding,
    offer,
  });
  turn.effects.push({ type: "send", connection: connection.id, message });
  return replaced(session, opened(connection, message, turn.now));
}

// ---- Time, configuration, BFD ----

function expired(session: Session, connection: Connection, turn: Turn): Session {
  const due = (moment: Instant | undefined): boolean => moment !== undefined && moment <= turn.now;
  if (due(connection.attemptEndsAt))
    return ended(session, connection, "the peer does not answer: no TCP connection", turn, { abort: true });
  if (due(connection.holdAt)) {
    const what =
      connection.state === "openSent" ? "no OPEN came from the peer" : "the peer was silent for the hold time";
    return refused(session, connection, bgpError("holdTimer", "unspecific", `hold timer expired: ${what}`), turn);
  }
  if (due(connection.sendHoldAt)) {
    const error = bgpError("sendHoldTimer", "unspecific", "send hold timer expired: the peer takes nothing");
    turn.effects.push({ type: "count", fault: "sent 8/0" });
    return ended(session, connection, error.reason, turn, { notification: notificationOf(error), abort: true });
  }
  if (due(connection.bfdWaitEndsAt))
    return refused(session, connection, bgpError("cease", "bfdDown", "BFD did not come up"), turn);
  return due(connection.keepaliveAt) ? replaced(session, sendKeepalive(connection, turn)) : session;
}

function stopped(session: Session, { notification, reason }: Extract<Event, { type: "stop" }>, turn: Turn): Session {
  if (!session.running) return session;
  return { ...endAll({ ...session, running: false }, reason, turn, notification), dialAt: undefined };
}

function configured(session: Session, config: SessionConfig, turn: Turn): Session {
  const field = needsReset(session.config, config);
  if (field === undefined) {
    const { dialAt } = session;
    const idle = session.connections.length === 0;
    return dial({ ...session, config, dialAt: idle && session.running ? (dialAt ?? turn.now) : dialAt }, turn);
  }
  const error = bgpError("cease", "otherConfigurationChange", `its configuration changed: ${field}`);
  const over = endAll(session, error.reason, turn, notificationOf(error));
  const target = config.peer.type === "interface" ? session.target : staticTarget(config);
  return dial(dialSoon({ ...over, config, target, failures: 0, offer: "full", acceptAfter: undefined }, turn), turn);
}

function bfdChanged(session: Session, state: "up" | "down" | "adminDown", turn: Turn): Session {
  const next: Session = { ...session, bfd: state };
  if (state === "down") {
    if (session.bfd !== "up") return next;
    const error = bgpError("cease", "bfdDown", "BFD went down");
    return next.connections
      .filter((connection) => connection.state === "openConfirm" || connection.state === "established")
      .reduce((over, connection) => {
        const notification = fatal(connection, notificationOf(error));
        return ended(over, connection, error.reason, turn, { notification });
      }, next);
  }
  return next.connections
    .filter(({ bfdWaitEndsAt }) => bfdWaitEndsAt !== undefined)
    .reduce((going, connection) => {
      const awake = sendKeepalive({ ...connection, bfdWaitEndsAt: undefined }, turn);
      return connection.confirmed === true ? confirmed(going, awake, turn) : replaced(going, awake);
    }, next);
}
