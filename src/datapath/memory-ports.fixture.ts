/** The maps as plain memory: what tests and benchmarks apply plans to. It refuses what the kernel refuses. */
import { address_filter, backend, frontend, frontend_key } from "./abi.generated.ts";
import type { ArrayTable, ForwardingPorts, HashTable } from "./ports.ts";

export interface MemorySizes {
  readonly frontends: number;
  readonly backends: number;
  readonly slots: number;
  readonly maglev: number;
}

export function memoryPorts(sizes: MemorySizes): ForwardingPorts {
  return {
    frontends: memoryTable(frontend_key.size, frontend.size, sizes.frontends),
    backends: memoryArray(new Uint8Array(sizes.backends * backend.size)),
    slots: memoryArray(new Uint32Array(sizes.slots)),
    maglev: memoryArray(new Uint16Array(sizes.maglev)),
    filter: new Uint32Array(address_filter.size / Uint32Array.BYTES_PER_ELEMENT),
  };
}

function memoryArray<T extends { readonly length: number; subarray(from: number, to: number): T }>(
  elements: T,
): ArrayTable<T> {
  return { length: elements.length, window: (start, count) => elements.subarray(start, start + count) };
}

export function memoryTable(keySize: number, valueSize: number, capacity: number): HashTable {
  const rows = new Map<string, readonly [Uint8Array, Uint8Array]>();
  return {
    capacity,
    entries: () => [...rows.values()],
    put: (keys, values, count) => {
      for (let i = 0; i < count; i += 1) {
        const key = keys.slice(i * keySize, (i + 1) * keySize);
        const value = values.slice(i * valueSize, (i + 1) * valueSize);
        if (key.length !== keySize || value.length !== valueSize) throw new RangeError(`Row ${i} is cut short`);
        if (!rows.has(key.join()) && rows.size >= capacity) throw new RangeError("Argument list too long (E2BIG)");
        rows.set(key.join(), [key, value]);
      }
    },
    remove: (keys, count) => {
      for (let i = 0; i < count; i += 1) rows.delete(keys.slice(i * keySize, (i + 1) * keySize).join());
    },
  };
}
