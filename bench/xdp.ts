/**
 * Nanoseconds a packet in XDP, by BPF_PROG_TEST_RUN. Every program writes its packet anew before each repeat (the call does not restore it) with
 * the client taken from a counter; `bench_restore` does only that. A row's time is what is measured, less restoring, plus a trivial program:
 * what the program would cost on its own. All programs of a round run one after the other, so that a busy moment meets all of them.
 */
import { verdict } from "../src/datapath/abi.generated.ts";
import type { LoadedObject } from "../src/kernel/object.ts";
import { testRun } from "../src/kernel/test-run.ts";
import { openMaps } from "../src/agent/maps.ts";
import { clusterObjects, frontendsOf, SERVICE_PORT, serviceAddress } from "./cluster.ts";
import { median, ratio, spread } from "./statistics.ts";
import { openXdpNode, type XdpNode } from "./xdp-node.ts";

export interface XdpOptions {
  readonly rounds: number;
  readonly repeats: number;
}

export interface XdpRow {
  readonly packets: string;
  readonly services: number;
  readonly flows: number | undefined;
  /** Nanoseconds a packet: median (least-most). */
  readonly nanoseconds: string;
  readonly aim: string;
  /** Against the minimal NAT in the same rounds. */
  readonly toMinimal: string;
}

const FRAME_BYTES = 64;
/** Few enough that a table with room keeps room: each is two rows. */
const NEW_FLOWS = 8000;
const FLOWS_TO_FILL = 600_000;
const AIMS: Readonly<Record<string, string>> = {
  "established 1": "≤ 144",
  "established 65536": "≤ 257",
  "new, table with room": "< 660",
  foreign: "< 40",
};

/** Services of a hundred endpoints in the small cluster, so that source ports are not what is measured. */
const CLUSTERS = [
  { services: 1, endpoints: 100 },
  { services: 10_000, endpoints: 10 },
] as const;

export function* measureXdp(options: XdpOptions): Generator<XdpRow> {
  for (const size of CLUSTERS) {
    using node = openXdpNode(frontendsOf(clusterObjects(size)));
    for (const flows of size.services === 1 ? [1, 65_536] : [65_536])
      yield* establishedRows(node, size.services, flows, options);
    yield* otherRows(node, size.services, options);
  }
}

function* establishedRows(node: XdpNode, services: number, flows: number, options: XdpOptions): Generator<XdpRow> {
  using programs = node.load({ ...target(services), client_mask: flows - 1 });
  const names = ["bench_established", "bench_minimal_established", "bench_restore", "bench_trivial"] as const;
  for (const name of names) run(programs, node, name, flows); // once round: the flows begin, and are established
  const before = forwarded(node);
  const samples = rounds(programs, node, names, options.rounds, () => options.repeats);
  expectForwarded(node, before, options.rounds * options.repeats);
  const net = (name: (typeof names)[number]): number[] => withoutRestoring(samples, name);
  const minimal = median(net("bench_minimal_established"));
  if (flows === 1) yield row("trivial", services, undefined, samples.bench_trivial ?? [], undefined);
  yield row("minimal NAT, established", services, flows, net("bench_minimal_established"), minimal);
  yield row("established", services, flows, net("bench_established"), minimal);
}

function* otherRows(node: XdpNode, services: number, options: XdpOptions): Generator<XdpRow> {
  const names = ["bench_new", "bench_minimal_new", "bench_foreign", "bench_restore", "bench_trivial"] as const;
  using programs = node.load({ ...target(services), client_mask: 0xffff, client_base: 0x0b00_0000 });
  for (const tables of ["with room", "full"] as const) {
    if (tables === "full")
      for (const name of ["bench_new", "bench_minimal_new"]) run(programs, node, name, FLOWS_TO_FILL);
    const before = forwarded(node);
    const repeats = (name: string): number => (name.endsWith("new") ? NEW_FLOWS : options.repeats);
    const samples = rounds(programs, node, names, options.rounds, repeats);
    expectForwarded(node, before, options.rounds * NEW_FLOWS);
    const minimal = median(withoutRestoring(samples, "bench_minimal_new"));
    yield row(
      `minimal NAT, new, table ${tables}`,
      services,
      undefined,
      withoutRestoring(samples, "bench_minimal_new"),
      minimal,
    );
    yield row(`new, table ${tables}`, services, undefined, withoutRestoring(samples, "bench_new"), minimal);
    if (tables === "full")
      yield row("foreign", services, undefined, withoutRestoring(samples, "bench_foreign"), undefined);
  }
}

type Samples = Readonly<Record<string, readonly number[]>>;

function rounds(
  programs: LoadedObject,
  node: XdpNode,
  names: readonly string[],
  count: number,
  repeats: (name: string) => number,
): Samples {
  const samples: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < count; round += 1) {
    for (const name of names) samples[name]?.push(run(programs, node, name, repeats(name)));
  }
  return samples;
}

function run(programs: LoadedObject, node: XdpNode, name: string, repeat: number): number {
  return testRun(programs.program(name), new Uint8Array(FRAME_BYTES), { ingressIfindex: node.ifindex, repeat })
    .durationNs;
}

function withoutRestoring(samples: Samples, name: string): number[] {
  const offset = median(samples["bench_trivial"] ?? []) - median(samples["bench_restore"] ?? []);
  return (samples[name] ?? []).map((value) => value + offset);
}

/** The last Service: were they searched one by one, it would be found last. */
function target(services: number): Readonly<Record<string, number>> {
  const parts = serviceAddress(services - 1)
    .split(".")
    .map(Number);
  return { address_v4: parts.reduce((value, part) => value * 256 + part, 0), frontend_port: SERVICE_PORT };
}

function forwarded(node: XdpNode): number {
  return openMaps((name) => node.maps.map(name)).verdicts()["forwarded"] ?? 0;
}

/** A benchmark of drops would be fast: nearly all packets must have been sent on. */
function expectForwarded(node: XdpNode, before: number, packets: number): void {
  const found = forwarded(node) - before;
  if (found < packets * 0.999) {
    const all = JSON.stringify(openMaps((name) => node.maps.map(name)).verdicts());
    throw new Error(
      `Only ${found} of ${packets} packets were forwarded (verdict ${verdict.VERDICT_FORWARDED}): ${all}`,
    );
  }
}

function row(
  packets: string,
  services: number,
  flows: number | undefined,
  values: readonly number[],
  minimal: number | undefined,
): XdpRow {
  return {
    packets,
    services,
    flows,
    nanoseconds: spread(values),
    aim: AIMS[flows === undefined ? packets : `${packets} ${flows}`] ?? "",
    toMinimal: ratio(median(values), minimal),
  };
}
