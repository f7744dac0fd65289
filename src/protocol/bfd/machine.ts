/**
 * One BFD session, RFC 5880 §6.8, asynchronous mode: `step(session, event, now, random) → [session, effects]`. Pure; times are
 * instants in the session, and `deadline` is the one moment to wake at. We never ask for demand mode, and honour a peer that
 * does (§6.6).
 *
 *                    rx Down, timer, admin down
 *          ┌──────────────────────────────────────────────┐
 *          ▼                                              │
 *       ┌──────┐  rx Down     ┌──────┐  rx Init, Up    ┌──┴───┐
 *       │ Down │ ───────────► │ Init │ ──────────────► │  Up  │
 *       └─┬────┘              └──────┘                 └──────┘
 *         │               rx Init                          ▲
 *         └────────────────────────────────────────────────┘
 */
import { later, earliest, type Instant } from "../../time/instant.ts";
import type { Random } from "../../time/jitter.ts";
import type { BfdState, Control, Diagnostic } from "./packet.ts";
import {
  advertisedTxMicros,
  detectionMicros,
  UNKNOWN_REMOTE,
  type Remote,
  type Session,
  type Settings,
} from "./session.ts";

export type Event =
  /** A packet for this session that has passed every check of §6.8.6 that needs no state, and its authentication. */
  | { readonly type: "received"; readonly control: Control }
  | { readonly type: "clock" }
  /** Other intervals, multiplier or role. */
  | { readonly type: "configure"; readonly settings: Settings }
  /** §6.8.16. */
  | { readonly type: "admin"; readonly enabled: boolean }
  /** §6.8.5: too many of our echo packets have not come back; whether any had since the session came Up. */
  | { readonly type: "echoFailed"; readonly everReturned: boolean };

export type Effect =
  | { readonly type: "send"; readonly control: Control }
  /** The state of either end has changed. */
  | { readonly type: "changed" };

const ECHO_HOLD_MILLISECONDS = 1000;
const ECHO_HOLD_MILLISECONDS_MAX = 60_000;

/** §6.8.6 last but one: ours (row), the peer's (column). */
const NEXT_STATE = {
  adminDown: { adminDown: "adminDown", down: "adminDown", init: "adminDown", up: "adminDown" },
  down: { adminDown: "down", down: "init", init: "up", up: "down" },
  init: { adminDown: "down", down: "init", init: "up", up: "up" },
  up: { adminDown: "down", down: "down", init: "up", up: "up" },
} as const satisfies Record<BfdState, Record<BfdState, BfdState>>;

export function step(
  session: Session,
  event: Event,
  now: Instant,
  random: Random,
): readonly [Session, readonly Effect[]] {
  switch (event.type) {
    case "received":
      return receive(session, event.control, now, random);
    case "clock":
      return tick(session, now, random);
    case "configure":
      return configure(session, event.settings, now, random);
    case "admin":
      return setAdmin(session, event.enabled, now, random);
    case "echoFailed":
      return failEcho(session, event.everReturned, now, random);
  }
}

export function deadline({ sendAt, detectAt }: Session): Instant | undefined {
  return earliest([sendAt, detectAt]);
}

// ---- Events ----

function receive(
  before: Session,
  control: Control,
  now: Instant,
  random: Random,
): readonly [Session, readonly Effect[]] {
  const heard: Session = { ...before, remote: remoteOf(control) };
  // §6.8.6: remembered, and that is all.
  if (before.state === "adminDown") return rearm(heard, before, now, random);
  const polled = control.final ? endPoll(heard) : heard;
  const held = before.heldUntil !== undefined && now < before.heldUntil;
  const state = held ? before.state : NEXT_STATE[before.state][control.state];
  const [moved, effects] = moveTo(polled, state, "neighborSignaledDown", now, random);
  const seen: Session = { ...moved, detectAt: later(now, detectionMicros(moved) / 1000) };
  const [paced, sent] = rearm(seen, before, now, random);
  const changed =
    effects.some(({ type }) => type === "changed") || before.remote.state === control.state
      ? effects
      : [...effects, { type: "changed" } as const];
  // §6.5: answered at once and beside the timer; F is never in a packet with P.
  const answer: readonly Effect[] = control.poll
    ? [{ type: "send", control: { ...packetOf(paced), poll: false, final: true } }]
    : [];
  return [paced, [...changed, ...sent, ...answer]];
}

