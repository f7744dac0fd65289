/**
 * Frames for the datapath's tests: built from values, taken apart into values. Written apart from the product's own codecs
 * on purpose, so that a mistake there cannot hide itself here; every checksum of an output frame is verified.
 */
import { address, addressBytes, addressFromBytes, formatAddress } from "../../src/net/address.ts";

export interface Frame {
  readonly sourceMac?: string;
  readonly destinationMac?: string;
  readonly source: string;
  readonly destination: string;
  readonly protocol?: "tcp" | "udp" | "icmp" | number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly flags?: string; // of TCP: any of S A F R P
  readonly ttl?: number;
  readonly payload?: Uint8Array;
  readonly identification?: number;
  readonly fragment?: { readonly offset: number; readonly more: boolean };
  readonly options?: number; // bytes of IPv4 options (no-operation), a multiple of four
  readonly noChecksum?: boolean; // UDP over IPv4 only
}

const TCP_FLAG_BITS: Record<string, number> = { F: 1, S: 2, R: 4, P: 8, A: 16 };
const PROTOCOLS = { tcp: 6, udp: 17 } as const;

/** A whole Ethernet frame with right checksums. */
export function frame(f: Frame): Uint8Array {
  const source = addressBytes(address(f.source));
  const destination = addressBytes(address(f.destination));
  const ipv6 = f.source.includes(":");
  const protocol = protocolNumber(f.protocol ?? "tcp", ipv6);
  const segment =
    f.fragment !== undefined && f.fragment.offset > 0 ? payloadOf(f) : transport(f, protocol, source, destination);
  const header = ipv6
    ? ipv6Header(f, protocol, segment.length, source, destination)
    : ipv4Header(f, protocol, segment.length, source, destination);
  return concat(ethernet(f, ipv6 ? 0x86dd : 0x0800), header, segment);
}

/** An ICMP error from `from` to `to` that quotes the IP packet inside `quoted` (a frame). */
export function icmpError(from: string, to: string, type: number, code: number, quoted: Uint8Array): Uint8Array {
  const ipv6 = from.includes(":");
  const body = concat(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), quoted.subarray(14, 14 + (ipv6 ? 48 : 28)));
  return frame({ source: from, destination: to, protocol: "icmp", payload: body });
}

export function arpRequest(
  senderMac: string,
  senderIp: string,
  targetIp: string,
  destinationMac = "ff:ff:ff:ff:ff:ff",
): Uint8Array {
  const body = concat(
    Uint8Array.of(0, 1, 8, 0, 6, 4, 0, 1),
    mac(senderMac),
    addressBytes(address(senderIp)).subarray(12),
    mac("00:00:00:00:00:00"),
    addressBytes(address(targetIp)).subarray(12),
  );
  return concat(mac(destinationMac), mac(senderMac), Uint8Array.of(8, 6), body);
}

export function neighborSolicitation(senderMac: string, source: string, target: string, withOption = true): Uint8Array {
  const targetBytes = addressBytes(address(target));
  const option = withOption ? concat(Uint8Array.of(1, 1), mac(senderMac)) : new Uint8Array();
  const body = concat(Uint8Array.of(135, 0, 0, 0, 0, 0, 0, 0), targetBytes, option);
  const last = targetBytes.subarray(13);
  const group = `ff02::1:ff${hex(last.subarray(0, 1))}:${hex(last.subarray(1))}`;
  return frame({
    sourceMac: senderMac,
    destinationMac: `33:33:ff:${[...last].map((b) => hex(Uint8Array.of(b))).join(":")}`,
    source,
    destination: group,
    protocol: "icmp",
    ttl: 255,
    payload: body,
  });
}

export interface Read {
  readonly sourceMac: string;
  readonly destinationMac: string;
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly ttl: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number; readonly body: Uint8Array };
  readonly payload: Uint8Array;
}

