/**
 * ARP over Ethernet for IPv4 (RFC 826), with its Ethernet header. Left out: other hardware and protocol types, VLAN tags.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------------------------------+-------------------------------+
 *     |     hardware type = 1         |    protocol type = 0x0800     |
 *     +---------------+---------------+-------------------------------+
 *     |  length = 6   |  length = 4   |           operation           |
 *     +---------------+---------------+-------------------------------+
 *     |  sender hardware address (6)  …  sender protocol address (4)  |
 *     |  target hardware address (6)  …  target protocol address (4)  |
 *     +---------------------------------------------------------------+
 */
import { decoded, faulty, type Decoded } from "../../bytes/decoded.ts";
import { toHex } from "../../bytes/hex.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { formatAddress, type Address } from "../../net/address.ts";

const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV4 = 0x0800;
const HARDWARE_ETHERNET = 1;
const MAC_LENGTH = 6;
const IPV4_LENGTH = 4;
/** Ethernet header and ARP; the driver or the card pads to 60. */
const FRAME_LENGTH = 14 + 28;

const OPERATIONS = { request: 1, reply: 2 } as const;
const BROADCAST_MAC: Uint8Array = new Uint8Array(MAC_LENGTH).fill(0xff);

export interface ArpFrame {
  /** Of the Ethernet header: six bytes each. */
  readonly destination: Uint8Array;
  readonly source: Uint8Array;
  /** Other operations (RARP and the like) keep their number. */
  readonly operation: keyof typeof OPERATIONS | number;
  readonly senderMac: Uint8Array;
  /** IPv4. */
  readonly senderAddress: Address;
  readonly targetMac: Uint8Array;
  /** IPv4. */
  readonly targetAddress: Address;
}

export type ArpFault = "truncated" | "otherEthertype" | "otherHardware" | "otherProtocol" | "badAddressLength";

/** Bytes after the ARP packet are Ethernet padding and ignored. */
export function decodeArp(frame: Uint8Array): Decoded<ArpFrame, ArpFault> {
  const reader = new Reader(frame);
  const destination = reader.take(MAC_LENGTH);
  const source = reader.take(MAC_LENGTH);
  const ethertype = reader.u16();
  if (reader.ranOut) return faulty("truncated");
  if (ethertype !== ETHERTYPE_ARP) return faulty("otherEthertype");
  const hardware = reader.u16();
  const protocol = reader.u16();
  const macLength = reader.u8();
  const addressLength = reader.u8();
  const code = reader.u16();
  if (reader.ranOut) return faulty("truncated");
  if (hardware !== HARDWARE_ETHERNET) return faulty("otherHardware");
  if (protocol !== ETHERTYPE_IPV4) return faulty("otherProtocol");
  if (macLength !== MAC_LENGTH || addressLength !== IPV4_LENGTH) return faulty("badAddressLength");
  const senderMac = reader.take(MAC_LENGTH);
  const senderAddress = ipv4(reader.u32());
  const targetMac = reader.take(MAC_LENGTH);
  const targetAddress = ipv4(reader.u32());
  if (reader.ranOut) return faulty("truncated");
  return decoded({
    destination,
    source,
    operation: operationName(code),
    senderMac,
    senderAddress,
    targetMac,
    targetAddress,
  });
}

/** Throws on MACs that are not six bytes and addresses that are not IPv4. */
export function encodeArp(frame: ArpFrame): Uint8Array {
  const { operation } = frame;
  return new Writer(FRAME_LENGTH)
    .bytes(frame.destination, MAC_LENGTH)
    .bytes(frame.source, MAC_LENGTH)
    .u16(ETHERTYPE_ARP)
    .u16(HARDWARE_ETHERNET)
    .u16(ETHERTYPE_IPV4)
    .u8(MAC_LENGTH)
    .u8(IPV4_LENGTH)
    .u16(typeof operation === "number" ? operation : OPERATIONS[operation])
    .bytes(frame.senderMac, MAC_LENGTH)
    .u32(ipv4Number(frame.senderAddress))
    .bytes(frame.targetMac, MAC_LENGTH)
    .u32(ipv4Number(frame.targetAddress))
    .finish();
}

/**
 * Says "this address is at this MAC" to a whole segment: a request and a reply, because some systems learn only from the
 * one and some only from the other. As MetalLB sends them.
 */
export function gratuitousArp(address: Address, mac: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const frame = {
    destination: BROADCAST_MAC,
    source: mac,
    senderMac: mac,
    senderAddress: address,
    targetMac: BROADCAST_MAC,
    targetAddress: address,
  };
  return [encodeArp({ ...frame, operation: "request" }), encodeArp({ ...frame, operation: "reply" })];
}

/** RFC 5227 §2.1.1: asks who has an address without claiming it: nobody's cache changes by it. */
export function arpProbe(address: Address, mac: Uint8Array): Uint8Array {
  return encodeArp({
    destination: BROADCAST_MAC,
    source: mac,
    operation: "request",
    senderMac: mac,
    senderAddress: ipv4(0),
    targetMac: new Uint8Array(MAC_LENGTH),
    targetAddress: address,
  });
}

/** One line, in the words of tcpdump. */
export function formatArp(frame: ArpFrame): string {
  const { operation } = frame;
  const macs = `${toHex(frame.source, ":")} > ${toHex(frame.destination, ":")}`;
  const sender = formatAddress(frame.senderAddress);
  const target = formatAddress(frame.targetAddress);
  if (operation === "request")
    return `${macs} ARP request who-has ${target} (${toHex(frame.targetMac, ":")}) tell ${sender}`;
  if (operation === "reply") return `${macs} ARP reply ${sender} is-at ${toHex(frame.senderMac, ":")}`;
  return `${macs} ARP operation ${operation} from ${sender} to ${target}`;
}

function operationName(code: number): ArpFrame["operation"] {
  if (code === OPERATIONS.request) return "request";
  return code === OPERATIONS.reply ? "reply" : code;
}

function ipv4(value: number): Address {
  return { family: "IPv4", value: BigInt(value) };
}

function ipv4Number(address: Address): number {
  if (address.family !== "IPv4")
    throw new TypeError(`Cannot write ${formatAddress(address)} into an ARP packet: not an IPv4 address`);
  return Number(address.value);
}
