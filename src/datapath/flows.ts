/** Rows of the flow table: read for `bpf ct list`, and judged by the same timeouts as in the datapath (bpf/flow.h). */
import type { Address } from "../net/address.ts";
import { flow, flow_flag, flow_key } from "./abi.generated.ts";
import { protocolName, PROTOCOL_NUMBERS, readAddress } from "./encode.ts";

/** Seconds without a packet. The same numbers are given to the datapath when it is loaded. */
export interface FlowTimeouts {
  readonly tcp_established_seconds: number;
  readonly tcp_syn_seconds: number;
  readonly tcp_closing_seconds: number;
  readonly tcp_reset_seconds: number;
  readonly udp_seconds: number;
}

export const FLOW_TIMEOUTS: FlowTimeouts = {
  tcp_established_seconds: 8000,
  tcp_syn_seconds: 60,
  tcp_closing_seconds: 120,
  tcp_reset_seconds: 10,
  udp_seconds: 180,
};

export interface FlowEnd {
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
  readonly destinationPort: number;
}

/** One direction of a connection. */
export interface FlowRecord extends FlowEnd {
  /** "TCP", "UDP", or a number. */
  readonly protocol: string;
  /** As the packet leaves. */
  readonly to: FlowEnd;
  readonly ifindex: number;
  readonly serviceId: number;
  readonly backendId: number;
  readonly seenSeconds: number;
  /** Names without their prefix, lower case: `reply`, `snat`, … */
  readonly flags: readonly string[];
  readonly packets: number;
  readonly bytes: number;
}

export function decodeFlow(key: DataView, value: DataView): FlowRecord {
  const { offset } = flow;
  const protocol = key.getUint8(flow_key.offset.protocol);
  const flags = value.getUint16(offset.flags, true);
  return {
    ...readEnd(key, flow_key.offset),
    protocol: protocolName(protocol) ?? String(protocol),
    to: readEnd(value, offset),
    ifindex: value.getUint32(offset.ifindex, true),
    serviceId: value.getUint32(offset.service_id, true),
    backendId: value.getUint32(offset.backend_id, true),
    seenSeconds: value.getUint32(offset.seen_seconds, true),
    flags: flowFlagNames(flags),
    packets: value.getUint32(offset.packets, true),
    bytes: Number(value.getBigUint64(offset.bytes, true)),
  };
}

type EndOffsets = Record<"source" | "destination" | "source_port" | "destination_port", number>;

function readEnd(view: DataView, offset: EndOffsets): FlowEnd {
  return {
    source: readAddress(view, offset.source),
    sourcePort: view.getUint16(offset.source_port),
    destination: readAddress(view, offset.destination),
    destinationPort: view.getUint16(offset.destination_port),
  };
}

function flowFlagNames(flags: number): string[] {
  return Object.entries(flow_flag).flatMap(([name, bit]) =>
    flags & bit ? [name.slice("FLOW_".length).toLowerCase()] : [],
  );
}

/** As `flow_expired` in bpf/flow.h, on the bytes: this runs over the whole table. `nowSeconds` is CLOCK_MONOTONIC. */
export function flowExpired(key: DataView, value: DataView, nowSeconds: number, timeouts: FlowTimeouts): boolean {
  const idle = nowSeconds - value.getUint32(flow.offset.seen_seconds, true);
  return idle > lifetime(key.getUint8(flow_key.offset.protocol), value.getUint16(flow.offset.flags, true), timeouts);
}

function lifetime(protocol: number, flags: number, timeouts: FlowTimeouts): number {
  if (protocol !== PROTOCOL_NUMBERS.TCP) return timeouts.udp_seconds;
  if (flags & flow_flag.FLOW_RESET) return timeouts.tcp_reset_seconds;
  if (flags & flow_flag.FLOW_CLOSING) return timeouts.tcp_closing_seconds;
  const kept = flow_flag.FLOW_ESTABLISHED | flow_flag.FLOW_ANSWERED;
  return flags & kept ? timeouts.tcp_established_seconds : timeouts.tcp_syn_seconds;
}