/** Takes a frame apart. Throws when a length or a checksum in it is wrong. */
export function read(bytes: Uint8Array): Read {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ipv6 = view.getUint16(12) === 0x86dd;
  const headerBytes = ipv6 ? 40 : ((bytes[14] ?? 0) & 15) * 4;
  const source = ipv6 ? bytes.subarray(22, 38) : mapped(bytes.subarray(26, 30));
  const destination = ipv6 ? bytes.subarray(38, 54) : mapped(bytes.subarray(30, 34));
  const length = ipv6 ? view.getUint16(18) : view.getUint16(16) - headerBytes;
  const protocol = bytes[ipv6 ? 20 : 23] ?? 0;
  const segment = bytes.subarray(14 + headerBytes, 14 + headerBytes + length);
  if (segment.length !== length)
    throw new RangeError(`frame has ${segment.length} bytes after its IP header, which says ${length}`);
  if (!ipv6 && sum16(bytes.subarray(14, 14 + headerBytes)) !== 0xffff)
    throw new RangeError("IPv4 header checksum is wrong");
  verifyTransport(segment, protocol, source, destination, ipv6);
  const common = {
    destinationMac: macText(bytes.subarray(0, 6)),
    sourceMac: macText(bytes.subarray(6, 12)),
    source: text(source),
    destination: text(destination),
    protocol,
    ttl: bytes[ipv6 ? 21 : 22] ?? 0,
  };
  if (protocol === 1 || protocol === 58)
    return {
      ...common,
      icmp: { type: segment[0] ?? 0, code: segment[1] ?? 0, body: segment.subarray(8) },
      payload: segment.subarray(8),
    };
  const s = new DataView(segment.buffer, segment.byteOffset, segment.length);
  return {
    ...common,
    sourcePort: s.getUint16(0),
    destinationPort: s.getUint16(2),
    payload: segment.subarray(protocol === 6 ? 20 : 8),
  };
}

/** "source:port > destination:port" of a quoted IP packet (what an ICMP error carries). */
export function quotedTuple(body: Uint8Array): string {
  const ipv6 = (body[0] ?? 0) >> 4 === 6;
  const l4 = ipv6 ? 40 : 20;
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const source = ipv6 ? body.subarray(8, 24) : mapped(body.subarray(12, 16));
  const destination = ipv6 ? body.subarray(24, 40) : mapped(body.subarray(16, 20));
  if (!ipv6 && sum16(body.subarray(0, 20)) !== 0xffff)
    throw new RangeError("checksum of the quoted IPv4 header is wrong");
  return `${text(source)}:${view.getUint16(l4)} > ${text(destination)}:${view.getUint16(l4 + 2)}`;
}

export function mac(text_: string): Uint8Array {
  return Uint8Array.from(text_.split(":"), (part) => Number.parseInt(part, 16));
}

function ethernet(f: Frame, type: number): Uint8Array {
  return concat(
    mac(f.destinationMac ?? "02:00:00:00:02:01"),
    mac(f.sourceMac ?? "02:00:00:00:00:99"),
    Uint8Array.of(type >> 8, type & 255),
  );
}

function ipv4Header(
  f: Frame,
  protocol: number,
  length: number,
  source: Uint8Array,
  destination: Uint8Array,
): Uint8Array {
  const options = f.options ?? 0;
  const header = new Uint8Array(20 + options).fill(1, 20);
  const view = new DataView(header.buffer);
  header[0] = 0x40 | (5 + options / 4);
  view.setUint16(2, header.length + length);
  view.setUint16(4, f.identification ?? 0);
  view.setUint16(6, f.fragment === undefined ? 0 : (f.fragment.more ? 0x2000 : 0) | (f.fragment.offset / 8));
  header[8] = f.ttl ?? 64;
  header[9] = protocol;
  header.set(source.subarray(12), 12);
  header.set(destination.subarray(12), 16);
  view.setUint16(10, 0xffff ^ sum16(header));
  return header;
}

