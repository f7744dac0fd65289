/**
 * Neighbor solicitations and advertisements over Ethernet (RFC 4861 §4.3, §4.4), with Ethernet and IPv6 headers.
 * Left out: router discovery and redirects, extension headers (the datapath has none of them before an answer either), VLAN tags.
 *
 *     Ethernet 14 | IPv6 40 | +---------------+---------------+-------------------------------+
 *                             | type 135, 136 |   code = 0    |           checksum            |
 *                             +-+-+-+---------+---------------+-------------------------------+
 *                             |R|S|O|               reserved (flags: advertisement only)      |
 *                             +-+-+-+-------------------------------------------------------- +
 *                             |                       target address (16)                     |
 *                             +---------------+---------------+-------------------------------+
 *                             | option type   | length / 8    |  link-layer address (6) …     |
 *                             +---------------+---------------+-------------------------------+
 */
import { internetChecksum } from "../../bytes/checksum.ts";
import { decoded, faulty, type Decoded } from "../../bytes/decoded.ts";
import { toHex } from "../../bytes/hex.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { address as addressOf, addressBytes, formatAddress, type Address } from "../../net/address.ts";

const ETHERTYPE_IPV6 = 0x86dd;
const NEXT_HEADER_ICMPV6 = 58;
const HOP_LIMIT = 255;
const MAC_LENGTH = 6;
const IPV6_HEADER_LENGTH = 40;
const ETHERNET_HEADER_LENGTH = 14;
const MESSAGE_LENGTH_MIN = 24;
/** One option byte counts eight. */
const OPTION_UNIT = 8;

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const FLAG_ROUTER = 0x8000_0000;
const FLAG_SOLICITED = 0x4000_0000;
const FLAG_OVERRIDE = 0x2000_0000;

const OPTIONS = { sourceLinkLayer: 1, targetLinkLayer: 2 } as const;
/** ff02::1:ff00:0, RFC 4291 §2.7.1: the last three bytes are those of the address asked for. */
const SOLICITED_NODE = 0xff02_0000_0000_0000_0000_0001_ff00_0000n;
const ALL_NODES = addressOf("ff02::1");
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);

export type NdpOption =
  | { readonly type: keyof typeof OPTIONS; readonly mac: Uint8Array }
  /** `bytes` without type and length: 6, 14, 22 … of them. */
  | { readonly type: "unknown"; readonly code: number; readonly bytes: Uint8Array };

interface Headers {
  /** Of the Ethernet header: six bytes each. */
  readonly destinationMac: Uint8Array;
  readonly sourceMac: Uint8Array;
  /** Of the IPv6 header. */
  readonly source: Address;
  readonly destination: Address;
  readonly target: Address;
  readonly options: readonly NdpOption[];
}

export interface Solicitation extends Headers {
  readonly type: "solicitation";
}

export interface Advertisement extends Headers {
  readonly type: "advertisement";
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
}

export type NdpFrame = Solicitation | Advertisement;

export type NdpFault =
  | "truncated" // shorter than its headers say
  | "otherEthertype"
  | "notIPv6"
  | "otherProtocol" // neither solicitation nor advertisement
  // RFC 4861 §7.1.1, §7.1.2: what must be discarded silently
  | "badHopLimit"
  | "badChecksum"
  | "badCode"
  | "tooShort"
  | "badTarget"
  | "emptyOption"
  | "badOption"
  | "detectionToUnicast" // source unspecified, destination not solicited-node multicast
  | "detectionWithSource" // source unspecified, but a source link-layer option
  | "solicitedToMulticast";

/** Bytes after the IPv6 packet are Ethernet padding and ignored. */
export function decodeNdp(frame: Uint8Array): Decoded<NdpFrame, NdpFault> {
  const reader = new Reader(frame);
  const destinationMac = reader.take(MAC_LENGTH);
  const sourceMac = reader.take(MAC_LENGTH);
  const ethertype = reader.u16();
  if (reader.ranOut) return faulty("truncated");
  if (ethertype !== ETHERTYPE_IPV6) return faulty("otherEthertype");
  const version = reader.u32() >>> 28;
  const length = reader.u16();
  const nextHeader = reader.u8();
  const hopLimit = reader.u8();
  const source = ipv6(reader.take(16));
  const destination = ipv6(reader.take(16));
  const message = reader.take(length);
  if (reader.ranOut) return faulty("truncated");
  if (version !== 6) return faulty("notIPv6");
  if (nextHeader !== NEXT_HEADER_ICMPV6 || (message[0] !== SOLICITATION && message[0] !== ADVERTISEMENT))
    return faulty("otherProtocol");
  if (hopLimit !== HOP_LIMIT) return faulty("badHopLimit");
  if (internetChecksum(pseudoHeader(source, destination, length), message) !== 0) return faulty("badChecksum");
  return decodeMessage(message, { destinationMac, sourceMac, source, destination });
}

