/**
 * The numbers that the README quotes: `npm run bench` measures everything (some minutes), `npm run bench -- xdp` one part.
 * Medians; what is compared is measured in turns within one run, so that ratios mean something on a busy machine too.
 */
import { cpus, release } from "node:os";
import { Command, InvalidArgumentError } from "commander";
import { measureAgent } from "./agent.ts";
import { measureController, type ControllerResult } from "./controller.ts";
import { measureBfd } from "./bfd.ts";
import { CONTESTANTS, measureBgp, type BgpResult } from "./bgp.ts";
import { measureFirstByte } from "./first-byte.ts";
import { INPUTS, measureInput } from "./inputs.ts";
import { measureLargeCluster } from "./kubernetes.ts";
import type { LoopDelay } from "./loop-delays.ts";
import { removeLeftovers } from "./leftovers.ts";
import { print } from "./print.ts";
import { printElection, printMembership } from "./print-nodes.ts";
import { measurePool, POOL_INPUTS } from "./pool.ts";
import { measureProgramming } from "./program.ts";
import { median, quantile, spread } from "./statistics.ts";
import { measureTakeover, TAKEOVERS } from "./takeover.ts";
import { measureTold, TOLD_INPUTS } from "./told.ts";
import { measureTraffic } from "./traffic.ts";
import { measureXdp } from "./xdp.ts";

const LARGE = { services: 10_000, endpoints: 10 } as const;
const HUGE = { services: 100_000, pools: 1000 } as const;
const CHANGES = 20;
const API_CHANGES = 200;
const FIRST_BYTES = 30;
const ROUTES = 100_000;
const BFD = { sessions: 100, intervalMilliseconds: 50, seconds: 10 } as const;

const PARTS = {
  xdp: { description: "nanoseconds a packet in XDP, by BPF_PROG_TEST_RUN", run: printXdp },
  program: {
    description: "from objects to maps: 10,000 Services of 10 endpoints, then single changes",
    run: printProgramming,
  },
  pool: { description: "addresses for 10,000 and 100,000 Services, from nothing", run: printPool },
  election: {
    description: "who announces 10,000 addresses among 500 nodes, beside all elections with every name",
    run: ({ rounds }) => printElection(LARGE, rounds),
  },
  membership: { description: "what it costs a node to probe 19, 99 and 499 others", run: printMembership },
  agent: { description: "a whole agent with that cluster: start, memory, an edit of a manifest", run: printAgent },
  controller: {
    description:
      "a whole controller with 100,000 Services and 1,000 pools: how long, and for how long nobody else had a turn",
    run: printController,
  },
  inputs: {
    description: "manifests nobody writes by hand: a pool of 100,000 entries, all of IPv6, 10 MB of YAML",
    run: printInputs,
  },
  kubernetes: {
    description: "a real API server: an agent with 10,000 Services and 500 nodes, event to map, Service to first byte",
    run: printKubernetes,
  },
  takeover: {
    description: "a real API server: from the end of the acting controller until another has given an address",
    run: printTakeover,
  },
  told: { description: "what telling a BGP peer 100,000 routes costs", run: printTold },
  bgp: { description: "100,000 routes to FRR, beside GoBGP", run: printBgp },
  bfd: { description: "what 100 BFD sessions at 50 ms cost", run: printBfd },
  traffic: { description: "connections and throughput beside routing, iptables and nftables", run: printTraffic },
} as const satisfies Record<string, { description: string; run: (options: Options) => Promise<void> }>;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly services: readonly number[];
}

await main();

