/** Parts of the benchmark that are about the number of nodes. */
import type { ClusterSize } from "./cluster.ts";
import { ELECTION_EVENTS, measureElection, type ElectionSize } from "./election.ts";
import { measureMembership } from "./membership.ts";
import { measureOvertaking } from "./overtaking.ts";
import { print } from "./print.ts";
import { median, ratio, spread } from "./statistics.ts";

export async function printElection(size: ClusterSize, rounds: number): Promise<void> {
  const nodes = 500;
  const results = Array.from({ length: Math.min(rounds, 3) }, () => measureElection({ ...size, nodes }));
  const names = { first: "the first", goes: "after a node went", comes: "after it came back" } as const;
  const rows = ELECTION_EVENTS.map((event) => {
    const [own, all] = (["own", "all"] as const).map((which) => results.map((result) => result[which][event]));
    const column = (samples: typeof own, of: "milliseconds" | "hashes" | "longestStepMilliseconds"): number =>
      median((samples ?? []).map((sample) => sample[of]));
    return [
      names[event],
      spread((own ?? []).map(({ milliseconds }) => milliseconds)),
      column(own, "hashes"),
      column(own, "longestStepMilliseconds").toFixed(1),
      column(all, "milliseconds").toFixed(0),
      column(all, "hashes"),
      ratio(column(own, "milliseconds"), column(all, "milliseconds")),
    ];
  });
  print(
    `Elections of ${size.services} addresses among ${nodes} nodes, as one of them that announces ${results[0]?.won ?? 0}`,
    ["", "ms", "hashes", "longest step, ms", "with every name, ms", "hashes", "to that"],
    rows,
  );
  await printOvertaking({ ...size, nodes }, 7);
}

async function printOvertaking(size: ElectionSize, rounds: number): Promise<void> {
  const { electionMilliseconds, overtaking, waiting } = await measureOvertaking(size, rounds);
  print(
    `An endpoint that changes during such an election of ${electionMilliseconds.toFixed(0)} ms, until it is in the map`,
    ["", "ms", "to that"],
    [
      ["as it is", spread(overtaking), ratio(median(overtaking), median(waiting))],
      ["if it waited for the end", spread(waiting), ""],
    ],
  );
}

export async function printMembership(): Promise<void> {
  const rows: string[][] = [];
  for (const nodes of [20, 100, 500]) {
    const { cpuPercent, probesPerSecond } = await measureMembership(nodes, 8);
    rows.push([`${nodes}`, cpuPercent.toFixed(1), probesPerSecond.toFixed(0)]);
  }
  print("Membership of one node at rest", ["nodes", "of one CPU, %", "probes/s"], rows);
}
