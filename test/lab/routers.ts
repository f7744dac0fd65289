/** What a lab's routers say about their peers and routes, and what a client loses while something happens. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { spawn } from "node:child_process";
import { memberPlan } from "../../lab/lab.ts";
import { enterNamespace } from "../../lab/programs.ts";
import type { RequestPlan, RequestResult } from "../../lab/requester.ts";
import { waitFor } from "../../lab/wait.ts";
import type { TestLab } from "./harness.ts";

export interface FrrPath {
  readonly valid?: boolean;
  readonly multipath?: boolean;
  readonly locPrf?: number;
  readonly metric?: number;
  readonly aspath?: { readonly string: string };
  readonly community?: { readonly string: string };
  readonly extendedCommunity?: { readonly string: string };
  readonly largeCommunity?: { readonly string: string };
  readonly nexthops: readonly { readonly ip: string; readonly used?: boolean }[];
}

interface FrrPeer {
  readonly state: string;
  readonly pfxRcd?: number;
  readonly connectionsEstablished: number;
  readonly connectionsDropped: number;
}

async function frr(lab: TestLab, router: string, command: string): Promise<unknown> {
  const { stdout, stderr } = await lab.exec(router, "vtysh", "-c", `${command} json`);
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

/** The paths FRR has for a prefix. */
export async function frrPaths(lab: TestLab, router: string, prefix: string): Promise<readonly FrrPath[]> {
  const family = prefix.includes(":") ? "ipv6" : "ipv4";
  const { paths = [] } = (await frr(lab, router, `show bgp ${family} unicast ${prefix}`)) as { paths?: FrrPath[] };
  return paths;
}

/** FRR's sessions of a family, by the peer's address. */
export async function frrPeers(
  lab: TestLab,
  router: string,
  family: "ipv4" | "ipv6" = "ipv4",
): Promise<Readonly<Record<string, FrrPeer>>> {
  const summary = (await frr(lab, router, `show bgp ${family} unicast summary`)) as { peers?: Record<string, FrrPeer> };
  return summary.peers ?? {};
}

/** Requests, one every few milliseconds, from before the body until a while after it; those that failed. */
export async function failuresDuring(
  lab: TestLab,
  plan: RequestPlan,
  body: () => Promise<void>,
): Promise<readonly RequestResult[]> {
  const requests = lab.start({ ...plan, count: 0, everyMilliseconds: 10, timeoutMilliseconds: 2000 });
  try {
    await waitFor("answers before", () => (requests.results.filter((each) => each.ok).length >= 30 ? true : undefined));
    await body();
    const before = requests.results.length;
    await waitFor("answers after", () => (requests.results.length >= before + 50 ? true : undefined));
  } finally {
    await requests.stop();
  }
  return requests.results.filter((each) => !each.ok);
}

/** Every change of a router's kernel routes to a prefix while the body runs, as `ip monitor` tells them and when. */
export async function routeChangesDuring(
  lab: TestLab,
  router: string,
  prefix: string,
  body: () => Promise<void>,
): Promise<readonly string[]> {
  const [file = "", ...rest] = enterNamespace(memberPlan(lab.lab, router).namespace, [
    "ip",
    "-o",
    "-ts",
    "monitor",
    "route",
  ]);
  const monitor = spawn(file, rest, { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  monitor.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  try {
    await body();
    await sleep(100); // What the kernel has said is on its way.
  } finally {
    monitor.kill();
  }
  return text.split("\n").filter((line) => line.includes(`${prefix} `));
}

/** Stops a node's agent as an upgrade does and starts it again: the requests that failed, and what the router's kernel saw, until its session is up. */
export async function restartedAgent(
  lab: TestLab,
  node: string,
  router: string,
  plan: RequestPlan,
): Promise<{ readonly failed: readonly RequestResult[]; readonly changes: readonly string[] }> {
  let failed: readonly RequestResult[] = [];
  const changes = await routeChangesDuring(lab, router, plan.address, async () => {
    failed = await failuresDuring(lab, plan, async () => {
      await lab.fault(node, "agent-stop");
      await lab.fault(node, "agent-start");
      await waitFor(
        "its session",
        async () => ((await lab.agent(node, "/v1/bgp/peers"))?.[0]?.state === "established" ? true : undefined),
        { milliseconds: 30_000 },
      );
    });
  });
  return { failed, changes };
}
