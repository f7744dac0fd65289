/**
 * Where objects come from and where status goes. The manifest folder serves this today, the Kubernetes API later;
 * nothing above it may know which one is behind.
 */
import type { BFDProfile, BGPAdvertisement, BGPPeer, Community } from "../announce/bgp/objects.ts";
import type { L2Advertisement } from "../announce/objects.ts";
import type { Problem } from "../net/problem.ts";
import type { IPAddressPool, PoolStatus } from "../pool/objects.ts";
import type {
  Condition,
  EndpointSlice,
  LoadBalancerIngress,
  Namespace,
  Node,
  Secret,
  Service,
} from "../service/objects.ts";

/** All objects at one moment, by key (`namespace/name`, or the name of a cluster-scoped object). */
export interface Snapshot {
  /** With the status and our annotation as last written by the controller. */
  readonly services: ReadonlyMap<string, Service>;
  readonly endpointSlices: ReadonlyMap<string, EndpointSlice>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly secrets: ReadonlyMap<string, Secret>;
  readonly ipAddressPools: ReadonlyMap<string, IPAddressPool>;
  readonly l2Advertisements: ReadonlyMap<string, L2Advertisement>;
  readonly bgpAdvertisements: ReadonlyMap<string, BGPAdvertisement>;
  readonly bgpPeers: ReadonlyMap<string, BGPPeer>;
  readonly bfdProfiles: ReadonlyMap<string, BFDProfile>;
  readonly communities: ReadonlyMap<string, Community>;
  /** Objects that could not be read, and kinds that mean nothing to us. */
  readonly problems: readonly Problem[];
  /** Every object was read: only then may what is not here be taken for deleted. */
  readonly complete: boolean;
  /**
   * Collections above of which nothing was read yet, not even that they are empty: nothing may be decided from them. Of the Secrets
   * that are named also single ones, as `secrets/NAMESPACE/NAME`.
   */
  readonly unread: ReadonlySet<string>;
  /** Addresses last given to Services that cannot be read at the moment: nobody else may have them. By key of the Service. */
  readonly reserved: ReadonlyMap<string, readonly string[]>;
}

export interface Source {
  /** Resolves when every kind was read once, or was found not to be readable: before that, nothing may be decided from what is missing. */
  readonly ready: Promise<void>;
  snapshot(): Snapshot;
  /** Calls the listener after a change, several changes together. Unchanged objects keep their identity (===). Returns the way to stop. */
  subscribe(listener: () => void): () => void;
  close(): Promise<void>;
}

/** What the controller decided about one Service. */
export interface ServiceStatusWrite {
  readonly ingress: readonly LoadBalancerIngress[];
  readonly conditions: readonly Condition[];
  /** Annotations to set; `undefined` removes one. */
  readonly annotations: Readonly<Record<string, string | undefined>>;
}

/** Addresses of a pool, exact although the API holds int64, and what is wrong with it. */
export interface PoolStatusWrite {
  readonly conditions: readonly Condition[];
  readonly assignedIPv4: bigint;
  readonly assignedIPv6: bigint;
  readonly availableIPv4: bigint;
  readonly availableIPv6: bigint;
  /** Of pools whose released addresses rest; see pool/cool-down.ts. */
  readonly coolDown?: PoolStatus["coolDown"];
}

/** One v1 Event about an object. */
export interface EventWrite {
  readonly regarding: {
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly uid?: string;
  };
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** Every method rejects with an Error that names the object when it could not write. */
export interface StatusWriter {
  writeService(key: string, status: ServiceStatusWrite): Promise<void>;
  writePool(key: string, status: PoolStatusWrite): Promise<void>;
  writeEvent(event: EventWrite): Promise<void>;
  /** Of the ConfigurationState `controller`. */
  writeConfigurationState(status: ConfigurationStateWrite): Promise<void>;
  /** Forgets what was written about objects that no longer exist. Call it only for a snapshot that is `complete`. */
  forgetDeleted(): Promise<void>;
  /** Resolves when what was written is in the snapshot: put together with pauses, where whoever asks for it would do so in one go. */
  merged(): Promise<void>;
}

/** What ServiceL2Status says of a Service that this node announces. */
export interface L2StatusWrite {
  /** Names of the devices it is announced on; empty: all. */
  readonly interfaces: readonly string[];
}

/** What ServiceBGPStatus says of a Service that this node announces. */
export interface BgpStatusWrite {
  /** Names of the BGPPeers it is announced to, sorted. */
  readonly peers: readonly string[];
}

/** status of a ConfigurationState: what a program makes of the objects it reads. */
export interface ConfigurationStateWrite {
  readonly result: "Valid" | "Invalid" | "Unknown";
  /** The messages of the conditions that are false, one a line. */
  readonly errorSummary: string;
  readonly conditions: readonly Condition[];
}

/**
 * What an agent says about its own node, in objects of its own: agents on different machines need no place that all of
 * them can write to. Every method that writes rejects with an Error that names the object when it could not.
 */
export interface NodeStatusWriter {
  /** What is written there now, an earlier run's included, by Service (`namespace/name`); the same map until that changes. Undefined: not known yet. */
  l2Statuses(): ReadonlyMap<string, L2StatusWrite> | undefined;
  /** `undefined`: the node does not announce the Service any more. */
  writeL2Status(service: string, status: L2StatusWrite | undefined): Promise<void>;
  /** The same for ServiceBGPStatus. */
  bgpStatuses(): ReadonlyMap<string, BgpStatusWrite> | undefined;
  writeBgpStatus(service: string, status: BgpStatusWrite | undefined): Promise<void>;
  /** Of these nodes, those that write here what they announce, and have no ServiceBGPStatus for the Service. */
  silentAbout(service: string, nodes: readonly string[]): Promise<readonly string[]>;
  /** Of the ConfigurationState `speaker-NODE`. */
  writeConfigurationState(status: ConfigurationStateWrite): Promise<void>;
  writeEvent(event: EventWrite): Promise<void>;
  close(): Promise<void>;
}
