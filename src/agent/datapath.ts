/**
 * The datapath of this node: loaded, joined to the maps an earlier agent left pinned, and attached. Everything is pinned
 * below one directory of a BPF file system (`maps/`, `links/`), so a restart detaches nothing.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FLOW_WAYS } from "../datapath/abi.generated.ts";
import { FLOW_TIMEOUTS } from "../datapath/flows.ts";
import { abiDifferences } from "../kernel/abi-layout.ts";
import { ensureBpffs } from "../kernel/bpffs.ts";
import { detachPinned, listPinnedLinks } from "../kernel/link.ts";
import type { BpfMap } from "../kernel/map.ts";
import { IncompatibleMapsError, loadObject, type BpfProgram, type LoadedObject } from "../kernel/object.ts";
import { openMaps, type DatapathMaps } from "./maps.ts";

/** The same on every node: tables and the hash into them must agree. */
export const MAGLEV_SEED = 0x5eedf1ad;

const OBJECTS = ["xdp", "netdev", "pod"] as const;
const FLOWS_MIN = 1024;

export interface Datapath {
  readonly maps: DatapathMaps;
  readonly programs: Readonly<Record<"xdp" | "ingress" | "egress" | "pod", BpfProgram>>;
  /** Directory of the pinned links. */
  readonly links: string;
  /** An earlier agent's maps were there: what it forwarded never stopped. */
  readonly found: boolean;
  map(name: string): BpfMap;
  /** Lets go; what is pinned stays. */
  close(): void;
}

export interface DatapathOptions {
  readonly bpffs: string;
  /** Rows of the flow tables; `undefined`: as compiled. */
  readonly flowsMax: number | undefined;
  /** Connections that kube-proxy has are told from others: the kernel must be able to say which. */
  readonly handover?: boolean;
}

/** Throws what the kernel refused, or that pinned maps do not fit, each with what was found. */
export function openDatapath({ bpffs, flowsMax, handover = false }: DatapathOptions): Datapath {
  if (handover) requireConntrack();
  ensureBpffs(bpffs);
  const found = existsSync(join(bpffs, "maps", "runtime"));
  const folder = fileURLToPath(new URL("../../bpf/build/", import.meta.url));
  const sizes = flowsMax === undefined ? undefined : flowTableSizes(flowsMax);
  const objects: LoadedObject[] = [];
  try {
    for (const name of OBJECTS) {
      const path = join(folder, `${name}.bpf.o`);
      refuseOtherLayouts(path);
      objects.push(
        loadObject({
          path,
          pinRoot: join(bpffs, "maps"),
          rodata: {
            ...FLOW_TIMEOUTS,
            maglev_seed: MAGLEV_SEED,
            has_conntrack: Number(handover),
            ...(sizes === undefined
              ? {}
              : { flow_bucket_mask: sizes.flow_buckets - 1, flow_cell_mask: sizes.flow_cells - 1 }),
          },
          ...(sizes === undefined ? {} : { maxEntries: sizes }),
        }),
      );
    }
    return { ...assemble(objects), links: join(bpffs, "links"), found };
  } catch (error) {
    for (const object of objects) object.close();
    throw error instanceof IncompatibleMapsError ? withAdvice(error, bpffs) : error;
  }
}

/** What bpf/handover.h calls. A module that is not loaded has no symbols. */
function requireConntrack(): void {
  if (/ bpf_ct_insert_entry\b/.test(readFileSync("/proc/kallsyms", "utf8"))) return;
  throw new Error(
    "Cannot take part in a handover: this kernel does not tell which connections kube-proxy has (bpf_ct_insert_entry, Linux 6.1 and nf_conntrack loaded), so they would break; load nf_conntrack, or start without --handover and let them",
  );
}

function withAdvice(error: IncompatibleMapsError, bpffs: string): Error {
  const advice = `An agent of another version or with another --flows-max left them. Start it as before, or remove them, which ends the connections through this node: fairlead cleanup --node-name NAME --bpffs ${bpffs}`;
  return new Error(`${error.message}\n${advice}`, { cause: error });
}

/** An object compiled from another abi.h would read our bytes as something else. */
function refuseOtherLayouts(path: string): void {
  const differences = abiDifferences(path);
  if (differences.length === 0) return;
  throw new Error(
    `Cannot load ${path}: it was compiled from another bpf/abi.h than this program was made for; ` +
      `run npm run build:bpf && npm run generate\n${differences.map((line) => `  ${line}`).join("\n")}`,
  );
}

function assemble(objects: readonly LoadedObject[]): Omit<Datapath, "links" | "found"> {
  const find = <T extends { readonly name: string }>(lists: readonly (readonly T[])[], name: string): T => {
    const found = lists.flat().find((one) => one.name === name);
    if (found === undefined) throw new Error(`The datapath has no "${name}": run npm run build:bpf`);
    return found;
  };
  const map = (name: string): BpfMap =>
    find(
      objects.map(({ maps }) => maps),
      name,
    );
  const program = (name: string): BpfProgram =>
    find(
      objects.map(({ programs }) => programs),
      name,
    );
  return {
    maps: openMaps(map),
    programs: {
      xdp: program("fairlead_xdp"),
      ingress: program("fairlead_ingress"),
      egress: program("fairlead_egress"),
      pod: program("fairlead_pod"),
    },
    map,
    close: () => {
      for (const object of objects) object.close();
    },
  };
}

/** `rows` in all; buckets are a power of two because they are found by a mask. */
function flowTableSizes(rows: number): {
  readonly flow_buckets: number;
  readonly flow_cells: number;
  readonly flows: number;
} {
  const cells = 2 ** Math.floor(Math.log2(Math.max(rows, FLOWS_MIN)));
  return { flow_buckets: cells / FLOW_WAYS, flow_cells: cells, flows: Math.max(FLOWS_MIN, cells / 2) };
}

/** Takes the datapath off every device and forgets its maps: connections through it end. What is gone already is success. */
export function removeDatapath(bpffs: string): void {
  const links = join(bpffs, "links");
  for (const { pin } of listPinnedLinks(links)) detachPinned(pin);
  const maps = join(bpffs, "maps");
  if (existsSync(maps)) for (const name of readdirSync(maps)) rmSync(join(maps, name));
  for (const folder of [links, maps, join(bpffs, "layouts")]) rmSync(folder, { recursive: true, force: true });
}
