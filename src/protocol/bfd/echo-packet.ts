/**
 * Echo packets of our own, RFC 5881 §4: from and to our address, so that the peer's forwarding, not its BFD, sends them back. What is in
 * them concerns nobody else:
 *
 *     my discriminator 4 | sequence 8 | cookie 8
 *
 * The cookie is the session's and not guessable, so that nobody who is not on the path can say for a dead peer that it returned a packet
 * (RFC 5880 §9).
 */
import { internetChecksum } from "../../bytes/checksum.ts";
import { decoded, faulty, type Decoded } from "../../bytes/decoded.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { addressBytes, type Address } from "../../net/address.ts";
import { ECHO_PORT, SINGLE_HOP_TTL } from "./config.ts";

export interface EchoPacket {
  readonly myDiscriminator: number;
  readonly sequence: number;
  readonly cookie: bigint;
}

export type EchoFault = "malformed";

const PAYLOAD_LENGTH = 20;
const UDP_LENGTH = 8;
const IP_LENGTH = { IPv4: 20, IPv6: 40 } as const;
const PROTOCOL_UDP = 17;
/** CS6, as control packets: what they meet in a router's queues, these should meet too. */
const TRAFFIC_CLASS = 0xc0;

/** A whole IP packet. */
export function encodeEcho(packet: EchoPacket, own: Address, sourcePort: number): Uint8Array {
  const { myDiscriminator, sequence, cookie } = packet;
  const payload = new Writer(PAYLOAD_LENGTH).u32(myDiscriminator).u64(BigInt(sequence)).u64(cookie).finish();
  const name = nameBytes(own);
  const length = UDP_LENGTH + payload.length;
  const udp = (checksum: number): Uint8Array =>
    new Writer(length).u16(sourcePort).u16(ECHO_PORT).u16(length).u16(checksum).bytes(payload).finish();
  const pseudo = new Writer(2 * name.length + 8).bytes(name).bytes(name).u32(length).u32(PROTOCOL_UDP).finish();
  // RFC 768: a sum of zero is sent as ones, zero means none.
  const datagram = udp(internetChecksum(pseudo, udp(0)) || 0xffff);
  return own.family === "IPv4" ? overIpv4(name, datagram) : overIpv6(name, datagram);
}

/** One that came back. Options and extension headers are in none of ours. */
export function decodeEcho(bytes: Uint8Array): Decoded<EchoPacket, EchoFault> {
  const version = (bytes[0] ?? 0) >> 4;
  const header = version === 6 ? IP_LENGTH.IPv6 : IP_LENGTH.IPv4;
  if (bytes.length < header + UDP_LENGTH + PAYLOAD_LENGTH) return faulty("malformed");
  const reader = new Reader(bytes.subarray(header));
  reader.take(2);
  const [port, length] = [reader.u16(), reader.u16()];
  if (port !== ECHO_PORT || length !== UDP_LENGTH + PAYLOAD_LENGTH) return faulty("malformed");
  reader.take(2);
  return decoded({ myDiscriminator: reader.u32(), sequence: Number(reader.u64()), cookie: reader.u64() });
}

function overIpv4(own: Uint8Array, datagram: Uint8Array): Uint8Array {
  const header = (checksum: number): Uint8Array =>
    new Writer(IP_LENGTH.IPv4)
      .u8(0x45)
      .u8(TRAFFIC_CLASS)
      .u16(IP_LENGTH.IPv4 + datagram.length)
      .u32(0)
      .u8(SINGLE_HOP_TTL)
      .u8(PROTOCOL_UDP)
      .u16(checksum)
      .bytes(own)
      .bytes(own)
      .finish();
  return Uint8Array.from([...header(internetChecksum(header(0))), ...datagram]);
}

function overIpv6(own: Uint8Array, datagram: Uint8Array): Uint8Array {
  return new Writer(IP_LENGTH.IPv6 + datagram.length)
    .u32(0x6000_0000 | (TRAFFIC_CLASS << 20))
    .u16(datagram.length)
    .u8(PROTOCOL_UDP)
    .u8(SINGLE_HOP_TTL)
    .bytes(own)
    .bytes(own)
    .bytes(datagram)
    .finish();
}

function nameBytes(own: Address): Uint8Array {
  return own.family === "IPv4" ? addressBytes(own).subarray(12) : addressBytes(own);
}
