/**
 * The tables as they are in the kernel, with what is needed to change them a little at a time: which Service stands behind
 * which row, which regions are taken, who uses which backend. Read back from the maps when the agent starts, so that a
 * restart finds every id and every region where it was; kept in step by plan.ts from then on. When an apply fails, this is
 * no longer true: throw it away and read it again.
 */
import { formatAddress, type Address } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import { atOnce, type Sliced } from "../time/slices.ts";
import type { Backend, Frontend } from "../service/frontends.ts";
import { BackendRows, type BackendRecord } from "./backends.ts";
import {
  decodeFrontend,
  loadBackends,
  loadGenerations,
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
  /** Found in the kernel and not yet compared with what we would write: {@link tableChecksum} of its Maglev table. */
  readonly found?: { readonly checksum: number };
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
  /** Nearly every address has one; a set costs as much as all the rest of its row. */
  services: string | Set<string>;
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
  /** What they were last brought to, whole: only what is another than there needs planning. */
  planned: ReadonlyMap<string, readonly Frontend[]> | undefined;
  /** Services with problems, which are tried again with every plan. */
  readonly troubled: Set<string>;
  /** Nothing was planned yet: what nobody asks for now is left over from an earlier agent. */
  fresh: boolean;
}

/** Rows read between two pauses. */
const ROWS_A_STEP = 1024;

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
  return atOnce(readingTables(ports));
}

/** As {@link readTables}, with pauses: nobody may write before it has ended. */
export function* readingTables(ports: ForwardingPorts): Sliced<Tables> {
  const found: BackendRecord[] = [];
  for (const record of loadBackends(ports.backends)) {
    found.push(record);
    if (found.length % ROWS_A_STEP === 0) yield;
  }
  const rows = new BackendRows(loadGenerations(ports.backends), found);
  yield;
  const frontends = readFrontends(ports);
  yield;
  const { groups, slotExtents, maglevExtents } = yield* findingGroups(frontends, rows, ports);
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
    planned: undefined,
    troubled: new Set(),
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
function* findingGroups(
  frontends: ReadonlyMap<string, FrontendRecord>,
  rows: BackendRows,
  ports: ForwardingPorts,
): Sliced<FoundGroups> {
  const result: FoundGroups = { groups: new Map(), slotExtents: [], maglevExtents: [] };
  const places = new Map<string, FrontendRecord>();
  // In the order of their tables, which are read a window at a time.
  for (const record of [...frontends.values()].toSorted((a, b) => a.value.maglevBase - b.value.maglevBase))
    if (record.value.slotCount > 0) places.set(placeKey(record.value), record);
  for (const [place, { protocol, value }] of places) {
    const { slotBase, slotCount, maglevBase, maglevSize } = value;
    result.slotExtents.push({ base: slotBase, length: slotCount });
    result.maglevExtents.push({ base: maglevBase, length: maglevSize });
    const ids = Array.from(ports.slots.window(slotBase, slotCount));
    const table = ports.maglev.window(maglevBase, maglevSize);
    const sound =
      ids.length === slotCount && table.length === maglevSize && ids.every((id) => rows.get(id) !== undefined);
    const wanted = sound ? groupKey(maglevSize, protocol, ids) : place;
    const key = result.groups.has(wanted) ? place : wanted;
    const found = { checksum: tableChecksum(table) };
    result.groups.set(key, { key, slotBase, slotCount, maglevBase, maglevSize, users: 0, found });
    yield;
  }
  return result;
}

/** FNV-1a over the elements, twice with different beginnings: 53 bits of them are enough to tell a table from a damaged one. */
export function tableChecksum(table: Uint16Array): number {
  let low = 0x811c9dc5;
  let high = 0x050c5d1f;
  for (const slot of table) {
    low = Math.imul(low ^ slot, FNV_PRIME);
    high = Math.imul(high ^ (slot + 1), FNV_PRIME);
  }
  return (high & 0x1f_ffff) * 2 ** 32 + (low >>> 0);
}

const FNV_PRIME = 0x01000193;

/** Names a group by where it lies: no {@link groupKey} looks like this, so nobody asks for it. */
export function placeKey({
  slotBase,
  slotCount,
  maglevBase,
  maglevSize,
}: Omit<FrontendValue, "serviceId" | "flags">): string {
  return `at ${slotBase}+${slotCount} ${maglevBase}+${maglevSize}`;
}
