/**
 * Prometheus metrics of the agent: all of them stand here, read from the kernel and the agent's state at the moment of the
 * scrape. Names that start with `metallb_` mean exactly what MetalLB's mean, so that its dashboards and alerts go on working.
 */
import { collectDefaultMetrics, Counter, Registry } from "prom-client";
import type { Problem } from "../net/problem.ts";
import { Slices } from "../time/slices.ts";
import { registerBgp, type BgpMetricsSource } from "./bgp-metrics.ts";
import { observe, observeTotal } from "./gauges.ts";

/** What is asked for at every scrape. */
export interface MetricsSource extends BgpMetricsSource {
  readonly node: string;
  readonly version: string;
  /** Packets by verdict since the datapath was loaded. */
  verdicts(): Readonly<Record<string, number>>;
  /** Refused packets by verdict and Service. */
  drops(): readonly { readonly verdict: string; readonly service?: string; readonly count: number }[];
  counts(): Readonly<Record<"services" | "frontends" | "backends" | "announced" | "endpoints", number>>;
  /** Of the flow table, at the last sweep. */
  flows(): number;
  announced(): readonly { readonly service: string; readonly protocol: "layer2" | "bgp"; readonly ip: string }[];
  /** What was asked for an announced address, and answered. */
  asked(): readonly { readonly ip: string; readonly requests: number; readonly answers: number }[];
  /** Services of type LoadBalancer that nobody answers for, as far as is known here. */
  unserved(): number;
  peers(): readonly { readonly name: string; readonly state: string }[];
  isolated(): boolean;
  /** An operator has drained this node. */
  drained(): boolean;
  stampSeconds(): number;
  /** Seconds since the epoch; 0: never. */
  lastReconcile(): { readonly atSeconds: number; readonly durationSeconds: number; readonly operations: number };
  problems(): readonly Problem[];
  /** Of the configuration; `undefined` until it was read. */
  configurationProblems(): readonly Problem[] | undefined;
  /** Of this node's settings and segments. */
  hazards(): readonly { readonly check: string; readonly level: string }[];
  synced(): boolean;
}

export interface Metrics {
  readonly gratuitousSent: Counter;
  /** A pass over the desired state has ended. */
  passed(result: "done" | "failed"): void;
  /** The text of a scrape. */
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>;
}

const PEER_STATES = ["alive", "abandoned", "gone"];

export function createMetrics(source: MetricsSource): Metrics {
  const register = new Registry();
  collectDefaultMetrics({ register });
  registerDatapath(register, source);
  registerAnnouncing(register, source);
  registerAgent(register, source);
  registerBgp(register, source);
  return {
    gratuitousSent: new Counter({
      name: "metallb_layer2_gratuitous_sent",
      help: "Gratuitous ARP packets and unsolicited neighbor advertisements sent, by address",
      labelNames: ["ip"],
      registers: [register],
    }),
    passed: countPasses(register),
    scrape: async () => ({ contentType: register.contentType, text: await textOf(register) }),
  };
}

/** As the registry puts it together, with pauses between metrics: some have a row for each of thousands of addresses. */
async function textOf(register: Registry): Promise<string> {
  const slices = new Slices();
  const texts: string[] = [];
  for (const { name } of register.getMetricsAsArray()) {
    // One after the other is the purpose.
    // oxlint-disable-next-line no-await-in-loop
    texts.push(await register.getSingleMetricAsString(name));
    // oxlint-disable-next-line no-await-in-loop
    if (slices.due) await slices.pause();
  }
  return `${texts.join("\n\n")}\n`;
}

function countPasses(register: Registry): Metrics["passed"] {
  const registers = [register];
  const reconciles = new Counter({
    name: "fairlead_reconciles_total",
    help: "Passes over the desired state, by how they ended",
    labelNames: ["result"],
    registers,
  });
  const updates = new Counter({
    name: "metallb_k8s_client_updates_total",
    help: "Changes of objects that were handled; several that come together count once",
    registers,
  });
  const errors = new Counter({
    name: "metallb_k8s_client_update_errors_total",
    help: "Of these, those that failed and are tried again",
    registers,
  });
  return (result) => {
    reconciles.inc({ result });
    updates.inc();
    if (result === "failed") errors.inc();
  };
}

