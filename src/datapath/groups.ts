/** Slots and Maglev tables of one list of backends: found, made, and given back when the last frontend leaves. */
import type { Frontend } from "../service/frontends.ts";
import { refuse, type Draft } from "./draft.ts";
import { MAGLEV_BACKENDS_MAX, maglevSize, maglevTable, type MaglevBackend } from "./maglev.ts";
import { backendText, groupKey, placeKey, tableChecksum, type Group } from "./tables.ts";

/**
 * The group a frontend chooses from: its active backends, or when there is none the terminating ones (a backend that is
 * going away still serves better than none). `undefined`: nobody can answer. `sizeNow` is the size of its Maglev table.
 */
export function obtainGroup(
  draft: Draft,
  name: string,
  frontend: Frontend,
  ids: readonly number[],
  sizeNow: number,
): Group | undefined {
  const members = selectable(frontend, ids);
  if (members.length === 0) return undefined;
  const memberIds = members.map((i) => ids[i] as number);
  const backends = (): MaglevBackend[] =>
    members.flatMap((i) => frontend.backends[i] ?? []).map((b) => ({ text: backendText(b) }));
  const request: Request = { protocol: frontend.protocol, memberIds, backends };
  const what = `${frontend.port}/${frontend.protocol}`;
  for (const size of sizesFor(frontend, members.length, sizeNow)) {
    const group = findGroup(draft, size, request) ?? createGroup(draft, size, request);
    if (group === "slots") {
      return refuse(draft, name, `${what} is rejected: no room for ${members.length} rows in the map "slots"`);
    }
    if (group !== "maglev") return group;
  }
  refuse(
    draft,
    name,
    `${what} is balanced at random: no room for a table of ${maglevSize(members.length)} in the map "maglev"`,
  );
  const random = findGroup(draft, 0, request) ?? createGroup(draft, 0, request);
  return typeof random === "string" ? undefined : random;
}

/** Sizes of the Maglev table, as wished first: a table kept larger than needed is the first to give way. 0: random. */
function sizesFor(frontend: Frontend, backends: number, sizeNow: number): readonly number[] {
  if (frontend.algorithm !== "maglev" || backends > MAGLEV_BACKENDS_MAX) return [0];
  return [...new Set([maglevSize(backends, sizeNow), maglevSize(backends)])];
}

/** Takes back one use; the regions of a group without users rest, then are given out again. */
export function releaseGroup({ tables, now }: Draft, group: Group): void {
  group.users -= 1;
  if (group.users > 0) return;
  if (tables.groups.get(group.key) === group) tables.groups.delete(group.key);
  tables.slots.release(group.slotBase, group.slotCount, now);
  if (group.maglevSize > 0) tables.maglev.release(group.maglevBase, group.maglevSize, now);
}

interface Request {
  readonly protocol: Frontend["protocol"];
  readonly memberIds: readonly number[];
  readonly backends: () => readonly MaglevBackend[];
}

/** Positions of the backends that new connections go to. */
function selectable(frontend: Frontend, ids: readonly number[]): number[] {
  const inState = (state: "active" | "terminating"): number[] =>
    frontend.backends.flatMap((backend, i) => (backend.state === state && ids[i] !== 0 ? [i] : []));
  const active = inState("active");
  return active.length > 0 ? active : inState("terminating");
}

function findGroup({ tables, seed }: Draft, size: number, request: Request): Group | undefined {
  const key = groupKey(size, request.protocol, request.memberIds);
  const group = tables.groups.get(key);
  if (group === undefined) return undefined;
  if (group.found === undefined) {
    group.users += 1;
    return group;
  }
  // An earlier agent wrote it: the same list of backends, but is it the table that we would write?
  tables.groups.delete(key);
  const { slotBase, slotCount, maglevBase, maglevSize } = group;
  const expected = (): number => tableChecksum(maglevTable({ seed, size, backends: request.backends() }));
  if (size === 0 || group.found.checksum === expected()) {
    const trusted = { key, slotBase, slotCount, maglevBase, maglevSize, users: 1 };
    tables.groups.set(key, trusted);
    return trusted;
  }
  const place = placeKey(group);
  tables.groups.set(place, { ...group, key: place });
  return undefined;
}

function createGroup(
  { tables, plan, now }: Draft,
  size: number,
  { protocol, memberIds, backends }: Request,
): Group | "slots" | "maglev" {
  const slotBase = tables.slots.allocate(memberIds.length, now);
  if (slotBase === undefined) return "slots";
  const maglevBase = size === 0 ? 0 : tables.maglev.allocate(size, now);
  if (maglevBase === undefined) {
    tables.slots.cancel(slotBase, memberIds.length);
    return "maglev";
  }
  const key = groupKey(size, protocol, memberIds);
  const group = { key, slotBase, slotCount: memberIds.length, maglevBase, maglevSize: size, users: 1 };
  tables.groups.set(key, group);
  plan.slots.push({ base: slotBase, ids: memberIds });
  if (size > 0) plan.maglev.push({ base: maglevBase, size, backends: backends() });
  return group;
}
