/** A node under test: a small cluster as a snapshot, links, a pod, and the maps as a model. */
import { createHash } from "node:crypto";
import { l2AdvertisementSchema } from "../announce/objects.ts";
import { announced, announced_key, device, endpoint, flow, flow_key, runtime } from "../datapath/abi.generated.ts";
import { memoryPorts, memoryTable } from "../datapath/memory-ports.fixture.ts";
import { address } from "../net/address.ts";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import { endpointSliceSchema, nodeSchema, serviceSchema } from "../service/objects.ts";
import { EMPTY_SNAPSHOT } from "../source/snapshot.fixture.ts";
import type { Snapshot } from "../source/source.ts";
import type { World } from "./desired.ts";
import type { EndpointFile } from "./endpoints.ts";
import type { NodeLink } from "./devices.ts";
import type { DatapathMaps } from "./maps.ts";
import { seeing } from "../protocol/swim/view.fixture.ts";

export const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();
export const eth0: NodeLink = {
  name: "eth0",
  ifindex: 2,
  mac: "02:00:00:00:00:01",
  up: true,
  noarp: false,
  addresses: ["192.168.10.201/24"],
};
export const podLink: NodeLink = {
  name: "fl-pod",
  ifindex: 7,
  mac: "02:00:00:00:00:07",
  up: true,
  noarp: false,
  addresses: [],
};
const pod: EndpointFile = {
  pod: "default/web-1",
  addresses: [address("10.244.0.2")],
  device: "fl-pod",
  mac: Uint8Array.of(2, 0, 0, 0, 0, 8),
};

function service(
  name: string,
  ip: string,
): readonly [string, Snapshot["services"] extends ReadonlyMap<string, infer S> ? S : never] {
  const object = {
    metadata: { name },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: [{ ip }] } },
  };
  return [`default/${name}`, serviceSchema.parse(object)];
}

function slice(
  name: string,
  backends: Readonly<Record<string, string>>,
): readonly [string, ReturnType<typeof endpointSliceSchema.parse>] {
  const endpoints = Object.entries(backends).map(([ip, nodeName]) => ({ addresses: [ip], nodeName }));
  const metadata = { name, labels: { "kubernetes.io/service-name": name } };
  return [
    `default/${name}`,
    endpointSliceSchema.parse({ metadata, addressType: "IPv4", ports: [{ port: 8080 }], endpoints }),
  ];
}

function snapshot(services: Readonly<Record<string, string>>, changed: Partial<Snapshot> = {}): Snapshot {
  const pool = ipAddressPoolSchema.parse({
    metadata: { name: "pool", namespace: "metallb-system" },
    spec: { addresses: ["192.168.10.0/24"] },
  });
  const advertisement = l2AdvertisementSchema.parse({
    metadata: { name: "all", namespace: "metallb-system" },
    spec: {},
  });
  return {
    ...EMPTY_SNAPSHOT,
    services: new Map(Object.entries(services).map(([name, ip]) => service(name, ip))),
    endpointSlices: new Map(
      Object.keys(services).map((name) => slice(name, { "10.244.0.2": "me", "10.244.1.2": "peer" })),
    ),
    nodes: new Map(["me", "peer"].map((name) => [name, nodeSchema.parse({ metadata: { name } })])),
    ipAddressPools: new Map([["metallb-system/pool", pool]]),
    l2Advertisements: new Map([["metallb-system/all", advertisement]]),
    ...changed,
  };
}

export function world(
  services: Readonly<Record<string, string>>,
  changed: Partial<Snapshot> = {},
  alive = ["me"],
  gone: readonly string[] = [],
): World {
  const members = seeing(alive, { gone: new Set(gone) });
  return { snapshot: snapshot(services, changed), links: [eth0, podLink], endpoints: [pod], members };
}

export function memoryMaps(): DatapathMaps {
  const flows = memoryTable(flow_key.size, flow.size, 8);
  return {
    forwarding: memoryPorts({ frontends: 64, backends: 64, slots: 256, maglev: 8192 }),
    announced: memoryTable(announced_key.size, announced.size, 64),
    devices: memoryTable(4, device.size, 16),
    endpoints: memoryTable(16, endpoint.size, 64),
    flows,
    allFlows: () => flows.entries(),
    runtime: new DataView(new ArrayBuffer(runtime.size)),
    verdicts: () => ({}),
    drops: () => [],
  };
}
