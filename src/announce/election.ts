/**
 * Which node announces a Service in layer 2: MetalLB's election (v0.16). Every node computes the same function of the same
 * objects and the same members, without talking about it. Pure.
 *
 * To do its part a node must know for each address whether it is the one, not who else is ({@link electingOwn}): with ten thousand addresses
 * and five hundred nodes that is a seventieth of the hashes. Who is, is found for those who ask ({@link electingAnnouncers}).
 *
 * Deviation: a shared address that two Services would give to different nodes has one announcer (announcements.ts).
 */
import { sameAddress, type Address } from "../net/address.ts";
import type { IPAddressPool } from "../pool/objects.ts";
import { changedKeys, emptyMap, type PersistentMap } from "../reconcile/persistent-map.ts";
import type { EndpointSlice, Node, Service } from "../service/objects.ts";
import { indexOf, sameObjects, type SliceIndex } from "../service/slices.ts";
import { atOnce, type Sliced } from "../time/slices.ts";
import { firstAtWork, type Order } from "./away.ts";
import {
  candidacyOf,
  configurationOf,
  type Candidacy,
  type Candidate,
  type Configuration,
  type Reason,
  type Unannounced,
} from "./candidacy.ts";
import { ANOTHER, Contest } from "./contest.ts";
import { covers, interfacesOf, obstacleOf, preferredOf, type Members } from "./coverage.ts";
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

/** A node's name; or some node that is not this one. */
export type Announcer = string | typeof ANOTHER;

export type Election<A extends Announcer = string> = Elected<A> | Unannounced;

export interface Elected<A extends Announcer = string> {
  readonly addresses: readonly Address[];
  readonly announcer: A;
  /** Where the announcer may answer: names of its network interfaces; of another node none, because they are not known. */
  readonly interfaces: readonly string[] | "all";
  readonly reason?: undefined;
  /** Of a Service whose addresses come from several pools: the elections of each address, in their order. */
  readonly parts?: readonly Election<A>[];
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
  const ranks = (memo.order ??= new Ranks(sha256));
  return yield* electing(input, members, ranks, memo);
}

/** The same elections, as far as they are about one node: where another one announces, it is not said which. */
export function* electingOwn(
  input: ElectionInput,
  members: Members,
  self: { readonly nodeName: string; readonly sha256: Sha256 },
  memo: OwnElectionMemo,
): Sliced<ReadonlyMap<string, Election<Announcer>>> {
  const contest = (memo.order ??= new Contest(self.nodeName, self.sha256));
  return yield* electing(input, members, contest, memo);
}

function* electing<A extends Announcer>(
  input: ElectionInput,
  members: Members,
  order: Order<A>,
  memo: Memo<A>,
): Sliced<ReadonlyMap<string, Election<A>>> {
  const { services } = input;
  const { last, candidacies } = memo;
  const index = indexOf(input.endpointSlices);
  const world = worldOf(input, members, last?.world);
  const elections = (last?.elections ?? emptyMap<Election<A>>()).draft();
  for (const key of keysToElect(services, index, world, last)) {
    const service = services.get(key);
    if (service?.spec.type === "LoadBalancer") {
      const candidacy = remembered(key, service, index.get(key) ?? NO_SLICES, world.configuration, candidacies);
      const now = elect(candidacy, world, order);
      const before = elections.get(key);
      if (before === undefined || !sameElection(before, now)) elections.set(key, now);
    } else {
      elections.delete(key);
      candidacies.delete(key);
    }
    yield;
  }
  memo.last = { world, services, index, elections: elections.finish() };
  return memo.last.elections;
}

/**
 * What was elected last time. Create one and pass it every time: with the same pools, advertisements, nodes and members, only Services with
 * other objects are asked again, and an election with the same outcome stays the same object. Where nodes are others, each is asked again, but
 * only what nodes have a say in.
 */
interface Memo<A extends Announcer> {
  last: Last<A> | undefined;
  readonly candidacies: Map<string, Remembered>;
  /** Of the hash function, and the node, of the first call. */
  order?: Order<A>;
}