async function main(): Promise<void> {
  const command = new Command("bench")
    .description(
      `Benchmarks of Fairlead; they need root.\n${Object.entries(PARTS)
        .map(([name, part]) => `  ${name.padEnd(8)} ${part.description}`)
        .join("\n")}`,
    )
    .argument("[parts...]", "which of them (default: all)")
    .option("--rounds <n>", "rounds of each measurement", positiveInteger, 7)
    .option("--seconds <n>", "of each traffic measurement", positiveNumber, 1)
    .option("--services <list>", "sizes of the rule sets, e.g. 1,1000", numbers, [1, 1000, 5000])
    .parse();
  const asked = command.args.length > 0 ? command.args : Object.keys(PARTS);
  const unknown = asked.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined) command.error(`Unknown part "${unknown}": ${Object.keys(PARTS).join(", ")}`);
  console.log(
    `${cpus()[0]?.model ?? "unknown CPU"}, ${cpus().length} CPUs, Linux ${release()}, Node.js ${process.version}\n`,
  );
  for (const name of removeLeftovers()) console.log(`Removed ${name}, which a killed benchmark left`);
  for (const [name, part] of Object.entries(PARTS)) if (asked.includes(name)) await part.run(command.opts<Options>());
}

async function printXdp({ rounds }: Options): Promise<void> {
  print(
    "Nanoseconds a packet in XDP: median (least-most); the aims are of a machine where the trivial program takes 25-30",
    ["packets", "Services", "flows", "ns", "aim", "to minimal NAT"],
    Array.from(measureXdp({ rounds, repeats: 500_000 }), (row) => [
      row.packets,
      row.services,
      row.flows ?? "",
      row.nanoseconds,
      row.aim,
      row.toMinimal,
    ]),
  );
}

async function printProgramming({ rounds }: Options): Promise<void> {
  const results = Array.from({ length: Math.min(rounds, 3) }, () => measureProgramming(LARGE, CHANGES));
  const everything = results.map((result) => result.everything);
  const changes = results.flatMap((result) => result.changes);
  const line = (what: string, samples: typeof everything, digits: number, aim: string): string[] => [
    what,
    ...(["resolve", "plan", "apply"] as const).map((phase) =>
      median(samples.map((sample) => sample[phase])).toFixed(digits),
    ),
    spread(
      samples.map(({ total }) => total),
      digits,
    ),
    aim,
  ];
  print(
    `From objects to maps, ${LARGE.services} Services of ${LARGE.endpoints} endpoints, milliseconds`,
    ["", "resolve", "plan", "apply", "together", "aim"],
    [
      line("everything", everything, 0, "< 2000"),
      line("one endpoint", changes, 1, "< 20"),
      ["read back after a restart", "", "", "", spread(results.map(({ readBack }) => readBack)), ""],
    ],
  );
}

async function printPool({ rounds }: Options): Promise<void> {
  const rows = POOL_INPUTS.map((input) => {
    const results = Array.from({ length: Math.min(rounds, 3) }, () => measurePool(input));
    return [
      input.name,
      input.services,
      results[0]?.assigned ?? 0,
      spread(results.map(({ milliseconds }) => milliseconds)),
      spread(results.map(({ processorMilliseconds }) => processorMilliseconds)),
      median(results.map(({ microsecondsEach }) => microsecondsEach)).toFixed(1),
      input.aim === undefined ? "" : `< ${input.aim}`,
      spread(results.map(({ longestStepMilliseconds }) => longestStepMilliseconds)),
    ];
  });
  print(
    "Addresses for Services that have none: reading them, searching, book-keeping; medians",
    ["pools", "Services", "assigned", "ms", "processor ms", "µs each", "aim", "longest step, ms"],
    rows,
  );
}

async function printAgent(): Promise<void> {
  const result = await measureAgent(LARGE, CHANGES);
  print(
    `A whole agent, ${LARGE.services} Services of ${LARGE.endpoints} endpoints`,
    ["", "measured", "aim"],
    [
      ["start until ready, ms", result.readyMilliseconds.toFixed(0), ""],
      ["nobody else had a turn for at most, ms (without waiting for a processor)", away(result.loopDelay), "< 200"],
      ["edit of a manifest until it is in the map, ms", spread(result.changeMilliseconds), "< 1000"],
      [
        "nobody else had a turn for at most, ms (without waiting for a processor)",
        away(result.changeLoopDelay),
        "< 200",
      ],
    ],
  );
  print(
    "Its memory, MB; settled is aimed at less than 250, the peak at less than 300",
    ["", "resident", "peak", "private", "mapped tables", "files"],
    Object.entries(result.memory).map(([when, sample]) => [
      when,
      ...[sample.resident, sample.peak, sample.private, sample.mappedTables, sample.files].map((m) => m.toFixed(0)),
    ]),
  );
}

