/** Where a Service could go: at addresses it names, in pools it names, or wherever there is room. Decides, takes nothing. */
import { compareAddresses, formatAddress, type Address, type Family } from "../net/address.ts";
import { CandidateIndex, type Shortlist } from "./candidates.ts";
import { DUAL_STACK_POOLS, type Claim } from "./claim.ts";
import type { Occupancy } from "./occupancy.ts";
import { poolAllows, poolMayUse, type Pool, type PoolSet } from "./pools.ts";

/** What searches look at. */
export interface Ground {
  readonly pools: PoolSet;
  readonly candidates: CandidateIndex;
  readonly occupancy: Occupancy;
}

export interface Place {
  readonly ok: true;
  readonly addresses: readonly Address[];
  /** Of each address. Different ones only for a Service that may span pools. */
  readonly pools: readonly Pool[];
}

/** Why there is no place, as one word: the reason of a condition. */
export type Cause =
  | "AddressInUse"
  | "AddressNotAllowed" // avoidBuggyIPs
  | "AddressNotInPool"
  | "FamilyNotInPool" // no pool in question has addresses of the family, or of both
  | "NoPool" // none gives addresses to this Service by itself
  | "PoolExhausted"
  | "PoolInvalid"
  | "PoolNotAllowed" // its serviceAllocation leaves this Service out
  | "UnknownPool";

export interface Refusal {
  readonly ok: false;
  readonly cause: Cause;
  readonly because: string;
  /** The pools that would do if they had addresses left. */
  readonly exhausted: readonly Pool[];
}

export type Placement = Place | Refusal;

/** What to insist on when addresses are given: a `request` obeys everything, `held` addresses may lie in a closed pool. */
export type Purpose = "request" | "held";

/** Exactly these addresses. They must lie in one pool that lets the Service in; each in one, if it may span pools. */
export function placeAt(addresses: readonly Address[], claim: Claim, purpose: Purpose, ground: Ground): Placement {
  const groups = claim.spans ? addresses.map((address) => [address]) : [addresses];
  const pools: Pool[] = [];
  for (const group of groups) {
    const pool = poolFor(group, claim, purpose, ground);
    if ("cause" in pool) return pool;
    pools.push(...group.map(() => pool));
  }
  for (const address of addresses) {
    const because = ground.occupancy.refusal(claim.service, claim.sharing, address);
    if (because !== undefined) return refuse("AddressInUse", because);
  }
  return { ok: true, addresses, pools };
}

/** The first addresses of the pools the Service asks for by name: each family from the first that has it. */
export function placeInPools(claim: Claim, ground: Ground): Placement {
  const usable: Pool[] = [];
  let refusal: Refusal | undefined;
  for (const name of claim.wantedPools) {
    const pool = usableByName(name, claim, ground);
    if ("cause" in pool) refusal ??= pool;
    else usable.push(pool);
  }
  if (refusal?.cause === "UnknownPool" || (refusal !== undefined && usable.length === 0)) return refusal;
  const place = spread(usable, claim, ground);
  if (place !== undefined) return place;
  const families = claim.families.length > 1 ? "dual IPFamily" : claim.families.join();
  return noneIn(usable, claim.families, families, ground);
}

/** The first addresses of the best pool. */
export function placeAnywhere(claim: Claim, ground: Ground): Placement {
  const { scoped, plain } = ground.candidates.of(claim);
  const place = claim.spans
    ? best([scoped, plain], claim, ground)
    : (best([scoped], claim, ground) ?? best([plain], claim, ground));
  return place ?? nothingLeft(claim, ground);
}

/** One more address, of this family, from the pool the Service is in already; if it may span pools, else from another. */
export function placeBeside(pool: Pool, family: Family, claim: Claim, ground: Ground): Placement {
  const closed = closedRefusal(pool);
  const address = closed === undefined ? ground.occupancy.first(pool, family, claim.sharing) : undefined;
  if (address !== undefined) return { ok: true, addresses: [address], pools: [pool] };
  if (claim.spans) {
    const single: Claim = { ...claim, families: [family], policy: "SingleStack" };
    return claim.wantedPools.length > 0 ? placeInPools(single, ground) : placeAnywhere(single, ground);
  }
  if (closed !== undefined) return closed;
  return noneIn([pool], [family], family, ground);
}

