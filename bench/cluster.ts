/** Objects of a cluster as large as a benchmark asks for: Services with addresses, each with an EndpointSlice. */
import {
  endpointSliceSchema,
  SERVICE_NAME_LABEL,
  serviceSchema,
  type EndpointSlice,
  type Service,
} from "../src/service/objects.ts";
import { emptyMemo, type Memo } from "../src/agent/desired.ts";
import { resolveFrontends, type Frontend } from "../src/service/frontends.ts";

export interface ClusterSize {
  readonly services: number;
  readonly endpoints: number;
}

export interface ClusterObjects {
  readonly services: Map<string, Service>;
  readonly endpointSlices: Map<string, EndpointSlice>;
}

export const SERVICE_PORT = 80;
export const POD_PORT = 8080;

const SERVICES_FROM = 0xac10_0000; // 172.16.0.0
const PODS_FROM = 0x0a40_0000; // 10.64.0.0

/** The address of the Service with this number; none ends in .0 or .255 by accident of interest. */
export function serviceAddress(number: number): string {
  return dotted(SERVICES_FROM + number + 1);
}

export function podAddress(service: number, endpoint: number, size: ClusterSize): string {
  return dotted(PODS_FROM + service * size.endpoints + endpoint + 1);
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

export function clusterObjects(size: ClusterSize): ClusterObjects {
  const numbers = Array.from({ length: size.services }, (_, number) => number);
  return {
    services: new Map(numbers.map((number) => [serviceKey(number), serviceSchema.parse(serviceManifest(number))])),
    endpointSlices: new Map(
      numbers.map((number) => [serviceKey(number), endpointSliceSchema.parse(sliceManifest(number, size))]),
    ),
  };
}

export function frontendsOf(
  objects: ClusterObjects,
  memo: Memo["frontends"] = emptyMemo().frontends,
): ReadonlyMap<string, readonly Frontend[]> {
  return resolveFrontends(objects, { name: "bench", goneNodes: new Set() }, memo).frontends;
}

export function serviceKey(number: number): string {
  return `bench/service-${number}`;
}

/** As in a manifest, with the address already assigned. */
export function serviceManifest(number: number): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "bench", name: `service-${number}` },
    spec: {
      type: "LoadBalancer",
      clusterIPs: [dotted(0x0a_60_00_00 + number)],
      ipFamilies: ["IPv4"],
      ports: [{ name: "http", port: SERVICE_PORT, targetPort: POD_PORT, protocol: "TCP" }],
    },
    status: { loadBalancer: { ingress: [{ ip: serviceAddress(number) }] } },
  };
}

/** Endpoints on another node, so that they are reached by forwarding. `without`: this one of them is not ready. */
export function sliceManifest(number: number, size: ClusterSize, without?: number): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace: "bench",
      name: `service-${number}`,
      labels: { [SERVICE_NAME_LABEL]: `service-${number}` },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: POD_PORT, protocol: "TCP" }],
    endpoints: Array.from({ length: size.endpoints }, (_, endpoint) => ({
      addresses: [podAddress(number, endpoint, size)],
      nodeName: "elsewhere",
      conditions: { ready: endpoint !== without },
    })),
  };
}
