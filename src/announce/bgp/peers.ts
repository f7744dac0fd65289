/** BGPPeers as values: MetalLB's rules for one peer, and those between peers that share a node. */
import { parseAddress, type Address } from "../../net/address.ts";
import { problemsAbout, type Problem } from "../../net/problem.ts";
import type { PeerLocation } from "../../protocol/bgp/config.ts";
import type { Pool } from "../../pool/pools.ts";
import { objectKey, type Node } from "../../service/objects.ts";
import { duplicatesInSelectors, matchesAny, type LabelSelector } from "../../service/selector.ts";
import type { Advertisement } from "./advertisements.ts";
import { peerAnnotations, type PeerAnnotations } from "./annotations.ts";
import type { BfdSettings } from "./bfd-profiles.ts";
import { judged, quote, type Finding, type Judged } from "./findings.ts";
import { formatLocation, isDeviceName, parseLocation } from "./location.ts";
import type { BGPPeer } from "./objects.ts";
import { passwordOf, type SecretsRead } from "./password.ts";
import { firstCome, sameName, sameText } from "./precedence.ts";
import { parseTimers, type Timers } from "./timers.ts";

export interface Peer extends Timers, Omit<PeerAnnotations, "peerPrefix" | "sessionsMax"> {
  readonly name: string;
  /** `namespace/name`. */
  readonly key: string;
  readonly myASN: number;
  /** `internal`: myASN; `external`: any other. */
  readonly peerASN: number | "internal" | "external";
  /** What the peer is to know us by instead of myASN. */
  readonly localASN?: number;
  readonly location: PeerLocation;
  readonly port: number;
  readonly sourceAddress?: Address;
  /** IPv4: a BGP identifier is 32 bits. */
  readonly routerId?: Address;
  /** Empty: all nodes. */
  readonly nodeSelectors: readonly LabelSelector[];
  readonly password?: string;
  /** Name of one of the configuration's profiles; absent: no BFD. */
  readonly bfdProfile?: string;
  readonly enableGracefulRestart: boolean;
  readonly ebgpMultiHop: boolean;
  readonly vrf?: string;
  readonly dualStackAddressFamily: boolean;
}

interface PeerWorld extends SecretsRead {
  /** Those that are looked at. */
  readonly nodes: readonly Node[];
  readonly profiles: ReadonlyMap<string, BfdSettings>;
}

export function parsePeers(
  objects: ReadonlyMap<string, BGPPeer>,
  world: PeerWorld,
  before: ReadonlyMap<string, Peer> = new Map(),
): { readonly peers: ReadonlyMap<string, Peer>; readonly problems: readonly Problem[] } {
  const lastGood = new Map([...before.values()].map((peer) => [peer.key, peer]));
  const judgements = new Map([...objects].map(([key, object]) => [key, judgePeer(object, world)]));
  const unchanged = [...judgements].filter(([key, { value }]) => sameText(value ?? {}, lastGood.get(key)));
  const peers = new Map<string, Peer>();
  const problems: Problem[] = [];
  for (const object of firstCome(objects, new Set(unchanged.map(([key]) => key)))) {
    const key = objectKey(object);
    const { value, findings = [] } = judgements.get(key) ?? {};
    const verdict = admit([value, lastGood.get(key)], object.metadata.name, [...peers.values()], world.nodes);
    if (verdict.peer !== undefined) peers.set(verdict.peer.name, verdict.peer);
    problems.push(...problemsAbout(`BGPPeer ${key}`, [...findings, ...verdict.findings]));
  }
  return { peers, problems };
}

/** The first form that goes with the others. What is wrong is said of the form that is wanted. */
function admit(
  forms: readonly [wanted: Peer | undefined, lastGood: Peer | undefined],
  name: string,
  others: readonly Peer[],
  nodes: readonly Node[],
): { readonly peer?: Peer | undefined; readonly findings: readonly Finding[] } {
  const namesake = others.find((other) => other.name === name);
  if (namesake !== undefined) return { findings: [sameName("peer", name, namesake.key)] };
  const [wanted, lastGood] = forms;
  const conflicts = wanted === undefined ? [] : conflictsOf(wanted, others, nodes);
  const blocking = conflicts.filter(({ harmless }) => harmless !== true);
  if (wanted !== undefined && blocking.length === 0) return { peer: wanted, findings: conflicts };
  const fits =
    lastGood !== undefined && !conflictsOf(lastGood, others, nodes).some(({ harmless }) => harmless !== true);
  return { peer: fits ? lastGood : undefined, findings: blocking };
}

