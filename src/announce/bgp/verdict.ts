/**
 * Whether this node announces a Service by BGP, and as which prefixes: MetalLB's checks in MetalLB's order (v0.16). Every node decides for
 * itself, there is no election. Pure.
 */
import { parseAddress, type Address } from "../../net/address.ts";
import { formatPrefix, prefixOf, type Prefix } from "../../net/prefix.ts";
import type { Pool, PoolSet } from "../../pool/pools.ts";
import { isTakenOn } from "../../service/class.ts";
import type { EndpointSlice, Node, Service } from "../../service/objects.ts";
import { matchesAny } from "../../service/selector.ts";
import { EXCLUDE_LABEL, usableNodes } from "../coverage.ts";
import { poolOfAll, poolOfEach } from "../candidacy.ts";
import type { Advertisement } from "./advertisements.ts";
import { mayMeet } from "./aggregation.ts";

/** Why this node does not announce a Service. */
export type BgpReason =
  | "otherClass" // its loadBalancerClass is another load balancer's
  | "noAddress" // the controller has not given it one
  | "invalidIP" // an entry of its status is not an IP address
  | "ipNotAllowed" // its addresses do not lie in one pool, nor may they lie in several
  | "notOwner" // no BGPAdvertisement covers its pool and this node
  | "noMatchingAdvertisement" // none of those selects the Service
  | "conflictingAdvertisements" // two of those would give one route different LOCAL_PREFs
  | "nodeNetworkUnavailable" // this node says so in its conditions
  | "nodeLabeledExcludeBalancers" // this node has the label
  | "nodeDraining" // an operator has drained this node
  | "noLocalEndpoints" // externalTrafficPolicy Local, and no endpoint here could answer
  | "noEndpoints" // no endpoint could answer
  | "notForwarded"; // this node's tables do not hold it: traffic would be lost here

export type BgpVerdict = Announced | Withheld;

interface Announced {
  readonly addresses: readonly Address[];
  /** One for each address and advertisement; two may have the same prefix. */
  readonly offers: readonly Offer[];
  readonly reason?: undefined;
}

interface Withheld {
  readonly addresses: readonly Address[];
  readonly offers: readonly [];
  readonly reason: BgpReason;
}

/** One prefix, as one advertisement wants it announced. */
export interface Offer {
  readonly prefix: Prefix;
  /** The prefix as text: what is equal has the same. */
  readonly text: string;
  readonly advertisement: Advertisement;
  /** Endpoints on this node that are ready. */
  readonly localEndpoints: number;
}

/** What all verdicts of one moment have in common. */
export interface BgpWorld {
  readonly nodeName: string;
  /** Absent: there is no such object, and so neither label nor condition. */
  readonly node: Node | undefined;
  readonly pools: PoolSet;
  /** Those whose node selectors match this node, in the order in which they count. */
  readonly advertisements: readonly Advertisement[];
  /** The exclusion label has no effect: because it is to be ignored, or because the node is on its way out and still announces. */
  readonly ignoreExcludeLabel: boolean;
  /** An operator has drained this node, and it is past its leaving. */
  readonly draining: boolean;
}

export function judgeService(service: Service, slices: readonly EndpointSlice[], world: BgpWorld): BgpVerdict {
  const { ingress } = service.status.loadBalancer;
  const addresses = ingress.flatMap(({ ip }) => parseAddress(ip ?? "") ?? []);
  const withheld = (reason: BgpReason): BgpVerdict => ({ addresses, offers: [], reason });
  if (!isTakenOn(service)) return withheld("otherClass");
  if (ingress.length === 0) return withheld("noAddress");
  if (addresses.length < ingress.length) return withheld("invalidIP");
  const pool = poolOfAll(addresses, world.pools);
  if (pool !== undefined) return judgeIn(pool, addresses, service, slices, world);
  const pools = poolOfEach(addresses, service, world.pools);
  if (pools === undefined) return withheld("ipNotAllowed");
  // Other pools may have other advertisements: each address is judged by its own.
  const parts = pools.map((each, index) => judgeIn(each, addresses.slice(index, index + 1), service, slices, world));
  const offers = parts.flatMap((part) => part.offers);
  return offers.length > 0 ? { addresses, offers } : withheld(parts[0]?.reason ?? "ipNotAllowed");
}

function judgeIn(
  pool: Pool,
  addresses: readonly Address[],
  service: Service,
  slices: readonly EndpointSlice[],
  world: BgpWorld,
): BgpVerdict {
  const withheld = (reason: BgpReason): BgpVerdict => ({ addresses, offers: [], reason });
  const owners = world.advertisements.filter((each) => each.pools.has(pool.name));
  if (owners.length === 0) return withheld("notOwner");
  const matching = owners.filter((each) => selectsService(each, service));
  if (matching.length === 0) return withheld("noMatchingAdvertisement");
  if (haveConflict(matching, pool, world)) return withheld("conflictingAdvertisements");
  const obstacle = obstacleOf(service, slices, world);
  if (obstacle !== undefined) return withheld(obstacle);
  const localEndpoints = countLocal(slices, world.nodeName);
  const offers = addresses.flatMap((address) =>
    matching.map((advertisement) => offerOf(address, advertisement, localEndpoints)),
  );
  return { addresses, offers };
}

function obstacleOf(service: Service, slices: readonly EndpointSlice[], world: BgpWorld): BgpReason | undefined {
  const { node, nodeName } = world;
  const conditions = node?.status.conditions ?? [];
  if (conditions.some(({ type, status }) => type === "NetworkUnavailable" && status === "True"))
    return "nodeNetworkUnavailable";
  if (!world.ignoreExcludeLabel && Object.hasOwn(node?.metadata.labels ?? {}, EXCLUDE_LABEL))
    return "nodeLabeledExcludeBalancers";
  if (world.draining) return "nodeDraining";
  const usable = usableNodes(slices);
  if (service.spec.externalTrafficPolicy === "Local" && usable?.has(nodeName) !== true) return "noLocalEndpoints";
  return usable === undefined ? "noEndpoints" : undefined;
}

function offerOf(address: Address, advertisement: Advertisement, localEndpoints: number): Offer {
  const { aggregationLength, aggregationLengthV6 } = advertisement;
  const prefix = prefixOf(address, address.family === "IPv4" ? aggregationLength : aggregationLengthV6);
  return { prefix, text: formatPrefix(prefix), advertisement, localEndpoints };
}

function selectsService({ serviceSelectors }: Advertisement, service: Service): boolean {
  return serviceSelectors.length === 0 || matchesAny(serviceSelectors, service.metadata.labels);
}

/** Where none selects Services the configuration was judged as a whole, and has left out what is in conflict. */
function haveConflict(matching: readonly Advertisement[], pool: Pool, { node }: BgpWorld): boolean {
  if (matching.every(({ serviceSelectors }) => serviceSelectors.length === 0)) return false;
  const nodes = node === undefined ? [] : [node];
  return matching.some((a, index) =>
    matching.slice(index + 1).some((b) => a.localPref !== b.localPref && mayMeet(a, b, pool, nodes)),
  );
}

function countLocal(slices: readonly EndpointSlice[], nodeName: string): number {
  const names = new Set<string>();
  for (const { endpoints } of slices)
    for (const { addresses, conditions, nodeName: on, targetRef } of endpoints)
      if (on === nodeName && conditions.ready !== false) names.add(targetRef?.name ?? addresses.join());
  return names.size;
}
