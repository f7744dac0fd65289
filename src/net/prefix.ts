/** CIDR prefixes as values. The network address is kept without host bits, so equal prefixes are equal values. */
import { formatAddress, parseAddress, type Address, type Family } from "./address.ts";

export interface Prefix {
  readonly family: Family;
  /** The network address as a number; bits beyond `length` are zero. */
  readonly value: bigint;
  readonly length: number;
}

const LENGTH = /^\d{1,3}$/;

/** Bits of an address of this family. */
export function addressBits(family: Family): 32 | 128 {
  return family === "IPv4" ? 32 : 128;
}

/**
 * Parses `address/length` as Go's net.ParseCIDR does: host bits are dropped, nothing around it is.
 * A bare address, blanks, a length beyond the family and IPv4-mapped IPv6 are refused: `undefined`.
 */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  if (slash === -1) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (address === undefined || !LENGTH.test(lengthText)) return undefined;
  // ::ffff:10.0.0.0/24 would be read as IPv4 by one half of the code and as IPv6 by the other.
  if (address.family === "IPv4" && text.includes(":")) return undefined;
  const length = Number(lengthText);
  return length > addressBits(address.family) ? undefined : prefixOf(address, length);
}

/** The prefix of this length around an address. Throws on a length the family does not have. */
export function prefixOf(address: Address, length: number): Prefix {
  const bits = addressBits(address.family);
  if (!Number.isInteger(length) || length < 0 || length > bits)
    throw new RangeError(`An ${address.family} prefix is 0 to ${bits} bits long, got ${length}`);
  const hostBits = BigInt(bits - length);
  return { family: address.family, value: (address.value >> hostBits) << hostBits, length };
}

/** The prefix of this address alone. */
export function hostPrefix(address: Address): Prefix {
  return prefixOf(address, addressBits(address.family));
}

/** Canonical text, `10.0.0.0/8`. */
export function formatPrefix(p: Prefix): string {
  return `${formatAddress(p)}/${p.length}`;
}

/** The highest address of the prefix. */
export function lastOfPrefix(p: Prefix): Address {
  const hostBits = BigInt(addressBits(p.family) - p.length);
  return { family: p.family, value: p.value | ((1n << hostBits) - 1n) };
}

export function prefixContains(p: Prefix, address: Address): boolean {
  return p.family === address.family && prefixOf(address, p.length).value === p.value;
}
