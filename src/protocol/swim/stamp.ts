/**
 * This node's own liveness stamp: how long its datapath may answer ARP and NDP without an agent. Pure.
 *
 *                      renewed every half second
 *     holding ─ informed ─► resuming ─► settled ◄──────────────┐
 *        │                     │           │ ran out           │ the others have seen us
 *        └──── ran out ────────┴───────────┤                   │
 *                                          ▼                   │
 *     none at the start ───────────► withdrawing ─ withdrawn ─► settling
 *                                                  and informed
 *
 * A stamp that ran out is never simply renewed: others may announce our addresses by now, and the datapath would answer
 * again at once, beside them. First the announcements are withdrawn; then the stamp is renewed, which the peers see; then
 * they withdraw; only then this node announces again. A peer whose agent is away at that time cannot withdraw: it is waited
 * for, until it is back or its own stamp has run out. While it settles, the stamp has no more left than the margin: the peers
 * see an agent, the datapath answers nothing yet, and an agent that starts again meanwhile does not take it for its own.
 *
 * Until an agent is informed - it has read what there is to announce - it cannot take over anything. One that found a valid stamp holds what the
 * datapath has, and puts off its end so seldom that the peers see that its agent is as good as away: they pass this node over for all else
 * (machine.ts). So when it is informed, it waits until they have seen it at work, as above. One that has no stamp does not ask for it yet.
 */
import { later, type Instant } from "../../time/instant.ts";
import { RESTART_SECONDS, SETTLE_MILLISECONDS, STAMP_INTERVAL_MILLISECONDS } from "./config.ts";

export interface StampState {
  readonly graceMilliseconds: number;
  /** A stamp that has less left is not answered for any more. */
  readonly marginMilliseconds: number;
  /** A stamp not renewed for so long looks to the peers as if the agent were away. */
  readonly awayMilliseconds: number;
  readonly phase: "holding" | "resuming" | "withdrawing" | "withdrawn" | "settling" | "settled";
  readonly informed: boolean;
  readonly validUntil: Instant;
  /** When this or an earlier agent renewed it last. */
  readonly renewedAt: Instant;
  /** When it is to be written again, or settling is over; undefined while withdrawing. */
  readonly wakeAt: Instant | undefined;
  readonly settledAt: Instant;
}

export type StampEvent =
  /** `othersSeen`: the agents of all peers that may announce were seen at `settledAt` or later. */
  | { readonly type: "clock"; readonly othersSeen: boolean }
  | { readonly type: "withdrawn" }
  /** The agent has read all that it decides from. */
  | { readonly type: "informed" };

export type StampEffect =
  | { readonly type: "write"; readonly validUntil: Instant }
  /** Answer with `withdrawn`. */
  | { readonly type: "withdraw" }
  /** From now on this node may announce. */
  | { readonly type: "settled" };

type Step = readonly [StampState, readonly StampEffect[]];

export interface StampOptions {
  readonly graceMilliseconds: number;
  readonly marginMilliseconds: number;
  readonly awayMilliseconds: number;
}

/** `found` is the stamp an earlier run left. Send a `clock` event at once. */
export function initialStamp(options: StampOptions, found: Instant, now: Instant): StampState {
  const { graceMilliseconds } = options;
  // One that has more left than the grace is from a stop for an upgrade.
  const ahead = found > later(now, graceMilliseconds) ? RESTART_SECONDS * 1000 : graceMilliseconds;
  const renewedAt = later(found, -ahead);
  const times = { validUntil: found, renewedAt, wakeAt: now, settledAt: now };
  return { ...options, ...times, phase: "holding", informed: false };
}

/** Whether this node is an announcer. */
export function isSettled({ phase }: StampState): boolean {
  return phase === "settled" || phase === "resuming" || phase === "holding";
}

/** Whether it may announce more addresses than it does. */
export function mayTake({ phase }: StampState): boolean {
  return phase === "settled";
}

export function stepStamp(state: StampState, event: StampEvent, now: Instant): Step {
  switch (event.type) {
    case "withdrawn":
      return state.phase === "withdrawing" ? settling({ ...state, phase: "withdrawn" }, now) : [state, []];
    case "informed":
      if (state.informed) return [state, []];
      return informed({ ...state, informed: true }, now);
    case "clock":
      return ticked(state, event.othersSeen, now);
  }
}

function informed(state: StampState, now: Instant): Step {
  if (state.phase === "withdrawn") return settling(state, now);
  if (state.phase !== "holding") return [state, []];
  if (hasLapsed(state, now)) return ticked(state, false, now);
  // Half of it, because they hear of it later than it happens.
  if (now <= later(state.renewedAt, state.awayMilliseconds / 2)) return written({ ...state, phase: "settled" }, now);
  return written({ ...state, phase: "resuming", settledAt: later(now, SETTLE_MILLISECONDS) }, now);
}

function settling(state: StampState, now: Instant): Step {
  if (!state.informed) return [state, []];
  return written({ ...state, phase: "settling", settledAt: later(now, SETTLE_MILLISECONDS) }, now);
}

function ticked(state: StampState, othersSeen: boolean, now: Instant): Step {
  if (state.phase === "withdrawing" || state.phase === "withdrawn" || state.wakeAt === undefined) return [state, []];
  if (hasLapsed(state, now)) return [{ ...state, phase: "withdrawing", wakeAt: undefined }, [{ type: "withdraw" }]];
  if (now < state.wakeAt) return [state, []];
  if (state.phase === "holding") return held(state, now);
  const settles = state.phase !== "settled" && now >= state.settledAt && othersSeen;
  if (!settles) return written(state, now);
  const [next, effects] = written({ ...state, phase: "settled" }, now);
  return [next, [...effects, { type: "settled" }]];
}

function hasLapsed({ phase, marginMilliseconds, validUntil }: StampState, now: Instant): boolean {
  return later(now, phase === "settling" ? 0 : marginMilliseconds) >= validUntil;
}

/** Only when half of the grace is left: often enough that an agent that dies now leaves what one always leaves, or less. */
function held(state: StampState, now: Instant): Step {
  const wakeAt = later(state.validUntil, -state.graceMilliseconds / 2);
  if (now < wakeAt) return [{ ...state, wakeAt }, []];
  const validUntil = later(now, state.graceMilliseconds);
  return [{ ...state, validUntil, wakeAt: later(now, state.graceMilliseconds / 2) }, [{ type: "write", validUntil }]];
}

function written(state: StampState, now: Instant): Step {
  const { phase, graceMilliseconds, marginMilliseconds, settledAt } = state;
  const validUntil = later(now, phase === "settling" ? marginMilliseconds : graceMilliseconds);
  const renewAt = later(now, STAMP_INTERVAL_MILLISECONDS);
  const settlesNext = phase !== "settled" && settledAt > now && settledAt < renewAt;
  const wakeAt = settlesNext ? settledAt : renewAt;
  return [{ ...state, validUntil, renewedAt: now, wakeAt }, [{ type: "write", validUntil }]];
}
