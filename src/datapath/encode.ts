/**
 * Rows of the maps, values ↔ bytes. Offsets come from abi.generated.ts; addresses and ports are in network order, the rest
 * is in the host's (little endian on every machine this runs on: the loader refuses others).
 */
import type { Address } from "../net/address.ts";
import { backend, frontend, frontend_key } from "./abi.generated.ts";
import type { BackendRecord } from "./backends.ts";
import type { ArrayTable } from "./ports.ts";

export const PROTOCOL_NUMBERS = { any: 0, TCP: 6, UDP: 17 } as const;
export type FrontendProtocol = keyof typeof PROTOCOL_NUMBERS;

/** Key of the map `frontends`. Port 0 and protocol `any`: the row of the address itself. */
export interface FrontendKey {
  readonly address: Address;
  readonly port: number;
  readonly protocol: FrontendProtocol;
}

/** Value of the map `frontends`, struct frontend. */
export interface FrontendValue {
  readonly serviceId: number;
  readonly slotBase: number;
  readonly slotCount: number;
  readonly maglevBase: number;
  readonly maglevSize: number;
  readonly flags: number;
}

export interface FrontendRecord extends FrontendKey {
  readonly value: FrontendValue;
}

const MAPPED = 0xffff;

/** Sixteen bytes at `at`; IPv4 as ::ffff:a.b.c.d. As addressBytes, but without an allocation. */
export function writeAddress(view: DataView, at: number, address: Address): void {
  if (address.family === "IPv4") {
    view.setBigUint64(at, 0n);
    view.setUint32(at + 8, MAPPED);
    view.setUint32(at + 12, Number(address.value));
    return;
  }
  view.setBigUint64(at, address.value >> 64n);
  view.setBigUint64(at + 8, BigInt.asUintN(64, address.value));
}

export function readAddress(view: DataView, at: number): Address {
  const high = view.getBigUint64(at);
  if (high === 0n && view.getUint32(at + 8) === MAPPED)
    return { family: "IPv4", value: BigInt(view.getUint32(at + 12)) };
  return { family: "IPv6", value: (high << 64n) | view.getBigUint64(at + 8) };
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Keys one behind the other. */
export function encodeFrontendKeys(keys: readonly FrontendKey[]): Uint8Array {
  const { size, offset } = frontend_key;
  const view = new DataView(new ArrayBuffer(keys.length * size));
  keys.forEach(({ address, port, protocol }, i) => {
    writeAddress(view, i * size + offset.address, address);
    view.setUint16(i * size + offset.port, port);
    view.setUint8(i * size + offset.protocol, PROTOCOL_NUMBERS[protocol]);
  });
  return new Uint8Array(view.buffer);
}

/** Values one behind the other. */
export function encodeFrontendValues(values: readonly FrontendValue[]): Uint8Array {
  const { size, offset } = frontend;
  const view = new DataView(new ArrayBuffer(values.length * size));
  values.forEach((value, i) => {
    const at = i * size;
    view.setUint32(at + offset.service_id, value.serviceId, true);
    view.setUint32(at + offset.slot_base, value.slotBase, true);
    view.setUint32(at + offset.slot_count, value.slotCount, true);
    view.setUint32(at + offset.maglev_base, value.maglevBase, true);
    view.setUint32(at + offset.maglev_size, value.maglevSize, true);
    view.setUint32(at + offset.flags, value.flags, true);
  });
  return new Uint8Array(view.buffer);
}

/** One row as read; `undefined` when its protocol is none we write. */
export function decodeFrontend(key: Uint8Array, value: Uint8Array): FrontendRecord | undefined {
  const k = viewOf(key);
  const v = viewOf(value);
  const protocol = protocolName(k.getUint8(frontend_key.offset.protocol));
  if (protocol === undefined) return undefined;
  const { offset } = frontend;
  return {
    address: readAddress(k, frontend_key.offset.address),
    port: k.getUint16(frontend_key.offset.port),
    protocol,
    value: {
      serviceId: v.getUint32(offset.service_id, true),
      slotBase: v.getUint32(offset.slot_base, true),
      slotCount: v.getUint32(offset.slot_count, true),
      maglevBase: v.getUint32(offset.maglev_base, true),
      maglevSize: v.getUint32(offset.maglev_size, true),
      flags: v.getUint32(offset.flags, true),
    },
  };
}

export function protocolName(number: number): FrontendProtocol | undefined {
  return (Object.keys(PROTOCOL_NUMBERS) as FrontendProtocol[]).find((name) => PROTOCOL_NUMBERS[name] === number);
}

/**
 * Stores one backend. The state goes in last and, for a row that stood for somebody else, first of all it was GONE: the
 * datapath never sees one backend's address under another's generation. `snat_cursor` is the datapath's and stays.
 */
export function storeBackend(rows: BackendTable, record: BackendRecord): void {
  const { offset } = backend;
  const row = rowOf(rows, record.id);
  writeAddress(row, offset.address, record.address);
  row.setUint16(offset.port, record.port);
  row.setUint8(offset.local, record.local ? 1 : 0);
  row.setUint32(offset.generation, record.generation, true);
  row.setUint8(offset.state, record.state);
}

export function storeBackendState(rows: BackendTable, id: number, state: number): void {
  rowOf(rows, id).setUint8(backend.offset.state, state);
}

/** One row; `undefined` when nobody uses it. */
export function loadBackend(rows: BackendTable, id: number): BackendRecord | undefined {
  return id === 0 || id >= rowCount(rows) ? undefined : readBackend(rowOf(rows, id), 0, id);
}

/** Every row in use, in the order of their ids. */
export function* loadBackends(rows: BackendTable): Generator<BackendRecord> {
  for (const { from, to, view } of pagesOf(rows)) {
    const records: BackendRecord[] = [];
    for (let id = Math.max(from, 1); id < to; id += 1) {
      const record = readBackend(view, (id - from) * backend.size, id);
      if (record !== undefined) records.push(record);
    }
    yield* records;
  }
}

/** The generation of every row, used or not, by id. */
export function loadGenerations(rows: BackendTable): Uint32Array {
  const generations = new Uint32Array(rowCount(rows));
  for (const { from, to, view } of pagesOf(rows))
    for (let id = from; id < to; id += 1)
      generations[id] = view.getUint32((id - from) * backend.size + backend.offset.generation, true);
  return generations;
}

type BackendTable = ArrayTable<Uint8Array>;

/** Rows read in one go. */
const PAGE_ROWS = 1024;

function rowCount(rows: BackendTable): number {
  return Math.floor(rows.length / backend.size);
}

function rowOf(rows: BackendTable, id: number): DataView {
  return viewOf(rows.window(id * backend.size, backend.size));
}

/** Each page is in reach until the next is asked for. */
function* pagesOf(rows: BackendTable): Generator<{ from: number; to: number; view: DataView }> {
  const count = rowCount(rows);
  for (let from = 0; from < count; from += PAGE_ROWS) {
    const to = Math.min(from + PAGE_ROWS, count);
    yield { from, to, view: viewOf(rows.window(from * backend.size, (to - from) * backend.size)) };
  }
}

function readBackend(view: DataView, at: number, id: number): BackendRecord | undefined {
  const { offset } = backend;
  const state = view.getUint8(at + offset.state);
  if (state === 0) return undefined;
  return {
    id,
    address: readAddress(view, at + offset.address),
    port: view.getUint16(at + offset.port),
    state,
    local: view.getUint8(at + offset.local) !== 0,
    generation: view.getUint32(at + offset.generation, true),
  };
}
