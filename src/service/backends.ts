/** The backends of one port of a Service, as a node sees them. */
import { compareAddresses, formatAddress, parseAddress, type Address, type Family } from "../net/address.ts";
import type { Endpoint, EndpointSlice, ServicePort } from "./objects.ts";

export interface Backend {
  readonly address: Address;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  readonly nodeName?: string;
  /** Runs on this node. */
  readonly local: boolean;
  /** `active` takes new flows; `notReady` keeps those it has; `terminating` takes new ones only when nothing is active. */
  readonly state: "active" | "notReady" | "terminating";
  /** `namespace/name` of the pod, where known. */
  readonly targetRef?: string;
}

export interface ThisNode {
  readonly name: string;
  /** Nodes that answer nobody: their backends are left out. */
  readonly goneNodes: ReadonlySet<string>;
  /**
   * Nodes that have an object. A deleted node's backends are left out before its pods have left the slices; absent: nothing is
   * known of nodes. Pass the same set as long as nothing changed in it.
   */
  readonly existingNodes?: ReadonlySet<string>;
}

/** No backend of this node can serve. */
export function isNodeGone(name: string, { goneNodes, existingNodes }: ThisNode): boolean {
  return goneNodes.has(name) || (existingNodes !== undefined && !existingNodes.has(name));
}

/** The endpoints of a Service, parsed: once for all its ports, and not kept longer than that takes. */
export interface ParsedSlice {
  readonly slice: EndpointSlice;
  readonly endpoints: readonly ParsedEndpoint[];
}

export interface BackendQuery {
  readonly slices: readonly ParsedSlice[];
  readonly port: ServicePort;
  readonly protocol: "TCP" | "UDP";
  readonly family: Family;
  readonly node: ThisNode;
  /** externalTrafficPolicy: Local. */
  readonly localOnly: boolean;
}

const PREFERENCE = { active: 0, terminating: 1, notReady: 2 } as const satisfies Record<Backend["state"], number>;

/** By address, then port; each address and port once, in the best state any slice gives it. */
export function backendsOf(query: BackendQuery): readonly Backend[] {
  const { node, localOnly, protocol } = query;
  const backends = new Map<string, Backend>();
  for (const { slice, endpoints } of query.slices) {
    if (slice.addressType !== query.family) continue;
    for (const port of portsOf(slice, query.port, protocol)) {
      for (const endpoint of endpoints) {
        const { nodeName } = endpoint;
        const local = nodeName === node.name;
        if (nodeName !== undefined && isNodeGone(nodeName, node)) continue;
        if (localOnly && !local) continue;
        const key = `${endpoint.text} ${port}`;
        const other = backends.get(key);
        // While a pod moves from one slice to another it is in both, or in a stale one: believe the better news.
        if (other !== undefined && PREFERENCE[other.state] <= PREFERENCE[endpoint.state]) continue;
        const { address, state, origin } = endpoint;
        backends.set(key, { address, port, protocol, local, state, ...origin });
      }
    }
  }
  return [...backends.values()].toSorted((a, b) => compareAddresses(a.address, b.address) || a.port - b.port);
}

export function parseSlices(slices: readonly EndpointSlice[]): readonly ParsedSlice[] {
  return slices.map((slice) => ({ slice, endpoints: slice.endpoints.flatMap((one) => parseEndpoint(one, slice)) }));
}

/** The nodes that run an endpoint of these slices, each once. */
export function nodesOf(slices: readonly EndpointSlice[]): readonly string[] {
  const nodes = new Set<string>();
  for (const { endpoints } of slices)
    for (const { nodeName } of endpoints) if (nodeName !== undefined) nodes.add(nodeName);
  return [...nodes];
}

/**
 * discovery.k8s.io/v1: an absent `ready` means true, an absent `serving` is as `ready`. A terminating endpoint is ready
 * only where its Service publishes addresses that are not.
 */
export function endpointState({
  ready = true,
  serving = ready,
  terminating = false,
}: Endpoint["conditions"]): Backend["state"] {
  if (ready) return "active";
  return terminating && serving ? "terminating" : "notReady";
}

/** Named target ports are resolved by whoever wrote the slice; a slice port without a number means all ports. */
function portsOf(slice: EndpointSlice, wanted: ServicePort, protocol: string): readonly number[] {
  const numbers = new Set<number>();
  for (const port of slice.ports) {
    if ((port.name ?? "") !== (wanted.name ?? "") || port.protocol !== protocol) continue;
    numbers.add(port.port ?? (typeof wanted.targetPort === "number" ? wanted.targetPort : wanted.port));
  }
  return [...numbers];
}

interface ParsedEndpoint {
  readonly address: Address;
  /** Canonical. */
  readonly text: string;
  readonly nodeName: string | undefined;
  readonly state: Backend["state"];
  readonly origin: { readonly nodeName?: string; readonly targetRef?: string };
}

/** The addresses of one endpoint are interchangeable; like kube-proxy we use the first. */
function parseEndpoint(endpoint: Endpoint, slice: EndpointSlice): readonly ParsedEndpoint[] {
  const address = parseAddress(endpoint.addresses[0] ?? "");
  if (address === undefined || address.family !== slice.addressType) return [];
  const { nodeName, targetRef } = endpoint;
  const state = endpointState(endpoint.conditions);
  const origin = { ...(nodeName === undefined ? {} : { nodeName }), ...podName(targetRef, slice) };
  return [{ address, text: formatAddress(address), nodeName, state, origin }];
}

function podName(targetRef: Endpoint["targetRef"], slice: EndpointSlice): { targetRef?: string } {
  if (targetRef?.name === undefined) return {};
  return { targetRef: `${targetRef.namespace ?? slice.metadata.namespace}/${targetRef.name}` };
}
