/**
 * Which address a Service gets: a pure function of the objects. What Services hold according to their status is kept first,
 * then wishes are met, the most particular first, until nothing moves. Running it on its own result changes nothing.
 *
 * The rules are MetalLB's, with some that are better on purpose (docs/compare.md): above all, a wish that cannot be met keeps
 * the working address and says why (MetalLB drops it first), and pools of equal rank are tried in a stable order (there: at random).
 */
import { compareAddresses, formatAddress, type Address, type Family } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import type { Namespace, Service } from "../service/objects.ts";
import { atOnce, forEach, type Sliced } from "../time/slices.ts";
import { sorting } from "../time/sorting.ts";
import { CandidateIndex } from "./candidates.ts";
import { readClaim, type Claim } from "./claim.ts";
import { coolDowns, type PoolCoolDown } from "./cool-downs.ts";
import { countingPools, type PoolCounts } from "./counts.ts";
import { exhaustedPools } from "./exhausted.ts";
import { inOrderOfRight, keepCurrent, reserve } from "./keep.ts";
import type { IPAddressPool } from "./objects.ts";
import { Occupancy, sameAddresses } from "./occupancy.ts";
import { placeAnywhere, placeAt, placeBeside, placeInPools } from "./placement.ts";
import { parsingPools, type Pool, type PoolSet } from "./pools.ts";
import { formatSharing } from "./sharing.ts";
import {
  accept,
  heldBy,
  refuse,
  settle,
  type AssignmentEvent,
  type Held,
  type Loss,
  type Unmet,
  type Work,
} from "./work.ts";

export interface Objects {
  readonly services: ReadonlyMap<string, Service>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly ipAddressPools: ReadonlyMap<string, IPAddressPool>;
  /** False: some objects could not be read, so an address is not taken away because its pool is not here. */
  readonly complete: boolean;
  /** Addresses of Services that cannot be read. */
  readonly reserved: ReadonlyMap<string, readonly string[]>;
}

export interface Assignment {
  readonly service: string;
  /** IPv4 before IPv6, or the order in which the status or the request lists them. Empty: none could be had. */
  readonly addresses: readonly Address[];
  /** Name of the pool they are from; of two that of IPv4 first, `a,b`; undefined when there is none, or none that can be read. */
  readonly pool: string | undefined;
  /** What it shares its addresses by; undefined: it does not. */
  readonly sharedAs: string | undefined;
  /** The part of the Service's wish that is not met. */
  readonly unmet: Unmet | undefined;
}

export interface Decision {
  /** Every Service of type LoadBalancer that is ours, by key, in stable order. */
  readonly assignments: ReadonlyMap<string, Assignment>;
  /** What is wrong with pools. */
  readonly problems: readonly Problem[];
  /** What happened, and what is unmet: the latter comes again with every decision. */
  readonly events: readonly AssignmentEvent[];
  /** Addresses taken away because no pool has them any more. */
  readonly losses: readonly Loss[];
  readonly pools: PoolSet;
  /** Of each pool, by its key. An address that is kept from everybody counts as in use. */
  readonly counts: ReadonlyMap<string, PoolCounts>;
  /** Pools that Services wait for, with the families of which nothing is left. */
  readonly exhausted: ReadonlyMap<Pool, readonly Family[]>;
  /** Of the Services decided about. */
  readonly loadBalancerClass: string | undefined;
  /** By key, of pools whose released addresses rest. */
  readonly coolDowns: ReadonlyMap<string, PoolCoolDown>;
  /** What the Services ask for, by key: whoever decides again need not read again what has not changed. */
  readonly claims: Claims;
  /** When the next address has rested and all must be decided anew, in milliseconds since 1970. */
  readonly again: number | undefined;
}

/** `now` in milliseconds since 1970: only released addresses that rest depend on it. */
export type Claims = ReadonlyMap<string, Claim>;

const NO_CLAIMS: Claims = new Map();

export function assign(objects: Objects, loadBalancerClass?: string, now: number = 0): Decision {
  return atOnce(assigning(objects, loadBalancerClass, now));
}

/** So many Services are decided about between two pauses. */
const SERVICES_A_STEP = 500;

