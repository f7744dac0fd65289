/**
 * Which address a Service gets: a pure function of the objects. What Services hold according to their status is kept first,
 * then wishes are met, the most particular first, until nothing moves. Running it on its own result changes nothing.
 *
 * The rules are MetalLB's, with two that are better on purpose: a wish that cannot be met keeps the working address
 * and says why (MetalLB drops it first), and pools of equal rank are tried in a stable order (there: at random).
 */
import { compareAddresses, formatAddress, parseAddress, sameAddress, type Address } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import type { Namespace, Service } from "../service/objects.ts";
import { readClaim, type Claim } from "./claim.ts";
import type { IPAddressPool } from "./objects.ts";
import { Occupancy, sameAddresses } from "./occupancy.ts";
import { placeAnywhere, placeAt, placeBeside, placeInPool, type Placement } from "./placement.ts";
import { parsePools, type Pool, type PoolSet } from "./pools.ts";

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
  /** Name of the pool they are from; undefined when there is none, or none that can be read. */
  readonly pool: string | undefined;
  /** The part of the Service's wish that is not met. */
  readonly unmet: Unmet | undefined;
}

export interface Unmet {
  readonly type: "Normal" | "Warning";
  /** An event reason of MetalLB. */
  readonly reason: string;
  readonly message: string;
}

export interface AssignmentEvent extends Unmet {
  readonly service: string;
}

export interface Decision {
  /** Every Service of type LoadBalancer that is ours, by key, in stable order. */
  readonly assignments: ReadonlyMap<string, Assignment>;
  /** What is wrong with pools. */
  readonly problems: readonly Problem[];
  /** What happened, and what is unmet: the latter comes again with every decision. */
  readonly events: readonly AssignmentEvent[];
  readonly pools: PoolSet;
}

export function assign(objects: Objects, loadBalancerClass?: string): Decision {
  const pools = parsePools(objects.ipAddressPools, objects.namespaces);
  const work: Work = {
    pools,
    occupancy: new Occupancy(),
    held: new Map(),
    unmet: new Map(),
    events: [],
    complete: objects.complete,
    freed: false,
  };
  const claims = [...objects.services.values()]
    .filter((service) => isOurs(service, loadBalancerClass))
    .map(readClaim)
    .toSorted(oldestFirst);
  for (const claim of claims) if (claim.established) keepCurrent(claim, work);
  for (const claim of claims) if (!claim.established) keepCurrent(claim, work);
  for (const [service, addresses] of objects.reserved) reserve(service, addresses, work.occupancy);
  do {
    work.freed = false;
    for (const step of STEPS) for (const claim of claims) step(claim, work);
  } while (work.freed);
  for (const [service, unmet] of work.unmet) work.events.push({ service, ...unmet });
  const assignments = new Map(claims.map((claim) => [claim.service, assignmentOf(claim, work)]));
  return { assignments, problems: pools.problems, events: work.events, pools };
}

/**
 * Services that name addresses come before those that take what comes, so that nobody takes a named one by chance.
 * Second families are asked for before new Services take the rest, and once more for the new Services themselves.
 */
const STEPS = [meetAddresses, meetPool, meetFamilies, meetAnything, meetFamilies] as const;

/** Type LoadBalancer, and of the class this controller serves: none, unless one was named. */
function isOurs(service: Service, loadBalancerClass?: string): boolean {
  return service.spec.type === "LoadBalancer" && service.spec.loadBalancerClass === loadBalancerClass;
}

interface Held {
  readonly addresses: readonly Address[];
  readonly pool: Pool | undefined;
}

interface Work {
  readonly pools: PoolSet;
  readonly occupancy: Occupancy;
  readonly held: Map<string, Held>;
  readonly unmet: Map<string, Unmet>;
  readonly events: AssignmentEvent[];
  readonly complete: boolean;
  /** Somebody gave an address back, which another may be waiting for. */
  freed: boolean;
}

/** All addresses of the status if they may stay together, else the first one that may stay. */
function keepCurrent(claim: Claim, work: Work): void {
  const kept = claim.families.length === 0 ? claim.current : oncePerFamily(claim);
  let because = "a Service has one address for each of its families";
  for (const addresses of [kept, ...kept.map((a) => [a])]) {
    if (addresses.length === 0) continue;
    const placement = placeAt(addresses, claim, "held", work.pools, work.occupancy);
    if (placement.ok) {
      hold(claim, placement.addresses, placement.pool, work);
      break;
    }
    because = placement.because;
    if (work.complete || addresses !== kept || !isFree(addresses, claim, work)) continue;
    hold(claim, addresses, undefined, work);
    break;
  }
  const still = work.held.get(claim.service)?.addresses ?? [];
  if (claim.current.every((a) => still.some((b) => sameAddress(a, b)))) return;
  const message = `current IP for "${claim.service}" not allowed by config, will attempt for new IP assignment: ${because}`;
  work.events.push({ service: claim.service, type: "Normal", reason: "ClearAssignment", message });
}

