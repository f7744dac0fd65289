/**
 * What this node should do, as a pure function of everything it knows: the agent's heart. With the same memo passed every
 * time, what did not change keeps its identity and costs a comparison.
 */
import { announcementsOf, type Announcement } from "../announce/announcements.ts";
import { electAnnouncers, type Election, type ElectionMemo, type Sha256 } from "../announce/election.ts";
import type { NodeDevice, PodEndpoint } from "../datapath/records.ts";
import { parseAddress, type Address, type Family } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import { resolveFrontends, type Frontend, type FrontendMemo } from "../service/frontends.ts";
import type { Node } from "../service/objects.ts";
import type { Snapshot } from "../source/source.ts";
import { nodeAddresses, selectDevices, type DeviceChoice, type NodeLink } from "./devices.ts";
import { presentEndpoints, type EndpointFile } from "./endpoints.ts";

export interface World {
  readonly snapshot: Snapshot;
  readonly links: readonly NodeLink[];
  readonly endpoints: readonly EndpointFile[];
  /** Names of the nodes that may announce, and of those whose backends are out. */
  readonly members: { readonly alive: ReadonlySet<string>; readonly gone: ReadonlySet<string> };
}

export interface Me {
  readonly nodeName: string;
  readonly sha256: Sha256;
  readonly devices: Omit<DeviceChoice, "endpointDevices">;
}

export interface Memo {
  readonly frontends: FrontendMemo;
  readonly elections: ElectionMemo;
  /** The names of the Node objects; the same set until one comes or goes. */
  nodes: ReadonlySet<string>;
}

export interface Forwarding {
  /** By Service (`namespace/name`). */
  readonly frontends: ReadonlyMap<string, readonly Frontend[]>;
  readonly problems: readonly Problem[];
}

export interface Announcing {
  readonly elections: ReadonlyMap<string, Election>;
  readonly announcements: readonly Announcement[];
}

export interface Attachments {
  readonly devices: readonly NodeDevice[];
  readonly endpoints: readonly PodEndpoint[];
  readonly addresses: readonly Address[];
}

export interface Peer {
  readonly name: string;
  readonly address: Address;
}

export function emptyMemo(): Memo {
  return { frontends: new Map(), elections: { world: undefined, services: new Map() }, nodes: new Set() };
}

export function desiredForwarding({ snapshot, members }: World, me: Me, memo: Memo): Forwarding {
  const node = { name: me.nodeName, goneNodes: members.gone, ...existingNodes(snapshot.nodes, memo) };
  const { frontends, problems } = resolveFrontends(snapshot, node, memo.frontends);
  return { frontends: Map.groupBy(frontends, ({ service }) => service), problems };
}

/** Nothing while there is no Node object at all: a folder need not describe nodes. */
function existingNodes(
  nodes: ReadonlyMap<string, unknown>,
  memo: Memo,
): { readonly existingNodes?: ReadonlySet<string> } {
  const names = new Set(nodes.keys());
  if (names.symmetricDifference(memo.nodes).size > 0) memo.nodes = names;
  return names.size === 0 ? {} : { existingNodes: memo.nodes };
}

export function desiredAnnouncing({ snapshot, members }: World, me: Me, memo: Memo): Announcing {
  const elections = electAnnouncers(snapshot, { alive: members.alive }, me.sha256, memo.elections);
  return { elections, announcements: announcementsOf(me.nodeName, elections) };
}

export function desiredAttachments({ links, endpoints }: World, me: Me): Attachments {
  const endpointDevices = new Set(endpoints.map(({ device }) => device));
  return {
    devices: selectDevices(links, { ...me.devices, endpointDevices }),
    endpoints: presentEndpoints(endpoints, links),
    addresses: nodeAddresses(links),
  };
}

/** Every other node with an address, over IPv4 where it has one. */
export function desiredPeers(nodes: ReadonlyMap<string, Node>, nodeName: string): readonly Peer[] {
  return [...nodes.values()].flatMap((node) => {
    const { name } = node.metadata;
    const address = internalAddress(node, "IPv4") ?? internalAddress(node, "IPv6");
    return name === nodeName || address === undefined ? [] : [{ name, address }];
  });
}

function internalAddress(node: Node, family: Family): Address | undefined {
  return node.status.addresses
    .filter(({ type }) => type === "InternalIP")
    .map(({ address }) => parseAddress(address))
    .find((address) => address?.family === family);
}

/** Services whose announcement asks for interfaces of which this node has none: nobody would answer for them. */
export function interfaceProblems(
  announcements: readonly Announcement[],
  devices: readonly NodeDevice[],
): readonly Problem[] {
  const names = new Set(devices.map(({ name }) => name));
  return announcements.flatMap(({ interfaces, services }) => {
    if (interfaces === "all" || interfaces.some((name) => names.has(name))) return [];
    const message = `this node should announce it on ${interfaces.join(", ")}, but carries the datapath on ${[...names].join(", ") || "no device"}`;
    return services.map((service) => ({ subject: `Service ${service}`, message }));
  });
}
