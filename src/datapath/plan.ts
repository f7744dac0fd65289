/**
 * From the frontends wanted and the tables there are to the writes that lead from one to the other. No effects but on
 * {@link Tables}, which afterwards describe the maps as they will be when the plan is applied.
 *
 * Only Services whose frontends are not the same (by identity) as last time are looked at, so the cost of a change
 * follows the change. The order of the steps in a {@link Plan} is the order in which they must be written: a reader of the
 * maps never meets a reference to something that is not there yet, or no longer.
 */
import { formatAddress, type Address } from "../net/address.ts";
import { changedKeys } from "../reconcile/persistent-map.ts";
import type { Frontend } from "../service/frontends.ts";
import { atOnce, type Sliced } from "../time/slices.ts";
import { frontend_flag } from "./abi.generated.ts";
import { emptyPlan, refuse, type Draft, type Plan, type PlanOptions } from "./draft.ts";
import type { FrontendRecord, FrontendValue } from "./encode.ts";
import { obtainGroup, releaseGroup } from "./groups.ts";
import {
  frontendKeyText,
  type AddressUse,
  type ProgrammedFrontend,
  type ProgrammedService,
  type Tables,
} from "./tables.ts";

export function planForwarding(
  tables: Tables,
  desired: ReadonlyMap<string, readonly Frontend[]>,
  options: PlanOptions,
): Plan {
  return atOnce(planningForwarding(tables, desired, options));
}

/** As {@link planForwarding}, with pauses: nobody else may plan with these tables before it has ended. */
export function* planningForwarding(
  tables: Tables,
  desired: ReadonlyMap<string, readonly Frontend[]>,
  { seed, now, keep = false }: PlanOptions,
): Sliced<Plan> {
  const draft: Draft = { tables, plan: emptyPlan(), seed, now, problems: [] };
  const { services } = tables;
  const changed = new Map<string, readonly Frontend[]>();
  const removed: string[] = [];
  for (const name of namesToPlan(tables, desired)) {
    const frontends = desired.get(name);
    if (frontends === undefined) {
      if (!keep && services.has(name)) removed.push(name);
    } else if (needsPlanning(services.get(name), frontends)) changed.set(name, frontends);
  }
  // What is begun here and not ended is nothing to go on from.
  tables.planned = undefined;
  const before = new Map([...changed.keys(), ...removed].map((name) => [name, services.get(name)]));

  // Keys change hands only when the old owner let go, and users are added before they are taken away: a backend or a
  // region that moves from one Service to another never looks unused.
  for (const [name, old] of before) disown(tables, name, old?.frontends ?? [], desired.get(name) ?? []);
  for (const [name, frontends] of changed) {
    programService(draft, name, frontends);
    yield;
  }
  for (const [name, old] of before) {
    releaseService(draft, name, old?.frontends ?? []);
    yield;
  }
  for (const name of removed) forgetService(tables, name);
  if (tables.fresh && !keep) releaseLeftovers(draft);

  tables.planned = keep ? undefined : desired;
  const { changes, gone } = tables.rows.settle(now, tables.fresh ? "keepUnused" : "releaseUnused");
  return { ...draft.plan, backends: changes, backendsGone: gone };
}

/** Those that are not as they were when these tables were planned last. */
function namesToPlan(
  { planned, services, troubled }: Tables,
  desired: ReadonlyMap<string, readonly Frontend[]>,
): ReadonlySet<string> {
  if (planned === undefined) return new Set([...desired.keys(), ...services.keys()]);
  return new Set([...changedKeys(planned, desired), ...troubled]);
}

function needsPlanning(programmed: ProgrammedService | undefined, frontends: readonly Frontend[]): boolean {
  if (programmed === undefined || programmed.problems.length > 0) return true;
  const { wanted } = programmed;
  return wanted.length !== frontends.length || wanted.some((frontend, i) => frontend !== frontends[i]);
}

