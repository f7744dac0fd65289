/** What a BFD session knows (RFC 5880 §6.8.1), how it begins, and what follows from it for its pace. */
import { later, type Instant } from "../../time/instant.ts";
import type { BfdState, Diagnostic } from "./packet.ts";

/** §6.8.1, the variables of a session; intervals in microseconds, as on the wire. */
export interface Session {
  readonly settings: Settings;
  readonly state: BfdState;
  readonly diagnostic: Diagnostic;
  readonly remote: Remote;
  /** What is in force for our own timers: an interval that grows waits for the peer to know (§6.8.3). */
  readonly txMicros: number;
  readonly rxMicros: number;
  /** A Poll Sequence runs; `changedMeanwhile`: and must be followed by another. */
  readonly poll: "idle" | "polling" | "changedMeanwhile";
  /** Of the next periodic packet; `undefined`: none is due. */
  readonly sendAt: Instant | undefined;
  /** Without a packet until then the peer is down. */
  readonly detectAt: Instant | undefined;
  /** After the echo function failed: Down for so long, although the peer's control packets come. How often it failed in a row. */
  readonly heldUntil: Instant | undefined;
  readonly echoFailures: number;
}

export interface Settings {
  /** Unique on this node, not zero, kept for as long as the session is configured. */
  readonly myDiscriminator: number;
  readonly desiredMinTxMicros: number;
  readonly requiredMinRxMicros: number;
  /** 0: the peer may send no echo. */
  readonly requiredMinEchoRxMicros: number;
  /** Between echo packets of ours, at least; 0: we send none. */
  readonly desiredMinEchoTxMicros: number;
  readonly detectMult: number;
  readonly passive: boolean;
}

export interface Remote {
  /** 0: not known. */
  readonly discriminator: number;
  readonly state: BfdState;
  readonly diagnostic: Diagnostic;
  readonly desiredMinTxMicros: number;
  readonly requiredMinRxMicros: number;
  readonly requiredMinEchoRxMicros: number;
  readonly detectMult: number;
  readonly demand: boolean;
}

/** §6.8.3: no faster than this while the session is not Up. */
export const SLOW_MICROS = 1_000_000;

export const UNKNOWN_REMOTE: Remote = {
  discriminator: 0,
  state: "down",
  diagnostic: "none",
  desiredMinTxMicros: 0,
  // §6.8.1: bfd.RemoteMinRxInterval starts with 1, so that anything is sent at all.
  requiredMinRxMicros: 1,
  requiredMinEchoRxMicros: 0,
  detectMult: 0,
  demand: false,
};

/** Down; the first packet goes out at once, unless the peer has to speak first. */
export function startSession(settings: Settings, now: Instant): Session {
  return {
    settings,
    state: "down",
    diagnostic: "none",
    remote: UNKNOWN_REMOTE,
    txMicros: Math.max(SLOW_MICROS, settings.desiredMinTxMicros),
    rxMicros: settings.requiredMinRxMicros,
    poll: "idle",
    sendAt: settings.passive ? undefined : now,
    detectAt: undefined,
    heldUntil: undefined,
    echoFailures: 0,
  };
}

/** What the predecessor of this process left to the peer: a session that is Up and waits for us. See `park`. */
export function resumeSession(settings: Settings, remote: Remote, detectMillis: number, now: Instant): Session {
  const session = startSession(settings, now);
  // The peer expects nothing for long; a poll tells it that we are back at our own pace.
  return {
    ...session,
    state: "up",
    remote,
    txMicros: settings.desiredMinTxMicros,
    poll: "polling",
    sendAt: now,
    detectAt: later(now, detectMillis),
  };
}

/** How long the peer may be silent (§6.8.4). 0: it has not spoken. */
export function detectionMicros({ remote, rxMicros }: Session): number {
  return remote.detectMult * Math.max(rxMicros, remote.desiredMinTxMicros);
}

/** What we say our interval is: the truth only while Up (§6.8.3). */
export function advertisedTxMicros(session: Session): number {
  const { desiredMinTxMicros } = session.settings;
  return session.state === "up" ? desiredMinTxMicros : Math.max(SLOW_MICROS, desiredMinTxMicros);
}