/** Throws on MACs that are not six bytes, addresses that are not IPv6 and options that do not end at eight bytes. */
export function encodeNdp(frame: NdpFrame): Uint8Array {
  const options = frame.options.map(encodeOption);
  const length = MESSAGE_LENGTH_MIN + options.reduce((sum, option) => sum + option.length, 0);
  const flags =
    frame.type === "solicitation"
      ? 0
      : (frame.router ? FLAG_ROUTER : 0) +
        (frame.solicited ? FLAG_SOLICITED : 0) +
        (frame.override ? FLAG_OVERRIDE : 0);
  const message = (checksum: number): Uint8Array => {
    const writer = new Writer(length)
      .u8(frame.type === "solicitation" ? SOLICITATION : ADVERTISEMENT)
      .u8(0)
      .u16(checksum)
      .u32(flags);
    writer.bytes(ipv6Bytes(frame.target));
    for (const option of options) writer.bytes(option);
    return writer.finish();
  };
  const checksum = internetChecksum(pseudoHeader(frame.source, frame.destination, length), message(0));
  return new Writer(ETHERNET_HEADER_LENGTH + IPV6_HEADER_LENGTH + length)
    .bytes(frame.destinationMac, MAC_LENGTH)
    .bytes(frame.sourceMac, MAC_LENGTH)
    .u16(ETHERTYPE_IPV6)
    .u32(6 * 2 ** 28)
    .u16(length)
    .u8(NEXT_HEADER_ICMPV6)
    .u8(HOP_LIMIT)
    .bytes(ipv6Bytes(frame.source))
    .bytes(ipv6Bytes(frame.destination))
    .bytes(message(checksum))
    .finish();
}

/** RFC 4861 §7.2.6: to all nodes, not solicited, override. It comes from the address itself, the only one that is surely ours there. */
export function unsolicitedAdvertisement(address: Address, mac: Uint8Array): Uint8Array {
  return encodeNdp({
    type: "advertisement",
    destinationMac: ALL_NODES_MAC,
    sourceMac: mac,
    source: address,
    destination: ALL_NODES,
    router: false,
    solicited: false,
    override: true,
    target: address,
    options: [{ type: "targetLinkLayer", mac }],
  });
}

/** RFC 4862 §5.4.2: asks who has an address as a node that wants it would: everybody who has it says so to all. */
export function detectingSolicitation(address: Address, mac: Uint8Array): Uint8Array {
  const low = ipv6Bytes(address).slice(13);
  return encodeNdp({
    type: "solicitation",
    destinationMac: Uint8Array.of(0x33, 0x33, 0xff, ...low),
    sourceMac: mac,
    source: { family: "IPv6", value: 0n },
    destination: { family: "IPv6", value: SOLICITED_NODE | (address.value & 0xff_ffffn) },
    target: address,
    options: [],
  });
}

/** Whose address a neighbor advertisement says it is, as a raw socket gives it: without the headers, which the kernel has checked. */
export function readAdvertisement(
  message: Uint8Array,
  source: Address,
): { readonly target: Address; readonly mac: Uint8Array } | undefined {
  const none = new Uint8Array(MAC_LENGTH);
  const read = decodeMessage(message, { destinationMac: none, sourceMac: none, source, destination: ALL_NODES });
  if (!read.ok || read.value.type !== "advertisement") return undefined;
  const { target, options } = read.value;
  for (const option of options) if (option.type === "targetLinkLayer") return { target, mac: option.mac };
  return undefined;
}

/** One line, in the words of tcpdump. */
export function formatNdp(frame: NdpFrame): string {
  const ends = `${formatAddress(frame.source)} > ${formatAddress(frame.destination)}`;
  const options = frame.options
    .map((option) =>
      option.type === "unknown" ? `, option ${option.code}` : `, ${option.type} ${toHex(option.mac, ":")}`,
    )
    .join("");
  if (frame.type === "solicitation") return `${ends} NDP solicitation who has ${formatAddress(frame.target)}${options}`;
  const flags = (["router", "solicited", "override"] as const).filter((flag) => frame[flag]).join(" ");
  return `${ends} NDP advertisement target ${formatAddress(frame.target)} [${flags}]${options}`;
}

