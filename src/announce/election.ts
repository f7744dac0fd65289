/**
 * Which node announces a Service in layer 2: MetalLB's election (v0.16). Every node computes the same function of the same
 * objects and the same members, without talking about it. Pure.
 *
 * Deviation: a shared address that two Services would give to different nodes has one announcer (announcements.ts).
 */
import { formatAddress, parseAddress, type Address } from "../net/address.ts";
import { spansPools } from "../pool/claim.ts";
import type { IPAddressPool } from "../pool/objects.ts";
import { NO_NAMESPACES, parsePools, type Pool, type PoolSet } from "../pool/pools.ts";
import type { EndpointSlice, Node, Service } from "../service/objects.ts";
import { sameObjects, slicesOf } from "../service/slices.ts";
import { atOnce, type Sliced } from "../time/slices.ts";
import {
  covers,
  interfacesOf,
  isSharedBySelector,
  obstacleOf,
  scoreOf,
  unconcerned,
  usableNodes,
  type Members,
} from "./coverage.ts";
import type { L2Advertisement } from "./objects.ts";
import { Ranks, type Sha256 } from "./ranks.ts";

export type { Sha256 };

export interface ElectionInput {
  readonly services: ReadonlyMap<string, Service>;
  readonly endpointSlices: ReadonlyMap<string, EndpointSlice>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly ipAddressPools: ReadonlyMap<string, IPAddressPool>;
  readonly l2Advertisements: ReadonlyMap<string, L2Advertisement>;
}

/** Why a Service is announced by nobody. */
export type Reason =
  | "noAddress" // the controller has not given it one
  | "invalidIP" // an entry of its status is not an IP address
  | "ipNotAllowed" // its addresses do not lie in one pool
  | "noEndpoints" // no endpoint could answer
  | "sharedIPWithServiceSelector" // two Services on one address could elect different nodes
  | "noMatchingAdvertisement" // no L2Advertisement covers its pool, itself and a node
  | "noEligibleNode"; // every node of its advertisements is gone, excluded, without network or (policy Local) without endpoint

export type Election = Elected | Unannounced;

export interface Elected {
  readonly addresses: readonly Address[];
  readonly announcer: string;
  /** Where the announcer may answer: names of its network interfaces. */
  readonly interfaces: readonly string[] | "all";
  readonly reason?: undefined;
  /** Of a Service whose addresses come from several pools: the elections of each address, in their order. */
  readonly parts?: readonly Election[];
}

export interface Unannounced {
  readonly addresses: readonly Address[];
  readonly announcer?: undefined;
  readonly reason: Reason;
}

/** By Service (`namespace/name`); Services of other types are not in it. */
export function electAnnouncers(
  input: ElectionInput,
  members: Members,
  sha256: Sha256,
  memo: ElectionMemo = { world: undefined, services: new Map() },
): ReadonlyMap<string, Election> {
  return atOnce(electingAnnouncers(input, members, sha256, memo));
}

/** So many Services that did not change are passed over between two pauses. */
const UNCHANGED_A_STEP = 64;

/** As {@link electAnnouncers}, with pauses. */
export function* electingAnnouncers(
  input: ElectionInput,
  members: Members,
  sha256: Sha256,
  memo: ElectionMemo,
): Sliced<ReadonlyMap<string, Election>> {
  const world = worldOf(input, members, memo);
  const ranks = (memo.ranks ??= new Ranks(sha256));
  const elections = new Map<string, Election>();
  const remembered = new Map<string, Remembered>();
  for (const [key, service] of input.services) {
    if (service.spec.type !== "LoadBalancer") continue;
    const slices = slicesOf(input.endpointSlices, key);
    const before = memo.services.get(key);
    const same =
      before !== undefined &&
      before.world === world &&
      before.service === service &&
      sameObjects(before.slices, slices);
    const now = same ? before : { world, service, slices, election: elect(service, slices, world, ranks) };
    remembered.set(key, now);
    elections.set(key, now.election);
    if (!same || elections.size % UNCHANGED_A_STEP === 0) yield;
  }
  memo.services = remembered;
  return elections;
}

/**
 * What was elected last time. Create one and pass it every time: with unchanged objects around them, unchanged Services
 * cost a comparison.
 */
export interface ElectionMemo {
  world: World | undefined;
  /** Of the hash function of the first call. */
  ranks?: Ranks;
  services: ReadonlyMap<string, Remembered>;
}

interface Remembered {
  readonly world: World;
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  readonly election: Election;
}

/** What all elections of one moment have in common. */
interface World {
  readonly objects: readonly object[];
  readonly membersText: string;
  readonly pools: PoolSet;
  readonly poolObjects: ReadonlyMap<string, IPAddressPool>;
  readonly advertisements: readonly L2Advertisement[];
  /** Alive, with a network, not excluded. */
  readonly eligible: readonly Node[];
  readonly nodes: readonly Node[];
}

