/**
 * Every document of the agent's local API, as types: the server writes them, the CLI and the tests read them.
 * All addresses are canonical text; counters come from the kernel and are plain numbers (exact up to 2^53).
 * A GET of anything else answers 404 with an {@link ApiError}.
 */
import type { Problem } from "../net/problem.ts";
import type { BgpBfdRow, BgpPeerRow, BgpReceivedRow, BgpRouteRow } from "./bgp-status.ts";

/** Path → document. `?limit=N` and friends are documented at the fields they act on. */
export interface ApiDocuments {
  "/v1/status": StatusDocument;
  "/v1/services": readonly ServiceRow[];
  /** `?service=NAMESPACE/NAME`; 400 without it. A Service that is not there is explained too. */
  "/v1/explain": ExplainDocument;
  "/v1/nodes": readonly NodeRow[];
  "/v1/pools": readonly PoolRow[];
  /** A POST of a {@link DrainRequest} changes it. */
  "/v1/drain": DrainDocument;
  "/v1/bgp/peers": readonly BgpPeerRow[];
  "/v1/bgp/routes": readonly BgpRouteRow[];
  "/v1/bgp/received": readonly BgpReceivedRow[];
  "/v1/bgp/bfd": readonly BgpBfdRow[];
  "/v1/bpf/lb": readonly FrontendRow[];
  /** `?limit=N` rows at most (default 1000; 0: all). */
  "/v1/bpf/ct": readonly FlowRow[];
  "/v1/bpf/backends": readonly BackendRow[];
  "/v1/bpf/announced": readonly AnnouncedRow[];
  "/v1/bpf/drops": readonly DropRow[];
}

/** `GET /v1/monitor?flows=N&drops=N`: one {@link MonitorEvent} a line (NDJSON) until the client closes. One packet in N is sampled; 0: none. */
export const MONITOR_PATH = "/v1/monitor";
/** `GET /v1/bgp/pcap?peer=NAME`: a capture file (pcap) of BGP messages, until the client closes; without a name, of all peers. */
export const BGP_PCAP_PATH = "/v1/bgp/pcap";

/** The trailer of a stream that an agent ends although there is more to tell: why. */
export const ENDED_TRAILER = "fairlead-ended";
export const METRICS_PATH = "/metrics";

export interface ApiError {
  readonly error: string;
}

export interface StatusDocument {
  readonly node: string;
  readonly version: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** The sources have synced once and the tables of that moment are in the kernel. */
  readonly ready: boolean;
  readonly devices: readonly DeviceStatus[];
  /** How long peers will believe that an agent looks after this datapath. */
  readonly stamp: { readonly validUntilSeconds: number };
  readonly membership: { readonly isolated: boolean; readonly peers: number };
  readonly counts: {
    readonly services: number;
    readonly frontends: number;
    readonly backends: number;
    readonly announced: number;
    readonly endpoints: number;
  };
  /** Only verdicts that have happened. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Services that nobody answers for, whatever the reason: how many, and the first few by name. */
  readonly unserved: {
    readonly count: number;
    readonly first: readonly { readonly service: string; readonly reason: string }[];
  };
  /** Absent: this node is not drained. */
  readonly drain?: DrainDocument;
  /** What in this node's settings, or on its segments, takes packets away or will; problems first. */
  readonly hazards: readonly HazardRow[];
  readonly reconcile: ReconcileStatus;
  /** Where BGP is reported to (`--bmp`). */
  readonly bmp?: BmpStatus;
  readonly problems: readonly Problem[];
}

export interface HazardRow {
  /** `StrictARP`, `AddressHeld`, `AddressAnswered`, `SubnetRouterAnycast`, `BackendUnreachable`, `ReversePathFilter`, `Forwarding`, `MTU`, `GenericXDP`, `BFDPriority` */
  readonly check: string;
  /** `advice`: it works, not as well as it could. */
  readonly level: "problem" | "advice";
  /** A device, or a device and a MAC address. */
  readonly subject: string;
  readonly message: string;
  readonly todo: string;
}

export interface DrainRequest {
  readonly draining: boolean;
}

export interface DrainDocument {
  readonly node: string;
  /** An operator asked for it. */
  readonly draining: boolean;
  /** ISO 8601. */
  readonly since?: string;
  /** What BGP makes of it, and of the exclusion label; `starting`: the agent has not looked at its objects yet. */
  readonly bgp: "starting" | "announcing" | "leaving" | "gone";
  /** Sessions that are up. */
  readonly sessions: number;
  /** Prefixes of Services that this node announces. */
  readonly routes: number;
  /** Changes peers have not been told yet. */
  readonly pending: number;
  /** Addresses this node answers ARP and NDP for: a drain does not change them. */
  readonly layer2Addresses: number;
}

export interface BmpStatus {
  /** HOST:PORT */
  readonly collector: string;
  readonly connected: boolean;
  /** Times the collector was told everything. */
  readonly dumps: number;
  /** Times it was cut off because it read too slowly. */
  readonly overflows: number;
  /** Why it is not connected, or last was not. */
  readonly lastReason?: string;
}

export interface DeviceStatus {
  readonly name: string;
  readonly ifindex: number;
  readonly mac: string;
  /** `none`: the driver refuses XDP; tc does the whole work. */
  readonly xdp: "native" | "generic" | "none";
  readonly tc: boolean;
  readonly addresses: readonly string[];
}