/** As {@link assign}, with pauses in which a program can do something else. The objects are those of the call; `known` are the last decision's claims. */
export function* assigning(
  objects: Objects,
  loadBalancerClass?: string,
  now: number = 0,
  known: Claims = NO_CLAIMS,
): Sliced<Decision> {
  const pools = yield* parsingPools(objects.ipAddressPools, objects.namespaces);
  const work: Work = {
    pools,
    candidates: new CandidateIndex(pools),
    occupancy: new Occupancy(pools),
    held: new Map(),
    unmet: new Map(),
    events: [],
    losses: [],
    halved: new Set(),
    complete: objects.complete,
    freed: false,
  };
  const claimsByKey = new Map<string, Claim>();
  yield* each(objects.services, ([key, service]) => {
    if (!isOurs(service, loadBalancerClass)) return;
    const before = known.get(key);
    claimsByKey.set(key, before?.object === service ? before : readClaim(service));
  });
  const claims = yield* sorting([...claimsByKey.values()], oldestFirst);
  yield* each(yield* inOrderOfRight(claims), (claim) => keepCurrent(claim, work));
  yield* each(objects.reserved, ([service, addresses]) => reserve(service, addresses, work.occupancy));
  yield* each(objects.services, ([key, service]) => {
    if (isForeign(service, loadBalancerClass)) reserve(key, ingressOf(service), work.occupancy);
  });
  const resting = yield* coolDowns(pools, objects.ipAddressPools, claims, work.occupancy, now);
  yield* work.occupancy.advancing();
  yield* meetWishes(claims, work);
  yield* each(work.unmet, ([service, unmet]) => work.events.push({ service, ...eventOf(unmet) }));
  const assignments = new Map<string, Assignment>();
  yield* each(claims, (claim) => assignments.set(claim.service, assignmentOf(claim, work)));
  const after = yield* resting.after();
  const counts = yield* countingPools(pools, work.occupancy.used(), after.coolDowns);
  return {
    assignments,
    problems: pools.problems,
    events: work.events,
    losses: work.losses,
    pools,
    counts,
    exhausted: exhaustedPools(work.unmet.values(), counts),
    loadBalancerClass,
    claims: claimsByKey,
    ...after,
  };
}

/**
 * Services that name addresses come before those that take what comes, so that nobody takes a named one by chance.
 * Second families are asked for before new Services take the rest, and once more for the new Services themselves.
 */
const STEPS = [meetAddresses, meetPool, meetFamilies, meetAnything, meetFamilies] as const;

/** When somebody gave an address back, everything begins anew for those that are not content: one may have waited for it. */
function* meetWishes(claims: readonly Claim[], work: Work): Sliced<void> {
  let waiting = claims;
  for (let index = 0; index < STEPS.length;) {
    const step = STEPS[index];
    work.freed = false;
    yield* each(waiting, (claim) => step?.(claim, work));
    index = work.freed ? 0 : index + 1;
    if (work.freed) waiting = claims.filter((claim) => !isContent(claim, work));
  }
}

function isContent(claim: Claim, work: Work): boolean {
  return !work.unmet.has(claim.service) && heldBy(claim, work).length >= Math.max(1, claim.families.length);
}

function each<T>(values: Iterable<T>, act: (value: T) => unknown): Sliced<void> {
  return forEach(values, SERVICES_A_STEP, act);
}

/** Type LoadBalancer, and of the class this controller serves: none, unless one was named. */
function isOurs(service: Service, loadBalancerClass?: string): boolean {
  return service.spec.type === "LoadBalancer" && service.spec.loadBalancerClass === loadBalancerClass;
}

/** Of another class: another controller's, perhaps one that gives addresses from the same pools. */
function isForeign(service: Service, loadBalancerClass?: string): boolean {
  return service.spec.type === "LoadBalancer" && service.spec.loadBalancerClass !== loadBalancerClass;
}

function meetAddresses(claim: Claim, work: Work): void {
  if (claim.fault !== undefined) {
    refuse(claim, { type: "Warning", exhausted: [], ...claim.fault }, work);
    return;
  }
  if (claim.wantedAddresses.length === 0) return;
  if (sameAddresses(heldBy(claim, work), claim.wantedAddresses) && inWantedPool(claim, work)) return;
  settle(claim, placeAt(claim.wantedAddresses, claim, "request", work), work);
}

