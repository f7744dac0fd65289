/** Parts of the benchmark that are about the datapath and its tables, and about giving addresses. */
import { measureOneMore } from "./one-more.ts";
import { measurePool, POOL_INPUTS } from "./pool.ts";
import { print } from "./print.ts";
import { measureProgramming } from "./program.ts";
import { LARGE, type Options } from "./sizes.ts";
import { median, spread } from "./statistics.ts";
import { measureTraffic } from "./traffic.ts";
import { measureXdp } from "./xdp.ts";

const CHANGES = 20;

export async function printXdp({ rounds }: Options): Promise<void> {
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

export async function printProgramming({ rounds }: Options): Promise<void> {
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

export async function printPool({ rounds }: Options): Promise<void> {
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
  print(
    "One more Service beside those of a /8, ms: decided about alone (median of 50), and everything from nothing",
    ["Services", "alone", "from nothing", "ratio"],
    [10_000, 100_000]
      .map(measureOneMore)
      .map(({ services, aloneMilliseconds, fromNothingMilliseconds }) => [
        services,
        aloneMilliseconds.toFixed(2),
        fromNothingMilliseconds.toFixed(0),
        (aloneMilliseconds / fromNothingMilliseconds).toFixed(4),
      ]),
  );
}

export async function printTraffic({ rounds, seconds, services }: Options): Promise<void> {
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
