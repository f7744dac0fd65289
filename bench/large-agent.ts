/**
 * A whole agent of a cluster as large as it gets - Services of ten endpoints, hundreds of other nodes that answer, layer 2 and a BGP peer -,
 * and for how long nobody else had a turn in it: at its start, at single changes, and when it is asked.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { waitUntilReady } from "./agent.ts";
import { serviceManifest, sliceManifest, type ClusterSize } from "./cluster.ts";
import { OTHERS_ADDRESS, connectNamespaces, nodeAddress, removeNamespaces } from "./kubernetes.ts";
import { removeBpffs } from "./leftovers.ts";
import { forgetLoopDelay, measuringLoopDelay, readLoopDelay, type LoopDelay } from "./loop-delays.ts";
import { memoryOf, type MemorySample } from "./memory.ts";

export interface LargeAgentSize extends ClusterSize {
  readonly nodes: number;
}

export interface Moment {
  readonly what: string;
  readonly loopDelay: LoopDelay;
  /** Of a question, until it was answered. */
  readonly milliseconds?: number;
}

export interface LargeAgentResult {
  readonly moments: readonly Moment[];
  readonly memory: MemorySample;
}

/** Longer than the agent waits before it gives memory back. */
const SETTLE_MS = 17_000;
/** A change has had its effects by then. */
const EVENT_MS = 2500;
/** Services, and nodes, that lie in files of their own. */
const ALONE = 4;
const QUESTIONS: Readonly<Record<string, string>> = {
  "services, the first time": "services",
  "services, once more": "services",
  status: "status",
  explain: "explain?service=bench/service-17",
  nodes: "nodes",
  pools: "pools",
  "bgp routes": "bgp/routes",
  "bpf lb list": "bpf/lb",
  "bpf backends list": "bpf/backends",
};

export async function measureLargeAgent(size: LargeAgentSize): Promise<LargeAgentResult> {
  const folder = mkdtempSync(join(tmpdir(), "fl-bench-"));
  const namespace = `fl-bench-${process.pid}`;
  const others = `${namespace}-others`;
  const bpffs = `/run/fairlead/bpf-${namespace}`;
  const children: ChildProcess[] = [];
  try {
    connectNamespaces(namespace, others);
    writeCluster(folder, size);
    children.push(inNamespace(others, "probe-answers.ts"));
    children.push(inNamespace(others, "bgp-speaker.ts", nodeAddress(0), "64513", "64512", "0"));
    const agent = startAgent(folder, namespace, bpffs);
    children.push(agent);
    await waitUntilReady(agent, folder, size);
    await sleep(SETTLE_MS);
    const moments: Moment[] = [{ what: "start", loopDelay: readLoopDelay(folder) }];
    for (const [what, change] of Object.entries(changesOf(folder, size))) {
      await fresh(folder);
      change();
      await sleep(EVENT_MS);
      moments.push({ what, loopDelay: readLoopDelay(folder) });
    }
    for (const [what, path] of [...Object.entries(QUESTIONS), ["metrics", "metrics"] as const]) {
      await fresh(folder);
      const milliseconds = await ask(folder, path === "metrics" ? "/metrics" : `/v1/${path}`);
      await sleep(300);
      moments.push({ what, loopDelay: readLoopDelay(folder), milliseconds });
    }
    return { moments, memory: memoryOf(agent.pid ?? 0) };
  } finally {
    for (const child of children) child.kill("SIGKILL");
    removeBpffs(bpffs);
    removeNamespaces([namespace, others]);
    rmSync(folder, { recursive: true, force: true });
    forgetLoopDelay(folder);
  }
}

/** What was measured before is forgotten by then. */
async function fresh(folder: string): Promise<void> {
  forgetLoopDelay(folder);
  await sleep(400);
}

async function ask(folder: string, path: string): Promise<number> {
  const start = performance.now();
  await promisify(execFile)(
    "curl",
    ["-sf", "-o", "/dev/null", "--unix-socket", join(folder, "agent.sock"), `http://agent${path}`],
    { timeout: 120_000 },
  );
  return performance.now() - start;
}

function changesOf(folder: string, size: LargeAgentSize): Readonly<Record<string, () => void>> {
  const more = size.services;
  const node = size.nodes - 1;
  return {
    "one endpoint": () => write(folder, "slice-0", sliceOn(0, size, 0)),
    "one more Service": () => writeService(folder, more, size),
    "a Service less": () => rmSync(join(folder, "manifests", `service-${more}.json`)),
    "a node's heartbeat": () => write(folder, `node-${node}`, nodeManifest(node, {}, "later")),
    "a node's label": () => write(folder, `node-${node}`, nodeManifest(node, { zone: "b" })),
    "a namespace's label": () => write(folder, "namespace", namespaceManifest({ team: "b" })),
    "a node gone": () => rmSync(join(folder, "manifests", `node-${node}.json`)),
    "a node back": () => write(folder, `node-${node}`, nodeManifest(node)),
    "a pool more": () => write(folder, "pool-b", configured("IPAddressPool", { addresses: ["172.31.0.0/16"] }, "b")),
  };
}

