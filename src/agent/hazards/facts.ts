/** What is known of a node's settings and of its segments when hazards are looked for. Values only. */

/** Something in a node's settings or on its segments that takes packets away, or will. */
export interface Hazard {
  readonly check: HazardCheck;
  /** `problem`: clients notice, or will when an address moves; `advice`: it works, not as well as it could. */
  readonly level: "problem" | "advice";
  /** What it is about: a device, or a device and a MAC address. With `check` it tells one hazard from another. */
  readonly subject: string;
  readonly message: string;
  readonly todo: string;
  /** Service addresses that suffer; none: all that are carried here. */
  readonly addresses: readonly string[];
}

export type HazardCheck =
  | "StrictARP" // kube-proxy in IPVS mode has addresses of Services, and kernels answer ARP for them
  | "AddressHeld" // another device of this node has a Service's address
  | "AddressAnswered" // somebody else on the segment answers for it
  | "SubnetRouterAnycast" // every router on the segment may answer for it
  | "BackendUnreachable" // no way to the pods of another node
  | "ReversePathFilter"
  | "Forwarding"
  | "MTU"
  | "GenericXDP"
  | "BFDPriority"; // BFD waits for its turn like everything else

export interface HazardFacts {
  /** Those that carry the programs. */
  readonly devices: readonly {
    readonly name: string;
    readonly mtu: number;
    readonly xdp: "native" | "generic" | "none";
    readonly settings: DeviceSettings;
  }[];
  /** Other devices on which the kernel answers by itself: on those that carry the programs it is kept from doing so. */
  readonly unwatched: readonly { readonly name: string; readonly settings: DeviceSettings }[];
  /** All of this node, with addresses as `address/prefix length`. */
  readonly links: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  /** Of Services that may be announced by some node, in canonical text, with the Services that have them. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** By layer 2, from this node. */
  readonly announced: readonly { readonly address: string; readonly devices: readonly string[] }[];
  /** This node tells BGP peers to send to it. */
  readonly routed: boolean;
  /** What Services it carries. */
  readonly families: { readonly IPv4: boolean; readonly IPv6: boolean };
  /** Devices of IPv4's default route. */
  readonly defaultDevices: readonly string[];
  /** To a backend of each family of each other node. */
  readonly backendWays: readonly { readonly node: string; readonly device: string; readonly mtu: number }[];
  /** Those of them that there is no way to; `refusal` in the kernel's words. */
  readonly lostBackends: readonly { readonly node: string; readonly address: string; readonly refusal: string }[];
  /** How the thread of BFD sessions is scheduled; undefined: there are none. */
  readonly bfdPriority: "realTime" | "nice" | "ordinary" | undefined;
  readonly answers: readonly ForeignAnswer[];
}

/** As they take effect: of a device and of `all` together (Documentation/networking/ip-sysctl.rst). */
export interface DeviceSettings {
  readonly rpFilter: number;
  readonly arpIgnore: number;
  readonly arpAnnounce: number;
  readonly forwardsIPv4: boolean;
  readonly forwardsIPv6: boolean;
}

/** Somebody who is not this node says that an address announced here is theirs. */
export interface ForeignAnswer {
  readonly address: string;
  readonly device: string;
  readonly mac: string;
  /** Whose MAC address it is, where one of our nodes has it. */
  readonly node: string | undefined;
}