export type ElectionMemo = Memo<string>;
export type OwnElectionMemo = Memo<Announcer>;

interface Last<A extends Announcer> {
  readonly world: World;
  readonly services: ReadonlyMap<string, Service>;
  readonly index: SliceIndex;
  readonly elections: PersistentMap<Election<A>>;
}

/** A candidacy with what it was computed from, so that it can be used whenever that is the same. */
interface Remembered {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  readonly configuration: Configuration;
  readonly candidacy: Candidacy;
}

export function emptyElectionMemo<A extends Announcer = string>(): Memo<A> {
  return { last: undefined, candidacies: new Map() };
}

function keysToElect(
  services: ReadonlyMap<string, Service>,
  index: SliceIndex,
  world: World,
  last: Last<Announcer> | undefined,
): ReadonlySet<string> {
  if (last === undefined) return new Set(services.keys());
  if (last.world !== world) return new Set([...last.elections.keys(), ...services.keys()]);
  return new Set([...changedKeys(last.services, services), ...changedKeys(last.index, index)]);
}

function remembered(
  key: string,
  service: Service,
  slices: readonly EndpointSlice[],
  configuration: Configuration,
  candidacies: Map<string, Remembered>,
): Candidacy {
  const known = candidacies.get(key);
  if (known?.service === service && known.slices === slices && known.configuration === configuration)
    return known.candidacy;
  const candidacy = candidacyOf(service, slices, configuration);
  candidacies.set(key, { service, slices, configuration, candidacy });
  return candidacy;
}

function sameElection(a: Election<Announcer>, b: Election<Announcer>): boolean {
  if (a.announcer !== b.announcer || a.reason !== b.reason) return false;
  if (a.addresses !== b.addresses && !sameAddresses(a.addresses, b.addresses)) return false;
  if (a.announcer === undefined || b.announcer === undefined) return true;
  const [partsA = [], partsB = []] = [a.parts, b.parts];
  const sameParts = partsA.length === partsB.length && partsA.every((part, i) => sameElection(part, partsB[i] ?? part));
  return sameParts && (a.interfaces === b.interfaces || String(a.interfaces) === String(b.interfaces));
}

function sameAddresses(a: readonly Address[], b: readonly Address[]): boolean {
  return a.length === b.length && a.every((address, index) => sameAddress(address, b[index] ?? address));
}

/** What all elections of one moment have in common. */
interface World {
  readonly configuration: Configuration;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly members: Members;
  /** What of the nodes matters here: their other conditions come and go all the time. */
  readonly nodesText: string;
  /** Alive, with a network, not excluded. */
  readonly eligible: ReadonlyMap<string, Node>;
  /** By lists of advertisements: nearly all Services have the same few. */
  readonly coverages: Map<readonly L2Advertisement[], Coverage>;
}

/** What some advertisements make of the nodes. */
interface Coverage extends Preferences {
  /** They cover a node, whatever its state. */
  readonly any: boolean;
}

interface Preferences {
  /** Of the nodes that are covered and eligible, those of the highest score. */
  readonly preferred: readonly string[];
  /** The same of those whose agents are at work; the very same list where none is away. */
  readonly atWork: readonly string[];
}

function worldOf(input: ElectionInput, members: Members, before: World | undefined): World {
  const configuration = configurationAfter(input, before?.configuration);
  const { nodes } = input;
  const isSame = before?.configuration === configuration && sameMembers(before.members, members);
  if (isSame && before.nodes === nodes) return before;
  const nodesText = [...nodes.values()].map(relevantText).join("\n");
  if (isSame && before.nodesText === nodesText) return before;
  const eligible = new Map([...nodes].filter(([, node]) => obstacleOf(node, members) === undefined));
  return { configuration, nodes, members, nodesText, eligible, coverages: new Map() };
}

