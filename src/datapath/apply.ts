/** Carries a plan out. Each step is idempotent; one that throws leaves the maps consistent, but read them again before the next plan. */
import { backend_state } from "./abi.generated.ts";
import type { Plan } from "./draft.ts";
import { encodeFrontendKeys, encodeFrontendValues, storeBackend, storeBackendState } from "./encode.ts";
import { clearFilterBit, setFilterBit } from "./filter.ts";
import { maglevTable } from "./maglev.ts";
import type { ForwardingPorts } from "./ports.ts";

export function applyForwarding(plan: Plan, ports: ForwardingPorts, seed: number): void {
  for (const change of plan.backends) storeBackend(ports.backends, change);
  for (const { base, ids } of plan.slots) ports.slots.window(base, ids.length).set(ids);
  for (const { base, size, backends } of plan.maglev)
    ports.maglev.window(base, size).set(maglevTable({ seed, size, backends }));
  for (const bit of plan.filterBits) setFilterBit(ports.filter, "frontends", bit);
  if (plan.frontends.length > 0) {
    const values = encodeFrontendValues(plan.frontends.map(({ value }) => value));
    ports.frontends.put(encodeFrontendKeys(plan.frontends), values, plan.frontends.length);
  }
  if (plan.frontendsGone.length > 0) {
    ports.frontends.remove(encodeFrontendKeys(plan.frontendsGone), plan.frontendsGone.length);
  }
  for (const bit of plan.filterBitsGone) clearFilterBit(ports.filter, "frontends", bit);
  for (const id of plan.backendsGone) storeBackendState(ports.backends, id, backend_state.BACKEND_GONE);
}