function registerDatapath(registry: Registry, source: MetricsSource): void {
  observeTotal(registry, "fairlead_packets_total", "Packets that were ours, by what became of them", ["verdict"], () =>
    Object.entries(source.verdicts()).map(([verdict, value]) => ({ labels: { verdict }, value })),
  );
  observeTotal(
    registry,
    "fairlead_refused_packets_total",
    "Packets dropped or rejected, by reason and Service",
    ["verdict", "service"],
    () => source.drops().map(({ verdict, service = "", count }) => ({ labels: { verdict, service }, value: count })),
  );
  observe(registry, "fairlead_objects", "What the datapath is programmed with", ["kind"], () =>
    Object.entries(source.counts()).map(([kind, value]) => ({ labels: { kind }, value })),
  );
  observe(registry, "fairlead_flows", "Rows of the flow table (two a connection) at the last sweep", [], () => [
    { value: source.flows() },
  ]);
}

function registerAnnouncing(registry: Registry, source: MetricsSource): void {
  const { node } = source;
  observe(
    registry,
    "metallb_speaker_announced",
    "Services announced from this node: 1 for each address while it is",
    ["service", "protocol", "node", "ip"],
    () =>
      source.announced().map(({ service, protocol, ip }) => ({ labels: { service, protocol, node, ip }, value: 1 })),
  );
  observeTotal(
    registry,
    "metallb_layer2_requests_received",
    "ARP requests and neighbor solicitations for an address that is announced here",
    ["ip"],
    () => source.asked().map(({ ip, requests }) => ({ labels: { ip }, value: requests })),
  );
  observeTotal(
    registry,
    "metallb_layer2_responses_sent",
    "ARP replies and neighbor advertisements sent for an address",
    ["ip"],
    () => source.asked().map(({ ip, answers }) => ({ labels: { ip }, value: answers })),
  );
  observe(registry, "fairlead_services_unserved", "Services of type LoadBalancer that nobody answers for", [], () => [
    { value: source.unserved() },
  ]);
  observe(registry, "fairlead_peers", "Other nodes, by state", ["state"], () => {
    const peers = source.peers();
    return PEER_STATES.map((state) => ({
      labels: { state },
      value: peers.filter((peer) => peer.state === state).length,
    }));
  });
  observe(registry, "fairlead_isolated", "1 while all peers are silent at once", [], () => [
    { value: Number(source.isolated()) },
  ]);
  observe(registry, "fairlead_drained", "1 while an operator has drained this node", [], () => [
    { value: Number(source.drained()) },
  ]);
  observe(registry, "fairlead_stamp_seconds", "How long peers will believe in this node's agent", [], () => [
    { value: source.stampSeconds() },
  ]);
}

function registerAgent(registry: Registry, source: MetricsSource): void {
  const { node, version } = source;
  observe(registry, "fairlead_build_info", "1; the labels say what runs here", ["node", "version"], () => [
    { labels: { node, version }, value: 1 },
  ]);
  observe(registry, "fairlead_last_reconcile_timestamp_seconds", "When the last pass ended", [], () => [
    { value: source.lastReconcile().atSeconds },
  ]);
  observe(registry, "fairlead_last_reconcile_duration_seconds", "How long the last pass took", [], () => [
    { value: source.lastReconcile().durationSeconds },
  ]);
  observe(registry, "fairlead_last_reconcile_operations", "Rows the last pass wrote", [], () => [
    { value: source.lastReconcile().operations },
  ]);
  observe(registry, "fairlead_problems", "Problems known now", [], () => [{ value: source.problems().length }]);
  const hazards = "What in this node's settings or on its segments takes packets away, or will";
  observe(registry, "fairlead_node_hazards", hazards, ["check", "level"], () =>
    [...Map.groupBy(source.hazards(), ({ check, level }) => `${check} ${level}`).values()].flatMap((group) =>
      group.slice(0, 1).map(({ check, level }) => ({ labels: { check, level }, value: group.length })),
    ),
  );
  observe(registry, "metallb_k8s_client_config_loaded_bool", "1 if the objects were read at least once", [], () => [
    { value: Number(source.synced()) },
  ]);
  const stale = "1 while some of the configuration cannot be used: its last good form is, or nothing";
  observe(registry, "metallb_k8s_client_config_stale_bool", stale, [], () => [
    { value: Number((source.configurationProblems() ?? []).length > 0) },
  ]);
}
