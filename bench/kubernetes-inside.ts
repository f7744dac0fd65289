/**
 * The inside of `kubernetes.ts`: an API server, etcd and a whole agent in a network namespace of their own, with a large cluster's
 * objects. Prints its result as JSON. The agent is a pod as far as it can tell, with the role that is shipped.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openPinnedMap } from "../src/kernel/map.ts";
import type { Connection } from "../src/source/kubernetes/connection.ts";
import { startApiServer, type TestApiServer } from "../test/kubernetes/api-server.ts";
import { waitForSlots, waitUntilReady } from "./agent.ts";
import type { LargeClusterResult } from "./kubernetes.ts";
import { fill, patchSlice, type FilledSize } from "./kubernetes-objects.ts";
import { removeBpffs } from "./leftovers.ts";
import { memoryOf } from "./memory.ts";

interface InsideOptions extends FilledSize {
  readonly changes: number;
}

const AGENT = "system:serviceaccount:metallb-system:fairlead-agent";
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";
/** Longer than the agent waits before it gives memory back. */
const SETTLE_MS = 17_000;

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
    const start = performance.now();
    const done = patchSlice(admin, number, size, leaves ? 0 : undefined);
    await waitForSlots(map, number, leaves ? size.endpoints - 1 : size.endpoints);
    samples.push(performance.now() - start);
    await done;
  }
  return samples;
}
