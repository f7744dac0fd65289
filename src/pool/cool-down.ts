/**
 * Released addresses may rest before they are chosen again, so that what still sends to the old Service does not meet a new
 * one. The annotation on the pool says how long; who asks for the address itself gets it at once.
 *
 * A Service that was deleted leaves nothing behind that says what it had. So the pool's status keeps what was in use and
 * what was released when: a release is seen as the difference, also by a controller that was not running at the time.
 */
import { compareAddresses, type Address } from "../net/address.ts";
import { formatRange, parseRange, type Range } from "../net/range.ts";
import { intersectRanges, joinRanges, subtractRanges } from "../net/range-set.ts";
import { parseDuration } from "../time/duration.ts";
import type { IPAddressPool, PoolStatus } from "./objects.ts";
import type { Pool } from "./pools.ts";
import { RangeIndex } from "./range-index.ts";

/** Of an IPAddressPool: a duration such as `10m`. */
const COOL_DOWN = "fairlead.io/cool-down";

/** A status of etcd holds a megabyte. What is beyond does not rest. */
const IN_USE_MAX = 10_000;
const RELEASED_MAX = 2000;
const COOL_DOWN_MAX_MILLISECONDS = 30 * 24 * 3_600_000;

export interface Released {
  readonly range: Range;
  /** When, in milliseconds since 1970. */
  readonly at: number;
}

/** What a pool remembers from one decision to the next. */
export interface CoolDown {
  readonly inUse: readonly Range[];
  /** Disjoint, the longest ago first. */
  readonly released: readonly Released[];
}

interface CoolDownSetting {
  readonly milliseconds: number;
  readonly fault?: { readonly path: string; readonly message: string };
}

export function readCoolDown(pool: IPAddressPool): CoolDownSetting {
  const text = pool.metadata.annotations[COOL_DOWN];
  if (text === undefined) return { milliseconds: 0 };
  const milliseconds = parseDuration(text.trim());
  if (milliseconds !== undefined && milliseconds >= 0 && milliseconds <= COOL_DOWN_MAX_MILLISECONDS)
    return { milliseconds };
  const message = `${JSON.stringify(text.slice(0, 80))} is not a duration from 0s to 720h, such as 10m; released addresses do not rest`;
  return { milliseconds: 0, fault: { path: `metadata.annotations["${COOL_DOWN}"]`, message } };
}

/** What the pool's status says, as far as it is still of interest. */
export function recall(pool: Pool, status: PoolStatus | undefined, now: number): CoolDown {
  const own = joinRanges(pool.ranges);
  const within = (text: string): readonly Range[] => {
    const parsed = parseRange(text);
    return parsed.ok ? intersectRanges([parsed.range], own) : [];
  };
  const released = (status?.coolDown?.released ?? []).flatMap(({ addresses, at }) => {
    // A clock that went back must not lengthen the rest.
    const time = Math.min(Date.parse(at), now);
    return time + pool.coolDownMilliseconds > now ? within(addresses).map((range) => ({ range, at: time })) : [];
  });
  return {
    inUse: joinRanges((status?.coolDown?.inUse ?? []).slice(0, IN_USE_MAX).flatMap(within)),
    released: disjoint(released.slice(0, RELEASED_MAX)),
  };
}

/** After what was in use `before` has become `inUse`. */
export function remember(memory: CoolDown, before: readonly Range[], inUse: readonly Range[], now: number): CoolDown {
  const older = joinRanges(memory.released.map(({ range }) => range));
  const gone = subtractRanges(subtractRanges(joinRanges([...memory.inUse, ...before]), inUse), older);
  const still = memory.released.flatMap(({ range, at }) =>
    subtractRanges([range], inUse).map((r) => ({ range: r, at })),
  );
  const released = [...still, ...gone.map((range) => ({ range, at: now }))].toSorted(longestAgoFirst);
  // The longest ago come back first where there are too many.
  return { inUse: inUse.slice(0, IN_USE_MAX), released: released.slice(-RELEASED_MAX) };
}

/** When the first of them may be chosen again. */
export function firstRested(pool: Pool, { released }: CoolDown): number | undefined {
  const [oldest] = released;
  return oldest === undefined ? undefined : oldest.at + pool.coolDownMilliseconds;
}

/** For the pool's status. */
export function formatCoolDown({ inUse, released }: CoolDown): NonNullable<PoolStatus["coolDown"]> {
  return {
    inUse: inUse.map(formatRange),
    released: released.map(({ range, at }) => ({ addresses: formatRange(range), at: new Date(at).toISOString() })),
  };
}

/** The longest ago first; of ranges that overlap, which we do not write, only the latest. */
function disjoint(released: readonly Released[]): readonly Released[] {
  const seen = new RangeIndex<undefined>();
  const latestFirst = released.toSorted(longestAgoFirst).toReversed();
  const kept = latestFirst.filter(({ range }) => {
    if (seen.overlapping(range) !== undefined) return false;
    seen.add(range, undefined);
    return true;
  });
  return kept.toReversed();
}

/** Of one moment, in the order of addresses: what is remembered must not change by being read. */
function longestAgoFirst(a: Released, b: Released): number {
  if (a.at !== b.at) return a.at - b.at;
  const of = ({ range }: Released): Address => ({ family: range.family, value: range.first });
  return compareAddresses(of(a), of(b));
}
