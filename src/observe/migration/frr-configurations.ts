/** FRRConfigurations, the objects by which frr-k8s is told what to do: those of MetalLB's speakers, and those of others, with what they ask for. Pure. */
import { z } from "zod";
import type { BGPPeer } from "../../announce/bgp/objects.ts";
import { parseAddress, sameAddress } from "../../net/address.ts";

export interface FrrConfiguration {
  readonly namespace: string;
  readonly name: string;
  /** Addresses, or interfaces. */
  readonly neighbors: readonly string[];
  /** Those of them whose routes it lets in. */
  readonly receivesFrom: readonly string[];
  /** What it originates. */
  readonly prefixes: readonly string[];
  /** FRR's own statements. */
  readonly raw: boolean;
  /** Routes go from one VRF to another. */
  readonly imports: boolean;
}

export interface FrrConfigurations {
  /** One for each node. */
  readonly speakers: readonly FrrConfiguration[];
  readonly others: readonly FrrConfiguration[];
}

const neighborSchema = z.object({
  address: z.string().default(""),
  interface: z.string().default(""),
  toReceive: z
    .object({
      allowed: z.object({ mode: z.string().default(""), prefixes: z.array(z.unknown()).default([]) }).optional(),
    })
    .optional(),
});

const routerSchema = z.object({
  neighbors: z.array(neighborSchema).default([]),
  prefixes: z.array(z.string()).default([]),
  imports: z.array(z.unknown()).default([]),
});

export const frrConfigurationSchema = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string().default("") }),
  spec: z
    .object({
      bgp: z.object({ routers: z.array(routerSchema).default([]) }).default({ routers: [] }),
      raw: z.object({ rawConfig: z.string().default("") }).default({ rawConfig: "" }),
      nodeSelector: z
        .object({ matchLabels: z.record(z.string(), z.string()).default({}) })
        .default({ matchLabels: {} }),
    })
    .prefault({}),
});

const HOSTNAME = "kubernetes.io/hostname";

/** `metallb-worker1`, for worker1 alone, is what the speaker there wants of frr-k8s. */
function isSpeakers({ metadata, spec }: z.output<typeof frrConfigurationSchema>): boolean {
  const node = spec.nodeSelector.matchLabels[HOSTNAME];
  return node !== undefined && metadata.name === `metallb-${node}`;
}

export function sortFrrConfigurations(objects: readonly z.output<typeof frrConfigurationSchema>[]): FrrConfigurations {
  const all = Map.groupBy(objects, isSpeakers);
  return {
    speakers: (all.get(true) ?? []).map(configurationOf),
    others: (all.get(false) ?? []).map(configurationOf),
  };
}

function configurationOf({ metadata, spec }: z.output<typeof frrConfigurationSchema>): FrrConfiguration {
  const { routers } = spec.bgp;
  const neighbors = routers.flatMap((each) => each.neighbors);
  const nameOf = (each: z.output<typeof neighborSchema>): string => each.address || each.interface;
  const receives = ({ toReceive }: z.output<typeof neighborSchema>): boolean =>
    toReceive?.allowed?.mode === "all" || (toReceive?.allowed?.prefixes ?? []).length > 0;
  return {
    ...metadata,
    neighbors: neighbors.map(nameOf),
    receivesFrom: neighbors.filter(receives).map(nameOf),
    prefixes: routers.flatMap(({ prefixes }) => prefixes),
    raw: spec.raw.rawConfig.trim() !== "",
    imports: routers.some(({ imports }) => imports.length > 0),
  };
}

export function nameOfFrrConfiguration({ namespace, name }: FrrConfiguration): string {
  return `FRRConfiguration ${namespace}/${name}`;
}

/** The neighbors that are routers of BGPPeers too: frr-k8s makes one session of both, and keeps it for the one when the other is gone. */
export function sharedNeighbors({ neighbors }: FrrConfiguration, peers: Iterable<BGPPeer>): readonly string[] {
  const routers = [...peers]
    // Another address of the node is another session.
    .filter(({ spec }) => spec.sourceAddress === "")
    .map(({ spec }) => spec.peerAddress || spec.interface);
  return neighbors.filter((each) => routers.some((router) => sameNeighbor(each, router)));
}

function sameNeighbor(a: string, b: string): boolean {
  const [first, second] = [parseAddress(a), parseAddress(b)];
  return first === undefined || second === undefined ? a === b : sameAddress(first, second);
}
