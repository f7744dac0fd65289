/**
 * Which node announces a Service in layer 2: MetalLB's election (v0.16). Every node computes the same function of the same
 * objects and the same members, without talking about it. Pure.
 *
 * Deviation: a shared address that two Services would give to different nodes has one announcer (announcements.ts).
 */
import { formatAddress, parseAddress, sameAddress, type Address } from "../net/address.ts";
import { spansPools } from "../pool/claim.ts";
import type { IPAddressPool } from "../pool/objects.ts";
import { NO_NAMESPACES, parsePools, type Pool, type PoolSet } from "../pool/pools.ts";
import { changedKeys, emptyMap, type PersistentMap } from "../reconcile/persistent-map.ts";
import type { EndpointSlice, Node, Service } from "../service/objects.ts";
import { indexOf, sameObjects, type SliceIndex } from "../service/slices.ts";
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
  memo: ElectionMemo = emptyElectionMemo(),
): ReadonlyMap<string, Election> {
  return atOnce(electingAnnouncers(input, members, sha256, memo));
}

const NO_SLICES: readonly EndpointSlice[] = [];

/** As {@link electAnnouncers}, with pauses. */
export function* electingAnnouncers(
  input: ElectionInput,
  members: Members,
  sha256: Sha256,
  memo: ElectionMemo,
): Sliced<ReadonlyMap<string, Election>> {
  const { services } = input;
  const { last } = memo;
  const index = indexOf(input.endpointSlices);
  const world = worldOf(input, members, last?.world);
  const ranks = (memo.ranks ??= new Ranks(sha256));
  const elections = (last?.elections ?? emptyMap<Election>()).draft();
  for (const key of keysToElect(services, index, world, last)) {
    const service = services.get(key);
    if (service?.spec.type === "LoadBalancer") {
      const now = elect(service, index.get(key) ?? NO_SLICES, world, ranks);
      const before = elections.get(key);
      if (before === undefined || !sameElection(before, now)) elections.set(key, now);
    } else elections.delete(key);
    yield;
  }
  memo.last = { world, services, index, elections: elections.finish() };
  return memo.last.elections;
}

/**
 * What was elected last time. Create one and pass it every time: with the same pools, advertisements, nodes and members, only Services with
 * other objects are asked again, and an election with the same outcome stays the same object.
 */
export interface ElectionMemo {
  last: Last | undefined;
  /** Of the hash function of the first call. */
  ranks?: Ranks;
}

interface Last {
  readonly world: World;
  readonly services: ReadonlyMap<string, Service>;
  readonly index: SliceIndex;
  readonly elections: PersistentMap<Election>;
}

export function emptyElectionMemo(): ElectionMemo {
  return { last: undefined };
}

function keysToElect(
  services: ReadonlyMap<string, Service>,
  index: SliceIndex,
  world: World,
  last: Last | undefined,
): ReadonlySet<string> {
  if (last === undefined) return new Set(services.keys());
  if (last.world !== world) return new Set([...last.elections.keys(), ...services.keys()]);
  return new Set([...changedKeys(last.services, services), ...changedKeys(last.index, index)]);
}

function sameElection(a: Election, b: Election): boolean {
  if (a.announcer !== b.announcer || a.reason !== b.reason || a.addresses.length !== b.addresses.length) return false;
  if (!a.addresses.every((address, index) => sameAddress(address, b.addresses[index] ?? address))) return false;
  if (a.announcer === undefined || b.announcer === undefined) return true;
  const [partsA = [], partsB = []] = [a.parts, b.parts];
  const sameParts = partsA.length === partsB.length && partsA.every((part, i) => sameElection(part, partsB[i] ?? part));
  return sameParts && String(a.interfaces) === String(b.interfaces);
}

/** What all elections of one moment have in common. */
interface World {
  readonly input: Pick<ElectionInput, "nodes" | "ipAddressPools" | "l2Advertisements">;
  readonly members: Members;
  /** What of the nodes matters here: their other conditions come and go all the time. */
  readonly nodesText: string;
  readonly pools: PoolSet;
  readonly poolObjects: ReadonlyMap<string, IPAddressPool>;
  readonly advertisements: readonly L2Advertisement[];
  /** Alive, with a network, not excluded. */
  readonly eligible: readonly Node[];
  readonly nodes: readonly Node[];
  /** By the places of advertisements in the list: nearly all Services have the same few. */
  readonly coverages: Map<string, Coverage>;
}

