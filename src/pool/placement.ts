/** Where a Service could go: at addresses it names, in a pool it names, or wherever there is room. Decides, takes nothing. */
import { compareAddresses, formatAddress, type Address, type Family } from "../net/address.ts";
import { rangeContains } from "../net/range.ts";
import type { Claim } from "./claim.ts";
import type { Occupancy } from "./occupancy.ts";
import { poolAllows, poolMayUse, type Pool, type PoolSet } from "./pools.ts";

export interface Place {
  readonly ok: true;
  readonly addresses: readonly Address[];
  readonly pool: Pool;
}

export type Placement = Place | { readonly ok: false; readonly because: string };

/** What to insist on when addresses are given: a `request` obeys everything, `held` addresses may lie in a closed pool. */
export type Purpose = "request" | "held";

/** Exactly these addresses. They must lie in one pool that lets the Service in. */
export function placeAt(
  addresses: readonly Address[],
  claim: Claim,
  purpose: Purpose,
  pools: PoolSet,
  occupancy: Occupancy,
): Placement {
  const candidates = commonPools(addresses, pools);
  if (candidates.length === 0) return refuse(outsideEveryPool(addresses, pools));
  const refusals: string[] = [];
  for (const pool of candidates) {
    const because = poolRefusal(pool, addresses, claim, purpose);
    if (because === undefined) return occupied(addresses, claim, occupancy) ?? { ok: true, addresses, pool };
    refusals.push(because);
  }
  return refuse(refusals[0] ?? "");
}

/** The lowest addresses of the pool the Service asks for by name. */
export function placeInPool(name: string, claim: Claim, pools: PoolSet, occupancy: Occupancy): Placement {
  const named = pools.pools.filter((pool) => pool.name === name);
  const pool = named.find((p) => p.closedBecause === undefined) ?? named[0];
  if (pool === undefined) return refuse(`unknown pool "${name}"`);
  const closed = closedRefusal(pool) ?? scopeRefusal(pool, claim);
  if (closed !== undefined) return refuse(closed);
  const dual = claim.families.length > 1 ? " for dual IPFamily" : ` for ${claim.families.join()}`;
  return best([pool], claim, occupancy) ?? refuse(`no available IPs in pool ${name}${dual}`);
}

/** The lowest addresses of the best pool: first those with a scope the Service is in, by priority, then the others. */
export function placeAnywhere(claim: Claim, pools: PoolSet, occupancy: Occupancy): Placement {
  const open = pools.pools.filter((p) => p.autoAssign && p.closedBecause === undefined);
  const allowed = open.filter((p) => poolAllows(p, claim.namespace, claim.labels));
  // toSorted is stable: pools of one priority, and pools without a scope, keep the order of the set.
  const scoped = allowed.filter((p) => p.scope !== undefined).toSorted((a, b) => rank(a) - rank(b));
  const plain = allowed.filter((p) => p.scope === undefined);
  return best(scoped, claim, occupancy) ?? best(plain, claim, occupancy) ?? refuse(exhausted(allowed, claim));
}

/** One more address, of this family, from the pool the Service is in already. */
export function placeBeside(pool: Pool, family: Family, claim: Claim, occupancy: Occupancy): Placement {
  const closed = closedRefusal(pool);
  if (closed !== undefined) return refuse(closed);
  const address = occupancy.lowest(pool, family, claim.service, claim.sharing);
  if (address === undefined) return refuse(`no available IPs in pool ${pool.name} for ${family}`);
  return { ok: true, addresses: [address], pool };
}

/**
 * The first pool with room for every family. Only PreferDualStack is content with one: of the first pool that has the
 * primary family, else of the first that has the other.
 */
function best(candidates: readonly Pool[], claim: Claim, occupancy: Occupancy): Place | undefined {
  let primaryOnly: Place | undefined;
  let secondaryOnly: Place | undefined;
  for (const pool of candidates) {
    const free = claim.families.map((family) => occupancy.lowest(pool, family, claim.service, claim.sharing));
    const addresses = free.filter((address) => address !== undefined);
    const place: Place = { ok: true, addresses: addresses.toSorted(compareAddresses), pool };
    if (addresses.length === claim.families.length && addresses.length > 0) return place;
    if (addresses.length === 0) continue;
    if (free[0] === undefined) secondaryOnly ??= place;
    else primaryOnly ??= place;
  }
  return claim.policy === "PreferDualStack" ? (primaryOnly ?? secondaryOnly) : undefined;
}

function commonPools(addresses: readonly Address[], pools: PoolSet): readonly Pool[] {
  const [first, ...others] = addresses;
  if (first === undefined) return [];
  const inPool = (pool: Pool, a: Address): boolean => pool.ranges.some((range) => rangeContains(range, a));
  return pools.poolsOf(first).filter((pool) => others.every((a) => inPool(pool, a)));
}

function outsideEveryPool(addresses: readonly Address[], pools: PoolSet): string {
  const stray = addresses.find((a) => pools.poolsOf(a).length === 0);
  if (stray !== undefined) return `${formatAddress(stray)} is in no IPAddressPool`;
  return `${addresses.map(formatAddress).join(" and ")} must lie in one IPAddressPool`;
}

function poolRefusal(pool: Pool, addresses: readonly Address[], claim: Claim, purpose: Purpose): string | undefined {
  const list = JSON.stringify(addresses.map(formatAddress));
  if (purpose === "request" && claim.wantedPool !== undefined && claim.wantedPool !== pool.name)
    return `requested loadBalancer IP(s) ${list} is not compatible with requested address pool ${claim.wantedPool}`;
  const scope = scopeRefusal(pool, claim);
  if (scope !== undefined) return scope;
  const unusable = addresses.find((a) => !poolMayUse(pool, a));
  if (unusable !== undefined) return `pool ${pool.name} does not give out ${formatAddress(unusable)} (avoidBuggyIPs)`;
  return purpose === "request" ? closedRefusal(pool) : undefined;
}

function scopeRefusal(pool: Pool, claim: Claim): string | undefined {
  if (poolAllows(pool, claim.namespace, claim.labels)) return undefined;
  return `pool ${pool.name} not compatible for ip assignment: its serviceAllocation does not include this Service`;
}

function closedRefusal(pool: Pool): string | undefined {
  if (pool.closedBecause === undefined) return undefined;
  return `pool ${pool.name} gives no new addresses until it is corrected: ${pool.closedBecause}`;
}

function occupied(addresses: readonly Address[], claim: Claim, occupancy: Occupancy): Placement | undefined {
  for (const address of addresses) {
    const because = occupancy.refusal(claim.service, claim.sharing, address);
    if (because !== undefined) return refuse(because);
  }
  return undefined;
}

function exhausted(tried: readonly Pool[], claim: Claim): string {
  if (tried.length === 0) return "no available IPs: no IPAddressPool gives addresses to this Service by itself";
  const names = tried.slice(0, 5).map((pool) => pool.name);
  const rest = tried.length > names.length ? ` and ${tried.length - names.length} more` : "";
  return `no available IPs: no ${claim.families.join(" and ")} left in ${names.join(", ")}${rest}`;
}

/** 0, the default, comes after every positive priority. */
function rank(pool: Pool): number {
  const priority = pool.scope?.priority ?? 0;
  return priority > 0 ? priority : Number.MAX_SAFE_INTEGER;
}

function refuse(because: string): Placement {
  return { ok: false, because };
}
