/**
 * What this node should do, as a pure function of everything it knows: the agent's heart. With the same memo passed every
 * time, what did not change keeps its identity and costs a comparison.
 */
import {
  announcementsOf,
  electingAddresses,
  emptyAddressMemo,
  emptyAnnouncementMemo,
  type AddressElection,
  type AddressMemo,
  type Announcement,
  type AnnouncementMemo,
} from "../announce/announcements.ts";
import {
  electingOwn,
  emptyElectionMemo,
  type Announcer,
  type Election,
  type OwnElectionMemo,
  type Sha256,
} from "../announce/election.ts";
import type { NodeDevice, PodEndpoint } from "../datapath/records.ts";
import { parseAddress, type Address, type Family } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import type { MembershipView } from "../protocol/swim/view.ts";
import { emptyFrontendMemo, resolvingFrontends, type Frontend, type FrontendMemo } from "../service/frontends.ts";
import type { ThisNode } from "../service/backends.ts";
import type { Node } from "../service/objects.ts";
import type { Sliced } from "../time/slices.ts";
import type { Snapshot } from "../source/source.ts";
import { nodeAddresses, selectDevices, type DeviceChoice, type NodeLink } from "./devices.ts";
import { trafficOf } from "./handover.ts";
import { presentEndpoints, type EndpointFile } from "./endpoints.ts";

export interface World {
  readonly snapshot: Snapshot;
  readonly links: readonly NodeLink[];
  readonly endpoints: readonly EndpointFile[];
  /** The nodes that may announce, those of them whose agents are away, and those whose backends are out. */
  readonly members: Pick<MembershipView, "alive" | "away" | "gone">;
}

export interface Me {
  readonly nodeName: string;
  readonly sha256: Sha256;
  readonly devices: Omit<DeviceChoice, "endpointDevices">;
  /** Announce on nodes that are excluded from external load balancers all the same. */
  readonly ignoreExcludeLabel: boolean;
  /** Stand by until the Node is labelled (handover.ts). */
  readonly handover: boolean;
}

export interface Memo {
  readonly frontends: FrontendMemo;
  readonly elections: OwnElectionMemo;
  readonly addresses: AddressMemo<Announcer>;
  readonly announcements: AnnouncementMemo;
  readonly nodes: NodeNames;
  attachments: { readonly of: Pick<World, "links" | "endpoints">; readonly found: Attachments } | undefined;
}

/** The names of the Node objects; the same set until one comes or goes. */
export interface NodeNames {
  of: ReadonlyMap<string, Node> | undefined;
  names: ReadonlySet<string>;
}

export interface Forwarding {
  /** By Service (`namespace/name`). */
  readonly frontends: ReadonlyMap<string, readonly Frontend[]>;
  readonly problems: readonly Problem[];
}

/** As far as this node must know: who announces where it does not is found out by announcers.ts, for those who ask. */
export interface Announcing {
  /** By Service. */
  readonly elections: ReadonlyMap<string, Election<Announcer>>;
  /** By address. */
  readonly addresses: ReadonlyMap<string, AddressElection<Announcer>>;
  /** This node's. */
  readonly announcements: readonly Announcement[];
}

/** An announcement and the devices of this node it is made on; none: nobody answers for the address. */
export interface PlacedAnnouncement extends Announcement {
  readonly devices: readonly NodeDevice[];
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
  return {
    frontends: emptyFrontendMemo(),
    elections: emptyElectionMemo(),
    addresses: emptyAddressMemo(),
    announcements: emptyAnnouncementMemo(),
    nodes: { of: undefined, names: new Set() },
    attachments: undefined,
  };
}

export function* desiredForwarding(world: World, me: Me, memo: Memo): Sliced<Forwarding> {
  const node = thisNode(world, me, memo);
  return yield* resolvingFrontends(world.snapshot, node, memo.frontends);
}

/** Which backends are out, as this node sees it. */
export function thisNode({ snapshot, members }: World, me: Me, memo: Pick<Memo, "nodes">): ThisNode {
  const names = namesOf(snapshot.nodes, memo.nodes);
  // Nothing is known of nodes while there is no Node object at all: a folder need not describe them.
  const existing = names.size === 0 ? {} : { existingNodes: names };
  return { name: me.nodeName, goneNodes: members.gone, ...existing };
}

function namesOf(nodes: ReadonlyMap<string, Node>, memo: NodeNames): ReadonlySet<string> {
  if (memo.of === nodes) return memo.names;
  memo.of = nodes;
  const names = new Set(nodes.keys());
  if (names.symmetricDifference(memo.names).size > 0) memo.names = names;
  return memo.names;
}

const NOTHING: readonly Announcement[] = [];

export function* desiredAnnouncing({ snapshot, members }: World, me: Me, memo: Memo): Sliced<Announcing> {
  const { alive, away } = members;
  const { ignoreExcludeLabel } = me;
  const elections = yield* electingOwn(snapshot, { alive, away, ignoreExcludeLabel }, me, memo.elections);
  const addresses = yield* electingAddresses(elections, memo.addresses);
  const standsBy = trafficOf(snapshot, me) === "standingBy";
  const announcements = standsBy ? NOTHING : announcementsOf(me.nodeName, addresses, memo.announcements);
  return { elections, addresses, announcements };
}

/** The same as before as long as links and endpoints are the same. */
export function desiredAttachments({ links, endpoints }: World, me: Me, memo: Pick<Memo, "attachments">): Attachments {
  const { attachments: last } = memo;
  if (last !== undefined && last.of.links === links && last.of.endpoints === endpoints) return last.found;
  const endpointDevices = new Set(endpoints.map(({ device }) => device));
  const found = {
    devices: selectDevices(links, { ...me.devices, endpointDevices }),
    endpoints: presentEndpoints(endpoints, links),
    addresses: nodeAddresses(links),
  };
  memo.attachments = { of: { links, endpoints }, found };
  return found;
}

/** Every other node with an address, over IPv4 where it has one. Undefined: nodes were not read yet, which is not the same as none. */
export function desiredPeers(
  { nodes, unread }: Pick<Snapshot, "nodes" | "unread">,
  nodeName: string,
): readonly Peer[] | undefined {
  if (unread.has("nodes")) return undefined;
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

export function placeAnnouncements(
  announcements: readonly Announcement[],
  devices: readonly NodeDevice[],
): readonly PlacedAnnouncement[] {
  return announcements.map((announcement) => {
    const { interfaces } = announcement;
    const here = interfaces === "all" ? devices : devices.filter(({ name }) => interfaces.includes(name));
    return { ...announcement, devices: here };
  });
}

/** Services whose announcement found no device on this node: nobody answers for them. */
export function interfaceProblems(
  placed: readonly PlacedAnnouncement[],
  devices: readonly NodeDevice[],
): readonly Problem[] {
  const names = devices.map(({ name }) => name).join(", ") || "no device";
  return placed.flatMap(({ interfaces, services, devices: found }) => {
    if (found.length > 0) return [];
    const where = interfaces === "all" ? "" : ` on ${interfaces.join(", ")}`;
    const message = `this node should announce it${where}, but carries the datapath on ${names}`;
    return services.map((service) => ({ subject: `Service ${service}`, message }));
  });
}
