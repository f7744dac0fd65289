/** Samples from the ring buffer: bytes of a struct event → a line of the monitor stream. */
import { event, EVENT_PACKET_BYTES, flow_key } from "../datapath/abi.generated.ts";
import { protocolName, readAddress, viewOf } from "../datapath/encode.ts";
import { formatAddress } from "../net/address.ts";
import type { MonitorEvent } from "./status.ts";
import { hookName, verdictName } from "./verdicts.ts";

/** What numbers in an event stand for right now. */
export interface EventNames {
  device(ifindex: number): string | undefined;
  service(id: number): string | undefined;
  /** `address:port` */
  backend(id: number): string | undefined;
  /** Of a CLOCK_MONOTONIC time. */
  wallClock(monotonicNs: bigint): Date;
}

/** `undefined`: shorter than an event, so not one of ours. */
export function decodeEvent(bytes: Uint8Array, names: EventNames): MonitorEvent | undefined {
  if (bytes.length < event.size) return undefined;
  const view = viewOf(bytes);
  const { offset } = event;
  const tuple = offset.tuple;
  const ifindex = view.getUint32(offset.ifindex, true);
  const service = names.service(view.getUint32(offset.service_id, true));
  const backend = names.backend(view.getUint32(offset.backend_id, true));
  const protocol = view.getUint8(tuple + flow_key.offset.protocol);
  const filled = Math.min(view.getUint8(offset.packet_length), EVENT_PACKET_BYTES);
  return {
    time: names.wallClock(view.getBigUint64(offset.time_ns, true)).toISOString(),
    verdict: verdictName(view.getUint16(offset.verdict, true)),
    hook: hookName(view.getUint8(offset.hook)),
    device: names.device(ifindex) ?? `if${ifindex}`,
    protocol: protocol === 0 ? "" : (protocolName(protocol) ?? String(protocol)),
    source: formatAddress(readAddress(view, tuple + flow_key.offset.source)),
    sourcePort: view.getUint16(tuple + flow_key.offset.source_port),
    destination: formatAddress(readAddress(view, tuple + flow_key.offset.destination)),
    destinationPort: view.getUint16(tuple + flow_key.offset.destination_port),
    ...(service === undefined ? {} : { service }),
    ...(backend === undefined ? {} : { backend }),
    length: view.getUint16(offset.length, true),
    packet: Buffer.from(bytes.subarray(offset.packet, offset.packet + filled)).toString("hex"),
  };
}