/** What some advertisements make of the nodes. */
interface Coverage {
  /** They cover a node, whatever its state. */
  readonly any: boolean;
  /** Of the nodes that are covered and eligible, those of the highest score. */
  readonly preferred: readonly string[];
}

function worldOf(input: ElectionInput, members: Members, before: World | undefined): World {
  if (before !== undefined && sameMaps(before.input, input) && sameMembers(before.members, members)) return before;
  const { nodes, ipAddressPools, l2Advertisements } = input;
  const nodesText = [...nodes.values()].map(relevantText).join("\n");
  const same =
    before?.nodesText === nodesText &&
    sameObjects([...before.input.ipAddressPools.values()], [...ipAddressPools.values()]) &&
    sameObjects([...before.input.l2Advertisements.values()], [...l2Advertisements.values()]) &&
    sameMembers(before.members, members);
  if (same) return before;
  return {
    input: { nodes, ipAddressPools, l2Advertisements },
    members,
    nodesText,
    // Who may *get* an address of a pool is the controller's matter, so namespaces are not asked for here.
    pools: parsePools(ipAddressPools, NO_NAMESPACES),
    poolObjects: ipAddressPools,
    advertisements: [...l2Advertisements.values()],
    nodes: [...nodes.values()],
    eligible: [...nodes.values()].filter((node) => obstacleOf(node, members) === undefined),
    coverages: new Map(),
  };
}

function sameMaps(a: World["input"], b: World["input"]): boolean {
  return a.nodes === b.nodes && a.ipAddressPools === b.ipAddressPools && a.l2Advertisements === b.l2Advertisements;
}

function sameMembers(a: Members, b: Members): boolean {
  const sameAlive = a.alive === b.alive || (a.alive.size === b.alive.size && a.alive.isSubsetOf(b.alive));
  return sameAlive && (a.ignoreExcludeLabel ?? false) === (b.ignoreExcludeLabel ?? false);
}

/** Nodes never change, but there are hundreds, and their objects are replaced now and then. */
const relevantTexts = new WeakMap<Node, string>();

function relevantText(node: Node): string {
  const known = relevantTexts.get(node);
  if (known !== undefined) return known;
  const { name, labels } = node.metadata;
  const unavailable = node.status.conditions.filter(({ type }) => type === "NetworkUnavailable");
  const text = JSON.stringify([name, labels, unavailable.map(({ status }) => status)]);
  relevantTexts.set(node, text);
  return text;
}

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
  const coverage = coverageOf(matching, world);
  if (!coverage.any) return nobody("noMatchingAdvertisement");

  const local = service.spec.externalTrafficPolicy === "Local";
  const names = local
    ? preferredOf(
        matching,
        world.eligible.filter(({ metadata }) => usable.has(metadata.name)),
      )
    : coverage.preferred;
  const winner = first === undefined ? undefined : ranks.first(names, formatAddress(first));
  const node = winner === undefined ? undefined : world.input.nodes.get(winner);
  if (winner === undefined || node === undefined) return nobody("noEligibleNode");
  return { addresses, announcer: winner, interfaces: interfacesOf(matching, node) };
}

function coverageOf(
  matching: readonly L2Advertisement[],
  { advertisements, coverages, nodes, eligible }: World,
): Coverage {
  const key = matching.map((advertisement) => advertisements.indexOf(advertisement)).join();
  const known = coverages.get(key);
  if (known !== undefined) return known;
  const any = nodes.some((node) => matching.some((advertisement) => covers(advertisement, node)));
  const coverage = { any, preferred: preferredOf(matching, eligible) };
  coverages.set(key, coverage);
  return coverage;
}

/** Names of the nodes that the advertisements cover and prefer to all others. */
function preferredOf(matching: readonly L2Advertisement[], nodes: readonly Node[]): readonly string[] {
  const covered = nodes.filter((node) => matching.some((advertisement) => covers(advertisement, node)));
  const scores = covered.map((node) => scoreOf(matching, node));
  const best = scores.reduce((a, b) => Math.max(a, b), 0);
  return covered.filter((_, index) => scores[index] === best).map(({ metadata }) => metadata.name);
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
