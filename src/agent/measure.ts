/** What the metrics are read from: the agent's state and the kernel's counters, at the moment of a scrape. */
import { formatAddress } from "../net/address.ts";
import { readAddress, viewOf } from "../datapath/encode.ts";
import { tcpCounters } from "../kernel/tcp-counters.ts";
import type { MetricsSource } from "../observe/metrics.ts";
import { announcedRows, dropRows, stampSeconds } from "./map-rows.ts";
import { unservedServices } from "./service-rows.ts";
import { allProblems, type AgentState } from "./state.ts";

export function metricsSource(state: AgentState): MetricsSource {
  return {
    node: state.node,
    version: state.version,
    verdicts: () => state.maps.verdicts(),
    drops: () => dropRows(state),
    counts: () => ({
      services: state.tables.services.size,
      frontends: state.tables.owners.size,
      backends: state.tables.rows.count,
      announced: state.announcing.announcements.length,
      endpoints: state.attachments.endpoints.length,
    }),
    flows: () => state.flows,
    announced: () => [...announcedByLayer2(state), ...announcedByBgp(state)],
    asked: () => askedByAddress(state),
    unserved: () => unservedServices(state).count,
    peers: () => state.membership().peers,
    isolated: () => state.membership().isolated,
    drained: () => state.drainedSince !== undefined,
    stampSeconds: () => stampSeconds(state),
    lastReconcile: () => {
      const { lastPass } = state;
      if (lastPass === undefined) return { atSeconds: 0, durationSeconds: 0, operations: 0 };
      return {
        atSeconds: lastPass.at.getTime() / 1000,
        durationSeconds: lastPass.milliseconds / 1000,
        operations: lastPass.operations,
      };
    },
    problems: () => allProblems(state),
    configurationProblems: () => state.configurationProblems,
    synced: () => state.objectsRead && state.lastPass !== undefined,
    hazards: () => state.hazards,
    bgpSessions: () => state.bgp?.speaker.view() ?? [],
    bfdSessions: () => state.bgp?.watch.bfd?.details() ?? Promise.resolve([]),
    bmp: () => state.bgp?.monitoring?.view(),
    droppedSegments: tcpCounters,
  };
}

type AnnouncedNumbers = ReturnType<MetricsSource["announced"]>;

function announcedByLayer2({ placed = [] }: AgentState): AnnouncedNumbers {
  return placed.flatMap(({ address, services, devices }) =>
    devices.length === 0
      ? []
      : services.map((service) => ({ service, protocol: "layer2", ip: formatAddress(address) }) as const),
  );
}

function announcedByBgp({ bgp }: AgentState): AnnouncedNumbers {
  return [...(bgp?.desired.verdicts ?? [])].flatMap(([service, { addresses, offers }]) =>
    offers.length === 0
      ? []
      : addresses.map((address) => ({ service, protocol: "bgp", ip: formatAddress(address) }) as const),
  );
}

function askedByAddress(state: AgentState): { ip: string; requests: number; answers: number }[] {
  return [...Map.groupBy(announcedRows(state), ({ address }) => address)].map(([ip, rows]) => ({
    ip,
    requests: rows.reduce((sum, row) => sum + row.requests, 0),
    answers: rows.reduce((sum, row) => sum + row.answers, 0),
  }));
}

const ETHERTYPE_AT = 12;
const ETHERTYPE_ARP = 0x0806;
/** Sender's protocol address of an ARP packet (RFC 826), after the Ethernet header. */
const ARP_SENDER_AT = 14 + 14;
/** Target of a neighbor advertisement (RFC 4861 §4.4), after the Ethernet and IPv6 headers. */
const NDP_TARGET_AT = 14 + 40 + 8;

/** The address that a gratuitous frame of ours is about. */
export function addressOfGratuitous(frame: Uint8Array): string {
  const view = viewOf(frame);
  if (view.getUint16(ETHERTYPE_AT) !== ETHERTYPE_ARP) return formatAddress(readAddress(view, NDP_TARGET_AT));
  return formatAddress({ family: "IPv4", value: BigInt(view.getUint32(ARP_SENDER_AT)) });
}