/** MetalLB refuses BFD echo towards peers that are told of IPv6 addresses. (FRR cannot do it; we can.) */
export function echoProblems(
  peers: ReadonlyMap<string, Peer>,
  profiles: ReadonlyMap<string, BfdSettings>,
  advertisements: ReadonlyMap<string, Advertisement>,
  pools: readonly Pool[],
): readonly Problem[] {
  const ipv6 = pools.filter(({ ranges }) => ranges.some(({ family }) => family === "IPv6"));
  return [...peers.values()].flatMap((peer) => {
    if (profiles.get(peer.bfdProfile ?? "")?.echoMode !== true) return [];
    const told = ipv6.find(({ name }) =>
      [...advertisements.values()].some((ad) => ad.pools.has(name) && (ad.peers.size === 0 || ad.peers.has(peer.name))),
    );
    if (told === undefined) return [];
    const message = `pool ${quote(told.name)} has an ipv6 CIDR and is announced to this peer, whose bfd profile ${quote(peer.bfdProfile ?? "")} has echoMode: MetalLB refuses that; use a profile without echoMode`;
    return problemsAbout(`BGPPeer ${peer.key}`, [{ path: "spec.bfdProfile", message }]);
  });
}

function judgePeer(object: BGPPeer, world: PeerWorld): Judged<Peer> {
  const { spec, metadata } = object;
  const key = objectKey(object);
  const extra = peerAnnotations(metadata.annotations);
  const { peerPrefix, sessionsMax, ...annotations } = extra.value;
  const location = parseLocation(spec, peerPrefix, sessionsMax);
  const timers = parseTimers(spec);
  const source = parseAddressField(spec.sourceAddress, "spec.sourceAddress", "invalid source IP");
  const routerId = parseAddressField(spec.routerID, "spec.routerID", "invalid router ID");
  const password = passwordOf(object, world);
  const findings: Finding[] = [
    ...asnFindings(object),
    ...location.findings,
    ...source.findings,
    ...sourceFindings(source.value, location.value),
    ...routerId.findings,
    ...routerIdFindings(routerId.value),
    ...timers.findings,
    ...password.findings,
    ...deviceFindings(spec.vrf, "spec.vrf"),
    ...duplicatesInSelectors(spec.nodeSelectors, "spec.nodeSelectors").map((f) => ({ ...f, harmless: true as const })),
    ...profileFindings(object, world.profiles),
    ...extra.findings,
  ];
  return judged(findings, () => ({
    name: metadata.name,
    key,
    myASN: spec.myASN,
    peerASN: spec.dynamicASN ?? spec.peerASN,
    // Without a location there is a finding.
    location: location.value as PeerLocation,
    port: spec.peerPort,
    nodeSelectors: spec.nodeSelectors,
    enableGracefulRestart: spec.enableGracefulRestart ?? false,
    ebgpMultiHop: spec.ebgpMultiHop,
    dualStackAddressFamily: spec.dualStackAddressFamily,
    ...(spec.localASN === undefined ? {} : { localASN: spec.localASN }),
    ...(source.value === undefined ? {} : { sourceAddress: source.value }),
    ...(routerId.value === undefined ? {} : { routerId: routerId.value }),
    ...(password.value === undefined ? {} : { password: password.value }),
    ...(spec.bfdProfile === "" ? {} : { bfdProfile: spec.bfdProfile }),
    ...(spec.vrf === "" ? {} : { vrf: spec.vrf }),
    ...timers.value,
    ...annotations,
  }));
}

function asnFindings({ spec }: BGPPeer): readonly Finding[] {
  const { myASN, peerASN, dynamicASN, ebgpMultiHop } = spec;
  const findings: Finding[] = [];
  if (myASN === 0) findings.push({ path: "spec.myASN", message: "missing local ASN: 0 is none" });
  if (peerASN === 0 && dynamicASN === undefined)
    findings.push({ path: "spec.peerASN", message: "missing peer ASN and dynamicASN: set one of them" });
  if (peerASN !== 0 && dynamicASN !== undefined)
    findings.push({ path: "spec.dynamicASN", message: "both peer ASN and dynamicASN specified: remove one" });
  if (ebgpMultiHop && (peerASN === myASN || dynamicASN === "internal"))
    findings.push({
      path: "spec.ebgpMultiHop",
      message: `invalid ebgp-multihop parameter set for an ibgp peer: peers of one AS (${myASN}) need none, remove it`,
    });
  return findings;
}

