/** Parts of the benchmark that need a real API server. */
import { measureFirstByte } from "./first-byte.ts";
import { measureLargeCluster } from "./kubernetes.ts";
import { print } from "./print.ts";
import { LARGE, type Options } from "./sizes.ts";
import { median, quantile, spread } from "./statistics.ts";
import { measureTakeover, TAKEOVERS } from "./takeover.ts";

const CHANGES = 200;
const FIRST_BYTES = 30;

export async function printKubernetes(): Promise<void> {
  const large = { ...LARGE, nodes: 500 };
  const result = await measureLargeCluster(large, CHANGES);
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

export async function printTakeover({ rounds }: Options): Promise<void> {
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