function meetPool(claim: Claim, work: Work): void {
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || claim.wantedPools.length === 0) return;
  if (!inWantedPool(claim, work)) settle(claim, search(placeInPools, claim, work), work);
}

/** A Service that wants both families and holds one: the other from the same pool; if it must have both, both from another. */
function meetFamilies(claim: Claim, work: Work): void {
  if (claim.families.length < 2) return;
  const held = work.held.get(claim.service);
  const [pool] = held?.pools ?? [];
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || held === undefined || pool === undefined) return;
  const missing = claim.families.find((family) => !held.addresses.some((a) => a.family === family));
  if (missing === undefined || !inWantedPool(claim, work)) return;
  const beside = placeBeside(pool, missing, claim, work);
  if (beside.ok) {
    const message = `Assigned additional IP ${beside.addresses.map((a) => JSON.stringify(formatAddress(a))).join()}`;
    const both = inFamilyOrder(held, beside);
    accept(claim, both.addresses, both.pools, message, work);
    return;
  }
  const prefers = claim.policy === "PreferDualStack";
  // Who had both and lost one with its pool moves to where there are both; who never had both stays where it is.
  if (claim.wantedPools.length === 0 && (!prefers || work.halved.has(claim.service))) {
    const elsewhere = search(placeAnywhere, { ...claim, policy: "RequireDualStack" }, work);
    if (elsewhere.ok || !prefers) {
      settle(claim, elsewhere, work);
      return;
    }
  }
  if (!prefers) {
    settle(claim, beside, work);
    return;
  }
  const message = `cannot assign additional IP in PreferDualStack: ${beside.because}`;
  refuse(claim, { ...beside, type: "Normal", reason: "AdditionalAssignFailed", message }, work);
}

/** IPv4 before IPv6. */
function inFamilyOrder(...parts: readonly Held[]): Held {
  const pairs = parts.flatMap(({ addresses, pools }) => addresses.map((address, i) => ({ address, pool: pools[i] })));
  pairs.sort((a, b) => compareAddresses(a.address, b.address));
  return { addresses: pairs.map(({ address }) => address), pools: pairs.map(({ pool }) => pool) };
}

function meetAnything(claim: Claim, work: Work): void {
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || claim.wantedPools.length > 0) return;
  if (!work.held.has(claim.service)) settle(claim, placeAnywhere(claim, work), work);
}

/** As if the Service held nothing: where it is now is as good as anywhere else. */
function search(place: typeof placeAnywhere, claim: Claim, work: Work): ReturnType<typeof placeAnywhere> {
  return work.occupancy.without(claim.service, () => place(claim, work));
}

function inWantedPool(claim: Claim, work: Work): boolean {
  if (claim.wantedPools.length === 0) return true;
  const pools = work.held.get(claim.service)?.pools ?? [];
  return pools.length > 0 && pools.every((pool) => pool !== undefined && claim.wantedPools.includes(pool.name));
}

function assignmentOf(claim: Claim, work: Work): Assignment {
  const { service, sharing } = claim;
  const { addresses, pools } = work.held.get(service) ?? { addresses: [], pools: [] };
  const inOrder = inFamilyOrder({ addresses, pools }).pools;
  const names = new Set(inOrder.map((pool) => pool?.name).filter((name) => name !== undefined));
  return {
    service,
    addresses,
    pool: names.size === 0 ? undefined : [...names].join(","),
    sharedAs: sharing.key === "" || addresses.length === 0 ? undefined : formatSharing(sharing),
    unmet: work.unmet.get(service),
  };
}

function eventOf({ type, reason, message }: Unmet): Omit<AssignmentEvent, "service"> {
  return { type, reason, message };
}

function ingressOf(service: Service): readonly string[] {
  return service.status.loadBalancer.ingress.map(({ ip }) => ip ?? "");
}

function oldestFirst(a: Claim, b: Claim): number {
  if (a.creationTimestamp !== b.creationTimestamp) return a.creationTimestamp < b.creationTimestamp ? -1 : 1;
  if (a.service === b.service) return 0;
  return a.service < b.service ? -1 : 1;
}