function writeCluster(folder: string, size: LargeAgentSize): void {
  for (const name of ["manifests", "said", "state/services"]) mkdirSync(join(folder, name), { recursive: true });
  const numbers = Array.from({ length: size.services }, (_, number) => number);
  for (const number of numbers.slice(0, ALONE)) writeService(folder, number, size);
  const many = numbers.slice(ALONE);
  for (const number of many) writeState(folder, number);
  writeList(folder, "services", many.map(serviceManifest));
  writeList(
    folder,
    "slices",
    many.map((number) => sliceOn(number, size)),
  );
  const nodes = Array.from({ length: size.nodes }, (_, number) => nodeManifest(number));
  writeList(folder, "nodes", nodes.slice(0, -1));
  write(folder, `node-${size.nodes - 1}`, nodes.at(-1) ?? {});
  write(folder, "namespace", namespaceManifest({}));
  writeList(folder, "configuration", CONFIGURATION);
}

function writeService(folder: string, number: number, size: LargeAgentSize): void {
  writeState(folder, number);
  write(folder, `slice-${number}`, sliceOn(number, size));
  write(folder, `service-${number}`, serviceManifest(number));
}

function writeState(folder: string, number: number): void {
  writeFileSync(
    join(folder, "state", "services", `bench_service-${number}.json`),
    JSON.stringify(serviceManifest(number)),
  );
}

function writeList(folder: string, name: string, items: readonly object[]): void {
  write(folder, name, { apiVersion: "v1", kind: "List", items });
}

function write(folder: string, name: string, object: object): void {
  writeFileSync(join(folder, "manifests", `${name}.json`), JSON.stringify(object));
}

const configured = (kind: string, spec: object, name = "bench", version = "v1beta1"): object => {
  return { apiVersion: `metallb.io/${version}`, kind, metadata: { name, namespace: "metallb-system" }, spec };
};

const CONFIGURATION = [
  configured("IPAddressPool", { addresses: ["172.16.0.0/16"] }),
  configured("L2Advertisement", { ipAddressPools: ["bench"] }),
  configured("BGPAdvertisement", { ipAddressPools: ["bench"] }),
  configured(
    "BGPPeer",
    { myASN: 64512, peerASN: 64513, peerAddress: OTHERS_ADDRESS, passiveMode: true },
    "bench",
    "v1beta2",
  ),
];

function namespaceManifest(labels: object): object {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name: "bench", labels } };
}

function nodeManifest(number: number, labels: object = {}, heartbeat = "now"): object {
  const name = `node-${number}`;
  const conditions = [{ type: "Ready", status: "True", message: heartbeat }];
  const addresses = [{ type: "InternalIP", address: nodeAddress(number) }];
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, ...labels } },
    status: { addresses, conditions },
  };
}

/** Endpoints on nodes that exist: those of others are not forwarded to. */
function sliceOn(number: number, size: LargeAgentSize, without?: number): object {
  const slice = sliceManifest(number, size, without) as { readonly endpoints: readonly object[] };
  const nodeName = (index: number): string => `node-${(number + index) % (size.nodes - 1)}`;
  return { ...slice, endpoints: slice.endpoints.map((each, index) => ({ ...each, nodeName: nodeName(index) })) };
}

function inNamespace(namespace: string, script: string, ...args: readonly string[]): ChildProcess {
  return spawn(
    "nsenter",
    [`--net=/run/netns/${namespace}`, process.execPath, join(import.meta.dirname, script), ...args],
    { stdio: ["pipe", "ignore", "inherit"] },
  );
}

function startAgent(folder: string, namespace: string, bpffs: string): ChildProcess {
  const log = openSync(join(folder, "agent.log"), "w");
  const fairlead = new URL("../bin/fairlead", import.meta.url).pathname;
  const options = {
    "node-name": "node-0",
    manifests: join(folder, "manifests"),
    state: join(folder, "state"),
    "node-state": join(folder, "said"),
    bpffs,
    socket: join(folder, "agent.sock"),
    "log-level": "error",
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, fairlead, "agent", ...args], {
    stdio: ["ignore", log, log],
    env: measuringLoopDelay(folder),
  });
  closeSync(log);
  return child;
}
