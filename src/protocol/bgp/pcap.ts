/**
 * A capture file of BGP sessions, as `tcpdump -w` would have written it: classic pcap. The speaker sees no packets, only what its
 * connections carry, so Ethernet, IP and TCP headers are made up around it: true addresses and ports, sequence numbers that run on.
 *
 *     file header | record header, Ethernet, IP, TCP, bytes | record header …
 *
 * Nothing else of a session is in it: a TCP MD5 password is known to the kernel only.
 */
import { internetChecksum } from "../../bytes/checksum.ts";
import { Writer } from "../../bytes/writer.ts";
import { addressBytes } from "../../net/address.ts";
import type { TcpEnd, Traffic } from "./traffic.ts";

const MAGIC = 0xa1b2_c3d4;
const LINKTYPE_ETHERNET = 1;
const SNAP_LENGTH = 262_144;
const ETHERNET_LENGTH = 14;
const TCP_LENGTH = 20;
const TCP = 6;
const PUSH_AND_ACK = 0x18;
/** Far from what a packet cannot hold; longer reads become several. */
const SEGMENT_MAX = 32_768;
/** Connections whose sequence numbers are remembered: beyond, the oldest starts anew. */
const CONNECTIONS_MAX = 4096;

export function pcapHeader(): Uint8Array {
  return new Writer(24).u32(MAGIC).u16(2).u16(4).u32(0).u32(0).u32(SNAP_LENGTH).u32(LINKTYPE_ETHERNET).finish();
}

/** Of one connection: the next byte of each direction. */
interface Sequence {
  sent: number;
  received: number;
}

/** Records for one file. What a reader does not get is missing in the sequence numbers too, so that it shows. */
export class PcapEncoder {
  readonly #sequences = new Map<string, Sequence>();

  /** Undefined: the connection has lost its addresses already. */
  record({ direction, bytes, ends: { local, remote } }: Traffic, wallClock: number): Uint8Array | undefined {
    if (local === undefined || remote === undefined || local.address.family !== remote.address.family) return undefined;
    const sequence = this.#sequenceOf(local, remote);
    const other = direction === "sent" ? "received" : "sent";
    const [from, to] = direction === "sent" ? [local, remote] : [remote, local];
    const records: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += SEGMENT_MAX) {
      const payload = bytes.subarray(at, at + SEGMENT_MAX);
      const segment = tcpSegment({ from, to, sequence: sequence[direction], acknowledged: sequence[other], payload });
      sequence[direction] = (sequence[direction] + payload.length) % 2 ** 32;
      records.push(recordOf(ethernetFrame(direction, from, to, segment), wallClock));
    }
    return Buffer.concat(records);
  }

  #sequenceOf(local: TcpEnd, remote: TcpEnd): Sequence {
    const key = [local, remote].map(({ address, port }) => `${address.family} ${address.value} ${port}`).join();
    const found = this.#sequences.get(key) ?? { sent: 1, received: 1 };
    if (!this.#sequences.has(key) && this.#sequences.size >= CONNECTIONS_MAX) {
      const [oldest = ""] = this.#sequences.keys();
      this.#sequences.delete(oldest);
    }
    this.#sequences.set(key, found);
    return found;
  }
}

function recordOf(frame: Uint8Array, wallClock: number): Uint8Array {
  const seconds = Math.floor(wallClock / 1000);
  const microseconds = Math.floor((wallClock - seconds * 1000) * 1000);
  const header = new Writer(16 + frame.length).u32(seconds).u32(microseconds).u32(frame.length).u32(frame.length);
  return header.bytes(frame).finish();
}

/** Made up, and marked as such: locally administered. Ours ends in 01, the peer's in 02. */
const OUR_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const PEER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);

function ethernetFrame(direction: Traffic["direction"], from: TcpEnd, to: TcpEnd, segment: Uint8Array): Uint8Array {
  const [destination, source] = direction === "sent" ? [PEER_MAC, OUR_MAC] : [OUR_MAC, PEER_MAC];
  const isIPv4 = from.address.family === "IPv4";
  const header = isIPv4 ? ipv4Header(from, to, segment.length) : ipv6Header(from, to, segment.length);
  return new Writer(ETHERNET_LENGTH + header.length + segment.length)
    .bytes(destination)
    .bytes(source)
    .u16(isIPv4 ? 0x0800 : 0x86dd)
    .bytes(header)
    .bytes(segment)
    .finish();
}

function ipv4Header(from: TcpEnd, to: TcpEnd, length: number): Uint8Array {
  const write = (checksum: number): Uint8Array =>
    new Writer(20)
      .u16(0x45c0)
      .u16(20 + length)
      .u16(0)
      .u16(0x4000)
      .u8(64)
      .u8(TCP)
      .u16(checksum)
      .u32(Number(from.address.value))
      .u32(Number(to.address.value))
      .finish();
  return write(internetChecksum(write(0)));
}

function ipv6Header(from: TcpEnd, to: TcpEnd, length: number): Uint8Array {
  return new Writer(40)
    .u32(0x6c00_0000)
    .u16(length)
    .u8(TCP)
    .u8(64)
    .bytes(addressBytes(from.address))
    .bytes(addressBytes(to.address))
    .finish();
}

interface Segment {
  readonly from: TcpEnd;
  readonly to: TcpEnd;
  readonly sequence: number;
  readonly acknowledged: number;
  readonly payload: Uint8Array;
}

function tcpSegment({ from, to, sequence, acknowledged, payload }: Segment): Uint8Array {
  const length = TCP_LENGTH + payload.length;
  const write = (checksum: number): Uint8Array =>
    new Writer(length)
      .u16(from.port)
      .u16(to.port)
      .u32(sequence)
      .u32(acknowledged)
      .u16((5 << 12) | PUSH_AND_ACK)
      .u16(0xffff)
      .u16(checksum)
      .u16(0)
      .bytes(payload)
      .finish();
  // The words of both families' pseudo headers: an IPv4 address as 16 bytes has the same sum as its four, but for ffff, which is zero.
  const pseudo = new Writer(4).u16(TCP).u16(length).finish();
  return write(internetChecksum(addressBytes(from.address), addressBytes(to.address), pseudo, write(0)));
}
