/** What an agent knows about one Service, from which its way to the backends is explained. Values only. */
import type { BgpReason } from "../../announce/bgp/verdict.ts";
import type { Survey } from "../../announce/survey.ts";
import type { Problem } from "../../net/problem.ts";
import type { Service } from "../../service/objects.ts";
import type { HazardRow } from "../status.ts";

export interface Facts {
  /** `namespace/name`, as asked for. */
  readonly service: string;
  /** Whose agent is asked. */
  readonly node: string;
  /** `undefined`: there is none of this name. */
  readonly object: Service | undefined;
  /** Services of the same name in other namespaces. */
  readonly namesakes: readonly string[];
  /** With objects, not with the kernel. */
  readonly problems: readonly Problem[];
  readonly pools: readonly PoolFacts[];
  readonly survey: Survey;
  /** By address in canonical text; an address that nobody announces is not in it. */
  readonly announcers: ReadonlyMap<string, string>;
  /** It is known of every peer whether it is there. */
  readonly settled: boolean;
  /** All peers are silent. */
  readonly isolated: boolean;
  readonly endpoints: readonly EndpointFacts[];
  /** Absent: no object is about BGP. */
  readonly bgp: BgpFacts | undefined;
  readonly here: NodeFacts;
}

export interface BgpFacts {
  /** All there are, or as many as are worth a look, by name. */
  readonly nodes: readonly BgpNodeFacts[];
  /** Names of the BGPAdvertisements that speak for it on this node. */
  readonly advertisements: readonly string[];
  /** This node's, with the peers that are to be told. */
  readonly sessions: readonly {
    readonly name: string;
    readonly peer: string;
    readonly state: string;
    /** Why it is not established. */
    readonly reason: string | undefined;
  }[];
  readonly routes: readonly { readonly prefix: string; readonly peer: string; readonly told: boolean }[];
}

export interface BgpNodeFacts {
  readonly name: string;
  readonly gone: boolean;
  /** By the objects it should announce the Service, and its own ServiceBGPStatus is not there. */
  readonly silent: boolean;
  /** Why it does not announce the Service. */
  readonly reason: BgpReason | undefined;
  /** BGPPeers it tells. */
  readonly peers: readonly string[];
}

export interface PoolFacts {
  readonly key: string;
  readonly name: string;
  readonly autoAssign: boolean;
  readonly capacityIPv4: bigint;
  readonly capacityIPv6: bigint;
  readonly availableIPv4: bigint;
  readonly availableIPv6: bigint;
}

export interface EndpointFacts {
  readonly address: string;
  readonly pod: string | undefined;
  readonly node: string | undefined;
  readonly state: "active" | "notReady" | "terminating";
  /** No packet is sent to its node. */
  readonly nodeGone: boolean;
}

/** What is true on the node that is asked. */
export interface NodeFacts {
  readonly stampSeconds: number;
  /** What it should announce of the Service's addresses. */
  readonly announcements: readonly {
    readonly address: string;
    readonly interfaces: readonly string[] | "all";
    readonly devices: readonly string[];
  }[];
  readonly links: readonly LinkFacts[];
  /** Rows of the map `announced` for its addresses. */
  readonly announced: readonly {
    readonly address: string;
    readonly device: string;
    readonly requests: number;
    readonly answers: number;
  }[];
  readonly frontends: readonly FrontendFacts[];
  /** Why the tables hold less than they should. */
  readonly tableProblems: readonly string[];
  readonly routes: readonly RouteFacts[];
  /** Of the first few TCP backends. */
  readonly trials: readonly TrialFacts[];
  /** Of this node, as far as they may harm this Service. */
  readonly hazards: readonly HazardRow[];
}

export interface LinkFacts {
  readonly name: string;
  /** Why it does not carry the datapath; `undefined`: it does. */
  readonly refusal: string | undefined;
}

export interface FrontendFacts {
  /** `192.0.2.1:80/TCP` */
  readonly frontend: string;
  /** `10.244.1.2:8080`, those that may be chosen, sorted. */
  readonly wanted: readonly string[];
  /** As the kernel has them; `undefined`: it has no such frontend. */
  readonly programmed: readonly string[] | undefined;
}

/** How this node would reach a backend. */
export interface RouteFacts {
  readonly backend: string;
  /** Over which device and by whom, in words. */
  readonly way: string;
  /** Why it would not arrive. */
  readonly refusal: string | undefined;
}

/** A TCP connection from this node to a backend, which carried nothing. */
export interface TrialFacts {
  /** `10.244.1.2 port 8080` */
  readonly backend: string;
  /** `refused`: by a reset; `silent`: no answer in a second; anything else: in the kernel's words. */
  readonly outcome: "accepted" | "refused" | "silent" | { readonly error: string };
}
