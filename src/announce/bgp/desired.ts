/**
 * What this node should say by BGP, as a pure function of everything it knows: the sessions it should have, the routes of each, and for
 * every Service why or why not. Pass the same memo every time: then unchanged Services cost a comparison, and what did not change is the
 * same object as before.
 */
import { sameAddress } from "../../net/address.ts";
import { formatPrefix, parsePrefix } from "../../net/prefix.ts";
import type { Problem } from "../../net/problem.ts";
import { NO_NAMESPACES, parsePools } from "../../pool/pools.ts";
import type { SessionConfig } from "../../protocol/bgp/config.ts";
import type { Route, Routes } from "../../protocol/bgp/route.ts";
import { changedKeys, emptyMap, type Draft, type PersistentMap } from "../../reconcile/persistent-map.ts";
import type { EndpointSlice, Node, Service } from "../../service/objects.ts";
import { matchesAny, type LabelSelector } from "../../service/selector.ts";
import { indexOf, sameObjects, type SliceIndex } from "../../service/slices.ts";
import { atOnce, forEach, type Sliced } from "../../time/slices.ts";
import type { BfdSettings } from "./bfd-profiles.ts";
import { parseBgpConfiguration, type BgpConfiguration, type BgpObjects } from "./configuration.ts";
import type { Peer } from "./peers.ts";
import { regrouping, routeOf, sameRoute, type Group, type Groups } from "./routes.ts";
import { sessionOf } from "./sessions.ts";
import { judgeService, type BgpVerdict, type BgpWorld, type Offer } from "./verdict.ts";

export interface BgpInput extends BgpObjects {
  readonly services: ReadonlyMap<string, Service>;
  readonly endpointSlices: ReadonlyMap<string, EndpointSlice>;
}

export interface BgpNode {
  readonly name: string;
  /** The node announces also with the label node.kubernetes.io/exclude-from-external-load-balancers. */
  readonly ignoreExcludeLabel?: boolean;
  /** An operator has drained it. */
  readonly draining?: boolean;
  /** It is on its way out and announces all the same, drained, labelled or not: the speaker tells the peers to prefer others. */
  readonly leaving?: boolean;
  /** Services (`namespace/name`) whose frontends are not in this node's tables. */
  readonly unforwarded?: ReadonlySet<string>;
}

export interface DesiredSession {
  readonly config: SessionConfig;
  readonly bfd?: DesiredBfd;
  readonly routes: Routes;
}

export interface DesiredBfd {
  readonly settings: BfdSettings;
  /** As FRR tells them apart: eBGP by `ebgpMultiHop`, iBGP by whether the peer is on a network of this node. */
  readonly multihop: boolean | "unlessOnLink";
}

export interface DesiredBgp {
  /** In the order of their names. */
  readonly sessions: readonly DesiredSession[];
  /** By Service (`namespace/name`); Services of other types are not in it. */
  readonly verdicts: ReadonlyMap<string, BgpVerdict>;
  readonly groups: Groups;
  readonly problems: readonly Problem[];
}

/** What was desired last time. */
export interface BgpMemo {
  judged?: Judged;
  held?: Held;
  sessions: ReadonlyMap<string, RememberedSession>;
  last?: { readonly world: World; readonly desired: DesiredBgp };
}

interface World extends BgpWorld {
  readonly input: BgpObjects;
  readonly text: string;
  readonly configuration: BgpConfiguration;
  readonly podOffers: readonly Offer[];
}

/** What the objects say of each Service. */
interface Judged {
  readonly world: World;
  readonly services: ReadonlyMap<string, Service>;
  readonly index: SliceIndex;
  readonly verdicts: PersistentMap<BgpVerdict>;
}

/** The same, without what this node's tables do not hold. */
interface Held {
  readonly judged: PersistentMap<BgpVerdict>;
  readonly unforwarded: ReadonlySet<string>;
  readonly verdicts: PersistentMap<BgpVerdict>;
}

interface RememberedSession {
  readonly peer: Peer;
  readonly groups: Groups;
  readonly routes: PersistentMap<Route>;
  readonly session: DesiredSession;
}

export function emptyBgpMemo(): BgpMemo {
  return { sessions: new Map() };
}

export function desiredBgp(input: BgpInput, me: BgpNode, memo: BgpMemo = emptyBgpMemo()): DesiredBgp {
  return atOnce(desiringBgp(input, me, memo));
}

/** As {@link desiredBgp}, with pauses. */
export function* desiringBgp(input: BgpInput, me: BgpNode, memo: BgpMemo): Sliced<DesiredBgp> {
  const world = worldOf(input, me, memo.judged?.world);
  memo.judged = yield* judging(input, world, memo.judged);
  memo.held = yield* holdingBack(memo.judged.verdicts, me.unforwarded ?? NOBODY, memo.held);
  const { verdicts } = memo.held;
  const { last } = memo;
  if (last?.world === world && last.desired.verdicts === verdicts) return last.desired;
  const groups = yield* groupsAfter(last, world, verdicts);
  const sessions = yield* desiringSessions(world.configuration, groups, memo);
  const desired = { sessions, verdicts, groups, problems: world.configuration.problems };
  memo.last = { world, desired };
  return desired;
}