function tick(before: Session, now: Instant, random: Random): readonly [Session, readonly Effect[]] {
  let session = before;
  const effects: Effect[] = [];
  if (session.detectAt !== undefined && session.detectAt <= now) {
    const silent: Session = { ...session, remote: UNKNOWN_REMOTE, detectAt: undefined };
    // §6.8.4: in the other states only what was known of the peer is forgotten.
    const lost = session.state === "up" || session.state === "init";
    const [next, more] = lost ? moveTo(silent, "down", "detectionTimeExpired", now, random) : ([silent, []] as const);
    session = next;
    effects.push(...more);
    if (!mayTransmit(session)) session = { ...session, sendAt: undefined };
  }
  if (session.sendAt !== undefined && session.sendAt <= now) {
    effects.push({ type: "send", control: packetOf(session) });
    session = { ...session, sendAt: nextSend(session, now, random) };
  }
  return [session, effects];
}

function configure(
  before: Session,
  settings: Settings,
  now: Instant,
  random: Random,
): readonly [Session, readonly Effect[]] {
  const changed =
    settings.desiredMinTxMicros !== before.settings.desiredMinTxMicros ||
    settings.requiredMinRxMicros !== before.settings.requiredMinRxMicros ||
    settings.requiredMinEchoRxMicros !== before.settings.requiredMinEchoRxMicros ||
    settings.detectMult !== before.settings.detectMult;
  const next = changed ? renegotiate({ ...before, settings }) : { ...before, settings };
  return rearm(next, before, now, random, changed);
}

function setAdmin(
  before: Session,
  enabled: boolean,
  now: Instant,
  random: Random,
): readonly [Session, readonly Effect[]] {
  if (enabled === (before.state !== "adminDown")) return [before, []];
  const [next, effects] = moveTo(before, enabled ? "down" : "adminDown", "administrativelyDown", now, random);
  return [enabled ? next : { ...next, detectAt: undefined }, effects];
}

/**
 * Control packets still come, so the session would be Up again within a round trip, and down again within a few echo packets: it waits
 * first, each time twice as long, until forwarding works.
 */
function failEcho(
  before: Session,
  everReturned: boolean,
  now: Instant,
  random: Random,
): readonly [Session, readonly Effect[]] {
  if (before.state !== "up") return [before, []];
  const echoFailures = everReturned ? 1 : before.echoFailures + 1;
  const hold = Math.min(ECHO_HOLD_MILLISECONDS * 2 ** (echoFailures - 1), ECHO_HOLD_MILLISECONDS_MAX);
  return moveTo({ ...before, echoFailures, heldUntil: later(now, hold) }, "down", "echoFailed", now, random);
}

// ---- Their parts ----

/** A change of state is told at once, not with the next periodic packet (§6.8.7, last paragraph). */
function moveTo(
  session: Session,
  state: BfdState,
  downDiagnostic: Diagnostic,
  now: Instant,
  random: Random,
): readonly [Session, readonly Effect[]] {
  if (state === session.state) return [session, []];
  const goesDown = state === "down" || state === "adminDown";
  const leavesAdminDown = session.state === "adminDown";
  const diagnostic = leavesAdminDown ? "none" : goesDown ? downDiagnostic : session.diagnostic;
  const moved: Session = { ...session, state, diagnostic: state === "up" ? "none" : diagnostic };
  // Up, the slow pace ends: the peer has to know (§6.8.3). Not up, nothing is left to agree on.
  const next: Session = {
    ...moved,
    poll: state === "up" ? "polling" : "idle",
    txMicros: advertisedTxMicros(moved),
    rxMicros: moved.settings.requiredMinRxMicros,
  };
  if (!mayTransmit(next)) return [{ ...next, sendAt: undefined }, [{ type: "changed" }]];
  const effects: readonly Effect[] = [{ type: "changed" }, { type: "send", control: packetOf(next) }];
  return [{ ...next, sendAt: nextSend(next, now, random) }, effects];
}

