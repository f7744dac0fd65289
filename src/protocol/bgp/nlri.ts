/**
 * Network layer reachability information: prefixes as a length in bits and as many bytes as that needs (RFC 4271 §4.3).
 * Bits beyond the length mean nothing and are cleared.
 */
import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import type { Address, Family } from "../../net/address.ts";
import { addressBits, prefixOf, type Prefix } from "../../net/prefix.ts";

/** Everything the reader has. A text says what is wrong. */
export function readPrefixes(reader: Reader, family: Family): readonly Prefix[] | string {
  const bits = addressBits(family);
  const prefixes: Prefix[] = [];
  while (reader.remaining > 0) {
    const length = reader.u8();
    if (length > bits) return `a prefix length of ${length}, but ${family} has ${bits} bits`;
    const bytes = reader.take(bytesOf(length));
    if (reader.ranOut) return `a prefix of length ${length} is cut off`;
    prefixes.push(prefixOf(addressOf(bytes, family), length));
  }
  return prefixes;
}

export function writePrefixes(writer: Writer, prefixes: readonly Prefix[]): Writer {
  for (const { family, value, length } of prefixes) {
    writer.u8(length);
    const bits = addressBits(family);
    for (let shift = bits - 8; shift >= bits - 8 * bytesOf(length); shift -= 8) writer.u8(byteAt(family, value, shift));
  }
  return writer;
}

export function prefixWireLength({ length }: Prefix): number {
  return 1 + bytesOf(length);
}

export function prefixesWireLength(prefixes: readonly Prefix[]): number {
  return prefixes.reduce((sum, prefix) => sum + prefixWireLength(prefix), 0);
}

/** Bytes that are missing at the end count as zero. IPv4 in IPv6's clothes stays IPv6: it is what was written. */
export function addressOf(bytes: Uint8Array, family: Family): Address {
  let value = 0n;
  for (let i = 0; i < addressBits(family) / 8; i += 1) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  return { family, value };
}

/** Four or sixteen bytes. */
export function writeAddress(writer: Writer, { family, value }: Address): Writer {
  for (let shift = addressBits(family) - 8; shift >= 0; shift -= 8) writer.u8(byteAt(family, value, shift));
  return writer;
}

function byteAt(family: Family, value: bigint, shift: number): number {
  return family === "IPv4" ? (Number(value) >>> shift) & 0xff : Number((value >> BigInt(shift)) & 0xffn);
}

function bytesOf(bits: number): number {
  return Math.ceil(bits / 8);
}
