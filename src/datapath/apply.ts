/** Carries a plan out. Each step is idempotent; one that throws leaves the maps consistent, but read them again before the next plan. */
import { atOnce, type Sliced } from "../time/slices.ts";
import { backend_state } from "./abi.generated.ts";
import type { Plan } from "./draft.ts";
import { encodeFrontendKeys, encodeFrontendValues, storeBackend, storeBackendState } from "./encode.ts";
import { clearFilterBit, setFilterBit } from "./filter.ts";
import { maglevTable } from "./maglev.ts";
import type { ForwardingPorts } from "./ports.ts";

export function applyForwarding(plan: Plan, ports: ForwardingPorts, seed: number): void {
  atOnce(applyingForwarding(plan, ports, seed));
}

/** Rows written between two pauses, and in one system call. */
const ROWS_A_STEP = 1024;

/** As {@link applyForwarding}, with pauses: a reader of the maps may stop anywhere, and so may the writer. */
export function* applyingForwarding(plan: Plan, ports: ForwardingPorts, seed: number): Sliced<void> {
  for (const [index, change] of plan.backends.entries()) {
    if (index % ROWS_A_STEP === ROWS_A_STEP - 1) yield;
    storeBackend(ports.backends, change);
  }
  for (const [index, { base, ids }] of plan.slots.entries()) {
    if (index % ROWS_A_STEP === ROWS_A_STEP - 1) yield;
    ports.slots.window(base, ids.length).set(ids);
  }
  for (const { base, size, backends } of plan.maglev) {
    ports.maglev.window(base, size).set(maglevTable({ seed, size, backends }));
    yield;
  }
  for (const bit of plan.filterBits) setFilterBit(ports.filter, "frontends", bit);
  for (const records of chunks(plan.frontends)) {
    const values = encodeFrontendValues(records.map(({ value }) => value));
    ports.frontends.put(encodeFrontendKeys(records), values, records.length);
    yield;
  }
  for (const keys of chunks(plan.frontendsGone)) {
    ports.frontends.remove(encodeFrontendKeys(keys), keys.length);
    yield;
  }
  for (const bit of plan.filterBitsGone) clearFilterBit(ports.filter, "frontends", bit);
  for (const id of plan.backendsGone) storeBackendState(ports.backends, id, backend_state.BACKEND_GONE);
}

function* chunks<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < list.length; from += ROWS_A_STEP) yield list.slice(from, from + ROWS_A_STEP);
}
