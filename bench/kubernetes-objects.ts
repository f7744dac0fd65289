/** A large cluster's objects in a real API server, as their owners would have put them there. */
import {
  installDefinitions,
  installRoles,
  makeNamespace,
  putObject,
  type Manifest,
} from "../lab/kubernetes/objects.ts";
import type { Connection, Request } from "../src/source/kubernetes/connection.ts";
import { serviceManifest, sliceManifest, type ClusterSize } from "./cluster.ts";
import { nodeAddress } from "./kubernetes.ts";

export interface FilledSize extends ClusterSize {
  readonly nodes: number;
}

const REQUESTS_AT_ONCE = 40;
const IMAGES = 50;

const configured = (kind: string, spec: object): Manifest & { readonly spec: object } => {
  return { apiVersion: "metallb.io/v1beta1", kind, metadata: { name: "bench", namespace: "metallb-system" }, spec };
};

/** Every address is announced by one of the nodes. */
const CONFIGURATION = [
  configured("IPAddressPool", { addresses: ["172.16.0.0/16"] }),
  configured("L2Advertisement", { ipAddressPools: ["bench"] }),
];

export async function fill(admin: Connection, size: FilledSize): Promise<void> {
  await installDefinitions(admin);
  await makeNamespace(admin, "metallb-system");
  await makeNamespace(admin, "bench");
  await installRoles(admin);
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, number) => number);
  await forAll(numbers(size.nodes), async (number) => {
    const { status, ...node } = nodeManifest(number);
    await make(admin, "/api/v1/nodes", node);
    await patch(admin, `/api/v1/nodes/node-${number}/status`, { status });
  });
  for (const object of CONFIGURATION) await putObject(admin, object);
  await forAll(numbers(size.services), async (number) => {
    const { status, spec, ...rest } = serviceManifest(number) as { status: unknown; spec: object; metadata: object };
    await make(admin, "/api/v1/namespaces/bench/services", {
      ...rest,
      spec: { ...spec, clusterIPs: undefined, allocateLoadBalancerNodePorts: false },
    });
    await patch(admin, `/api/v1/namespaces/bench/services/service-${number}/status`, { status });
    await make(admin, slicesPath(), sliceOn(number, size));
  });
}

/** With as many images as a kubelet reports: most of a Node object is of no interest. */
function nodeManifest(number: number): Readonly<Record<"status" | "metadata", object>> {
  const name = `node-${number}`;
  const images = Array.from({ length: IMAGES }, (_, image) => ({
    names: [`registry.example/team/image-${image}@sha256:${"0".repeat(64)}`, `registry.example/team/image-${image}:v1`],
    sizeBytes: 100_000_000 + image,
  }));
  const addresses = [
    { type: "InternalIP", address: nodeAddress(number) },
    { type: "Hostname", address: name },
  ];
  return { metadata: { name, labels: { "kubernetes.io/hostname": name } }, status: { addresses, images } };
}

function slicesPath(name = ""): string {
  return `/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices${name === "" ? "" : `/${name}`}`;
}

/** Endpoints on nodes that exist: those of others are not forwarded to. None on this one. */
function sliceOn(number: number, size: FilledSize, without?: number): { readonly endpoints: readonly object[] } {
  const slice = sliceManifest(number, size, without) as { readonly endpoints: readonly object[] };
  const nodeName = (index: number): string => `node-${1 + ((number + index) % (size.nodes - 1))}`;
  return { ...slice, endpoints: slice.endpoints.map((each, index) => ({ ...each, nodeName: nodeName(index) })) };
}

async function forAll(numbers: readonly number[], act: (number: number) => Promise<void>): Promise<void> {
  const left = numbers.values();
  const work = async (): Promise<void> => {
    for (const number of left) await act(number);
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, work));
}

async function make(admin: Connection, path: string, body: object): Promise<void> {
  await expectDone(admin, { method: "POST", path, body });
}

async function patch(admin: Connection, path: string, body: object): Promise<void> {
  await expectDone(admin, { method: "PATCH", path, body, contentType: "application/merge-patch+json" });
}

async function expectDone(admin: Connection, request: Request): Promise<void> {
  const { status, body } = await admin.request(request);
  if (status !== 200 && status !== 201)
    throw new Error(`Cannot ${request.method} ${request.path}: ${status} ${JSON.stringify(body).slice(0, 500)}`);
}

/** As somebody edits it; `without`: this endpoint is not ready. */
export async function patchSlice(
  admin: Connection,
  number: number,
  size: FilledSize,
  without: number | undefined,
): Promise<void> {
  const { endpoints } = sliceOn(number, size, without);
  await patch(admin, slicesPath(`service-${number}`), { endpoints });
}