function ipv6Header(
  f: Frame,
  protocol: number,
  length: number,
  source: Uint8Array,
  destination: Uint8Array,
): Uint8Array {
  const header = new Uint8Array(40);
  header[0] = 0x60;
  new DataView(header.buffer).setUint16(4, length);
  header[6] = protocol;
  header[7] = f.ttl ?? 64;
  header.set(source, 8);
  header.set(destination, 24);
  return header;
}

function transport(f: Frame, protocol: number, source: Uint8Array, destination: Uint8Array): Uint8Array {
  const payload = payloadOf(f);
  if (protocol !== 6 && protocol !== 17) {
    const body = Uint8Array.from(payload);
    if (protocol === 1 || protocol === 58) setChecksum(body, 2, protocol, source, destination, protocol === 58);
    return body;
  }
  const header = new Uint8Array(protocol === 6 ? 20 : 8);
  const view = new DataView(header.buffer);
  view.setUint16(0, f.sourcePort ?? 40000);
  view.setUint16(2, f.destinationPort ?? 80);
  if (protocol === 6) {
    header[12] = 0x50;
    header[13] = [...(f.flags ?? "S")].reduce((bits, letter) => bits | (TCP_FLAG_BITS[letter] ?? 0), 0);
  } else {
    view.setUint16(4, 8 + payload.length);
  }
  const segment = concat(header, payload);
  if (f.noChecksum !== true) setChecksum(segment, protocol === 6 ? 16 : 6, protocol, source, destination, true);
  return segment;
}

function setChecksum(
  segment: Uint8Array,
  offset: number,
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
  pseudo: boolean,
): void {
  const view = new DataView(segment.buffer, segment.byteOffset, segment.length);
  view.setUint16(offset, 0);
  view.setUint16(
    offset,
    0xffff ^ sum16(pseudo ? concat(pseudoHeader(segment.length, protocol, source, destination), segment) : segment),
  );
}

function verifyTransport(
  segment: Uint8Array,
  protocol: number,
  source: Uint8Array,
  destination: Uint8Array,
  ipv6: boolean,
): void {
  const udpWithout = protocol === 17 && !ipv6 && segment[6] === 0 && segment[7] === 0;
  if (udpWithout || (protocol !== 6 && protocol !== 17 && protocol !== 1 && protocol !== 58)) return;
  const pseudo = protocol === 1 ? new Uint8Array() : pseudoHeader(segment.length, protocol, source, destination);
  const sum = sum16(concat(pseudo, segment));
  if (sum !== 0xffff) throw new RangeError(`checksum of protocol ${protocol} is wrong (sum 0x${sum.toString(16)})`);
}

/** The IPv6 form serves IPv4-mapped addresses as well: the mapped prefix sums to the same on both sides. */
function pseudoHeader(length: number, protocol: number, source: Uint8Array, destination: Uint8Array): Uint8Array {
  const v4 = isMapped(source);
  return concat(
    v4 ? source.subarray(12) : source,
    v4 ? destination.subarray(12) : destination,
    Uint8Array.of(length >> 8, length & 255, 0, protocol),
  );
}

function sum16(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function protocolNumber(protocol: NonNullable<Frame["protocol"]>, ipv6: boolean): number {
  if (typeof protocol === "number") return protocol;
  return protocol === "icmp" ? (ipv6 ? 58 : 1) : PROTOCOLS[protocol];
}

function payloadOf(f: Frame): Uint8Array {
  return f.payload ?? new TextEncoder().encode("fairlead");
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((b) => b === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function mapped(bytes: Uint8Array): Uint8Array {
  return concat(new Uint8Array(10), Uint8Array.of(0xff, 0xff), bytes);
}

function text(bytes: Uint8Array): string {
  return formatAddress(addressFromBytes(bytes));
}

function macText(bytes: Uint8Array): string {
  return [...bytes].map((b) => hex(Uint8Array.of(b))).join(":");
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