/** In MetalLB's words. */
function noneIn(pools: readonly Pool[], families: readonly Family[], what: string, ground: Ground): Refusal {
  const because = `no available IPs in pool${pools.length > 1 ? "s" : ""} ${listOf(pools)} for ${what}`;
  const possible = families.every((family) => pools.some((pool) => pool.families.has(family)));
  if (!possible) return refuse("FamilyNotInPool", because);
  return refuse("PoolExhausted", `${because}${resting(pools, ground)}`, pools);
}

/**
 * The first pool with room for every family. Who may span pools takes each family from the first that has it, if no pool
 * has both. PreferDualStack is content with one: of the first pool that has the primary family, else of the first with the other.
 */
function best(lists: readonly Shortlist[], claim: Claim, ground: Ground): Place | undefined {
  const partial = claim.spans || claim.policy === "PreferDualStack";
  const firsts = new Map<Family, Place>();
  for (const list of lists)
    for (const { pool, free } of withRoom(list, claim, partial, ground)) {
      if (free.length === claim.families.length)
        return { ok: true, addresses: free.toSorted(compareAddresses), pools: free.map(() => pool) };
      for (const address of free)
        if (!firsts.has(address.family)) firsts.set(address.family, { ok: true, addresses: [address], pools: [pool] });
    }
  return partial ? together(firsts, claim) : undefined;
}

/** The pools that have something for the Service, with the first free address of each family. */
function* withRoom(
  list: Shortlist,
  claim: Claim,
  partial: boolean,
  { occupancy }: Ground,
): Generator<{ readonly pool: Pool; readonly free: readonly Address[] }, void, void> {
  const kind = `${partial} ${claim.families.join()}`;
  // Full for one that shares is not the same as full: it may join others.
  const remembers = claim.sharing.key === "";
  let useless = remembers ? list.useless(kind, occupancy.releases) : 0;
  for (let index = useless; index < list.pools.length; index += 1) {
    const pool = list.pools[index];
    if (pool === undefined || !poolAllows(pool, claim.namespace, claim.labels)) continue;
    const free = firstFree(pool, claim, occupancy);
    if (partial ? free.length > 0 : free.length === claim.families.length) yield { pool, free };
    else if (remembers && index === useless) list.remember(kind, occupancy.releases, (useless += 1));
  }
}

function spread(pools: readonly Pool[], claim: Claim, { occupancy }: Ground): Place | undefined {
  const firsts = new Map<Family, Place>();
  for (const pool of pools)
    for (const address of firstFree(pool, claim, occupancy))
      if (!firsts.has(address.family)) firsts.set(address.family, { ok: true, addresses: [address], pools: [pool] });
  const complete = firsts.size === claim.families.length;
  return complete || claim.policy === "PreferDualStack" ? together(firsts, { ...claim, spans: true }) : undefined;
}

/** Both families where the Service may span pools, else the one it would rather have. IPv4 first. */
function together(firsts: ReadonlyMap<Family, Place>, claim: Claim): Place | undefined {
  const found = claim.families.map((family) => firsts.get(family)).filter((place) => place !== undefined);
  const [primary] = found;
  if (primary === undefined) return undefined;
  if (!claim.spans) return primary;
  if (found.length < claim.families.length && claim.policy !== "PreferDualStack") return undefined;
  const places = found.toSorted((a, b) =>
    a.addresses[0]?.family === "IPv4" ? -1 : b.addresses[0]?.family === "IPv4" ? 1 : 0,
  );
  return { ok: true, addresses: places.flatMap((p) => p.addresses), pools: places.flatMap((p) => p.pools) };
}

function firstFree(pool: Pool, claim: Claim, occupancy: Occupancy): readonly Address[] {
  return claim.families
    .map((family) => occupancy.first(pool, family, claim.sharing))
    .filter((address) => address !== undefined);
}

