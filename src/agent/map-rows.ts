/** What lies in the kernel's maps at this moment, as rows of the local API. */
import { backend_state, frontend_flag } from "../datapath/abi.generated.ts";
import type { BackendRecord } from "../datapath/backends.ts";
import { decodeFrontend, loadBackend, loadBackends, viewOf, type FrontendRecord } from "../datapath/encode.ts";
import { decodeFlow } from "../datapath/flows.ts";
import { decodeAnnounced, loadStamp } from "../datapath/records.ts";
import { formatAddress } from "../net/address.ts";
import type { AnnouncedRow, BackendRow, BackendStateName, DropRow, FlowRow, FrontendRow } from "../observe/status.ts";
import { forEach } from "../time/slices.ts";
import { sorting } from "../time/sorting.ts";
import type { AgentState } from "./state.ts";

export function stampSeconds(state: AgentState): number {
  return Math.max(0, Number(loadStamp(state.maps.runtime) - state.nowNs()) / 1e9);
}

export function announcedRows(state: AgentState): AnnouncedRow[] {
  return Array.from(state.maps.announced.entries(), ([key, value]) => {
    const { address, ifindex, requests, answers } = decodeAnnounced({ key, value });
    return { address: formatAddress(address), device: deviceName(state, ifindex), requests, answers };
  });
}

export function dropRows(state: AgentState): DropRow[] {
  return state.maps.drops().map(({ verdict, serviceId, count }) => {
    const service = serviceId === 0 ? undefined : (state.tables.serviceNames.get(serviceId) ?? `#${serviceId}`);
    return { verdict, ...(service === undefined ? {} : { service }), count };
  });
}

export function deviceName(state: AgentState, ifindex: number): string {
  if (ifindex === 0) return "";
  return state.world?.links.find((link) => link.ifindex === ifindex)?.name ?? `if${ifindex}`;
}

/** A pause is possible after so many rows that are only looked at. */
const LOOKS_A_STEP = 256;

/** By Service, then port, those that are wanted. Each is read when it is its turn. */
export function* frontendRows(
  state: AgentState,
  isWanted: (record: FrontendRecord) => boolean = () => true,
): Generator<FrontendRow | undefined, void, void> {
  const records: FrontendRecord[] = [];
  yield* forEach(state.maps.forwarding.frontends.entries(), LOOKS_A_STEP, ([key, value]) => {
    const record = decodeFrontend(key, value);
    if (record !== undefined && isWanted(record)) records.push(record);
  });
  for (const record of yield* sorting(records, byServiceThenPort)) yield frontendRow(record, state);
}

function frontendRow({ address, port, protocol, value }: FrontendRecord, { maps, tables }: AgentState): FrontendRow {
  const { slots, backends } = maps.forwarding;
  return {
    service: tables.serviceNames.get(value.serviceId) ?? "",
    serviceId: value.serviceId,
    address: formatAddress(address),
    port,
    protocol,
    slots: value.slotCount,
    maglevSize: value.maglevSize,
    flags: frontendFlags(value.flags),
    backends: Array.from(slots.window(value.slotBase, value.slotCount), (id) => loadBackend(backends, id))
      .filter((record) => record !== undefined)
      .map(backendRow),
  };
}

function byServiceThenPort(a: FrontendRecord, b: FrontendRecord): number {
  return (
    a.value.serviceId - b.value.serviceId ||
    (a.address.value < b.address.value ? -1 : Number(a.address.value > b.address.value)) ||
    a.port - b.port
  );
}

function frontendFlags(flags: number): string[] {
  return Object.entries(frontend_flag).flatMap(([name, bit]) =>
    flags & bit ? [name.slice("FRONTEND_".length).toLowerCase()] : [],
  );
}

const STATE_NAMES = new Map<number, BackendStateName>([
  [backend_state.BACKEND_GONE, "gone"],
  [backend_state.BACKEND_ACTIVE, "active"],
  [backend_state.BACKEND_NOT_READY, "notReady"],
  [backend_state.BACKEND_TERMINATING, "terminating"],
]);

export function* backendRows(state: AgentState): Generator<BackendRow, void, void> {
  for (const record of loadBackends(state.maps.forwarding.backends)) yield backendRow(record);
}

function backendRow({ id, address, port, state, local, generation }: BackendRecord): BackendRow {
  return { id, address: formatAddress(address), port, state: STATE_NAMES.get(state) ?? "gone", local, generation };
}

/** `limit` 0: all of them. */
export function flowRows(state: AgentState, limit: number): FlowRow[] {
  const rows: FlowRow[] = [];
  const nowSeconds = Number(state.nowNs() / 1_000_000_000n);
  for (const row of state.maps.allFlows()) {
    if (limit !== 0 && rows.length >= limit) break;
    if (row === undefined) continue;
    const flow = decodeFlow(viewOf(row[0]), viewOf(row[1]));
    rows.push({
      protocol: flow.protocol,
      source: formatAddress(flow.source),
      sourcePort: flow.sourcePort,
      destination: formatAddress(flow.destination),
      destinationPort: flow.destinationPort,
      toSource: formatAddress(flow.to.source),
      toSourcePort: flow.to.sourcePort,
      toDestination: formatAddress(flow.to.destination),
      toDestinationPort: flow.to.destinationPort,
      device: deviceName(state, flow.ifindex),
      service: state.tables.serviceNames.get(flow.serviceId) ?? "",
      backendId: flow.backendId,
      flags: flow.flags,
      ageSeconds: Math.max(0, nowSeconds - flow.seenSeconds),
      packets: flow.packets,
      bytes: flow.bytes,
    });
  }
  return rows;
}
