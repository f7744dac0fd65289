/**
 * How long it takes from objects to maps: everything at once, then one endpoint at a time. The product's own steps (resolve, plan, apply)
 * on real maps; the last row of each change is read back from the map before the clock stops.
 */
import { MAGLEV_SEED, openDatapath } from "../src/agent/datapath.ts";
import { emptyMemo } from "../src/agent/desired.ts";
import { applyForwarding } from "../src/datapath/apply.ts";
import { frontendKeyText, readTables, type Tables } from "../src/datapath/tables.ts";
import { planForwarding } from "../src/datapath/plan.ts";
import type { ForwardingPorts } from "../src/datapath/ports.ts";
import { endpointSliceSchema } from "../src/service/objects.ts";
import {
  clusterObjects,
  frontendsOf,
  serviceKey,
  sliceManifest,
  type ClusterObjects,
  type ClusterSize,
} from "./cluster.ts";
import { removeBpffs } from "./leftovers.ts";

export interface ProgramSample {
  /** Milliseconds. */
  readonly resolve: number;
  readonly plan: number;
  readonly apply: number;
  readonly total: number;
}

export interface ProgramResult {
  readonly everything: ProgramSample;
  readonly changes: readonly ProgramSample[];
  /** A second planner on the same maps, as after an agent's restart: milliseconds until it knows what is there. */
  readonly readBack: number;
}

export function measureProgramming(size: ClusterSize, changes: number): ProgramResult {
  const bpffs = `/run/fairlead/bpf-fl-bench-${process.pid}`;
  const datapath = openDatapath({ bpffs, flowsMax: 4096 });
  try {
    const ports = datapath.maps.forwarding;
    const run: Run = { objects: clusterObjects(size), memo: emptyMemo().frontends, tables: readTables(ports), ports };
    const everything = step(run);
    expectFrontends(run, size.services);
    const samples = Array.from({ length: changes }, (_, i) => changeOneEndpoint(run, size, i));
    const start = performance.now();
    readTables(ports);
    return { everything, changes: samples, readBack: performance.now() - start };
  } finally {
    datapath.close();
    removeBpffs(bpffs);
  }
}

interface Run {
  objects: ClusterObjects;
  readonly memo: ReturnType<typeof emptyMemo>["frontends"];
  readonly tables: Tables;
  readonly ports: ForwardingPorts;
}

function step({ objects, memo, tables, ports }: Run): ProgramSample {
  const start = performance.now();
  const frontends = frontendsOf(objects, memo);
  const resolved = performance.now();
  const plan = planForwarding(tables, frontends, { seed: MAGLEV_SEED, now: performance.now() });
  const planned = performance.now();
  applyForwarding(plan, ports, MAGLEV_SEED);
  const applied = performance.now();
  return { resolve: resolved - start, plan: planned - resolved, apply: applied - planned, total: applied - start };
}

/** Endpoint 0 of a Service somewhere in the middle stops being ready; the Service's slots must then be one fewer. */
function changeOneEndpoint(run: Run, size: ClusterSize, round: number): ProgramSample {
  const number = (round * 7919 + 13) % size.services;
  const slice = endpointSliceSchema.parse(sliceManifest(number, size, 0));
  // A snapshot is a value: a change makes another one.
  run.objects = { ...run.objects, endpointSlices: new Map(run.objects.endpointSlices).set(serviceKey(number), slice) };
  const sample = step(run);
  const found = slotsInMap(run, number);
  if (found !== size.endpoints - 1) throw new Error(`Service ${number} has ${found} slots in the map after the change`);
  return sample;
}

function slotsInMap({ tables, ports }: Run, number: number): number {
  const wanted = tables.services.get(serviceKey(number))?.frontends[0]?.key;
  const record = [...readTables(ports).frontends.values()].find((each) => frontendKeyText(each) === wanted);
  return record?.value.slotCount ?? 0;
}

function expectFrontends({ ports }: Run, services: number): void {
  const rows = readTables(ports).frontends.size;
  if (rows !== services * 2) throw new Error(`${rows} rows in the map of frontends, expected ${services * 2}`);
}
