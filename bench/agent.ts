/**
 * A whole agent with a cluster of this size: how long until it is ready, how much memory it takes, and how long an edit of one endpoint in a
 * manifest takes until the map has it - with the watch, which waits for writers to finish (60 ms), and everything else an operator meets.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { decodeFrontend, encodeFrontendKeys } from "../src/datapath/encode.ts";
import { openPinnedMap, type BpfMap } from "../src/kernel/map.ts";
import { address } from "../src/net/address.ts";
import type { StatusDocument } from "../src/observe/status.ts";
import { SERVICE_PORT, serviceAddress, serviceManifest, sliceManifest, type ClusterSize } from "./cluster.ts";
import { forgetLoopDelay, measuringLoopDelay, readLoopDelay, type LoopDelay } from "./loop-delays.ts";
import { removeBpffs } from "./leftovers.ts";
import { memoryOf, type MemorySample } from "./memory.ts";

export interface AgentResult {
  readonly readyMilliseconds: number;
  /** When it was ready, when it had gone quiet, after the edits, and quiet again. */
  readonly memory: Readonly<Record<"ready" | "settled" | "edited" | "later", MemorySample>>;
  readonly changeMilliseconds: readonly number[];
  /** Until it was settled, and during the changes. */
  readonly loopDelay: LoopDelay;
  readonly changeLoopDelay: LoopDelay;
}

/** Services whose EndpointSlices lie in files of their own, as a cluster's API would send them one by one. */
const CHANGING = 20;
const READY_MS_MAX = 120_000;
/** Longer than the agent waits before it gives memory back. */
const SETTLE_MS = 17_000;

export async function measureAgent(size: ClusterSize, changes: number): Promise<AgentResult> {
  const folder = mkdtempSync(join(tmpdir(), "fl-bench-"));
  const namespace = `fl-bench-${process.pid}`;
  const bpffs = `/run/fairlead/bpf-${namespace}`;
  writeCluster(folder, size);
  execFileSync("ip", ["netns", "add", namespace]);
  const start = performance.now();
  const agent = startAgent(folder, namespace, bpffs);
  try {
    await waitUntilReady(agent, folder, size);
    const readyMilliseconds = performance.now() - start;
    const sample = (): MemorySample => memoryOf(agent.pid ?? 0);
    const ready = sample();
    await sleep(SETTLE_MS);
    const settled = sample();
    const loopDelay = readLoopDelay(folder);
    const changeMilliseconds = await measureChanges(folder, bpffs, size, changes);
    const edited = sample();
    await sleep(SETTLE_MS);
    const memory = { ready, settled, edited, later: sample() };
    return { readyMilliseconds, memory, changeMilliseconds, loopDelay, changeLoopDelay: readLoopDelay(folder) };
  } finally {
    agent.kill("SIGKILL");
    removeBpffs(bpffs);
    execFileSync("ip", ["netns", "del", namespace]);
    rmSync(folder, { recursive: true, force: true });
    forgetLoopDelay(folder);
  }
}

function writeCluster(folder: string, size: ClusterSize): void {
  const state = join(folder, "state", "services");
  mkdirSync(state, { recursive: true });
  mkdirSync(join(folder, "manifests"));
  const services = Array.from({ length: size.services }, (_, number) => serviceManifest(number));
  for (const [number, service] of services.entries()) {
    writeFileSync(join(state, `bench_service-${number}.json`), JSON.stringify(service));
  }
  writeList(folder, "services", services);
  writeList(
    folder,
    "slices",
    services.slice(CHANGING).map((_, i) => sliceManifest(i + CHANGING, size)),
  );
  for (let number = 0; number < Math.min(CHANGING, size.services); number += 1) writeSlice(folder, number, size);
}

function writeList(folder: string, name: string, items: readonly object[]): void {
  writeFileSync(join(folder, "manifests", `${name}.json`), JSON.stringify({ apiVersion: "v1", kind: "List", items }));
}

function writeSlice(folder: string, number: number, size: ClusterSize, without?: number): void {
  writeFileSync(
    join(folder, "manifests", `slice-${number}.json`),
    JSON.stringify(sliceManifest(number, size, without)),
  );
}

function startAgent(folder: string, namespace: string, bpffs: string): ChildProcess {
  const log = openSync(join(folder, "agent.log"), "w");
  const fairlead = new URL("../bin/fairlead", import.meta.url).pathname;
  const args = [
    "agent",
    "--node-name",
    "bench",
    "--manifests",
    join(folder, "manifests"),
    "--state",
    join(folder, "state"),
  ];
  const child = spawn(
    "nsenter",
    [
      `--net=/run/netns/${namespace}`,
      fairlead,
      ...args,
      "--bpffs",
      bpffs,
      "--socket",
      socketOf(folder),
      "--log-level",
      "error",
    ],
    { stdio: ["ignore", log, log], env: measuringLoopDelay(folder) },
  );
  closeSync(log);
  return child;
}

export async function waitUntilReady(agent: ChildProcess, folder: string, size: ClusterSize): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (performance.now() < deadline && agent.exitCode === null) {
    const status = await readStatus(socketOf(folder)).catch(() => undefined);
    if (status?.ready === true && status.counts.frontends === size.services) return;
    await sleep(20);
  }
  throw new Error(
    `The agent was not ready within ${READY_MS_MAX / 1000} s:\n${readFileSync(join(folder, "agent.log"), "utf8").slice(-2000)}`,
  );
}

async function readStatus(socket: string): Promise<StatusDocument> {
  const { stdout } = await promisify(execFile)("curl", ["-sf", "--unix-socket", socket, "http://agent/v1/status"]);
  return JSON.parse(stdout) as StatusDocument;
}

/** One endpoint of a Service leaves and comes back; each is timed from the write of the file to the number of slots in the map. */
async function measureChanges(folder: string, bpffs: string, size: ClusterSize, changes: number): Promise<number[]> {
  using map = openPinnedMap(join(bpffs, "maps", "frontends"));
  const samples: number[] = [];
  for (let i = 0; i < changes; i += 1) {
    const number = Math.floor(i / 2) % CHANGING;
    const leaves = i % 2 === 0;
    const start = performance.now();
    writeSlice(folder, number, size, leaves ? 0 : undefined);
    await waitForSlots(map, number, leaves ? size.endpoints - 1 : size.endpoints);
    samples.push(performance.now() - start);
  }
  return samples;
}

export async function waitForSlots(map: BpfMap, number: number, slots: number): Promise<void> {
  const key = encodeFrontendKeys([{ address: address(serviceAddress(number)), port: SERVICE_PORT, protocol: "TCP" }]);
  const deadline = performance.now() + 10_000;
  let found: number | undefined;
  while (performance.now() < deadline) {
    const value = map.lookup(key);
    found = value === undefined ? undefined : decodeFrontend(key, value)?.value.slotCount;
    if (found === slots) return;
    await sleep(1);
  }
  throw new Error(`Service ${number} did not get ${slots} slots within 10 s of the edit, but has ${found ?? "none"}`);
}

function socketOf(folder: string): string {
  return join(folder, "agent.sock");
}
