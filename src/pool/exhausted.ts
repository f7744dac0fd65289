/** Pools that Services wait for because nothing of a family is left there. */
import type { Family } from "../net/address.ts";
import type { PoolCounts } from "./counts.ts";
import type { Pool } from "./pools.ts";
import type { Unmet } from "./work.ts";

/** With the families of which nothing is left. A pool that nobody waits for is full as it should be. */
export function exhaustedPools(
  unmet: Iterable<Unmet>,
  counts: ReadonlyMap<string, PoolCounts>,
): ReadonlyMap<Pool, readonly Family[]> {
  // Many Services share one list.
  const lists = new Set(Array.from(unmet, ({ exhausted }) => exhausted));
  const found = new Map<Pool, readonly Family[]>();
  for (const pool of new Set([...lists].flat())) {
    const families = usedUp(counts.get(pool.key));
    if (families.length > 0) found.set(pool, families);
  }
  return found;
}

/** A family the pool never had is not used up. */
function usedUp(counts: PoolCounts | undefined): readonly Family[] {
  if (counts === undefined) return [];
  const families: Family[] = [];
  if (counts.availableIPv4 === 0n && counts.assignedIPv4 + counts.restingIPv4 > 0n) families.push("IPv4");
  if (counts.availableIPv6 === 0n && counts.assignedIPv6 + counts.restingIPv6 > 0n) families.push("IPv6");
  return families;
}