function disown(tables: Tables, name: string, old: readonly ProgrammedFrontend[], wanted: readonly Frontend[]): void {
  if (old.length === 0) return;
  const kept = new Set(wanted.map(frontendKeyText));
  for (const { key } of old) if (!kept.has(key) && tables.owners.get(key) === name) tables.owners.delete(key);
}

function programService(draft: Draft, name: string, wanted: readonly Frontend[]): void {
  const { tables } = draft;
  const id = tables.services.get(name)?.id ?? identify(tables, name, wanted);
  draft.problems = [];
  const frontends = wanted.flatMap((frontend) => programFrontend(draft, name, id, frontend) ?? []);
  // Copies: what was pushed to has room for seventeen.
  tables.services.set(name, { id, wanted, frontends: frontends.slice(), problems: draft.problems.slice() });
  if (draft.problems.length > 0) tables.troubled.add(name);
  else tables.troubled.delete(name);
}

/** The id that rows of this Service carry already (the agent was restarted), else a new one. */
function identify(tables: Tables, name: string, wanted: readonly Frontend[]): number {
  const carried = wanted
    .map((frontend) => tables.frontends.get(frontendKeyText(frontend))?.value.serviceId)
    .find((id) => id !== undefined && id > 0 && !tables.serviceNames.has(id));
  const id = carried ?? tables.nextServiceId;
  tables.nextServiceId = Math.max(tables.nextServiceId, id + 1);
  tables.serviceNames.set(id, name);
  return id;
}

function programFrontend(
  draft: Draft,
  name: string,
  serviceId: number,
  frontend: Frontend,
): ProgrammedFrontend | undefined {
  const { tables, now } = draft;
  const key = frontendKeyText(frontend);
  const owner = tables.owners.get(key);
  if (owner !== undefined && owner !== name) {
    return refuse(draft, name, `${key} already belongs to Service ${owner}; give one of them another address or port`);
  }
  const known = tables.frontends.get(key);
  const needed = Number(known === undefined) + Number(!tables.addresses.has(formatAddress(frontend.address)));
  if (tables.frontends.size + needed > tables.frontendCapacity) {
    return refuse(draft, name, `${key} is not served: the map "frontends" is full (${tables.frontendCapacity} rows)`);
  }
  tables.owners.set(key, name);
  useAddress(draft, name, serviceId, frontend.address);
  const ids = frontend.backends.map((backend) => tables.rows.use(backend, now));
  const missing = ids.filter((id) => id === 0).length;
  if (missing > 0)
    refuse(draft, name, `${key}: ${missing} of ${ids.length} backends found no room in the map "backends"`);
  const group = obtainGroup(draft, name, frontend, ids, known?.value.maglevSize ?? 0);
  const flags = frontend.externalTrafficPolicy === "Local" ? frontend_flag.FRONTEND_LOCAL_ONLY : 0;
  const { address, port, protocol } = frontend;
  putFrontend(draft, key, { address, port, protocol, value: { ...placeOf(group), serviceId, flags } });
  return { key, frontend, ids, group };
}

function placeOf(group: ProgrammedFrontend["group"]): Omit<FrontendValue, "serviceId" | "flags"> {
  if (group === undefined) return { slotBase: 0, slotCount: 0, maglevBase: 0, maglevSize: 0 };
  const { slotBase, slotCount, maglevBase, maglevSize } = group;
  return { slotBase, slotCount, maglevBase, maglevSize };
}

function putFrontend({ tables, plan }: Draft, key: string, record: FrontendRecord): void {
  const known = tables.frontends.get(key)?.value;
  if (known !== undefined && sameValue(known, record.value)) return;
  tables.frontends.set(key, record);
  plan.frontends.push(record);
}

function sameValue(a: FrontendValue, b: FrontendValue): boolean {
  return (Object.keys(a) as (keyof FrontendValue)[]).every((field) => a[field] === b[field]);
}