function worldOf(input: ElectionInput, members: Members, memo: ElectionMemo): World {
  const { nodes, ipAddressPools, l2Advertisements } = input;
  const objects = [nodes, ipAddressPools, l2Advertisements].flatMap((map): object[] => [...map.values(), SEPARATOR]);
  const ignoreExcludeLabel = members.ignoreExcludeLabel ?? false;
  const membersText = [...members.alive].toSorted().join("\n") + (ignoreExcludeLabel ? "\n\nignoreExcludeLabel" : "");
  const before = memo.world;
  if (before !== undefined && before.membersText === membersText && sameObjects(before.objects, objects)) return before;
  memo.world = {
    objects,
    membersText,
    // Who may *get* an address of a pool is the controller's matter, so namespaces are not asked for here.
    pools: parsePools(ipAddressPools, NO_NAMESPACES),
    poolObjects: ipAddressPools,
    advertisements: [...l2Advertisements.values()],
    nodes: [...nodes.values()],
    eligible: [...nodes.values()].filter((node) => obstacleOf(node, members) === undefined),
  };
  return memo.world;
}

/** Between the lists of objects, so that moving an object from one list to the next is a change. */
const SEPARATOR = {};

function elect(service: Service, slices: readonly EndpointSlice[], world: World, ranks: Ranks): Election {
  const { ingress } = service.status.loadBalancer;
  // The copy has room for these and no more: there are as many lists as Services, and they are kept.
  const addresses = ingress
    .map(({ ip }) => parseAddress(ip ?? ""))
    .filter((address) => address !== undefined)
    .slice();
  const nobody = (reason: Reason): Election => ({ addresses, reason });
  const [first] = addresses;
  if (ingress.length === 0) return nobody("noAddress");
  if (first === undefined || addresses.length < ingress.length) return nobody("invalidIP");
  const pool = poolOfAll(addresses, world.pools);
  if (pool !== undefined) return electIn(pool, addresses, service, slices, world, ranks);
  const pools = poolOfEach(addresses, service, world.pools);
  if (pools === undefined) return nobody("ipNotAllowed");
  // Other pools may have other advertisements, and those other nodes: each address has an election of its own.
  const parts = addresses.map((address, index) =>
    electIn(pools[index] as Pool, [address], service, slices, world, ranks),
  );
  const elected = parts.find((part) => part.announcer !== undefined);
  return elected === undefined ? nobody(parts[0]?.reason ?? "ipNotAllowed") : { ...elected, addresses, parts };
}

function electIn(
  pool: Pool,
  addresses: readonly Address[],
  service: Service,
  slices: readonly EndpointSlice[],
  world: World,
  ranks: Ranks,
): Election {
  const nobody = (reason: Reason): Election => ({ addresses, reason });
  const [first] = addresses;
  const usable = usableNodes(slices);
  if (usable === undefined) return nobody("noEndpoints");

  const labels = world.poolObjects.get(pool.key)?.metadata.labels ?? {};
  const matching = world.advertisements.filter((each) => unconcerned(each, pool, labels, service) === undefined);
  if (isSharedBySelector(service, matching)) return nobody("sharedIPWithServiceSelector");
  const covered = (node: Node): boolean => matching.some((advertisement) => covers(advertisement, node));
  if (!world.nodes.some(covered)) return nobody("noMatchingAdvertisement");

  const local = service.spec.externalTrafficPolicy === "Local";
  const candidates = world.eligible.filter((node) => covered(node) && (!local || usable.has(node.metadata.name)));
  const winner = first === undefined ? undefined : firstOf(candidates, matching, formatAddress(first), ranks);
  if (winner === undefined) return nobody("noEligibleNode");
  return { addresses, announcer: winner.metadata.name, interfaces: interfacesOf(matching, winner) };
}

/** The pool that holds all the addresses; open pools come first, see {@link PoolSet}. */
export function poolOfAll(addresses: readonly Address[], pools: PoolSet): Pool | undefined {
  const [first = [], ...others] = addresses.map((address) => pools.poolsOf(address));
  return first.find((pool) => others.every((list) => list.includes(pool)));
}

/** The pools of a Service that may span several, one for each address; undefined: it may not, or one lies in no pool. */
export function poolOfEach(
  addresses: readonly Address[],
  service: Service,
  pools: PoolSet,
): readonly Pool[] | undefined {
  if (addresses.length < 2 || !spansPools(service)) return undefined;
  const found = addresses.flatMap((address) => pools.poolsOf(address)[0] ?? []);
  return found.length === addresses.length ? found : undefined;
}

/** Preference first, then the hashes. */
function firstOf(
  candidates: readonly Node[],
  advertisements: readonly L2Advertisement[],
  addressText: string,
  ranks: Ranks,
): Node | undefined {
  const scores = candidates.map((node) => scoreOf(advertisements, node));
  const best = scores.reduce((a, b) => Math.max(a, b), 0);
  const preferred = candidates.filter((_, index) => scores[index] === best);
  const winner = ranks.first(
    preferred.map(({ metadata }) => metadata.name),
    addressText,
  );
  return preferred.find(({ metadata }) => metadata.name === winner);
}
