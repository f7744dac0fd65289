/** The pinned maps, opened and given the shapes that src/datapath works with. */
import { address_filter, drop_key, flow_cell, flow_key } from "../datapath/abi.generated.ts";
import { viewOf } from "../datapath/encode.ts";
import type { ArrayTable, ForwardingPorts, HashTable } from "../datapath/ports.ts";
import { sumCounters, type BpfMap } from "../kernel/map.ts";
import { verdictName } from "../observe/verdicts.ts";

export interface DropCount {
  readonly verdict: string;
  /** 0: none. */
  readonly serviceId: number;
  readonly count: number;
}

export interface DatapathMaps {
  readonly forwarding: ForwardingPorts;
  readonly announced: HashTable;
  readonly devices: HashTable;
  readonly endpoints: HashTable;
  /** The flow rows that found no cell. */
  readonly flows: HashTable;
  /** Every row of both flow tables, live or expired; the bytes may be reused for the next. Undefined: so many cells were passed over. */
  allFlows(): Iterable<readonly [key: Uint8Array, value: Uint8Array] | undefined>;
  /** struct runtime */
  readonly runtime: DataView;
  /** Packets by verdict, those that happened. */
  verdicts(): Record<string, number>;
  drops(): readonly DropCount[];
}

/** `map` finds a map of the loaded objects by name. */
export function openMaps(map: (name: string) => BpfMap): DatapathMaps {
  const flows = hashTable(map("flows"));
  return {
    forwarding: {
      frontends: hashTable(map("frontends")),
      backends: arrayTable(map("backends"), Uint8Array),
      slots: arrayTable(map("slots"), Uint32Array),
      maglev: arrayTable(map("maglev"), Uint16Array),
      filter: new Uint32Array(map("address_filter").mmap(), 0, address_filter.size / Uint32Array.BYTES_PER_ELEMENT),
    },
    announced: hashTable(map("announced")),
    devices: hashTable(map("devices")),
    endpoints: hashTable(map("endpoints")),
    flows,
    *allFlows() {
      // Not through mmap: pages once touched would count as this process's memory for ever.
      let cells = 0;
      for (const [, cell] of map("flow_cells").entries()) {
        if (cell[FLOW_PROTOCOL_IN_CELL] !== 0)
          yield [cell.subarray(flow_cell.offset.key, flow_cell.offset.flow), cell.subarray(flow_cell.offset.flow)];
        cells += 1;
        if (cells % CELLS_A_STEP === 0) yield undefined;
      }
      yield* flows.entries();
    },
    runtime: new DataView(map("runtime").mmap()),
    verdicts: () => readVerdicts(map("verdicts")),
    drops: () => readDrops(map("drops")),
  };
}

const FLOW_PROTOCOL_IN_CELL = flow_cell.offset.key + flow_key.offset.protocol;
/** A pause for others is due after so many. */
const CELLS_A_STEP = 4096;

function hashTable(map: BpfMap): HashTable {
  return {
    capacity: map.capacity,
    entries: () => map.entries(),
    put: (keys, values, count) => map.updateBatch(keys, values, count),
    remove: (keys, count) => map.deleteBatch(keys, count),
  };
}

/** The elements of all values, one behind the other: chunks are whole pages, and a row of backends is a multiple of eight. */
function arrayTable<T>(
  map: BpfMap,
  Elements: { new (buffer: ArrayBuffer, byteOffset: number, length: number): T; readonly BYTES_PER_ELEMENT: number },
): ArrayTable<T> {
  const { BYTES_PER_ELEMENT: bytes } = Elements;
  const memory = map.window();
  const length = memory.byteLength / bytes;
  return {
    length,
    window: (start, count) => {
      const from = Math.min(start, length);
      const elements = Math.min(count, length - from);
      const { buffer, byteOffset } = memory.reach(from * bytes, elements * bytes);
      return new Elements(buffer, byteOffset, elements);
    },
  };
}

function readVerdicts(map: BpfMap): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let verdict = 0; verdict < map.capacity; verdict += 1) {
    const count = Number(map.perCpuSum(new Uint8Array(Uint32Array.of(verdict).buffer)));
    if (count > 0) counts[verdictName(verdict)] = count;
  }
  return counts;
}

function readDrops(map: BpfMap): DropCount[] {
  return Array.from(map.entries(), ([key, value]) => ({
    verdict: verdictName(viewOf(key).getUint32(drop_key.offset.verdict, true)),
    serviceId: viewOf(key).getUint32(drop_key.offset.service_id, true),
    count: Number(sumCounters(value)),
  }));
}