type Ends = Pick<Headers, "destinationMac" | "sourceMac" | "source" | "destination">;

function decodeMessage(message: Uint8Array, ends: Ends): Decoded<NdpFrame, NdpFault> {
  if (message.length < MESSAGE_LENGTH_MIN) return faulty("tooShort");
  const reader = new Reader(message);
  const type = reader.u8();
  const code = reader.u8();
  reader.u16();
  const flags = reader.u32();
  const target = ipv6(reader.take(16));
  if (code !== 0) return faulty("badCode");
  if (isMulticast(target)) return faulty("badTarget");
  const options = decodeOptions(reader);
  if (!options.ok) return options;
  const headers = { ...ends, target, options: options.value };
  if (type === SOLICITATION) {
    if (ends.source.value === 0n && !isSolicitedNode(ends.destination)) return faulty("detectionToUnicast");
    if (ends.source.value === 0n && options.value.some((option) => option.type === "sourceLinkLayer"))
      return faulty("detectionWithSource");
    return decoded({ type: "solicitation", ...headers });
  }
  const has = (flag: number): boolean => (flags & flag) !== 0;
  if (isMulticast(ends.destination) && has(FLAG_SOLICITED)) return faulty("solicitedToMulticast");
  return decoded({
    type: "advertisement",
    ...headers,
    router: has(FLAG_ROUTER),
    solicited: has(FLAG_SOLICITED),
    override: has(FLAG_OVERRIDE),
  });
}

function decodeOptions(reader: Reader): Decoded<readonly NdpOption[], "emptyOption" | "badOption"> {
  const options: NdpOption[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    const units = reader.u8();
    if (reader.ranOut) return faulty("badOption");
    if (units === 0) return faulty("emptyOption");
    const bytes = reader.take(units * OPTION_UNIT - 2);
    if (reader.ranOut) return faulty("badOption");
    options.push(decodeOption(code, bytes));
  }
  return decoded(options);
}

function decodeOption(code: number, bytes: Uint8Array): NdpOption {
  if (bytes.length === MAC_LENGTH && code === OPTIONS.sourceLinkLayer) return { type: "sourceLinkLayer", mac: bytes };
  if (bytes.length === MAC_LENGTH && code === OPTIONS.targetLinkLayer) return { type: "targetLinkLayer", mac: bytes };
  return { type: "unknown", code, bytes };
}

function encodeOption(option: NdpOption): Uint8Array {
  if (option.type !== "unknown")
    return new Writer(OPTION_UNIT).u8(OPTIONS[option.type]).u8(1).bytes(option.mac, MAC_LENGTH).finish();
  const { bytes, code } = option;
  const length = bytes.length + 2;
  if (length % OPTION_UNIT !== 0)
    throw new RangeError(`An NDP option is a multiple of eight bytes long, got ${length}`);
  return new Writer(length)
    .u8(code)
    .u8(length / OPTION_UNIT)
    .bytes(bytes)
    .finish();
}

/** RFC 8200 §8.1. */
function pseudoHeader(source: Address, destination: Address, length: number): Uint8Array {
  return new Writer(40)
    .bytes(ipv6Bytes(source))
    .bytes(ipv6Bytes(destination))
    .u32(length)
    .u32(NEXT_HEADER_ICMPV6)
    .finish();
}

function isMulticast(address: Address): boolean {
  return address.value >> 120n === 0xffn;
}

/** ff02::1:ffXX:XXXX, RFC 4291 §2.7.1. */
function isSolicitedNode(address: Address): boolean {
  return address.value >> 24n === SOLICITED_NODE >> 24n;
}

/** Here sixteen bytes are IPv6, whatever they look like: a mapped IPv4 address stays one of ours in no message. */
function ipv6(bytes: Uint8Array): Address {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return { family: "IPv6", value };
}

function ipv6Bytes(address: Address): Uint8Array {
  if (address.family !== "IPv6")
    throw new TypeError(`Cannot write ${formatAddress(address)} into an NDP message: not an IPv6 address`);
  return addressBytes(address);
}
