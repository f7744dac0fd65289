/**
 * How long nobody gives addresses when the acting controller ends: two replicas as programs, with the roles that are shipped, a real API
 * server. A Service is made in the moment in which the acting one ends, and the clock stops when its address can be read.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeKubeconfig } from "../lab/kubernetes/kubeconfig.ts";
import { installDefinitions, installRoles, makeNamespace, putObject, readObject } from "../lab/kubernetes/objects.ts";
import { waitFor } from "../lab/wait.ts";
import { openConnection, type Connection } from "../src/source/kubernetes/connection.ts";
import { DEFAULT_TIMING, type Timing } from "../src/source/kubernetes/lease/machine.ts";
import { openKubernetesSource } from "../src/source/kubernetes/source.ts";
import type { Source } from "../src/source/source.ts";
import { freePort, startApiServer, type TestApiServer } from "../test/kubernetes/api-server.ts";

export interface TakeoverRow {
  readonly name: string;
  readonly timing: Timing;
  /** How the acting controller ends: without a word, or giving the Lease back. */
  readonly signal: "SIGKILL" | "SIGTERM";
}

const SHORT: Timing = { leaseDurationSeconds: 1, renewDeadlineSeconds: 0.7, retryPeriodSeconds: 0.2 };

export const TAKEOVERS: readonly TakeoverRow[] = [
  { name: "killed, timings as they come (3, 2, 0.7 s)", timing: DEFAULT_TIMING, signal: "SIGKILL" },
  { name: "killed, short timings (1, 0.7, 0.2 s)", timing: SHORT, signal: "SIGKILL" },
  { name: "stopped, timings as they come", timing: DEFAULT_TIMING, signal: "SIGTERM" },
];

const NAMESPACE = "metallb-system";
const CONTROLLER = `system:serviceaccount:${NAMESPACE}:fairlead-controller`;
const FAIRLEAD = join(import.meta.dirname, "../bin/fairlead");
const PATIENCE = { milliseconds: 60_000, every: 5 };

/** Milliseconds, one a round. Throws when an address changes. */
export async function measureTakeover(row: TakeoverRow, rounds: number): Promise<readonly number[]> {
  const folder = mkdtempSync(join(tmpdir(), "fl-bench-takeover-"));
  const replicas = new Map<string, ChildProcess>();
  const server = await startApiServer([CONTROLLER]);
  try {
    await installDefinitions(server.admin);
    await makeNamespace(server.admin, NAMESPACE);
    await installRoles(server.admin);
    await putObject(server.admin, pool());
    const observer = observe(server);
    const start = (name: string): Promise<ChildProcess> => startReplica(folder, server, name, row.timing);
    for (const name of ["r0", "r1"]) replicas.set(name, await start(name));
    await putObject(server.admin, service("held"));
    const held = await addressOf(observer, "held");
    const samples: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const acting = await holder(server.admin);
      replicas.get(acting)?.kill(row.signal);
      const begun = performance.now();
      await putObject(server.admin, service(`waiting-${round}`));
      await addressOf(observer, `waiting-${round}`);
      samples.push(performance.now() - begun);
      if ((await addressOf(observer, "held")) !== held) throw new Error("A takeover has changed an address");
      replicas.delete(acting);
      const next = `r${round + 2}`;
      replicas.set(next, await start(next));
    }
    await observer.close();
    return samples;
  } finally {
    for (const child of replicas.values()) child.kill("SIGKILL");
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function observe(server: TestApiServer): Source {
  const connection = openConnection(server.as("admin"));
  return openKubernetesSource({ connection, namespace: NAMESPACE, component: "observer", instance: "bench" });
}

/** Resolves when it has read everything: from then on it can take over. */
async function startReplica(
  folder: string,
  server: TestApiServer,
  name: string,
  timing: Timing,
): Promise<ChildProcess> {
  const kubeconfig = join(folder, `${name}.conf`);
  await writeKubeconfig(server.as(CONTROLLER), kubeconfig);
  const health = `127.0.0.1:${await freePort()}`;
  const options = {
    kubeconfig,
    namespace: NAMESPACE,
    identity: name,
    "health-listen": health,
    "log-level": "silent",
    "lease-duration-seconds": timing.leaseDurationSeconds,
    "renew-deadline-seconds": timing.renewDeadlineSeconds,
    "retry-period-seconds": timing.retryPeriodSeconds,
  };
  const words = Object.entries(options).map(([option, value]) => `--${option}=${value}`);
  const child = spawn(FAIRLEAD, ["controller", ...words], { stdio: "ignore" });
  const isReady = async (): Promise<true | undefined> => {
    const answer = await fetch(`http://${health}/readyz`).catch(() => undefined);
    return answer?.status === 200 ? true : undefined;
  };
  await waitFor(`${name} to be ready`, isReady, PATIENCE);
  return child;
}

function pool(): Parameters<typeof putObject>[1] {
  const metadata = { name: "bench", namespace: NAMESPACE };
  return {
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    metadata,
    ...{ spec: { addresses: ["192.0.2.0/24"] } },
  };
}

function service(name: string): Parameters<typeof putObject>[1] {
  const spec = { type: "LoadBalancer", ports: [{ port: 80, protocol: "TCP" }] };
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, ...{ spec } };
}

/** As soon as a client of the API server can know it. */
function addressOf(observer: Source, name: string): Promise<string> {
  const look = (): string | undefined =>
    observer.snapshot().services.get(`default/${name}`)?.status.loadBalancer.ingress[0]?.ip;
  return waitFor(`an address for ${name}`, look, PATIENCE);
}

function holder(admin: Connection): Promise<string> {
  const metadata = { name: "fairlead-controller", namespace: NAMESPACE };
  return waitFor("somebody to act", async () => {
    const { spec } = await readObject(admin, { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata });
    const { holderIdentity = "" } = spec as { readonly holderIdentity?: string };
    return holderIdentity === "" ? undefined : holderIdentity;
  });
}