function configurationAfter(
  { ipAddressPools, l2Advertisements }: ElectionInput,
  before: Configuration | undefined,
): Configuration {
  const isSame =
    before !== undefined &&
    sameValues(before.ipAddressPools, ipAddressPools) &&
    sameValues(before.l2Advertisements, l2Advertisements);
  return isSame ? before : configurationOf({ ipAddressPools, l2Advertisements });
}

function sameValues(a: ReadonlyMap<string, object>, b: ReadonlyMap<string, object>): boolean {
  return a === b || sameObjects([...a.values()], [...b.values()]);
}

function sameMembers(a: Members, b: Members): boolean {
  const sameAlive = a.alive === b.alive || (a.alive.size === b.alive.size && a.alive.isSubsetOf(b.alive));
  const sameAway = a.away === b.away || (a.away?.size ?? 0) + (b.away?.size ?? 0) === 0;
  return sameAlive && sameAway && (a.ignoreExcludeLabel ?? false) === (b.ignoreExcludeLabel ?? false);
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

function elect<A extends Announcer>(candidacy: Candidacy, world: World, order: Order<A>): Election<A> {
  if (!("each" in candidacy)) return electOne(candidacy, world, order);
  const { addresses, each } = candidacy;
  const parts = each.map((part) => electOne(part, world, order));
  const elected = parts.find(isElected);
  if (elected !== undefined) return { ...elected, addresses, parts };
  return { addresses, reason: parts[0]?.reason ?? "ipNotAllowed" };
}

/** By itself, TypeScript does not tell the two apart where the announcer's type is open. */
export function isElected<A extends Announcer>(election: Election<A>): election is Elected<A> {
  return election.reason === undefined;
}

function electOne<A extends Announcer>(candidate: Candidate | Unannounced, world: World, order: Order<A>): Election<A> {
  if ("reason" in candidate) return candidate;
  const { addresses, text, advertisements, onlyNodes } = candidate;
  const nobody = (reason: Reason): Unannounced => ({ addresses, reason });
  const coverage = coverageOf(advertisements, world);
  if (!coverage.any) return nobody("noMatchingAdvertisement");
  const allowed = onlyNodes && [...onlyNodes].flatMap((name) => world.eligible.get(name) ?? []);
  const { members } = world;
  const { preferred, atWork } = allowed === undefined ? coverage : preferences(advertisements, allowed, members);
  const first = order.first(preferred, text);
  if (first === undefined) return nobody("noEligibleNode");
  const contenders = { address: text, advertisements, members, nodes: () => nodesOf(candidate, world) };
  const winner = atWork === preferred ? first : firstAtWork(first, atWork, contenders, order);
  const node = winner === ANOTHER ? undefined : world.nodes.get(winner);
  const interfaces = node === undefined ? NOWHERE : interfacesOf(advertisements, node);
  return { addresses, announcer: winner, interfaces };
}

const NOWHERE: readonly string[] = [];

function nodesOf({ onlyNodes }: Candidate, { nodes }: World): readonly Node[] {
  return onlyNodes === undefined ? [...nodes.values()] : [...onlyNodes].flatMap((name) => nodes.get(name) ?? []);
}

function coverageOf(matching: readonly L2Advertisement[], { coverages, nodes, eligible, members }: World): Coverage {
  const known = coverages.get(matching);
  if (known !== undefined) return known;
  const any = [...nodes.values()].some((node) => matching.some((advertisement) => covers(advertisement, node)));
  const coverage = { any, ...preferences(matching, [...eligible.values()], members) };
  coverages.set(matching, coverage);
  return coverage;
}

function preferences(
  matching: readonly L2Advertisement[],
  nodes: readonly Node[],
  { away = NOBODY_AWAY }: Members,
): Preferences {
  const preferred = preferredOf(matching, nodes);
  if (away.size === 0) return { preferred, atWork: preferred };
  const working = nodes.filter(({ metadata }) => !away.has(metadata.name));
  return { preferred, atWork: preferredOf(matching, working) };
}

const NOBODY_AWAY: NonNullable<Members["away"]> = new Map();