/** The row that says "this address is ours", and its bit in the filter. It carries the id of one Service of the address. */
function useAddress(draft: Draft, name: string, serviceId: number, address: Address): void {
  const { tables, plan } = draft;
  const text = formatAddress(address);
  const use = tables.addresses.get(text);
  if (use !== undefined) {
    joinAddress(use, name);
    return;
  }
  tables.addresses.set(text, { address, services: name });
  const bit = tables.filter.add(address);
  if (bit !== undefined && !tables.foundFilterBits.has(bit)) plan.filterBits.push(bit);
  putAddressRow(draft, address, serviceId);
}

function putAddressRow(draft: Draft, address: Address, serviceId: number): void {
  const value = { ...placeOf(undefined), serviceId, flags: frontend_flag.FRONTEND_ADDRESS };
  const key = { address, port: 0, protocol: "any" } as const;
  putFrontend(draft, frontendKeyText(key), { ...key, value });
}

function releaseService(draft: Draft, name: string, old: readonly ProgrammedFrontend[]): void {
  const { tables } = draft;
  const current = tables.services.get(name);
  const frontends = current?.frontends === old ? [] : (current?.frontends ?? []);
  const kept = new Set(frontends.map(({ frontend }) => formatAddress(frontend.address)));
  for (const { key, frontend, ids, group } of old) {
    frontend.backends.forEach((backend, i) => tables.rows.drop(ids[i] ?? 0, backend.state));
    if (group !== undefined) releaseGroup(draft, group);
    if (!tables.owners.has(key)) removeFrontend(draft, key);
    if (!kept.has(formatAddress(frontend.address))) leaveAddress(draft, name, frontend.address);
  }
}

function joinAddress(use: AddressUse, name: string): void {
  if (use.services === name) return;
  if (typeof use.services === "string") use.services = new Set([use.services]);
  use.services.add(name);
}

function isUser({ services }: AddressUse, name: string): boolean {
  return typeof services === "string" ? services === name : services.has(name);
}

/** Takes a user away; one of those that are left. */
function othersThan({ services }: AddressUse, name: string): string | undefined {
  if (typeof services === "string") return undefined;
  services.delete(name);
  const [other] = services;
  return other;
}

function leaveAddress(draft: Draft, name: string, address: Address): void {
  const { tables, plan } = draft;
  const text = formatAddress(address);
  const use = tables.addresses.get(text);
  if (use === undefined || !isUser(use, name)) return;
  const other = othersThan(use, name);
  if (other !== undefined) {
    putAddressRow(draft, address, tables.services.get(other)?.id ?? 0);
    return;
  }
  tables.addresses.delete(text);
  removeFrontend(draft, frontendKeyText({ address, port: 0, protocol: "any" }));
  const bit = tables.filter.remove(address);
  if (bit !== undefined) plan.filterBitsGone.push(bit);
}

function removeFrontend({ tables, plan }: Draft, key: string): void {
  const record = tables.frontends.get(key);
  if (record === undefined) return;
  tables.frontends.delete(key);
  plan.frontendsGone.push(record);
}

function forgetService(tables: Tables, name: string): void {
  const id = tables.services.get(name)?.id;
  if (id !== undefined) tables.serviceNames.delete(id);
  tables.services.delete(name);
  tables.troubled.delete(name);
}

/** After a start: rows, regions and bits that an earlier agent wrote and nobody asks for now. */
function releaseLeftovers(draft: Draft): void {
  const { tables, plan } = draft;
  tables.fresh = false;
  for (const [key, record] of tables.frontends) {
    const used =
      record.protocol === "any" ? tables.addresses.has(formatAddress(record.address)) : tables.owners.has(key);
    if (!used) removeFrontend(draft, key);
  }
  for (const group of tables.groups.values()) {
    if (group.users > 0) continue;
    group.users = 1;
    releaseGroup(draft, group);
  }
  for (const bit of tables.foundFilterBits) if (!tables.filter.has(bit)) plan.filterBitsGone.push(bit);
  tables.foundFilterBits.clear();
}