function isFree(addresses: readonly Address[], claim: Claim, work: Work): boolean {
  return addresses.every((a) => work.occupancy.refusal(claim.service, claim.sharing, a) === undefined);
}

function oncePerFamily(claim: Claim): readonly Address[] {
  return claim.current.filter(
    (a, index) => claim.families.includes(a.family) && claim.current.findIndex((b) => b.family === a.family) === index,
  );
}

function reserve(service: string, addresses: readonly string[], occupancy: Occupancy): void {
  for (const text of addresses) {
    const address = parseAddress(text);
    if (address !== undefined) occupancy.reserve(service, address);
  }
}

function meetAddresses(claim: Claim, work: Work): void {
  if (claim.fault !== undefined) {
    refuse(claim, { type: "Warning", ...claim.fault }, work);
    return;
  }
  const held = work.held.get(claim.service)?.addresses ?? [];
  if (claim.wantedAddresses.length === 0) return;
  if (sameAddresses(held, claim.wantedAddresses) && inWantedPool(claim, work)) return;
  settle(claim, placeAt(claim.wantedAddresses, claim, "request", work.pools, work.occupancy), work);
}

function meetPool(claim: Claim, work: Work): void {
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || claim.wantedPool === undefined) return;
  if (inWantedPool(claim, work)) return;
  settle(claim, placeInPool(claim.wantedPool, claim, work.pools, work.occupancy), work);
}

/** A Service that wants both families and holds one: the other from the same pool; if it must have both, from another. */
function meetFamilies(claim: Claim, work: Work): void {
  const held = work.held.get(claim.service);
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || held?.pool === undefined) return;
  if (!inWantedPool(claim, work)) return;
  const missing = claim.families.find((family) => !held.addresses.some((a) => a.family === family));
  if (missing === undefined) return;
  const beside = placeBeside(held.pool, missing, claim, work.occupancy);
  if (beside.ok) {
    const addresses = [...held.addresses, ...beside.addresses].toSorted(compareAddresses);
    const message = `Assigned additional IP ${beside.addresses.map((a) => JSON.stringify(formatAddress(a))).join()}`;
    accept(claim, addresses, beside.pool, message, work);
  } else if (claim.policy === "PreferDualStack") {
    const message = `cannot assign additional IP in PreferDualStack: ${beside.because}`;
    refuse(claim, { type: "Normal", reason: "AdditionalAssignFailed", message }, work);
  } else settle(claim, claim.wantedPool === undefined ? anywhere(claim, work) : beside, work);
}

function meetAnything(claim: Claim, work: Work): void {
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || claim.wantedPool !== undefined) return;
  if (!work.held.has(claim.service)) settle(claim, anywhere(claim, work), work);
}

function anywhere(claim: Claim, work: Work): Placement {
  return placeAnywhere(claim, work.pools, work.occupancy);
}

function inWantedPool(claim: Claim, work: Work): boolean {
  return claim.wantedPool === undefined || work.held.get(claim.service)?.pool?.name === claim.wantedPool;
}

function settle(claim: Claim, placement: Placement, work: Work): void {
  if (placement.ok) {
    const message = `Assigned IP ${JSON.stringify(placement.addresses.map(formatAddress))}`;
    accept(claim, placement.addresses, placement.pool, message, work);
    return;
  }
  const message = `Failed to allocate IP for "${claim.service}": ${placement.because}`;
  refuse(claim, { type: "Warning", reason: "AllocationFailed", message }, work);
}

function accept(claim: Claim, addresses: readonly Address[], pool: Pool, message: string, work: Work): void {
  hold(claim, addresses, pool, work);
  work.unmet.delete(claim.service);
  work.events.push({ service: claim.service, type: "Normal", reason: "IPAllocated", message });
}

function refuse(claim: Claim, unmet: Unmet, work: Work): void {
  const held = work.held.get(claim.service)?.addresses ?? [];
  const keeps = held.length === 0 ? "" : `; it keeps ${held.map(formatAddress).join(" and ")}`;
  work.unmet.set(claim.service, { ...unmet, message: `${unmet.message}${keeps}` });
}

function hold(claim: Claim, addresses: readonly Address[], pool: Pool | undefined, work: Work): void {
  const before = work.held.get(claim.service)?.addresses ?? [];
  if (before.some((a) => !addresses.some((b) => sameAddress(a, b)))) work.freed = true;
  work.occupancy.take(claim.service, claim.sharing, addresses);
  work.held.set(claim.service, { addresses, pool });
}

function assignmentOf(claim: Claim, work: Work): Assignment {
  const held = work.held.get(claim.service);
  return {
    service: claim.service,
    addresses: held?.addresses ?? [],
    pool: held?.pool?.name,
    unmet: work.unmet.get(claim.service),
  };
}

function oldestFirst(a: Claim, b: Claim): number {
  const [first, second] =
    a.creationTimestamp === b.creationTimestamp ? [a.service, b.service] : [a.creationTimestamp, b.creationTimestamp];
  return first < second ? -1 : first > second ? 1 : 0;
}
