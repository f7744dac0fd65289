/** What a decision says as numbers, under the names Prometheus sees: MetalLB's where MetalLB has them. Pure. */
import type { Decision } from "../pool/decision.ts";
import type { PoolCounts } from "../pool/counts.ts";

export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly samples: (decision: Decision) => readonly Sample[];
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const GAUGES: readonly Gauge[] = [
  ofPools("metallb_allocator_addresses_total", "Number of usable IP addresses, per pool", (c) => total4(c) + total6(c)),
  ofPools("metallb_allocator_ipv4_addresses_total", "Number of usable IPv4 addresses, per pool", total4),
  ofPools("metallb_allocator_ipv6_addresses_total", "Number of usable IPv6 addresses, per pool", total6),
  ofPools(
    "metallb_allocator_addresses_in_use_total",
    "Number of IP addresses in use, per pool",
    (c) => c.assignedIPv4 + c.assignedIPv6,
  ),
  ofPools(
    "metallb_allocator_ipv4_addresses_in_use_total",
    "Number of IPv4 addresses in use, per pool",
    (c) => c.assignedIPv4,
  ),
  ofPools(
    "metallb_allocator_ipv6_addresses_in_use_total",
    "Number of IPv6 addresses in use, per pool",
    (c) => c.assignedIPv6,
  ),
  {
    name: "metallb_allocator_services_allocated_total",
    help: "Number of services allocated, per pool",
    labels: ["pool"],
    samples: servicesOfPools,
  },
  {
    name: "fairlead_pool_addresses_available",
    help: "Addresses that can be given now, per pool and family",
    labels: ["pool", "family"],
    samples: (decision) =>
      poolsOf(decision).flatMap(({ pool, counts }) => [
        { labels: { pool, family: "IPv4" }, value: Number(counts.availableIPv4) },
        { labels: { pool, family: "IPv6" }, value: Number(counts.availableIPv6) },
      ]),
  },
  ofPools(
    "fairlead_pool_addresses_resting",
    "Released addresses that still cool down, per pool",
    (c) => c.restingIPv4 + c.restingIPv6,
  ),
  {
    name: "fairlead_pool_exhausted",
    help: "1 while a Service waits because nothing it could have is left in the pool",
    labels: ["pool"],
    samples: exhaustedPools,
  },
  {
    name: "fairlead_controller_services",
    help: "Services of type LoadBalancer by what they have: what they ask for, less, or no address",
    labels: ["state"],
    samples: servicesByState,
  },
  {
    name: "fairlead_controller_services_unmet",
    help: "Services of type LoadBalancer that do not have what they ask for, by reason",
    labels: ["reason"],
    samples: servicesByCause,
  },
  {
    name: "fairlead_controller_services_without_address",
    help: "Services of type LoadBalancer that could not be given an address",
    labels: [],
    samples: ({ services }) => [{ labels: {}, value: services.byState.waiting }],
  },
];

function ofPools(name: string, help: string, count: (counts: PoolCounts) => bigint): Gauge {
  const samples = (decision: Decision): readonly Sample[] =>
    poolsOf(decision).map(({ pool, counts }) => ({ labels: { pool }, value: Number(count(counts)) }));
  return { name, help, labels: ["pool"], samples };
}

/** Pools by name: of two that claim one name, the one that has it. */
function poolsOf({ pools, counts }: Decision): readonly { readonly pool: string; readonly counts: PoolCounts }[] {
  return pools.pools.flatMap((pool) => {
    const counted = pools.named(pool.name) === pool ? counts.get(pool.key) : undefined;
    return counted === undefined ? [] : [{ pool: pool.name, counts: counted }];
  });
}

function total4(counts: PoolCounts): bigint {
  return counts.assignedIPv4 + counts.availableIPv4 + counts.restingIPv4;
}

function total6(counts: PoolCounts): bigint {
  return counts.assignedIPv6 + counts.availableIPv6 + counts.restingIPv6;
}

function servicesOfPools(decision: Decision): readonly Sample[] {
  const services = new Map(poolsOf(decision).map(({ pool }) => [pool, 0]));
  for (const [pool, count] of decision.services.byPool) services.set(pool, count);
  return [...services].map(([pool, value]) => ({ labels: { pool }, value }));
}

function exhaustedPools(decision: Decision): readonly Sample[] {
  return decision.pools.pools
    .filter((pool) => decision.pools.named(pool.name) === pool)
    .map((pool) => ({ labels: { pool: pool.name }, value: decision.exhausted.has(pool) ? 1 : 0 }));
}

function servicesByState({ services }: Decision): readonly Sample[] {
  return Object.entries(services.byState).map(([state, value]) => ({ labels: { state }, value }));
}

function servicesByCause({ services }: Decision): readonly Sample[] {
  const counts = [...services.byCause].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return counts.map(([reason, value]) => ({ labels: { reason }, value }));
}
