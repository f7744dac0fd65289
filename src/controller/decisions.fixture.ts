/** Snapshots to decide about, and decisions as values that can be compared: the order of what has no order is left out. */
import type { Decision } from "../pool/decision.ts";
import { EMPTY_SNAPSHOT } from "../source/snapshot.fixture.ts";
import type { Snapshot } from "../source/source.ts";
import type { Operation } from "./plan.ts";

/** Services and pools, and nothing else. */
export function snapshotOf(services: Snapshot["services"], ipAddressPools: Snapshot["ipAddressPools"]): Snapshot {
  return { ...EMPTY_SNAPSHOT, services, ipAddressPools };
}

export function outcome(decision: Decision): unknown {
  const { assignments, problems, losses, counts, exhausted, services, coolDowns, again } = decision;
  const { byPool, byCause, byState } = services;
  return {
    assignments: byKey(assignments),
    problems,
    losses: losses.map((loss) => ({ ...loss, address: String(loss.address.value) })).toSorted(byText),
    counts,
    exhausted: [...exhausted].map(([{ key }, families]) => [key, families]).toSorted(byText),
    byPool: byKey(byPool),
    byCause: byKey(byCause),
    byState: { ...byState },
    coolDowns: [...coolDowns.keys()],
    again,
  };
}

/** What is to be written, sorted. */
export function textsOf(operations: readonly Operation[]): readonly string[] {
  const plain = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);
  return operations.map((operation) => JSON.stringify(operation, plain)).toSorted();
}

function byKey<T>(map: ReadonlyMap<string, T>): unknown {
  return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function byText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}
