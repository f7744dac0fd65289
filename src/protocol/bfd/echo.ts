/**
 * The echo function of one session, RFC 5880 §6.8.5, §6.8.9: packets that the peer's forwarding returns while the session is Up and the
 * peer allows them; when too many stay away, forwarding is broken although control packets come. Pure, as machine.ts:
 * `stepEcho(echo, session, event, now, random) → [echo, effects]`.
 *
 * Asynchronous packets keep the profile's pace meanwhile: as FRR does, and a peer whose BFD has hung is found as fast as without.
 */
import { later, type Instant } from "../../time/instant.ts";
import type { Random } from "../../time/jitter.ts";
import type { Session } from "./session.ts";

/** While it runs. */
export interface Echo {
  /** Between packets, before jitter. */
  readonly intervalMicros: number;
  readonly sendAt: Instant;
  /** Without a packet back until then the function has failed. */
  readonly detectAt: Instant;
  /** Of the last packet sent, of the newest that came back; 0: none. */
  readonly sent: number;
  readonly returned: number;
}

export type EchoEvent =
  /** The session has changed, or may have. */
  | { readonly type: "session" }
  | { readonly type: "clock" }
  /** One of ours has come back. */
  | { readonly type: "returned"; readonly sequence: number };

export type EchoEffect =
  | { readonly type: "send"; readonly sequence: number }
  /** To be told to the session: `echoFailed`. */
  | { readonly type: "failed"; readonly everReturned: boolean };

export function stepEcho(
  echo: Echo | undefined,
  session: Session,
  event: EchoEvent,
  now: Instant,
  random: Random,
): readonly [Echo | undefined, readonly EchoEffect[]] {
  const intervalMicros = echoIntervalMicros(session);
  if (intervalMicros === undefined) return [undefined, []];
  const running = echo?.intervalMicros === intervalMicros ? echo : begin(echo, session, intervalMicros, now);
  switch (event.type) {
    case "session":
      return [running, []];
    case "returned":
      return [hear(running, session, event.sequence, now), []];
    case "clock":
      return tick(running, now, random);
  }
}

/** `undefined`: none may be sent. */
export function echoIntervalMicros({ state, settings, remote }: Session): number | undefined {
  const { desiredMinEchoTxMicros } = settings;
  const allowed = state === "up" && remote.requiredMinEchoRxMicros !== 0;
  if (!allowed || desiredMinEchoTxMicros === 0) return undefined;
  return Math.max(desiredMinEchoTxMicros, remote.requiredMinEchoRxMicros);
}

/** Of our own packets so many may be missed as the peer may miss. */
export function echoDetectionMicros(intervalMicros: number, { settings }: Session): number {
  return intervalMicros * settings.detectMult;
}

/** At another pace the wait for a packet begins anew. */
function begin(echo: Echo | undefined, session: Session, intervalMicros: number, now: Instant): Echo {
  const detectAt = later(now, echoDetectionMicros(intervalMicros, session) / 1000);
  return { intervalMicros, sendAt: now, detectAt, sent: echo?.sent ?? 0, returned: echo?.returned ?? 0 };
}

/** One that was heard already, or never sent, is somebody's play. */
function hear(echo: Echo, session: Session, sequence: number, now: Instant): Echo {
  if (sequence <= echo.returned || sequence > echo.sent) return echo;
  return {
    ...echo,
    returned: sequence,
    detectAt: later(now, echoDetectionMicros(echo.intervalMicros, session) / 1000),
  };
}

function tick(echo: Echo, now: Instant, random: Random): readonly [Echo, readonly EchoEffect[]] {
  if (echo.detectAt <= now) return [echo, [{ type: "failed", everReturned: echo.returned > 0 }]];
  if (echo.sendAt > now) return [echo, []];
  const sequence = echo.sent + 1;
  // §6.8.9: up to a quarter of the interval is left out.
  const sendAt = later(now, (echo.intervalMicros * (1 - 0.25 * random())) / 1000);
  return [{ ...echo, sent: sequence, sendAt }, [{ type: "send", sequence }]];
}
