/**
 * This node's own liveness stamp: how long its datapath may answer ARP and NDP without an agent. Pure.
 *
 *               renewed every half second
 *     settled ◄──────────────────────────┐
 *        │ ran out, or none at the start │ time to be seen is over
 *        ▼                               │
 *     withdrawing ─── withdrawn ───► settling
 *
 * A stamp that ran out is never simply renewed: others may announce our addresses by now, and the datapath would answer
 * again at once, beside them. First the announcements are withdrawn; then the stamp is renewed, which the peers see; then
 * they withdraw; only then this node announces again.
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

export type StampEvent = { readonly type: "clock" } | { readonly type: "withdrawn" };

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
  const lapsed = later(now, state.marginMilliseconds) >= state.validUntil;
  if (lapsed) return [{ ...state, phase: "withdrawing", wakeAt: undefined }, [{ type: "withdraw" }]];
  if (now < state.wakeAt) return [state, []];
  if (state.phase === "settled" || now < state.settledAt) return written(state, now);
  const [next, effects] = written({ ...state, phase: "settled" }, now);
  return [next, [...effects, { type: "settled" }]];
}

function written(state: StampState, now: Instant): readonly [StampState, readonly StampEffect[]] {
  const validUntil = later(now, state.graceMilliseconds);
  const renewAt = later(now, STAMP_INTERVAL_MILLISECONDS);
  const wakeAt = state.phase === "settling" && state.settledAt < renewAt ? state.settledAt : renewAt;
  return [{ ...state, validUntil, wakeAt }, [{ type: "write", validUntil }]];
}