export interface ReconcileStatus {
  /** Passes since the start. */
  readonly passes: number;
  /** ISO 8601 of the last one. */
  readonly lastAt?: string;
  readonly lastMilliseconds?: number;
  /** Rows written by the last one. */
  readonly lastOperations?: number;
}

export interface ServiceRow {
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly ports: readonly { readonly port: number; readonly protocol: string; readonly targetPort?: string }[];
  readonly externalTrafficPolicy: "Cluster" | "Local";
  readonly algorithm: "maglev" | "random";
  /** The node that answers ARP/NDP for it. */
  readonly announcer?: string;
  /** Why nobody does: a word of announce/election.ts, or `noInterface`: the node elected, this one, has none it might use. */
  readonly announceReason?: string;
  /**
   * Where its addresses do not all have the same announcer: each of them. Another Service shares one, or they come from
   * pools with different advertisements. Without a node: nobody.
   */
  readonly announcers?: readonly { readonly address: string; readonly node?: string }[];
  /** Why it has no address, or not what it asked for: the words of the controller. */
  readonly addressReason?: string;
  /** BGPPeers that this node announces it to; absent where BGP is not used. */
  readonly bgpPeers?: readonly string[];
  /** Why this node announces it to none. */
  readonly bgpReason?: string;
  readonly backends: {
    readonly active: number;
    readonly notReady: number;
    readonly terminating: number;
    readonly local: number;
  };
  readonly problem?: string;
}

/** Why a Service is reachable, or at which step it is not. */
export interface ExplainDocument {
  /** `namespace/name` */
  readonly service: string;
  /** Whose agent says so. */
  readonly node: string;
  /** No step failed. Steps that only another node can tell do not count. */
  readonly reachable: boolean;
  readonly steps: readonly ExplainStep[];
  /** The node that knows the rest, where it is not this one. */
  readonly ask?: string;
}

export interface ExplainStep {
  /** `service`, `pool`, `address`; of a protocol; `endpoints`, `datapath`. */
  readonly step: string;
  /** The protocol whose step it is: the address is reachable when all steps of one protocol are well. */
  readonly protocol?: string;
  /**
   * `warning`: it works, but not as it should; `skipped`: an earlier step has to be put right first;
   * `elsewhere`: another node knows.
   */
  readonly result: "ok" | "warning" | "failed" | "skipped" | "elsewhere";
  readonly found: string;
  /** What was looked at, a line each. */
  readonly details: readonly string[];
  /** What to do about it. */
  readonly todo?: string;
  /** The node that knows, where it is another one. */
  readonly ask?: string;
}

export interface NodeRow {
  readonly name: string;
  readonly address?: string;
  readonly state: "self" | "alive" | "abandoned" | "gone";
  /** An operator has drained it. Known of this node only. */
  readonly draining?: true;
  /** Alive, but no agent is at work there, or one that cannot read anything yet: it announces what it had and takes nothing over. */
  readonly away?: true;
  /** Of its stamp. */
  readonly remainingSeconds?: number;
  readonly lastAnswerMilliseconds?: number;
}

/** Counts are decimal strings: an IPv6 pool may hold 2^128 addresses. */
export interface PoolRow {
  readonly namespace: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly autoAssign: boolean;
  readonly avoidBuggyIPs: boolean;
  readonly assignedIPv4: string;
  readonly assignedIPv6: string;
  readonly availableIPv4: string;
  readonly availableIPv6: string;
}

export type BackendStateName = "gone" | "active" | "notReady" | "terminating";

/** A row of the map `frontends`, read from the kernel. `service` is empty for a row that nobody asked for. */
export interface FrontendRow {
  readonly service: string;
  readonly serviceId: number;
  readonly address: string;
  /** 0 together with protocol `any`: the row that says "this address is ours, refuse every other port". */
  readonly port: number;
  readonly protocol: string;
  readonly slots: number;
  /** 0: chosen at random. */
  readonly maglevSize: number;
  readonly flags: readonly string[];
  /** In slot order. */
  readonly backends: readonly BackendRow[];
}

export interface BackendRow {
  readonly id: number;
  readonly address: string;
  readonly port: number;
  readonly protocol?: string;
  readonly state: BackendStateName;
  readonly local: boolean;
  readonly generation?: number;
}

/** One direction of a connection. */
export interface FlowRow {
  readonly protocol: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  /** What the packet carries after translation. */
  readonly toSource: string;
  readonly toSourcePort: number;
  readonly toDestination: string;
  readonly toDestinationPort: number;
  readonly device: string;
  readonly service: string;
  readonly backendId: number;
  readonly flags: readonly string[];
  /** Since the last packet. */
  readonly ageSeconds: number;
  readonly packets: number;
  readonly bytes: number;
}

export interface AnnouncedRow {
  readonly address: string;
  readonly device: string;
  /** Questions heard for it: ARP requests and neighbor solicitations. */
  readonly requests: number;
  /** ARP replies and neighbor advertisements sent by the datapath. */
  readonly answers: number;
}

export interface DropRow {
  readonly verdict: string;
  readonly service?: string;
  readonly count: number;
}

/** A sampled packet or drop from the ring buffer. */
export interface MonitorEvent {
  /** ISO 8601. */
  readonly time: string;
  readonly verdict: string;
  /** `xdp`, `netdev_ingress`, `netdev_egress`, `pod`. */
  readonly hook: string;
  readonly device: string;
  readonly protocol: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
  readonly service?: string;
  readonly backend?: string;
  /** Of the IP packet, in bytes. */
  readonly length: number;
  /** The first bytes from the Ethernet header on, hexadecimal. */
  readonly packet: string;
}
