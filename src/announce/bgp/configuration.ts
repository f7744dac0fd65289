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
import type { Namespace, Node, Secret } from "../../service/objects.ts";
import { matchesAny, type LabelSelector } from "../../service/selector.ts";
import { attachPools, parseAdvertisements, type Advertisement } from "./advertisements.ts";
import { parseBfdProfiles, type BfdSettings } from "./bfd-profiles.ts";
import { parseAliases, type Aliases } from "./communities.ts";
import type { BFDProfile, BGPAdvertisement, BGPPeer, Community } from "./objects.ts";
import { echoProblems, parsePeers, type Peer } from "./peers.ts";

/** What of a snapshot BGP depends on. */
export interface BgpObjects {
  readonly bgpPeers: ReadonlyMap<string, BGPPeer>;
  readonly bgpAdvertisements: ReadonlyMap<string, BGPAdvertisement>;
  readonly bfdProfiles: ReadonlyMap<string, BFDProfile>;
  readonly communities: ReadonlyMap<string, Community>;
  readonly ipAddressPools: ReadonlyMap<string, IPAddressPool>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly secrets: ReadonlyMap<string, Secret>;
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
  const nodes = view.node === undefined ? [...objects.nodes.values()] : nodesCalled(view.node, objects.nodes);
  const here = <T extends Selecting>(found: ReadonlyMap<string, T>): ReadonlyMap<string, T> =>
    view.node === undefined ? found : new Map([...found].filter(([, object]) => coversAny(object, nodes)));
  const bfd = parseBfdProfiles(objects.bfdProfiles, objects.secrets, before?.bfdProfiles);
  const aliases = parseAliases(objects.communities, before?.aliases);
  const peers = parsePeers(
    here(objects.bgpPeers),
    { secrets: objects.secrets, nodes, profiles: bfd.profiles },
    before?.peers,
  );
  const parsed = parseAdvertisements(here(objects.bgpAdvertisements), aliases.aliases, before?.advertisements);
  const pools = parsePools(objects.ipAddressPools, objects.namespaces).pools;
  const attached = attachPools(parsed.advertisements, { pools, objects: objects.ipAddressPools, nodes });
  const echo = echoProblems(peers.peers, bfd.profiles, attached.advertisements, pools);
  return {
    peers: peers.peers,
    advertisements: attached.advertisements,
    bfdProfiles: bfd.profiles,
    aliases: aliases.aliases,
    problems: [bfd, aliases, peers, parsed, attached, { problems: echo }]
      .flatMap(({ problems }) => problems)
      .toSorted(bySubject),
  };
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

function nodesCalled(name: string, nodes: ReadonlyMap<string, Node>): readonly Node[] {
  const node = nodes.get(name);
  return node === undefined ? [] : [node];
}
