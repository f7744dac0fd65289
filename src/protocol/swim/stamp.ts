/**
 * This node's own liveness stamp: how long its datapath may answer ARP and NDP without an agent. Pure.
 *
 *               renewed every half second
 *     settled ◄──────────────────────────┐
 *        │ ran out, or none at the start │ the others have seen us
 *        ▼                               │
 *     withdrawing ─── withdrawn ───► settling
 *
 * A stamp that ran out is never simply renewed: others may announce our addresses by now, and the datapath would answer
 * again at once, beside them. First the announcements are withdrawn; then the stamp is renewed, which the peers see; then
 * they withdraw; only then this node announces again. A peer whose agent is away at that time cannot withdraw: it is waited
 * for, until it is back or its own stamp has run out. While it settles, the stamp has no more left than the margin: the peers
 * see an agent, the datapath answers nothing yet, and an agent that starts again meanwhile does not take it for its own.
 */
import { later, type Instant } from "../../time/instant.ts";
import { SETTLE_MILLISECONDS, STAMP_INTERVAL_MILLISECONDS } from "./config.ts";

export interface StampState {
  readonly graceMilliseconds: number;
  /** A stamp that has less left is not answered for any more. */
  readonly marginMilliseconds: number;
  readonly phase: "withdrawing" | "settling" | "settled";
  readonly validUntil: Instant;
  /** When it is to be written again, or settling is over; undefined while withdrawing. */
  readonly wakeAt: Instant | undefined;
  readonly settledAt: Instant;
}

export type StampEvent =
  /** `othersSeen`: the agents of all peers that may announce were seen at `settledAt` or later. */
  { readonly type: "clock"; readonly othersSeen: boolean } | { readonly type: "withdrawn" };

export type StampEffect =
  | { readonly type: "write"; readonly validUntil: Instant }
  /** Answer with `withdrawn`. */
  | { readonly type: "withdraw" }
  /** From now on this node may announce. */
  | { readonly type: "settled" };

export interface StampOptions {
  readonly graceMilliseconds: number;
  readonly marginMilliseconds: number;
}

/** `found` is the stamp an earlier run left. Send a `clock` event at once. */
export function initialStamp(options: StampOptions, found: Instant, now: Instant): StampState {
  return { ...options, phase: "settled", validUntil: found, wakeAt: now, settledAt: now };
}

/** Whether this node may announce. */
export function isSettled(state: StampState): boolean {
  return state.phase === "settled";
}

export function stepStamp(
  state: StampState,
  event: StampEvent,
  now: Instant,
): readonly [StampState, readonly StampEffect[]] {
  if (event.type === "withdrawn") {
    if (state.phase !== "withdrawing") return [state, []];
    return written({ ...state, phase: "settling", settledAt: later(now, SETTLE_MILLISECONDS) }, now);
  }
  if (state.phase === "withdrawing" || state.wakeAt === undefined) return [state, []];
  const lapsed = later(now, state.phase === "settled" ? state.marginMilliseconds : 0) >= state.validUntil;
  if (lapsed) return [{ ...state, phase: "withdrawing", wakeAt: undefined }, [{ type: "withdraw" }]];
  if (now < state.wakeAt) return [state, []];
  const settles = state.phase === "settling" && now >= state.settledAt && event.othersSeen;
  if (!settles) return written(state, now);
  const [next, effects] = written({ ...state, phase: "settled" }, now);
  return [next, [...effects, { type: "settled" }]];
}

function written(state: StampState, now: Instant): readonly [StampState, readonly StampEffect[]] {
  const validUntil = later(now, state.phase === "settled" ? state.graceMilliseconds : state.marginMilliseconds);
  const renewAt = later(now, STAMP_INTERVAL_MILLISECONDS);
  const settlesNext = state.phase === "settling" && state.settledAt > now && state.settledAt < renewAt;
  const wakeAt = settlesNext ? state.settledAt : renewAt;
  return [{ ...state, validUntil, wakeAt }, [{ type: "write", validUntil }]];
}