async function printController({ rounds }: Options): Promise<void> {
  const results: ControllerResult[] = [];
  for (let round = 0; round < Math.min(rounds, 3); round += 1) results.push(await measureController(HUGE));
  const column = (of: (result: ControllerResult) => number): string => spread(results.map(of));
  const sizes = results[0]?.manifestMegabytes.map((size) => size.toFixed(1)).join(" + ") ?? "";
  print(
    `A whole controller, ${HUGE.services} Services and ${HUGE.pools} pools in manifests of ${sizes} MB: median (least-most) of ${results.length} rounds`,
    ["", "measured", "aim"],
    [
      ["start until every Service has its address, ms", column((r) => r.assignedMilliseconds), ""],
      ["nobody else had a turn while modules were loaded, ms", column((r) => r.loopDelay.loading), ""],
      ["nobody else had a turn for at most, ms", column((r) => r.loopDelay.longest), "< 200"],
      ["the same without waiting for a processor", column((r) => r.loopDelay.longestOwn), "< 200"],
      ["one more Service, ms", column((r) => r.oneMoreMilliseconds), ""],
      ["nobody else had a turn for at most, ms", column((r) => r.oneMoreLoopDelay.longest), "< 200"],
      ["the same without waiting for a processor", column((r) => r.oneMoreLoopDelay.longestOwn), "< 200"],
      ["resident memory, MB", column((r) => r.residentMegabytes), ""],
      ["at most, MB", column((r) => r.peakMegabytes), ""],
    ],
  );
}

async function printInputs(): Promise<void> {
  const rows: string[][] = [];
  for (const input of INPUTS) {
    const { megabytes, milliseconds, loopDelay, peakMegabytes } = await measureInput(input);
    const fixed = [megabytes.toFixed(1), milliseconds.toFixed(0), away(loopDelay), peakMegabytes.toFixed(0)];
    rows.push([input.name, ...fixed]);
  }
  print(
    "A whole controller with huge manifests, until every Service has its address; the loop is aimed at less than 200 ms",
    ["", "MB", "ms", "nobody else had a turn, ms (without waiting for a processor)", "resident at most, MB"],
    rows,
  );
}

async function printKubernetes(): Promise<void> {
  const large = { ...LARGE, nodes: 500 };
  const result = await measureLargeCluster(large, API_CHANGES);
  const { changeMilliseconds: changes, settled, later } = result;
  const p99 = quantile(changes, 0.99).toFixed(0);
  print(
    `A whole agent and a real API server, ${LARGE.services} Services of ${LARGE.endpoints} endpoints, ${large.nodes} nodes`,
    ["", "measured", "aim"],
    [
      ["first start until everything is programmed, ms", result.readyMilliseconds.toFixed(0), ""],
      ["an endpoint changes until it is in the map, ms, and p99", `${spread(changes)}, ${p99}`, ""],
      [
        "resident once settled, and after the changes, MB",
        `${settled.resident.toFixed(0)}, ${later.resident.toFixed(0)}`,
        "< 300",
      ],
      ["resident at most, MB", later.peak.toFixed(0), "< 300"],
    ],
  );
  const samples = await measureFirstByte(FIRST_BYTES);
  print(
    "Service created, in scene apiserver: controller, three agents, a client on the same segment",
    ["", "ms", "p99", "aim"],
    (["assigned", "answered"] as const).map((what) => {
      const values = samples.map((sample) => sample[what]);
      const name = what === "assigned" ? "until its address is in the status" : "until the first byte of an answer";
      return [name, spread(values), quantile(values, 0.99).toFixed(0), what === "answered" ? "median < 150" : ""];
    }),
  );
}

