/**
 * A whole controller with a huge cluster: 100,000 Services in manifests of 10 MB, 1,000 pools, one of them all of IPv6. How long
 * until every Service has its address in the state folder, for how long nobody else had a turn, and how much memory that took.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { forgetLoopDelay, measuringLoopDelay, readLoopDelay, type LoopDelay } from "./loop-delays.ts";
import { memoryOf } from "./memory.ts";

export interface ControllerResult {
  readonly manifestMegabytes: readonly number[];
  readonly assignedMilliseconds: number;
  readonly loopDelay: LoopDelay;
  readonly residentMegabytes: number;
  readonly peakMegabytes: number;
  /** One more Service, when all is quiet. */
  readonly oneMoreMilliseconds: number;
  readonly oneMoreLoopDelay: LoopDelay;
}

export interface HugeCluster {
  readonly services: number;
  readonly pools: number;
}

const SERVICES_PER_FILE = 50_000;
const DONE_MS_MAX = 300_000;
export const QUIET_MS = 5000;

export async function measureController(size: HugeCluster): Promise<ControllerResult> {
  const folder = mkdtempSync(join(tmpdir(), "fl-bench-"));
  const manifestMegabytes = writeManifests(folder, size);
  const start = performance.now();
  const controller = startController(folder);
  try {
    await waitForServices(controller, folder, size.services);
    const assignedMilliseconds = performance.now() - start;
    await sleep(QUIET_MS);
    const { resident, peak } = memoryOf(controller.pid ?? 0);
    const loopDelay = readLoopDelay(folder);
    const again = performance.now();
    writeList(folder, "one-more", [service(size.services)]);
    await waitForFile(controller, folder, join("services", stateFileOf(size.services)));
    const oneMoreMilliseconds = performance.now() - again;
    await sleep(QUIET_MS);
    return {
      manifestMegabytes,
      assignedMilliseconds,
      loopDelay,
      residentMegabytes: resident,
      peakMegabytes: peak,
      oneMoreMilliseconds,
      oneMoreLoopDelay: readLoopDelay(folder),
    };
  } finally {
    controller.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
    forgetLoopDelay(folder);
  }
}

function writeManifests(folder: string, { services, pools }: HugeCluster): number[] {
  mkdirSync(join(folder, "manifests"));
  const sizes: number[] = [];
  for (let first = 0; first < services; first += SERVICES_PER_FILE) {
    const count = Math.min(SERVICES_PER_FILE, services - first);
    const list = Array.from({ length: count }, (_, i) => service(first + i));
    sizes.push(writeList(folder, `services-${first}`, list));
  }
  sizes.push(
    writeList(
      folder,
      "pools",
      Array.from({ length: pools }, (_, number) => pool(number)),
    ),
  );
  return sizes;
}

function stateFileOf(number: number): string {
  return `team-${number % 50}_service-${number}.json`;
}

/** A third of them dual stack, some share an address. */
function service(number: number): object {
  const shared = number % 10 === 0 ? { "metallb.io/allow-shared-ip": `key-${number % 1000}` } : {};
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: `team-${number % 50}`, name: `service-${number}`, annotations: shared },
    spec: {
      type: "LoadBalancer",
      ipFamilyPolicy: number % 3 === 0 ? "PreferDualStack" : "SingleStack",
      ports: [{ name: "http", port: 1024 + (number % 60_000), targetPort: 8080, protocol: "TCP" }],
    },
  };
}

/** The first is all of IPv6 and a /8; the others are small, and full early. */
function pool(number: number): object {
  const addresses = number === 0 ? ["::/0", "10.0.0.0/8"] : [`192.${number >> 8}.${number & 255}.0/28`];
  return {
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    metadata: { namespace: "metallb-system", name: `pool-${String(number).padStart(4, "0")}` },
    spec: { addresses },
  };
}

/** Megabytes. */
function writeList(folder: string, name: string, items: readonly object[]): number {
  const text = JSON.stringify({ apiVersion: "v1", kind: "List", items });
  writeFileSync(join(folder, "manifests", `${name}.json`), text);
  return text.length / 1e6;
}

export function startController(folder: string): ChildProcess {
  const log = openSync(join(folder, "controller.log"), "w");
  const fairlead = new URL("../bin/fairlead", import.meta.url).pathname;
  const folders = ["--manifests", join(folder, "manifests"), "--state", join(folder, "state")];
  const env = measuringLoopDelay(folder);
  const stdio = ["ignore", log, log] as const;
  const child = spawn(fairlead, ["controller", ...folders, "--log-level", "error"], { stdio: [...stdio], env });
  closeSync(log);
  return child;
}

/** Until everything is written that was decided first: looking at a folder of a hundred thousand files would hold up who writes them. */
export async function waitForServices(controller: ChildProcess, folder: string, count: number): Promise<void> {
  await waitForFile(controller, folder, join("configurationstates", "controller.json"));
  const names = await readdir(join(folder, "state", "services"));
  const written = names.filter((name) => name.endsWith(".json") && !name.startsWith(".")).length;
  if (written !== count) throw new Error(`${written} of ${count} Services have a status:\n${logOf(folder)}`);
}

/** In the state folder. */
async function waitForFile(controller: ChildProcess, folder: string, name: string): Promise<void> {
  const deadline = performance.now() + DONE_MS_MAX;
  while (performance.now() < deadline && controller.exitCode === null) {
    if (existsSync(join(folder, "state", name))) return;
    await sleep(20);
  }
  throw new Error(`Not written within ${DONE_MS_MAX / 1000} s: ${name}\n${logOf(folder)}`);
}

function logOf(folder: string): string {
  return readFileSync(join(folder, "controller.log"), "utf8").slice(-2000);
}
