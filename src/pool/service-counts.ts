/** How many Services have what they ask for, of which pool, and what the others lack: counted along, because there are many. */
import type { Assignment } from "./decision.ts";
import type { Unmet } from "./work.ts";

export interface ServiceCounts {
  /** By name of the pool. Who has addresses of two counts in both. */
  readonly byPool: ReadonlyMap<string, number>;
  /** Those that have what they ask for, those that have less, and those that have no address. */
  readonly byState: Readonly<Record<State, number>>;
  readonly byCause: ReadonlyMap<Unmet["cause"], number>;
}

type State = "assigned" | "unmet" | "waiting";

export class ServiceCounter implements ServiceCounts {
  readonly byPool = new Map<string, number>();
  readonly byState: Record<State, number> = { assigned: 0, unmet: 0, waiting: 0 };
  readonly byCause = new Map<Unmet["cause"], number>();

  /** One Service has `after`, and had `before` when it was counted last; undefined: it is or was not ours. */
  count(before: Assignment | undefined, after: Assignment | undefined): void {
    if (before !== undefined) this.#add(before, -1);
    if (after !== undefined) this.#add(after, 1);
  }

  #add({ addresses, pool, unmet }: Assignment, difference: 1 | -1): void {
    for (const name of pool?.split(",") ?? []) add(this.byPool, name, difference);
    this.byState[addresses.length === 0 ? "waiting" : unmet === undefined ? "assigned" : "unmet"] += difference;
    if (unmet !== undefined) add(this.byCause, unmet.cause, difference);
  }
}

function add<K>(counts: Map<K, number>, key: K, difference: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + difference;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