/** Only what is offered otherwise than last time is counted again. */
function* groupsAfter(last: BgpMemo["last"], world: World, verdicts: PersistentMap<BgpVerdict>): Sliced<Groups> {
  const before = last?.desired.verdicts ?? emptyMap<BgpVerdict>();
  const left: Offer[] = [];
  const joined: Offer[] = [];
  yield* forEach(changedKeys(before, verdicts), SERVICES_A_STEP, (key) => {
    left.push(...(before.get(key)?.offers ?? []));
    joined.push(...(verdicts.get(key)?.offers ?? []));
  });
  if (last?.world.podOffers !== world.podOffers) {
    left.push(...(last?.world.podOffers ?? []));
    joined.push(...world.podOffers);
  }
  return yield* regrouping(last?.desired.groups ?? emptyMap<Group>(), left, joined);
}

const NOBODY: ReadonlySet<string> = new Set();
const NO_SLICES: readonly EndpointSlice[] = [];
/** So many routes are made, or Services looked at, between two pauses. */
const ROUTES_A_STEP = 128;
const SERVICES_A_STEP = 256;

/** A verdict that says the same as before stays the same object. */
function* judging({ services, endpointSlices }: BgpInput, world: World, last: Judged | undefined): Sliced<Judged> {
  const index = indexOf(endpointSlices);
  const verdicts = (last?.verdicts ?? emptyMap<BgpVerdict>()).draft();
  const keys =
    last?.world === world
      ? [...changedKeys(last.services, services), ...changedKeys(last.index, index)]
      : [...services.keys(), ...(last?.verdicts.keys() ?? [])];
  for (const key of new Set(keys)) {
    const service = services.get(key);
    if (service?.spec.type === "LoadBalancer")
      setVerdict(verdicts, key, judgeService(service, index.get(key) ?? NO_SLICES, world));
    else verdicts.delete(key);
    yield;
  }
  return { world, services, index, verdicts: verdicts.finish() };
}

function* holdingBack(
  judged: PersistentMap<BgpVerdict>,
  unforwarded: ReadonlySet<string>,
  last: Held | undefined,
): Sliced<Held> {
  const verdicts = (last?.verdicts ?? emptyMap<BgpVerdict>()).draft();
  const changed = changedKeys(last?.judged ?? emptyMap<BgpVerdict>(), judged);
  const moved =
    last?.unforwarded === unforwarded ? NOBODY : unforwarded.symmetricDifference(last?.unforwarded ?? NOBODY);
  yield* forEach(new Set([...changed, ...moved]), SERVICES_A_STEP, (key) => {
    const verdict = judged.get(key);
    if (verdict === undefined) verdicts.delete(key);
    else setVerdict(verdicts, key, heldBack(key, verdict, unforwarded));
  });
  return { judged, unforwarded, verdicts: verdicts.finish() };
}

function setVerdict(verdicts: Draft<BgpVerdict>, key: string, verdict: BgpVerdict): void {
  const before = verdicts.get(key);
  if (before === undefined || !sameVerdict(before, verdict)) verdicts.set(key, verdict);
}

function sameVerdict(a: BgpVerdict, b: BgpVerdict): boolean {
  if (a.reason !== b.reason || a.addresses.length !== b.addresses.length || a.offers.length !== b.offers.length)
    return false;
  return (
    a.addresses.every((address, i) => sameAddress(address, b.addresses[i] ?? address)) &&
    a.offers.every((offer, i) => sameOffer(offer, b.offers[i] ?? offer))
  );
}

function sameOffer(a: Offer, b: Offer): boolean {
  // Pods that come and go on this node are news only where they are counted.
  const counted = a.advertisement.endpointBandwidth !== undefined;
  return (
    a.text === b.text && a.advertisement === b.advertisement && (!counted || a.localEndpoints === b.localEndpoints)
  );
}

/** Names of the BGPPeers a Service is announced to from this node, sorted: by prefix, so Services in one aggregate show the same. */
export function peersOf({ sessions, verdicts }: DesiredBgp, service: string): readonly string[] {
  const offers = verdicts.get(service)?.offers ?? [];
  const told = sessions.filter(({ routes }) => offers.some(({ text }) => routes.has(text)));
  return told.map(({ config }) => config.name);
}

function heldBack(key: string, verdict: BgpVerdict, unforwarded: ReadonlySet<string>): BgpVerdict {
  if (verdict.reason !== undefined || !unforwarded.has(key)) return verdict;
  return { addresses: verdict.addresses, offers: [], reason: "notForwarded" };
}

