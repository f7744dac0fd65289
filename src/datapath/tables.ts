/**
 * The tables as they are in the kernel, with what is needed to change them a little at a time: which Service stands behind
 * which row, which regions are taken, who uses which backend. Read back from the maps when the agent starts, so that a
 * restart finds every id and every region where it was; kept in step by plan.ts from then on. When an apply fails, this is
 * no longer true: throw it away and read it again.
 */
import { formatAddress, type Address } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import type { Backend, Frontend } from "../service/frontends.ts";
import { BackendRows } from "./backends.ts";
import {
  decodeFrontend,
  loadBackends,
  loadGenerations,
  viewOf,
  type FrontendKey,
  type FrontendRecord,
  type FrontendValue,
} from "./encode.ts";
import { FilterCounts, filterBits } from "./filter.ts";
import type { ForwardingPorts } from "./ports.ts";
import { Regions, type Extent } from "./regions.ts";

/** The slots, and for Maglev the table, of one ordered list of backends; shared by all frontends that have this list. */
export interface Group {
  readonly key: string;
  readonly slotBase: number;
  readonly slotCount: number;
  readonly maglevBase: number;
  /** 0: chosen at random. */
  readonly maglevSize: number;
  users: number;
  /** Found in the kernel and not yet compared with what we would write. */
  readonly found?: { readonly table: Uint16Array };
}

export interface ProgrammedFrontend {
  readonly key: string;
  readonly frontend: Frontend;
  /** Of each of `frontend.backends`; 0 where there was no room. */
  readonly ids: readonly number[];
  readonly group: Group | undefined;
}

export interface ProgrammedService {
  readonly id: number;
  /** What was asked for: the same frontends (===) again mean that nothing changed. */
  wanted: readonly Frontend[];
  frontends: readonly ProgrammedFrontend[];
  /** Why this is not all that was asked for. Not empty: tried again with every plan. */
  problems: readonly Problem[];
}

export interface AddressUse {
  readonly address: Address;
  readonly services: Set<string>;
}

export interface Tables {
  readonly rows: BackendRows;
  readonly slots: Regions;
  readonly maglev: Regions;
  readonly groups: Map<string, Group>;
  /** The map `frontends`, by {@link frontendKeyText}. */
  readonly frontends: Map<string, FrontendRecord>;
  readonly frontendCapacity: number;
  /** Which Service a key belongs to. */
  readonly owners: Map<string, string>;
  readonly addresses: Map<string, AddressUse>;
  readonly filter: FilterCounts;
  readonly services: Map<string, ProgrammedService>;
  readonly serviceNames: Map<number, string>;
  nextServiceId: number;
  /** Bits found set; what is not needed is cleared by the first plan. */
  readonly foundFilterBits: Set<number>;
  /** Nothing was planned yet: what nobody asks for now is left over from an earlier agent. */
  fresh: boolean;
}

export function frontendKeyText({ address, port, protocol }: FrontendKey): string {
  return `${formatAddress(address)} ${port}/${protocol}`;
}

export function groupKey(maglevSize: number, protocol: FrontendKey["protocol"], ids: readonly number[]): string {
  return `${maglevSize} ${protocol} ${ids.join()}`;
}

/** The text of a backend that its place in a Maglev table depends on. */
export function backendText({ address, port, protocol }: Pick<Backend, "address" | "port" | "protocol">): string {
  const host = formatAddress(address);
  return address.family === "IPv4" ? `${host}:${port}/${protocol}` : `[${host}]:${port}/${protocol}`;
}

export function readTables(ports: ForwardingPorts): Tables {
  const backends = viewOf(ports.backends);
  const rows = new BackendRows(loadGenerations(backends), loadBackends(backends));
  const frontends = readFrontends(ports);
  const { groups, slotExtents, maglevExtents } = findGroups(frontends, rows, ports);
  const ids = [...frontends.values()].map(({ value }) => value.serviceId);
  return {
    rows,
    slots: new Regions(ports.slots.length, slotExtents),
    maglev: new Regions(ports.maglev.length, maglevExtents),
    groups,
    frontends,
    frontendCapacity: ports.frontends.capacity,
    owners: new Map(),
    addresses: new Map(),
    filter: new FilterCounts(),
    services: new Map(),
    serviceNames: new Map(),
    nextServiceId: ids.reduce((a, b) => Math.max(a, b), 0) + 1,
    foundFilterBits: new Set(filterBits(ports.filter, "frontends")),
    fresh: true,
  };
}

function readFrontends(ports: ForwardingPorts): Map<string, FrontendRecord> {
  const frontends = new Map<string, FrontendRecord>();
  for (const [key, value] of ports.frontends.entries()) {
    const record = decodeFrontend(key, value);
    if (record !== undefined) frontends.set(frontendKeyText(record), record);
  }
  return frontends;
}

interface FoundGroups {
  readonly groups: Map<string, Group>;
  readonly slotExtents: Extent[];
  readonly maglevExtents: Extent[];
}

/** Every region that a frontend row points to. One that makes no sense stays taken until its row was replaced. */
function findGroups(
  frontends: ReadonlyMap<string, FrontendRecord>,
  rows: BackendRows,
  ports: ForwardingPorts,
): FoundGroups {
  const result: FoundGroups = { groups: new Map(), slotExtents: [], maglevExtents: [] };
  const known = new Set<string>();
  for (const { protocol, value } of frontends.values()) {
    if (value.slotCount === 0) continue;
    const place = placeKey(value);
    if (known.has(place)) continue;
    known.add(place);
    result.slotExtents.push({ base: value.slotBase, length: value.slotCount });
    result.maglevExtents.push({ base: value.maglevBase, length: value.maglevSize });
    const ids = Array.from(ports.slots.subarray(value.slotBase, value.slotBase + value.slotCount));
    const table = ports.maglev.subarray(value.maglevBase, value.maglevBase + value.maglevSize);
    const sound =
      ids.length === value.slotCount &&
      table.length === value.maglevSize &&
      ids.every((id) => rows.get(id) !== undefined);
    const key = sound ? groupKey(value.maglevSize, protocol, ids) : place;
    const { slotBase, slotCount, maglevBase, maglevSize } = value;
    result.groups.set(result.groups.has(key) ? place : key, {
      key: result.groups.has(key) ? place : key,
      slotBase,
      slotCount,
      maglevBase,
      maglevSize,
      users: 0,
      found: { table },
    });
  }
  return result;
}

/** Names a group by where it lies: no {@link groupKey} looks like this, so nobody asks for it. */
export function placeKey({
  slotBase,
  slotCount,
  maglevBase,
  maglevSize,
}: Omit<FrontendValue, "serviceId" | "flags">): string {
  return `at ${slotBase}+${slotCount} ${maglevBase}+${maglevSize}`;
}
