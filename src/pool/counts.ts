/** How many addresses of each pool are in use and how many are left. */
import { parseAddress, type Address, type Family } from "../net/address.ts";
import { rangeSize, type Range } from "../net/range.ts";
import type { Service } from "../service/objects.ts";
import { atOnce, forEach, type Sliced } from "../time/slices.ts";
import type { CoolDown } from "./cool-down.ts";
import { poolMayUse, type Pool, type PoolSet } from "./pools.ts";

/** Distinct addresses: one shared by three Services counts once. */
export interface PoolCounts {
  readonly assignedIPv4: bigint;
  readonly assignedIPv6: bigint;
  readonly availableIPv4: bigint;
  readonly availableIPv6: bigint;
  /** Released, and not available before they have cooled down. */
  readonly restingIPv4: bigint;
  readonly restingIPv6: bigint;
}

/** So many addresses are counted between two pauses. */
const ADDRESSES_A_STEP = 500;

/** Counts per pool key, for these addresses in use. Addresses outside every pool are not counted. */
export function countPools(pools: PoolSet, inUse: Iterable<Address>): ReadonlyMap<string, PoolCounts> {
  return atOnce(countingPools(pools, inUse, new Map()));
}

/** As {@link countPools}, with pauses, in which what is in use must not change. */
export function* countingPools(
  pools: PoolSet,
  inUse: Iterable<Address>,
  coolDowns: ReadonlyMap<string, CoolDown>,
): Sliced<ReadonlyMap<string, PoolCounts>> {
  const used = new Map<Pool, Record<Family, Set<bigint>>>();
  yield* forEach(inUse, ADDRESSES_A_STEP, (address) => {
    const all = pools.poolsOf(address);
    // A closed pool may go on holding what the open one, which it overlaps, would not give out.
    const pool = all.find((candidate) => poolMayUse(candidate, address)) ?? all[0];
    if (pool === undefined) return;
    const sets = used.get(pool) ?? { IPv4: new Set<bigint>(), IPv6: new Set<bigint>() };
    used.set(pool, sets);
    sets[address.family].add(address.value);
  });
  return new Map(pools.pools.map((pool) => [pool.key, countsOf(pool, used.get(pool), coolDowns.get(pool.key))]));
}

/** The addresses Services hold according to their status. */
export function addressesInUse(services: Iterable<Service>): readonly Address[] {
  return [...services]
    .flatMap((service) => service.status.loadBalancer.ingress.map((ingress) => parseAddress(ingress.ip ?? "")))
    .filter((address) => address !== undefined);
}

/** Addresses of one family the pool can give out at all. */
export function poolCapacity(pool: Pool, family: Family): bigint {
  return capacity(pool, pool.ranges, family);
}

function countsOf(
  pool: Pool,
  used: Record<Family, ReadonlySet<bigint>> | undefined,
  coolDown: CoolDown | undefined,
): PoolCounts {
  const assigned = (family: Family): bigint => BigInt(used?.[family].size ?? 0);
  const resting = (family: Family): bigint =>
    capacity(
      pool,
      (coolDown?.released ?? []).map(({ range }) => range),
      family,
    );
  const available = (family: Family): bigint => {
    const left = poolCapacity(pool, family) - assigned(family) - resting(family);
    // A pool with errors has nothing to give, however much it holds.
    return pool.closedBecause !== undefined || left < 0n ? 0n : left;
  };
  return {
    assignedIPv4: assigned("IPv4"),
    assignedIPv6: assigned("IPv6"),
    availableIPv4: available("IPv4"),
    availableIPv6: available("IPv6"),
    restingIPv4: resting("IPv4"),
    restingIPv6: resting("IPv6"),
  };
}

function capacity(pool: Pool, ranges: readonly Range[], family: Family): bigint {
  let sum = 0n;
  for (const range of ranges) if (range.family === family) sum += usable(range, pool.avoidBuggyIPs);
  return sum;
}

function usable(range: Range, avoidBuggyIPs: boolean): bigint {
  const buggy = avoidBuggyIPs && range.family === "IPv4" ? buggyUpTo(range.last) - buggyUpTo(range.first - 1n) : 0n;
  // The unspecified address is never given out; with avoidBuggyIPs 0.0.0.0 is among the .0 already.
  const unspecified = range.first === 0n && buggy === 0n ? 1n : 0n;
  return rangeSize(range) - buggy - unspecified;
}

/** How many values from 0 to `value` end in .0 or .255. */
function buggyUpTo(value: bigint): bigint {
  return value < 0n ? 0n : value / 256n + 1n + (value + 1n) / 256n;
}
