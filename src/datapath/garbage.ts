/**
 * Clears expired rows out of the flow table. Nothing depends on it: the datapath takes an expired row for none, and the
 * table evicts what was used least recently. But a table of live flows evicts no live flow, and lists as what it is.
 *
 * A flow that wakes up between the look and the delete loses its row and chooses again; it had been silent for its whole timeout.
 */
import { flow, flow_key } from "./abi.generated.ts";
import { concatenate } from "../reconcile/rows.ts";
import { flowExpired, type FlowTimeouts } from "./flows.ts";

/** `count` rows, one behind the other. */
export interface FlowChunk {
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  readonly count: number;
}

export interface FlowTable {
  /** The whole table, a chunk at a time. A row that moves while one looks may be seen twice or not at all. */
  chunks(): Iterable<FlowChunk>;
  remove(keys: Uint8Array, count: number): void;
}

export interface Swept {
  readonly rows: number;
  readonly expired: number;
}

/** One pass. `pause` is awaited after every chunk, so that nothing else waits for more than one. */
export async function sweepFlows(
  table: FlowTable,
  { nowSeconds, timeouts, pause }: { readonly nowSeconds: number; readonly timeouts: FlowTimeouts; readonly pause: () => Promise<void> },
): Promise<Swept> {
  let rows = 0;
  let expired = 0;
  for (const chunk of table.chunks()) {
    const keys = expiredKeys(chunk, nowSeconds, timeouts);
    if (keys.length > 0) table.remove(concatenate(keys), keys.length);
    rows += chunk.count;
    expired += keys.length;
    await pause();
  }
  return { rows, expired };
}

function expiredKeys({ keys, values, count }: FlowChunk, nowSeconds: number, timeouts: FlowTimeouts): Uint8Array[] {
  const result: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) {
    const key = keys.subarray(i * flow_key.size, (i + 1) * flow_key.size);
    const value = new DataView(values.buffer, values.byteOffset + i * flow.size, flow.size);
    if (flowExpired(new DataView(key.buffer, key.byteOffset, key.byteLength), value, nowSeconds, timeouts)) result.push(key);
  }
  return result;
}
