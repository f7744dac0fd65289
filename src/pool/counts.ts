/** How many addresses of each pool are in use and how many are left. */
import { parseAddress, type Address, type Family } from "../net/address.ts";
import { rangeSize, type Range } from "../net/range.ts";
import type { Service } from "../service/objects.ts";
import { atOnce, forEach, type Sliced } from "../time/slices.ts";
import type { CoolDown } from "./cool-down.ts";
import type { Occupancy, Tally } from "./occupancy.ts";
import { countingPool, type Pool, type PoolSet } from "./pools.ts";

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

/** Counts per pool key, for these addresses in use. Addresses outside every pool are not counted. */
export function countPools(pools: PoolSet, inUse: Iterable<Address>): ReadonlyMap<string, PoolCounts> {
  const used = new Map<Pool, Record<Family, Set<bigint>>>();
  for (const address of inUse) {
    const pool = countingPool(pools, address);
    if (pool === undefined) continue;
    const sets = used.get(pool) ?? { IPv4: new Set<bigint>(), IPv6: new Set<bigint>() };
    used.set(pool, sets);
    sets[address.family].add(address.value);
  }
  const tallyOf = (pool: Pool): Tally => {
    const sets = used.get(pool);
    return { IPv4: sets?.IPv4.size ?? 0, IPv6: sets?.IPv6.size ?? 0 };
  };
  return atOnce(countingPools(pools, { tallyOf }, new Map()));
}

/** So many pools are counted between two pauses. */
const POOLS_A_STEP = 50;

/** As {@link countPools}, of what was counted already, with pauses. What is as in `before` is the same object. */
export function* countingPools(
  pools: PoolSet,
  occupancy: Pick<Occupancy, "tallyOf">,
  coolDowns: ReadonlyMap<string, CoolDown>,
  before: ReadonlyMap<string, PoolCounts> = new Map(),
): Sliced<ReadonlyMap<string, PoolCounts>> {
  const counts = new Map<string, PoolCounts>();
  yield* forEach(pools.pools, POOLS_A_STEP, (pool) => {
    const tally = occupancy.tallyOf(pool);
    const coolDown = coolDowns.get(pool.key);
    const known = coolDown === undefined ? before.get(pool.key) : undefined;
    const same = known?.assignedIPv4 === BigInt(tally.IPv4) && known.assignedIPv6 === BigInt(tally.IPv6);
    counts.set(pool.key, known !== undefined && same ? known : countsOf(pool, tally, coolDown));
  });
  return counts;
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

function countsOf(pool: Pool, tally: Tally, coolDown: CoolDown | undefined): PoolCounts {
  const assigned = (family: Family): bigint => BigInt(tally[family]);
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