/** The pool that holds all of these and lets the Service have them. */
function poolFor(addresses: readonly Address[], claim: Claim, purpose: Purpose, { pools }: Ground): Pool | Refusal {
  const [first = [], ...others] = addresses.map((address) => pools.poolsOf(address));
  const common = first.filter((pool) => others.every((list) => list.includes(pool)));
  if (common.length === 0) return refuse("AddressNotInPool", outsideEveryPool(addresses, pools));
  const refusals: Refusal[] = [];
  for (const pool of common) {
    const refusal = poolRefusal(pool, addresses, claim, purpose);
    if (refusal === undefined) return pool;
    refusals.push(refusal);
  }
  return refusals[0] ?? refuse("AddressNotInPool", outsideEveryPool(addresses, pools));
}

function outsideEveryPool(addresses: readonly Address[], pools: PoolSet): string {
  const stray = addresses.find((a) => pools.poolsOf(a).length === 0);
  if (stray !== undefined) return `${formatAddress(stray)} is in no IPAddressPool`;
  const list = addresses.map(formatAddress).join(" and ");
  return `${list} must lie in one IPAddressPool, or the Service say ${DUAL_STACK_POOLS}: span`;
}

function usableByName(name: string, claim: Claim, { pools }: Ground): Pool | Refusal {
  const pool = pools.named(name);
  if (pool === undefined) return refuse("UnknownPool", `unknown pool "${name}"`);
  return closedRefusal(pool) ?? scopeRefusal(pool, claim) ?? pool;
}

function poolRefusal(pool: Pool, addresses: readonly Address[], claim: Claim, purpose: Purpose): Refusal | undefined {
  const list = JSON.stringify(addresses.map(formatAddress));
  if (purpose === "request" && claim.wantedPools.length > 0 && !claim.wantedPools.includes(pool.name)) {
    const wanted = claim.wantedPools.join(", ");
    return refuse(
      "AddressNotInPool",
      `requested loadBalancer IP(s) ${list} is not compatible with requested address pool ${wanted}`,
    );
  }
  const scope = scopeRefusal(pool, claim);
  if (scope !== undefined) return scope;
  const unusable = addresses.find((a) => !poolMayUse(pool, a));
  if (unusable !== undefined)
    return refuse(
      "AddressNotAllowed",
      `pool ${pool.name} does not give out ${formatAddress(unusable)} (avoidBuggyIPs)`,
    );
  return purpose === "request" ? closedRefusal(pool) : undefined;
}

function scopeRefusal(pool: Pool, claim: Claim): Refusal | undefined {
  if (poolAllows(pool, claim.namespace, claim.labels)) return undefined;
  const because = `pool ${pool.name} not compatible for ip assignment: its serviceAllocation does not include this Service`;
  return refuse("PoolNotAllowed", because);
}

function closedRefusal(pool: Pool): Refusal | undefined {
  if (pool.closedBecause === undefined) return undefined;
  return refuse("PoolInvalid", `pool ${pool.name} gives no new addresses until it is corrected: ${pool.closedBecause}`);
}

function nothingLeft(claim: Claim, ground: Ground): Refusal {
  const candidates = ground.candidates.of(claim);
  const allowed = candidates.allowed(claim);
  if (allowed.length === 0)
    return refuse("NoPool", "no available IPs: no IPAddressPool gives addresses to this Service by itself");
  const suitable = candidates.suitable(claim);
  const families = claim.families.join(" and ");
  if (suitable.length === 0)
    return refuse(
      "FamilyNotInPool",
      `no available IPs: no pool that is open to it has ${families}: ${listOf(allowed)}`,
    );
  const because = `no available IPs: no ${families} left in ${listOf(suitable)}${resting(suitable, ground)}`;
  return refuse("PoolExhausted", because, suitable);
}

function listOf(pools: readonly Pool[]): string {
  const names = pools.slice(0, 5).map((pool) => pool.name);
  return `${names.join(", ")}${pools.length > names.length ? ` and ${pools.length - names.length} more` : ""}`;
}

function resting(pools: readonly Pool[], { occupancy }: Ground): string {
  return pools.some((pool) => occupancy.rests(pool)) ? "; released addresses still cool down" : "";
}

function refuse(cause: Cause, because: string, exhausted: readonly Pool[] = []): Refusal {
  return { ok: false, cause, because, exhausted };
}
