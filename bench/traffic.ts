/**
 * Connections a second and bulk throughput from a client through a node to a pod: plain routing, kube-proxy's iptables and nftables rules,
 * Fairlead. All of them stand ready side by side and are measured in turns, so that a busy moment meets each of them.
 */
import { address } from "../src/net/address.ts";
import type { Frontend } from "../src/service/frontends.ts";
import {
  clusterObjects,
  frontendsOf,
  POD_PORT,
  podAddress,
  SERVICE_PORT,
  serviceAddress,
  serviceKey,
} from "./cluster.ts";
import { median, ratio, spread } from "./statistics.ts";
import { attachFairlead, type FairleadNode } from "./traffic-fairlead.ts";
import { openPath, POD_ADDRESS, type Path } from "./traffic-network.ts";
import { iptablesRules, nftablesRules, type RuleService } from "./traffic-rules.ts";

export interface TrafficOptions {
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  readonly services: readonly number[];
}

export interface TrafficRow {
  readonly services: number;
  readonly contestant: Contestant;
  /** How long the rules or tables took to be there. */
  readonly setUpMilliseconds: number;
  readonly connections: string;
  readonly connectionsToRouting: string;
  /** Microseconds a connection. */
  readonly p50: number;
  readonly p99: number;
  readonly failed: number;
  readonly gigabits: string;
  readonly gigabitsToRouting: string;
}

const CONTESTANTS = ["routing", "iptables", "nftables", "fairlead"] as const;
type Contestant = (typeof CONTESTANTS)[number];

interface Samples {
  readonly connections: number[];
  readonly p50: number[];
  readonly p99: number[];
  readonly gigabits: number[];
  failed: number;
}

/** Endpoints of the Services that are not measured: enough for the chains to look alike, few enough to be loaded in seconds. */
const SIZE_ENDPOINTS = 2;

export async function* measureTraffic(options: TrafficOptions): AsyncGenerator<TrafficRow> {
  using stack = new DisposableStack();
  const paths = new Map<Contestant, Path>();
  for (const contestant of CONTESTANTS) paths.set(contestant, stack.use(await openPath(contestant, POD_PORT)));
  const fairlead = stack.use(attachFairlead(pathOf(paths, "fairlead")));
  for (const services of options.services) {
    const setUp = new Map(
      CONTESTANTS.map((contestant) => [contestant, timed(() => prepare(contestant, paths, fairlead, services))]),
    );
    const samples = await measureRounds(paths, services, options);
    const routing = samples.get("routing");
    for (const [contestant, sample] of samples)
      yield row(services, contestant, setUp.get(contestant) ?? 0, sample, routing);
  }
}

function prepare(
  contestant: Contestant,
  paths: ReadonlyMap<Contestant, Path>,
  fairlead: FairleadNode,
  services: number,
): void {
  const path = pathOf(paths, contestant);
  switch (contestant) {
    case "routing":
      return;
    case "iptables":
      path.onNode("iptables-restore", iptablesRules(ruleServices(services)));
      return;
    case "nftables":
      path.onNode(
        "nft delete table ip kube-proxy 2>/dev/null || true; nft -f -",
        nftablesRules(ruleServices(services)),
      );
      return;
    case "fairlead":
      fairlead.program(localFrontends(services));
      return;
  }
}

/** The Service in the middle is the one with the pod: rules that are searched in order are searched half through. */
function measured(services: number): number {
  return Math.floor(services / 2);
}

function ruleServices(services: number): RuleService[] {
  const size = { services, endpoints: SIZE_ENDPOINTS };
  return Array.from({ length: services }, (_, number) => ({
    address: serviceAddress(number),
    port: SERVICE_PORT,
    endpoints:
      number === measured(services)
        ? [{ address: POD_ADDRESS, port: POD_PORT }]
        : Array.from({ length: SIZE_ENDPOINTS }, (__, i) => ({ address: podAddress(number, i, size), port: POD_PORT })),
  }));
}

function localFrontends(services: number): Map<string, readonly Frontend[]> {
  const all = new Map(frontendsOf(clusterObjects({ services, endpoints: SIZE_ENDPOINTS })));
  const key = serviceKey(measured(services));
  const own = all.get(key)?.map((frontend) => ({
    ...frontend,
    backends: frontend.backends
      .slice(0, 1)
      .map((backend) => ({ ...backend, address: address(POD_ADDRESS), local: true })),
  }));
  return all.set(key, own ?? []);
}

async function measureRounds(
  paths: ReadonlyMap<Contestant, Path>,
  services: number,
  { rounds, seconds }: TrafficOptions,
): Promise<Map<Contestant, Samples>> {
  const samples = new Map<Contestant, Samples>(
    CONTESTANTS.map((name) => [name, { connections: [], p50: [], p99: [], gigabits: [], failed: 0 }]),
  );
  for (let round = 0; round < rounds; round += 1) {
    // Each round begins with another one.
    for (let turn = 0; turn < CONTESTANTS.length; turn += 1) {
      const contestant = CONTESTANTS[(turn + round) % CONTESTANTS.length] ?? "routing";
      const sample = samples.get(contestant);
      if (sample !== undefined)
        await measureOnce(pathOf(paths, contestant), targetOf(contestant, services), seconds, sample);
    }
  }
  return samples;
}

async function measureOnce(
  path: Path,
  target: readonly [string, string],
  seconds: number,
  sample: Samples,
): Promise<void> {
  const connections = (await path.fromClient("connections", ...target, String(seconds))) as {
    count: number;
    failed: number;
    microseconds: { p50: number; p99: number };
  };
  const bulk = (await path.fromClient("bulk", ...target, String(seconds))) as { megabitsPerSecond: number };
  sample.connections.push(connections.count / seconds);
  sample.p50.push(connections.microseconds.p50);
  sample.p99.push(connections.microseconds.p99);
  sample.failed += connections.failed;
  sample.gigabits.push(bulk.megabitsPerSecond / 1000);
}

function targetOf(contestant: Contestant, services: number): readonly [string, string] {
  if (contestant === "routing") return [POD_ADDRESS, String(POD_PORT)];
  return [serviceAddress(measured(services)), String(SERVICE_PORT)];
}

function row(
  services: number,
  contestant: Contestant,
  setUpMilliseconds: number,
  sample: Samples,
  routing: Samples | undefined,
): TrafficRow {
  return {
    services,
    contestant,
    setUpMilliseconds,
    connections: spread(sample.connections),
    connectionsToRouting: ratio(median(sample.connections), routing && median(routing.connections)),
    p50: median(sample.p50),
    p99: median(sample.p99),
    failed: sample.failed,
    gigabits: spread(sample.gigabits, 1),
    gigabitsToRouting: ratio(median(sample.gigabits), routing && median(routing.gigabits)),
  };
}

function timed(action: () => void): number {
  const start = performance.now();
  action();
  return performance.now() - start;
}

function pathOf(paths: ReadonlyMap<Contestant, Path>, contestant: Contestant): Path {
  const path = paths.get(contestant);
  if (path === undefined) throw new Error(`There is no path for ${contestant}`);
  return path;
}
