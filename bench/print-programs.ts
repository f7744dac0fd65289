/** Parts of the benchmark that run a whole agent or controller on manifests. */
import { measureAgent } from "./agent.ts";
import { measureController, type ControllerResult } from "./controller.ts";
import { INPUTS, measureInput } from "./inputs.ts";
import { measureLargeAgent } from "./large-agent.ts";
import type { LoopDelay } from "./loop-delays.ts";
import { print } from "./print.ts";
import { LARGE, type Options } from "./sizes.ts";
import { spread } from "./statistics.ts";

const HUGE = { services: 100_000, pools: 1000 } as const;
const CHANGES = 20;

export async function printAgent(): Promise<void> {
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

export async function printLargeAgent(): Promise<void> {
  const size = { ...LARGE, nodes: 500 };
  const { moments, memory } = await measureLargeAgent(size);
  print(
    `A whole agent with ${size.services} Services of ${size.endpoints} endpoints, ${size.nodes} nodes, layer 2 and a BGP peer`,
    ["", "nobody else had a turn for at most, ms", "without waiting for a processor", "answered after, ms"],
    moments.map(({ what, loopDelay: { longest, longestOwn }, milliseconds }) => [
      what,
      ...[longest, longestOwn].map((each) => each.toFixed(0)),
      milliseconds?.toFixed(0) ?? "",
    ]),
  );
  console.log(`Resident ${memory.resident.toFixed(0)} MB, at most ${memory.peak.toFixed(0)}\n`);
}

export async function printController({ rounds }: Options): Promise<void> {
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

export async function printInputs(): Promise<void> {
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

function away({ longest, longestOwn }: LoopDelay): string {
  return `${longest.toFixed(0)} (${longestOwn.toFixed(0)})`;
}
