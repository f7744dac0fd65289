/** The documents of the local API, made from what the agent knows and what lies in the kernel's maps at this moment. */
import { setTimeout as sleep } from "node:timers/promises";
import { formatAddress } from "../net/address.ts";
import { parseCount, type DocumentProducers } from "../observe/api.ts";
import { SILENCE_MS, type LateRows } from "../observe/list.ts";
import type { NodeRow, PoolRow, ServiceRow, StatusDocument } from "../observe/status.ts";
import { addressesInUse, countPools } from "../pool/counts.ts";
import { NO_NAMESPACES, parsePools } from "../pool/pools.ts";
import { Announcers, type AnnouncerNames } from "./announcers.ts";
import { bgpBfdRows, bgpPeerRows, bgpReceivedRows, bgpRouteRows } from "./bgp-documents.ts";
import type { Me } from "./desired.ts";
import { drainDocument } from "./drain.ts";
import { explainDocument } from "./explain.ts";
import { announcedRows, backendRows, dropRows, flowRows, frontendRows, stampSeconds } from "./map-rows.ts";
import { serviceRows, unservedServices } from "./service-rows.ts";
import { allProblems, type AgentState } from "./state.ts";

const FLOW_ROWS = 1000;

export function documents(state: AgentState, me: Me): DocumentProducers {
  const announcers = new Announcers(state, me);
  return {
    "/v1/status": () => statusDocument(state),
    "/v1/services": () => servicesAfter(announcers.names(), state),
    "/v1/explain": (query) => explainDocument(state, me, query),
    "/v1/nodes": () => nodeRows(state),
    "/v1/pools": () => poolRows(state),
    "/v1/drain": () => drainDocument(state),
    "/v1/bgp/peers": () => bgpPeerRows(state),
    "/v1/bgp/routes": () => bgpRouteRows(state),
    "/v1/bgp/received": () => bgpReceivedRows(state),
    "/v1/bgp/bfd": () => bgpBfdRows(state),
    "/v1/bpf/lb": () => frontendRows(state),
    "/v1/bpf/ct": (query) => flowRows(state, parseCount(query.get("limit") ?? "") ?? FLOW_ROWS),
    "/v1/bpf/backends": () => backendRows(state),
    "/v1/bpf/announced": () => announcedRows(state),
    "/v1/bpf/drops": () => dropRows(state),
  };
}

/** To find out about ten thousand addresses takes some time. */
async function* servicesAfter(names: Promise<AnnouncerNames>, state: AgentState): LateRows<ServiceRow> {
  const silence = (): Promise<undefined> => sleep(SILENCE_MS, undefined, { ref: false });
  let found: AnnouncerNames | undefined;
  // oxlint-disable-next-line no-await-in-loop
  while ((found = await Promise.race([names, silence()])) === undefined) yield undefined;
  yield* serviceRows(state, found);
}

function statusDocument(state: AgentState): StatusDocument {
  const { tables, lastPass } = state;
  const { isolated, peers } = state.membership();
  const bmp = state.bgp?.monitoring?.view();
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
    unserved: unservedServices(state),
    ...(state.drainedSince === undefined ? {} : { drain: drainDocument(state) }),
    ...(bmp === undefined ? {} : { bmp }),
    hazards: state.hazards.map(({ check, level, subject, message, todo }) => ({
      check,
      level,
      subject,
      message,
      todo,
    })),
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
    .peers.map(({ name, address, state: peerState, away, remainingMilliseconds, lastAnswerMilliseconds }) => ({
      name,
      address: formatAddress(address),
      state: peerState,
      ...(away ? { away } : {}),
      ...(remainingMilliseconds === undefined ? {} : { remainingSeconds: remainingMilliseconds / 1000 }),
      ...(lastAnswerMilliseconds === undefined ? {} : { lastAnswerMilliseconds }),
    }));
  const self: NodeRow = {
    name: state.node,
    state: "self",
    ...(state.drainedSince === undefined ? {} : { draining: true }),
    remainingSeconds: stampSeconds(state),
  };
  return [self, ...peers].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function poolRows(state: AgentState): PoolRow[] {
  if (state.world === undefined) return [];
  const { ipAddressPools, services } = state.world.snapshot;
  const counts = countPools(parsePools(ipAddressPools, NO_NAMESPACES), addressesInUse(services.values()));
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
