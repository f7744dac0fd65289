/**
 * Clears expired rows out of the flow table. Nothing depends on it: the datapath takes an expired row for none, and the
 * table evicts what was used least recently. But a table of live flows evicts no live flow, and lists as what it is.
 *
 * A flow that wakes up between the look and the delete loses its row and chooses again; it had been silent for its whole timeout.
 */
import { concatenate } from "../reconcile/rows.ts";
import { viewOf } from "./encode.ts";
import { flowExpired, type FlowTimeouts } from "./flows.ts";
import type { HashTable } from "./ports.ts";

/** Rows looked at between two pauses. */
export const SWEEP_ROWS = 4096;

export interface Swept {
  readonly rows: number;
  readonly expired: number;
}

export interface SweepOptions {
  /** CLOCK_MONOTONIC. */
  readonly nowSeconds: number;
  readonly timeouts: FlowTimeouts;
  /** Awaited every {@link SWEEP_ROWS} rows, so that nothing else waits for more than those. */
  readonly pause: () => Promise<void>;
}

/** One pass. A row that comes or goes meanwhile may be missed: the next pass sees it. */
export async function sweepFlows(
  table: Pick<HashTable, "entries" | "remove">,
  { nowSeconds, timeouts, pause }: SweepOptions,
): Promise<Swept> {
  let rows = 0;
  let expired = 0;
  let keys: Uint8Array[] = [];
  const flush = (): void => {
    if (keys.length > 0) table.remove(concatenate(keys), keys.length);
    expired += keys.length;
    keys = [];
  };
  for (const [key, value] of table.entries()) {
    rows += 1;
    // The iterator reuses its arrays.
    if (flowExpired(viewOf(key), viewOf(value), nowSeconds, timeouts)) keys.push(key.slice());
    if (rows % SWEEP_ROWS !== 0) continue;
    flush();
    await pause();
  }
  flush();
  return { rows, expired };
}