function worldOf(input: BgpInput, me: BgpNode, last: World | undefined): World {
  const node = input.nodes.get(me.name);
  const ignoreExcludeLabel = me.ignoreExcludeLabel === true || me.leaving === true;
  const draining = me.draining === true && me.leaving !== true;
  // Heartbeats replace the Node object: only what matters of it counts.
  const text = JSON.stringify([me.name, ignoreExcludeLabel, draining, relevant(node)]);
  if (last !== undefined && last.text === text && sameInput(last.input, input)) return last;
  const before = last === undefined ? {} : { before: last.configuration };
  const configuration = parseBgpConfiguration(objectsOf(input), { node: me.name, ...before });
  const advertisements = [...configuration.advertisements.values()].filter((each) => covers(each.nodeSelectors, node));
  const pools = parsePools(input.ipAddressPools, NO_NAMESPACES);
  return {
    ...{ input: objectsOf(input), text, configuration, nodeName: me.name, node, pools, ignoreExcludeLabel, draining },
    advertisements: advertisements.filter(({ podCidrs }) => !podCidrs),
    podOffers: podOffersOf(node, advertisements),
  };
}

/** Who may *get* an address of a pool is the controller's matter, so namespaces are not asked for here. */
function objectsOf(input: BgpObjects): BgpObjects {
  const { bgpPeers, bgpAdvertisements, bfdProfiles, communities, ipAddressPools, secrets, nodes } = input;
  const objects = {
    ...{ bgpPeers, bgpAdvertisements, bfdProfiles, communities, ipAddressPools, secrets, nodes },
    namespaces: NO_NAMESPACES,
  };
  return input.unread === undefined ? objects : { ...objects, unread: input.unread };
}

/** Apart from the nodes, of which only this one matters. */
const READ = ["bgpPeers", "bgpAdvertisements", "bfdProfiles", "communities", "ipAddressPools", "secrets"] as const;

const NONE_UNREAD: ReadonlySet<string> = new Set<string>();

function sameInput(a: BgpObjects, b: BgpObjects): boolean {
  const same = READ.every((name) => a[name] === b[name] || sameObjects([...a[name].values()], [...b[name].values()]));
  return same && (a.unread ?? NONE_UNREAD).symmetricDifference(b.unread ?? NONE_UNREAD).size === 0;
}

function relevant(node: Node | undefined): unknown {
  const unavailable = node?.status.conditions.filter(({ type }) => type === "NetworkUnavailable");
  return [node?.metadata.labels, node?.spec.podCIDRs, unavailable?.map(({ status }) => status)];
}

function covers(nodeSelectors: readonly LabelSelector[], node: Node | undefined): boolean {
  return nodeSelectors.length === 0 || matchesAny(nodeSelectors, node?.metadata.labels ?? {});
}

/** Native routing: where this node's pods are. Whole, whatever the advertisement's aggregation length is. */
function podOffersOf(node: Node | undefined, advertisements: BgpWorld["advertisements"]): readonly Offer[] {
  const prefixes = (node?.spec.podCIDRs ?? []).flatMap((text) => parsePrefix(text) ?? []);
  return advertisements
    .filter(({ podCidrs }) => podCidrs)
    .flatMap((advertisement) =>
      prefixes.map((prefix) => ({ prefix, text: formatPrefix(prefix), advertisement, localEndpoints: 0 })),
    );
}

function* desiringSessions(
  configuration: BgpConfiguration,
  groups: Groups,
  memo: BgpMemo,
): Sliced<readonly DesiredSession[]> {
  const sessions = new Map<string, RememberedSession>();
  for (const peer of [...configuration.peers.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const last = memo.sessions.get(peer.name);
    const settings = peer.bfdProfile === undefined ? undefined : configuration.bfdProfiles.get(peer.bfdProfile);
    const fits = last?.peer === peer && last.session.bfd?.settings === settings;
    sessions.set(peer.name, yield* desiringSession(peer, settings, groups, fits ? last : undefined));
  }
  memo.sessions = sessions;
  return [...sessions.values()].map(({ session }) => session);
}

/** A route that says the same as before stays the same object, and a session with the same routes too. */
function* desiringSession(
  peer: Peer,
  settings: BfdSettings | undefined,
  groups: Groups,
  last: RememberedSession | undefined,
): Sliced<RememberedSession> {
  const config = last?.session.config ?? sessionOf(peer);
  const draft = (last?.routes ?? emptyMap<Route>()).draft();
  yield* forEach(changedKeys(last?.groups ?? emptyMap<Group>(), groups), ROUTES_A_STEP, (text) => {
    const group = groups.get(text);
    const route = group === undefined ? undefined : routeOf(group, config);
    const before = draft.get(text);
    if (route === undefined) draft.delete(text);
    else if (before === undefined || !sameRoute(before, route)) draft.set(text, route);
  });
  const routes = draft.finish();
  if (last?.routes === routes) return { ...last, groups };
  const bfd = settings === undefined ? {} : { bfd: { settings, multihop: multihopOf(peer, config) } };
  return { peer, groups, routes, session: { config, ...bfd, routes } };
}

function multihopOf({ ebgpMultiHop }: Peer, { localAsn, peerAsn }: SessionConfig): DesiredBfd["multihop"] {
  return peerAsn === "internal" || peerAsn === localAsn ? "unlessOnLink" : ebgpMultiHop;
}
