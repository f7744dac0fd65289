/**
 * Which of several replicas acts: the one whose name stands in a Lease (coordination.k8s.io/v1) that it keeps renewing. Pure.
 *
 *     following ── free, or not renewed for its whole duration ──► asking ── written ──► leading
 *         ▲                                                          │ refused              │
 *         └──────────────────────────────────────────────────────────┴── not renewed in time ┘
 *
 * Clocks of machines are never compared: a lease is old when we have seen it unchanged for its duration. A leader gives up
 * before that, so two never act; and where one is paused in the middle of a write, the resource version of its target refuses it.
 */
import { later, type Instant } from "../../../time/instant.ts";
import { jittered, type Random } from "../../../time/jitter.ts";

export interface Timing {
  /** After this without a renewal the others take over. */
  readonly leaseDurationSeconds: number;
  /** After this without a renewal the leader stops acting. Less than the duration. */
  readonly renewDeadlineSeconds: number;
  /** Between two looks, and two renewals. */
  readonly retryPeriodSeconds: number;
}

/** A takeover takes at most duration and period together: under five seconds. */
export const DEFAULT_TIMING: Timing = { leaseDurationSeconds: 3, renewDeadlineSeconds: 2, retryPeriodSeconds: 0.7 };

/** What stands in the Lease. */
export interface Held {
  /** Empty: given back. */
  readonly holderIdentity: string;
  readonly leaseDurationSeconds: number;
  /** Text of the API: only ever compared. */
  readonly renewTime: string;
  readonly leaseTransitions: number;
  readonly resourceVersion: string;
}

export interface State {
  readonly timing: Timing;
  readonly identity: string;
  /** When the lease was last written by us; undefined: we do not lead. */
  readonly leadingSince: Instant | undefined;
  /** The last that was seen of it, and since when it is as it is. */
  readonly seen: { readonly lease: Held; readonly since: Instant } | undefined;
  /** A request is under way, sent then. */
  readonly asked: Instant | undefined;
  /** What was seen may not be what stands there: a write was refused. */
  readonly stale: boolean;
  readonly wakeAt: Instant;
}

export type Event =
  /** `undefined`: there is none yet. */
  | { readonly type: "read"; readonly lease: Held | undefined }
  /** Ours was written, and is this now. */
  | { readonly type: "written"; readonly lease: Held }
  /** Somebody else was quicker, or there was no answer. */
  | { readonly type: "failed" }
  | { readonly type: "clock" };

export type Effect =
  | { readonly type: "read" }
  /** Creates the Lease, or replaces exactly this version of it. */
  | { readonly type: "write"; readonly over: Held | undefined; readonly leaseTransitions: number }
  | { readonly type: "lead" }
  | { readonly type: "follow" };

export function initialState(identity: string, timing: Timing, now: Instant): State {
  return { timing, identity, leadingSince: undefined, seen: undefined, asked: undefined, stale: false, wakeAt: now };
}

/** When the next `clock` event is due. */
export function deadline(state: State): Instant {
  const end = endOf(state);
  return end !== undefined && end < state.wakeAt ? end : state.wakeAt;
}

export function isLeading({ leadingSince }: State): boolean {
  return leadingSince !== undefined;
}

export function step(state: State, event: Event, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  switch (event.type) {
    case "read":
      return read({ ...state, asked: undefined, stale: false, seen: look(state, event.lease, now) }, now);
    case "written":
      return written(state, event.lease, now);
    case "failed":
      return [{ ...state, asked: undefined, stale: true }, []];
    case "clock":
      return clock(state, now, random);
  }
}

/** A lease that is renewed changes its text; how old it is, is how long it has not. */
function look({ seen }: State, lease: Held | undefined, now: Instant): State["seen"] {
  if (lease === undefined) return undefined;
  return seen?.lease.resourceVersion === lease.resourceVersion ? seen : { lease, since: now };
}

function read(state: State, now: Instant): readonly [State, readonly Effect[]] {
  if (!isLeading(state) || state.seen?.lease.holderIdentity === state.identity) return decide(state, now);
  const [next, effects] = decide({ ...state, leadingSince: undefined }, now);
  return [next, [{ type: "follow" }, ...effects]];
}

function decide(state: State, now: Instant): readonly [State, readonly Effect[]] {
  if (!mayTake(state, now)) return [state, []];
  const lease = state.seen?.lease;
  const mine = lease?.holderIdentity === state.identity;
  const leaseTransitions = (lease?.leaseTransitions ?? 0) + (lease === undefined || mine ? 0 : 1);
  return [{ ...state, asked: now }, [{ type: "write", over: lease, leaseTransitions }]];
}

function mayTake({ seen, identity }: State, now: Instant): boolean {
  if (seen === undefined || seen.lease.holderIdentity === "" || seen.lease.holderIdentity === identity) return true;
  return later(seen.since, seen.lease.leaseDurationSeconds * 1000) <= now;
}

function written(state: State, lease: Held, now: Instant): readonly [State, readonly Effect[]] {
  // It counts from when it was asked for: the server may have written it at once and answered late.
  const since = state.asked ?? now;
  const next = { ...state, asked: undefined, stale: false, seen: { lease, since: now }, leadingSince: since };
  const end = endOf(next);
  if (end !== undefined && end <= now)
    return [{ ...next, leadingSince: undefined }, isLeading(state) ? [{ type: "follow" }] : []];
  return [next, isLeading(state) ? [] : [{ type: "lead" }]];
}

function clock(state: State, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  const effects: Effect[] = [];
  let next = state;
  const end = endOf(next);
  if (end !== undefined && end <= now) {
    next = { ...next, leadingSince: undefined };
    effects.push({ type: "follow" });
  }
  if (next.wakeAt > now) return [next, effects];
  next = { ...next, wakeAt: later(now, jittered(next.timing.retryPeriodSeconds * 1000, 0.1, random)) };
  if (next.asked !== undefined) return [next, effects];
  // Who leads knows what stands there, unless somebody's change made the last write fail.
  if (isLeading(next) && !next.stale) {
    const [asking, writes] = decide(next, now);
    return [asking, [...effects, ...writes]];
  }
  return [{ ...next, asked: now }, [...effects, { type: "read" }]];
}

/** When a leader that is not renewed stops. */
function endOf({ leadingSince, timing }: State): Instant | undefined {
  return leadingSince === undefined ? undefined : later(leadingSince, timing.renewDeadlineSeconds * 1000);
}
