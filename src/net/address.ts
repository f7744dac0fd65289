/**
 * IP addresses as values: parsed once, strictly, then compared, stored and printed here only.
 * The text form is canonical (RFC 5952 for IPv6), so equal addresses have equal text and the text may serve as a key.
 */
import ipaddr from "ipaddr.js";

/** Kubernetes' own words for the two families. */
export type Family = "IPv4" | "IPv6";

export interface Address {
  readonly family: Family;
  /** The address as a number: 32 or 128 bits. */
  readonly value: bigint;
}

const IPV4_FOUR_PARTS = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const MAPPED_PREFIX = 0xffff_0000_0000n;

/** Parses one address. Zone identifiers, leading zeros, short and hexadecimal IPv4 forms are refused: `undefined`. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes(":")) {
    if (text.includes("%") || !ipaddr.IPv6.isValid(text)) return undefined;
    const bytes = ipaddr.IPv6.parse(text).toByteArray();
    return addressFromBytes(Uint8Array.from(bytes));
  }
  // By hand: a large cluster has a hundred thousand of them.
  const parts = IPV4_FOUR_PARTS.exec(text);
  if (parts === null) return undefined;
  const [a, b, c, d] = [Number(parts[1]), Number(parts[2]), Number(parts[3]), Number(parts[4])];
  if (Math.max(a, b, c, d) > 255) return undefined;
  return { family: "IPv4", value: BigInt(((a * 256 + b) * 256 + c) * 256 + d) };
}

/** As {@link parseAddress}, for addresses our own code wrote. Throws on anything else. */
export function address(text: string): Address {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new SyntaxError(`Cannot parse ${JSON.stringify(text)} as an IP address`);
  return parsed;
}

/** Canonical text: dotted decimal, or RFC 5952. */
export function formatAddress(a: Address): string {
  if (a.family === "IPv4") {
    const n = Number(a.value);
    return `${n >>> 24}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
  }
  return new ipaddr.IPv6(Array.from(bigintToBytes(a.value, 16))).toRFC5952String();
}

/** Sixteen bytes in network order; IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2), as the datapath stores it. */
export function addressBytes(a: Address): Uint8Array {
  return bigintToBytes(a.family === "IPv4" ? MAPPED_PREFIX | a.value : a.value, 16);
}

/** The reverse of {@link addressBytes}: IPv4-mapped becomes IPv4. */
export function addressFromBytes(bytes: Uint8Array): Address {
  const value = bytesToBigint(bytes);
  if (value >> 32n === 0xffffn) return { family: "IPv4", value: value & 0xffff_ffffn };
  return { family: "IPv6", value };
}

/** IPv4 before IPv6, then by number. */
export function compareAddresses(a: Address, b: Address): -1 | 0 | 1 {
  if (a.family !== b.family) return a.family === "IPv4" ? -1 : 1;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

function bytesToBigint(bytes: Iterable<number>): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

function bigintToBytes(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = length - 1, rest = value; i >= 0; i -= 1, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}
