/** The cool-downs of all pools in one decision: what rests when it begins, and what is to be remembered when it has ended. */
import type { Address } from "../net/address.ts";
import type { Range } from "../net/range.ts";
import { intersectRanges, joiningAddresses, joinRanges } from "../net/range-set.ts";
import type { Sliced } from "../time/slices.ts";
import type { Claim } from "./claim.ts";
import { firstRested, recall, remember, type CoolDown } from "./cool-down.ts";
import type { IPAddressPool } from "./objects.ts";
import type { Occupancy } from "./occupancy.ts";
import type { Pool, PoolSet } from "./pools.ts";

export interface PoolCoolDown extends CoolDown {
  readonly pool: Pool;
}

export interface CoolDowns {
  readonly coolDowns: ReadonlyMap<string, PoolCoolDown>;
  readonly again: number | undefined;
}

/** To call when Services keep what they keep: tells the occupancy which addresses rest. `after`: when all is decided. */
export function* coolDowns(
  pools: PoolSet,
  objects: ReadonlyMap<string, IPAddressPool>,
  claims: readonly Claim[],
  occupancy: Occupancy,
  now: number,
): Sliced<{ readonly after: () => Sliced<CoolDowns> }> {
  // A closed pool is not decided about: what its status remembers stays there until it is corrected.
  const cooling = pools.pools.filter((pool) => pool.coolDownMilliseconds > 0 && pool.closedBecause === undefined);
  if (cooling.length === 0) return { after: () => after(new Map(), [], [], now) };
  const held = claims.filter(({ established }) => established).flatMap(({ current }) => current);
  yield;
  const before = yield* joiningAddresses([...held, ...occupancy.used()]);
  const inUse = yield* joiningAddresses(occupancy.used());
  const memories = new Map<Pool, CoolDown>();
  for (const pool of cooling) {
    const memory = recall(pool, objects.get(pool.key)?.status, now);
    memories.set(pool, memory);
    const resting = remember(memory, within(pool, before), within(pool, inUse), now);
    for (const { range } of resting.released) occupancy.cool(pool, range);
    yield;
  }
  return { after: () => after(memories, before, occupancy.used(), now) };
}

function* after(
  memories: ReadonlyMap<Pool, CoolDown>,
  before: readonly Range[],
  used: Iterable<Address>,
  now: number,
): Sliced<CoolDowns> {
  const inUse = yield* joiningAddresses(used);
  const remembered = new Map<string, PoolCoolDown>();
  let again: number | undefined;
  for (const [pool, memory] of memories) {
    const coolDown = remember(memory, within(pool, before), within(pool, inUse), now);
    remembered.set(pool.key, { pool, ...coolDown });
    const rested = firstRested(pool, coolDown);
    if (rested !== undefined && (again === undefined || rested < again)) again = rested;
    yield;
  }
  return { coolDowns: remembered, again };
}

function within(pool: Pool, ranges: readonly Range[]): readonly Range[] {
  return intersectRanges(ranges, joinRanges(pool.ranges));
}