/** §6.8.3: what is tightened for the peer waits until it knows; what is relaxed counts at once. */
function renegotiate(session: Session): Session {
  const { requiredMinRxMicros } = session.settings;
  const tx = advertisedTxMicros(session);
  if (session.state !== "up") return { ...session, txMicros: tx, rxMicros: requiredMinRxMicros };
  return {
    ...session,
    txMicros: Math.min(tx, session.txMicros),
    rxMicros: Math.max(requiredMinRxMicros, session.rxMicros),
    poll: session.poll === "idle" ? "polling" : "changedMeanwhile",
  };
}

function endPoll(session: Session): Session {
  if (session.poll === "idle") return session;
  // The answer is to what was asked before the last change: ask again.
  if (session.poll === "changedMeanwhile") return { ...session, poll: "polling" };
  return {
    ...session,
    poll: "idle",
    txMicros: advertisedTxMicros(session),
    rxMicros: session.settings.requiredMinRxMicros,
  };
}

/** A pace that became faster counts at once, not after one more slow interval; a silence that ended begins with a packet. */
function rearm(
  session: Session,
  before: Session,
  now: Instant,
  random: Random,
  immediately = false,
): readonly [Session, readonly Effect[]] {
  if (!mayTransmit(session)) return [{ ...session, sendAt: undefined }, []];
  const wasSilent = session.sendAt === undefined;
  if (wasSilent || (immediately && session.state === "up")) {
    const effects: readonly Effect[] = [{ type: "send", control: packetOf(session) }];
    return [{ ...session, sendAt: nextSend(session, now, random) }, effects];
  }
  if (intervalMicros(session) >= intervalMicros(before)) return [session, []];
  const next = nextSend(session, now, random);
  return [{ ...session, sendAt: earliest([session.sendAt, next]) }, []];
}

/** §6.8.7: the periodic packets. */
function mayTransmit({ settings, remote, state, poll }: Session): boolean {
  if (settings.passive && remote.discriminator === 0) return false;
  if (remote.requiredMinRxMicros === 0) return false;
  const demanded = remote.demand && state === "up" && remote.state === "up";
  return !demanded || poll !== "idle";
}

function intervalMicros({ txMicros, remote }: Session): number {
  return Math.max(txMicros, remote.requiredMinRxMicros);
}

/** §6.8.7: a random part of a quarter is left out; of a tenth to a quarter where a single packet decides. */
function nextSend(session: Session, now: Instant, random: Random): Instant {
  const least = session.settings.detectMult === 1 ? 0.1 : 0;
  const less = least + (0.25 - least) * random();
  return later(now, (intervalMicros(session) * (1 - less)) / 1000);
}

function packetOf(session: Session): Control {
  const { settings, remote, state, diagnostic } = session;
  return {
    diagnostic,
    state,
    poll: session.poll !== "idle",
    final: false,
    // The process that sends is the one that would fail.
    controlPlaneIndependent: false,
    demand: false,
    detectMult: settings.detectMult,
    myDiscriminator: settings.myDiscriminator,
    yourDiscriminator: remote.discriminator,
    desiredMinTxMicros: advertisedTxMicros(session),
    requiredMinRxMicros: settings.requiredMinRxMicros,
    requiredMinEchoRxMicros: settings.requiredMinEchoRxMicros,
  };
}

function remoteOf(control: Control): Remote {
  return {
    discriminator: control.myDiscriminator,
    state: control.state,
    diagnostic: control.diagnostic,
    desiredMinTxMicros: control.desiredMinTxMicros,
    requiredMinRxMicros: control.requiredMinRxMicros,
    requiredMinEchoRxMicros: control.requiredMinEchoRxMicros,
    detectMult: control.detectMult,
    demand: control.demand,
  };
}
