/**
 * The inside of `kubernetes.ts`: an API server, etcd and a whole agent in a network namespace of their own, with a large cluster's
 * objects. Prints its result as JSON. The agent is a pod as far as it can tell, with the role that is shipped.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { installDefinitions, installRoles, makeNamespace } from "../lab/kubernetes/objects.ts";
import { openPinnedMap } from "../src/kernel/map.ts";
import type { Connection, Request } from "../src/source/kubernetes/connection.ts";
import { startApiServer, type TestApiServer } from "../test/kubernetes/api-server.ts";
import { waitForSlots, waitUntilReady } from "./agent.ts";
import { serviceManifest, sliceManifest, type ClusterSize } from "./cluster.ts";
import type { LargeClusterResult } from "./kubernetes.ts";
import { removeBpffs } from "./leftovers.ts";
import { memoryOf } from "./memory.ts";

export interface InsideOptions extends ClusterSize {
  readonly nodes: number;
  readonly changes: number;
}

const AGENT = "system:serviceaccount:metallb-system:fairlead-agent";
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
const REQUESTS_AT_ONCE = 40;
/** Longer than the agent waits before it gives memory back. */
const SETTLE_MS = 17_000;
const IMAGES = 50;

await main(JSON.parse(process.argv[2] ?? "") as InsideOptions);

async function main(options: InsideOptions): Promise<void> {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  const folder = mkdtempSync(join(tmpdir(), "fl-bench-"));
  const server = await startApiServer([AGENT]);
  let agent: ChildProcess | undefined;
  try {
    await fill(server.admin, options);
    const start = performance.now();
    const started = (agent = await startAgent(folder, server));
    await waitUntilReady(started, folder, options);
    const readyMilliseconds = performance.now() - start;
    await sleep(SETTLE_MS);
    const settled = memoryOf(started.pid ?? 0);
    const changeMilliseconds = await measureChanges(server.admin, `/proc/${started.pid}/root${bpffsOf()}`, options);
    const result: LargeClusterResult = {
      readyMilliseconds,
      changeMilliseconds,
      settled,
      later: memoryOf(started.pid ?? 0),
    };
    process.stdout.write(JSON.stringify(result));
  } finally {
    agent?.kill("SIGKILL");
    await server.stop();
    removeBpffs(bpffsOf());
    rmSync(folder, { recursive: true, force: true });
  }
}

function bpffsOf(): string {
  return `/run/fairlead/bpf-fl-bench-${process.pid}`;
}

async function fill(admin: Connection, size: InsideOptions): Promise<void> {
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
  // Without an address nobody probes it: there is no agent that could answer.
  const addresses = [{ type: "Hostname", address: name }];
  return { metadata: { name, labels: { "kubernetes.io/hostname": name } }, status: { addresses, images } };
}

function slicesPath(name = ""): string {
  return `/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices${name === "" ? "" : `/${name}`}`;
}

/** Endpoints on nodes that exist: those of others are not forwarded to. None on this one. */
function sliceOn(number: number, size: InsideOptions, without?: number): { readonly endpoints: readonly object[] } {
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

/** In a mount namespace of its own, where the files of a pod are that it expects. */
async function startAgent(folder: string, server: TestApiServer): Promise<ChildProcess> {
  const asAgent = server.as(AGENT);
  const { ca = "", authorization = "" } = await asAgent.credentials();
  const files = { "ca.crt": ca, token: authorization.replace(/^Bearer /, ""), namespace: "metallb-system" };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const log = openSync(join(folder, "agent.log"), "w");
  const fairlead = new URL("../bin/fairlead", import.meta.url).pathname;
  const pod = `mkdir -p ${SERVICE_ACCOUNT} && mount --bind ${folder} ${SERVICE_ACCOUNT} && exec "$@"`;
  const options = ["--bpffs", bpffsOf(), "--socket", join(folder, "agent.sock"), "--log-level", "error"];
  const child = spawn(
    "unshare",
    ["--mount", "sh", "-c", pod, "sh", fairlead, "agent", "--kubernetes", "--node-name", "node-0", ...options],
    {
      stdio: ["ignore", log, log],
      env: { ...process.env, KUBERNETES_SERVICE_HOST: asAgent.url.hostname, KUBERNETES_SERVICE_PORT: asAgent.url.port },
    },
  );
  closeSync(log);
  return child;
}

/** One endpoint of a Service leaves or comes back: from the request that says so to the number of slots in the map. */
async function measureChanges(admin: Connection, bpffs: string, size: InsideOptions): Promise<number[]> {
  using map = openPinnedMap(join(bpffs, "maps", "frontends"));
  const samples: number[] = [];
  for (let i = 0; i < size.changes; i += 1) {
    const number = (Math.floor(i / 2) * 7919) % size.services;
    const leaves = i % 2 === 0;
    const { endpoints } = sliceOn(number, size, leaves ? 0 : undefined);
    const start = performance.now();
    const done = patch(admin, slicesPath(`service-${number}`), { endpoints });
    await waitForSlots(map, number, leaves ? size.endpoints - 1 : size.endpoints);
    samples.push(performance.now() - start);
    await done;
  }
  return samples;
}
