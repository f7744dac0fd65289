/** Parts of the benchmark that are about BGP and BFD. */
import { measureBfd } from "./bfd.ts";
import { CONTESTANTS, measureBgp, type BgpResult } from "./bgp.ts";
import { print } from "./print.ts";
import type { Options } from "./sizes.ts";
import { median, spread } from "./statistics.ts";
import { measureTold, TOLD_INPUTS } from "./told.ts";

const ROUTES = 100_000;
const BFD = { sessions: 100, intervalMilliseconds: 50, seconds: 10 } as const;

export async function printTold({ rounds }: Options): Promise<void> {
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

export async function printBgp({ rounds }: Options): Promise<void> {
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

export async function printBfd(): Promise<void> {
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