function profileFindings({ spec, metadata }: BGPPeer, profiles: PeerWorld["profiles"]): readonly Finding[] {
  if (spec.bfdProfile === "" || profiles.has(spec.bfdProfile)) return [];
  const message = `peer ${metadata.name} referencing non existing bfd profile ${quote(spec.bfdProfile)}: create it, or remove the reference`;
  return [{ path: "spec.bfdProfile", message }];
}

function deviceFindings(name: string, path: string): readonly Finding[] {
  if (name === "" || isDeviceName(name)) return [];
  return [
    { path, message: `${quote(name)} is not the name of a network device: up to 15 characters without blanks and "/"` },
  ];
}

function parseAddressField(text: string, path: string, what: string): { value?: Address; findings: Finding[] } {
  if (text === "") return { findings: [] };
  const value = parseAddress(text);
  return value === undefined ? { findings: [{ path, message: `${what} ${quote(text)}` }] } : { value, findings: [] };
}

function routerIdFindings(id: Address | undefined): readonly Finding[] {
  if (id === undefined || (id.family === "IPv4" && id.value !== 0n)) return [];
  const path = "spec.routerID";
  return [{ path, message: "invalid router ID: a BGP identifier is an IPv4 address other than 0.0.0.0 (RFC 6286)" }];
}

/** A session from one family to the other can never come up. */
function sourceFindings(source: Address | undefined, location: PeerLocation | undefined): readonly Finding[] {
  if (source === undefined || location?.type !== "address" || source.family === location.address.family) return [];
  const message = `invalid source IP: it is ${source.family} and the peer address ${location.address.family}`;
  return [{ path: "spec.sourceAddress", message }];
}

/**
 * Two peers of one identity cannot both have their session. The other two rules are those of FRR, which is one router
 * per VRF and node: each of our sessions has an identity of its own, so both work.
 */
function conflictsOf(peer: Peer, others: readonly Peer[], nodes: readonly Node[]): readonly Finding[] {
  // One of each is enough to act on; what is cheap to compare is compared first.
  const first = (differs: (other: Peer) => boolean): Peer | undefined =>
    others.find((other) => differs(other) && sharesNode(peer, other, nodes));
  const own = identity(peer);
  const findings: Finding[] = [];
  const double = first((other) => identity(other) === own);
  if (double !== undefined)
    findings.push({
      path: "spec.peerAddress",
      message: `duplicate definition of peer: ${double.key} has the same peer (${own}) on a node of both; remove one, or give them node selectors that have no node in common`,
    });
  const otherId = first(({ routerId }) => routerId?.value !== peer.routerId?.value);
  if (otherId !== undefined)
    findings.push({
      path: "spec.routerID",
      message: `peers on one node should have the same routerID, and that of ${otherId.key} differs; both sessions run, MetalLB's FRR modes refuse this`,
      harmless: true,
    });
  const otherAsn = first(({ vrf, myASN }) => vrf === peer.vrf && myASN !== peer.myASN);
  if (otherAsn !== undefined)
    findings.push({
      path: "spec.myASN",
      message: `peers on one node and VRF should have the same myASN, and that of ${otherAsn.key} is ${otherAsn.myASN}; both sessions run, MetalLB's FRR modes refuse this`,
      harmless: true,
    });
  return findings;
}

/** Without nodes anything is possible. */
function sharesNode(a: Peer, b: Peer, nodes: readonly Node[]): boolean {
  const covers = ({ nodeSelectors }: Peer, { metadata }: Node): boolean =>
    nodeSelectors.length === 0 || matchesAny(nodeSelectors, metadata.labels);
  return nodes.length === 0 || nodes.some((node) => covers(a, node) && covers(b, node));
}

function identity(peer: Peer): string {
  const known = IDENTITIES.get(peer);
  if (known !== undefined) return known;
  const text = `${formatLocation(peer.location)}${peer.vrf === undefined ? "" : `-${peer.vrf}`}`;
  IDENTITIES.set(peer, text);
  return text;
}

/** Asked for with every pair of peers. */
const IDENTITIES = new WeakMap<Peer, string>();
