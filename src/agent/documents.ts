/** The documents of the local API, made from what the agent knows and what lies in the kernel's maps at this moment. */
import { decodeAnnounced } from "../datapath/records.ts";
import { decodeFlow } from "../datapath/flows.ts";
import { decodeFrontend, loadBackend, loadBackends, viewOf, type FrontendRecord } from "../datapath/encode.ts";
import { backend_state, frontend_flag } from "../datapath/abi.generated.ts";
import { loadStamp } from "../datapath/records.ts";
import type { BackendRecord } from "../datapath/backends.ts";
import { formatAddress } from "../net/address.ts";
import { parseCount, type DocumentProducers } from "../observe/api.ts";
import type {
  AnnouncedRow,
  BackendRow,
  BackendStateName,
  DropRow,
  FlowRow,
  FrontendRow,
  NodeRow,
  PoolRow,
  StatusDocument,
} from "../observe/status.ts";
import { addressesInUse, countPools } from "../pool/counts.ts";
import { parsePools } from "../pool/pools.ts";
import { serviceRows } from "./service-rows.ts";
import { allProblems, type AgentState } from "./state.ts";

const FLOW_ROWS = 1000;

export function documents(state: AgentState): DocumentProducers {
  return {
    "/v1/status": () => statusDocument(state),
    "/v1/services": () => serviceRows(state),
    "/v1/nodes": () => nodeRows(state),
    "/v1/pools": () => poolRows(state),
    "/v1/bpf/lb": () => frontendRows(state),
    "/v1/bpf/ct": (query) => flowRows(state, parseCount(query.get("limit") ?? "") ?? FLOW_ROWS),
    "/v1/bpf/backends": () => Array.from(loadBackends(state.maps.forwarding.backends), backendRow),
    "/v1/bpf/announced": () => announcedRows(state),
    "/v1/bpf/drops": () => dropRows(state),
  };
}

export function stampSeconds(state: AgentState): number {
  return Math.max(0, Number(loadStamp(state.maps.runtime) - state.nowNs()) / 1e9);
}

export function announcedRows(state: AgentState): AnnouncedRow[] {
  return Array.from(state.maps.announced.entries(), ([key, value]) => {
    const { address, ifindex, answers } = decodeAnnounced({ key, value });
    return { address: formatAddress(address), device: deviceName(state, ifindex), answers };
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

function statusDocument(state: AgentState): StatusDocument {
  const { tables, lastPass } = state;
  const { isolated, peers } = state.membership();
  return {
    node: state.node,
    version: state.version,
    startedAt: state.startedAt.toISOString(),
    ready: state.lastPass !== undefined && state.convergence.state === "done",
    devices: state.devices,
    stamp: { validUntilSeconds: stampSeconds(state) },
    membership: { isolated, peers: peers.length },
    counts: {
      services: tables.services.size,
      frontends: tables.owners.size,
      backends: tables.rows.count,
      announced: state.announcing.announcements.length,
      endpoints: state.attachments.endpoints.length,
    },
    verdicts: state.maps.verdicts(),
    reconcile: {
      passes: state.passes,
      ...(lastPass === undefined
        ? {}
        : {
            lastAt: lastPass.at.toISOString(),
            lastMilliseconds: lastPass.milliseconds,
            lastOperations: lastPass.operations,
          }),
    },
    problems: allProblems(state),
  };
}

function nodeRows(state: AgentState): NodeRow[] {
  const peers = state
    .membership()
    .peers.map(({ name, address, state: peerState, remainingMilliseconds, lastAnswerMilliseconds }) => ({
      name,
      address: formatAddress(address),
      state: peerState,
      ...(remainingMilliseconds === undefined ? {} : { remainingSeconds: remainingMilliseconds / 1000 }),
      ...(lastAnswerMilliseconds === undefined ? {} : { lastAnswerMilliseconds }),
    }));
  const self: NodeRow = { name: state.node, state: "self", remainingSeconds: stampSeconds(state) };
  return [self, ...peers].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function poolRows(state: AgentState): PoolRow[] {
  if (state.world === undefined) return [];
  const { ipAddressPools, services } = state.world.snapshot;
  const counts = countPools(parsePools(ipAddressPools, new Map()), addressesInUse(services.values()));
  return [...ipAddressPools].flatMap(([key, { metadata, spec }]) => {
    const count = counts.get(key);
    if (count === undefined) return [];
    return {
      namespace: metadata.namespace,
      name: metadata.name,
      addresses: spec.addresses,
      autoAssign: spec.autoAssign,
      avoidBuggyIPs: spec.avoidBuggyIPs,
      assignedIPv4: String(count.assignedIPv4),
      assignedIPv6: String(count.assignedIPv6),
      availableIPv4: String(count.availableIPv4),
      availableIPv6: String(count.availableIPv6),
    };
  });
}

function frontendRows(state: AgentState): FrontendRow[] {
  const { frontends, slots, backends } = state.maps.forwarding;
  const records = Array.from(frontends.entries(), ([key, value]) => decodeFrontend(key, value)).filter(
    (record) => record !== undefined,
  );
  return records.toSorted(byServiceThenPort).map(({ address, port, protocol, value }) => ({
    service: state.tables.serviceNames.get(value.serviceId) ?? "",
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
  }));
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

function backendRow({ id, address, port, state, local, generation }: BackendRecord): BackendRow {
  return { id, address: formatAddress(address), port, state: STATE_NAMES.get(state) ?? "gone", local, generation };
}

/** `limit` 0: all of them. */
function flowRows(state: AgentState, limit: number): FlowRow[] {
  const rows: FlowRow[] = [];
  const nowSeconds = Number(state.nowNs() / 1_000_000_000n);
  for (const [key, value] of state.maps.allFlows()) {
    if (limit !== 0 && rows.length >= limit) break;
    const flow = decodeFlow(viewOf(key), viewOf(value));
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