async function printTakeover({ rounds }: Options): Promise<void> {
  const rows: string[][] = [];
  for (const row of TAKEOVERS) {
    const samples = await measureTakeover(row, rounds);
    rows.push([row.name, median(samples).toFixed(0), Math.max(...samples).toFixed(0), "< 5000"]);
  }
  print(
    "The acting controller ends: until a Service made then has an address, ms",
    ["", "median", "worst", "aim"],
    rows,
  );
}

async function printTold({ rounds }: Options): Promise<void> {
  const names = Object.keys(TOLD_INPUTS) as (keyof typeof TOLD_INPUTS)[];
  const rows = names.map((name) => {
    const results = Array.from({ length: Math.min(rounds, 5) }, () => measureTold(name, ROUTES));
    const column = (what: `${"first" | "change" | "refresh" | "read"}Milliseconds`): string =>
      spread(results.map((result) => result[what]));
    return [
      name,
      results[0]?.messages ?? 0,
      results[0]?.bytes ?? 0,
      column("firstMilliseconds"),
      column("changeMilliseconds"),
      column("refreshMilliseconds"),
      column("readMilliseconds"),
    ];
  });
  print(
    `${ROUTES} routes to one BGP peer, milliseconds`,
    ["", "messages", "bytes", "all told", "one changed", "told again", "read"],
    rows,
  );
}

async function printBgp({ rounds }: Options): Promise<void> {
  const results = new Map<string, BgpResult[]>(CONTESTANTS.map((name) => [name, []]));
  // In turns, so that a busy moment of the machine is not one contestant's alone.
  for (let round = 0; round < Math.min(rounds, 3); round += 1)
    for (const name of CONTESTANTS) results.get(name)?.push(await measureBgp(name, ROUTES));
  print(
    "Routes to a router with FRR, from Established until it has all",
    ["", "routes", "ms", "CPU, s"],
    [...results].map(([name, rows]) => [
      name,
      median(rows.map(({ routes }) => routes)),
      spread(rows.map(({ milliseconds }) => milliseconds)),
      spread(
        rows.map(({ cpuSeconds }) => cpuSeconds),
        1,
      ),
    ]),
  );
}

async function printBfd(): Promise<void> {
  const { sessions, intervalMilliseconds, seconds } = BFD;
  const result = await measureBfd(sessions, intervalMilliseconds, seconds);
  print(
    `${sessions} BFD sessions at ${intervalMilliseconds} ms between two processes, one of them`,
    ["of one CPU, %", "packets/s", "longest gap, ms", "flaps"],
    [
      [
        result.cpuPercent.toFixed(1),
        result.packetsPerSecond.toFixed(0),
        result.longestGapMilliseconds.toFixed(0),
        result.flaps,
      ],
    ],
  );
}

function away({ longest, longestOwn }: LoopDelay): string {
  return `${longest.toFixed(0)} (${longestOwn.toFixed(0)})`;
}

async function printTraffic({ rounds, seconds, services }: Options): Promise<void> {
  const rows = await Array.fromAsync(measureTraffic({ rounds, seconds, services }));
  print(
    "Client - node - pod on veths, through tc: median (least-most)",
    ["Services", "", "set-up ms", "connections/s", "to routing", "p50 µs", "p99 µs", "failed", "Gbit/s", "to routing"],
    rows.map((row) => [
      row.services,
      row.contestant,
      row.setUpMilliseconds.toFixed(0),
      row.connections,
      row.connectionsToRouting,
      row.p50.toFixed(0),
      row.p99.toFixed(0),
      row.failed,
      row.gigabits,
      row.gigabitsToRouting,
    ]),
  );
}

function positiveInteger(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("It must be a whole number above zero");
  return Number(text);
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("It must be a number above zero");
  return value;
}

function numbers(text: string): number[] {
  return text.split(",").map(positiveInteger);
}
