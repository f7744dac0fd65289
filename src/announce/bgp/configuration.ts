/**
 * The BGP objects of a snapshot as values that can be used, and everything that is wrong with them. Pure.
 *
 * MetalLB refuses the whole configuration for the first mistake. Here every mistake is reported, and costs only what it is about:
 *
 *     object ─► its own rules ─► rules between objects ─► used
 *                   │ refused         │ conflicts
 *                   ▼                 ▼
 *               its last good form, where there is one; else it is left out
 */
import type { Problem } from "../../net/problem.ts";
import type { IPAddressPool } from "../../pool/objects.ts";
import { parsePools } from "../../pool/pools.ts";
import type { Namespace, Node } from "../../service/objects.ts";
import { matchesAny, type LabelSelector } from "../../service/selector.ts";
import { BFD_SECRET_ANNOTATION } from "./annotations.ts";
import { attachPools, parseAdvertisements, type Advertisement } from "./advertisements.ts";
import { parseBfdProfiles, type BfdSettings } from "./bfd-profiles.ts";
import { parseAliases, type Aliases } from "./communities.ts";
import type { BFDProfile, BGPAdvertisement, BGPPeer, Community } from "./objects.ts";
import type { SecretsRead } from "./password.ts";
import { echoProblems, parsePeers, type Peer } from "./peers.ts";
import { sameText } from "./precedence.ts";

/** What of a snapshot BGP depends on. */
export interface BgpObjects extends SecretsRead {
  readonly bgpPeers: ReadonlyMap<string, BGPPeer>;
  readonly bgpAdvertisements: ReadonlyMap<string, BGPAdvertisement>;
  readonly bfdProfiles: ReadonlyMap<string, BFDProfile>;
  readonly communities: ReadonlyMap<string, Community>;
  readonly ipAddressPools: ReadonlyMap<string, IPAddressPool>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
}

export interface BgpConfiguration {
  /** By name, in a stable order. */
  readonly peers: ReadonlyMap<string, Peer>;
  /** By key (`namespace/name`). */
  readonly advertisements: ReadonlyMap<string, Advertisement>;
  /** By name. */
  readonly bfdProfiles: ReadonlyMap<string, BfdSettings>;
  readonly aliases: Aliases;
  readonly problems: readonly Problem[];
}

export interface BgpView {
  /** Only what this node takes part in is read, as a speaker of MetalLB does; absent: everything, for all nodes. */
  readonly node?: string;
  /** The result of the last time: where last good forms come from, and who was there first when two objects conflict. */
  readonly before?: BgpConfiguration;
}

export function parseBgpConfiguration(objects: BgpObjects, view: BgpView = {}): BgpConfiguration {
  const { before } = view;
  const nodes = nodesOf(view.node, objects.nodes);
  const here = <T extends Selecting>(found: ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
    view.node === undefined ? found : new Map([...found].filter(([, object]) => coversAny(object, nodes)));
  const bfd = parseBfdProfiles(objects.bfdProfiles, objects, before?.bfdProfiles);
  const aliases = parseAliases(objects.communities, before?.aliases);
  const peers = parsePeers(
    here(objects.bgpPeers),
    { ...secretsOf(objects), nodes, profiles: bfd.profiles },
    before?.peers,
  );
  const parsed = parseAdvertisements(here(objects.bgpAdvertisements), aliases.aliases, before?.advertisements);
  const pools = parsePools(objects.ipAddressPools, objects.namespaces).pools;
  const attached = attachPools(parsed.advertisements, { pools, objects: objects.ipAddressPools, nodes });
  const echo = echoProblems(peers.peers, bfd.profiles, attached.advertisements, pools);
  return {
    peers: keepingSame(peers.peers, before?.peers),
    advertisements: keepingSame(attached.advertisements, before?.advertisements),
    bfdProfiles: keepingSame(bfd.profiles, before?.bfdProfiles),
    aliases: aliases.aliases,
    problems: [bfd, aliases, peers, parsed, attached, { problems: echo }]
      .flatMap(({ problems }) => problems)
      .toSorted(bySubject),
  };
}

/** What says the same as before is the very same: then nobody looks again at what was made of it. */
function keepingSame<T>(now: ReadonlyMap<string, T>, before: ReadonlyMap<string, T> = new Map()): typeof now {
  return new Map(
    [...now].map(([key, value]) => {
      const last = before.get(key);
      return [key, last !== undefined && sameText(last, value) ? last : value];
    }),
  );
}

/** Secrets that the objects name, by name, sorted: what has to be read before they can be judged. */
export function secretsNamed(
  objects: Pick<BgpObjects, "bgpPeers" | "bfdProfiles" | "nodes">,
  { node }: Pick<BgpView, "node">,
): readonly string[] {
  const nodes = nodesOf(node, objects.nodes);
  const peers = [...objects.bgpPeers.values()].filter((peer) => node === undefined || coversAny(peer, nodes));
  const names = [
    ...peers.map(({ spec }) => spec.passwordSecret.name),
    ...[...objects.bfdProfiles.values()].map(({ metadata }) => metadata.annotations[BFD_SECRET_ANNOTATION] ?? ""),
  ];
  return [...new Set(names.filter((name) => name !== ""))].toSorted();
}

function secretsOf({ secrets, unread }: SecretsRead): SecretsRead {
  return unread === undefined ? { secrets } : { secrets, unread };
}

/** Object by object, whichever counted first: the same problems are the same list. */
function bySubject(a: Problem, b: Problem): number {
  if (a.subject === b.subject) return 0;
  return a.subject < b.subject ? -1 : 1;
}

interface Selecting {
  readonly spec: { readonly nodeSelectors: readonly LabelSelector[] };
}

function coversAny({ spec: { nodeSelectors } }: Selecting, nodes: readonly Node[]): boolean {
  return nodeSelectors.length === 0 || nodes.some((node) => matchesAny(nodeSelectors, node.metadata.labels));
}

/** All of them, or the one of this name. */
function nodesOf(name: string | undefined, nodes: ReadonlyMap<string, Node>): readonly Node[] {
  if (name === undefined) return [...nodes.values()];
  const node = nodes.get(name);
  return node === undefined ? [] : [node];
}
