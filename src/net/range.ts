/** Ranges of addresses, as written in the `addresses` of an IPAddressPool: a CIDR or `start-end`, both ends included. */
import { formatAddress, parseAddress, type Address, type Family } from "./address.ts";
import { addressBits, formatPrefix, lastOfPrefix, parsePrefix, type Prefix } from "./prefix.ts";

export interface Range {
  readonly family: Family;
  readonly first: bigint;
  /** Never below `first`. */
  readonly last: bigint;
}

export type ParsedRange = { readonly ok: true; readonly range: Range } | { readonly ok: false; readonly fault: string };

/**
 * Parses one entry exactly as MetalLB does: without a dash it must be a CIDR (host bits dropped, no blanks); with one it
 * is split at the first dash and blanks around the ends are dropped. Unlike MetalLB, a range from one family into
 * the other is a fault: there it is accepted and yields no address at all.
 */
export function parseRange(text: string): ParsedRange {
  const dash = text.indexOf("-");
  return dash === -1 ? parseCidrEntry(text) : parseStartEnd(text.slice(0, dash).trim(), text.slice(dash + 1).trim());
}

/** Number of addresses. */
export function rangeSize(r: Range): bigint {
  return r.last - r.first + 1n;
}

export function rangeContains(r: Range, address: Address): boolean {
  return r.family === address.family && r.first <= address.value && address.value <= r.last;
}

export function rangesOverlap(a: Range, b: Range): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

export function rangeOfPrefix(p: Prefix): Range {
  return { family: p.family, first: p.value, last: lastOfPrefix(p).value };
}

/** The fewest prefixes that cover exactly this range, in ascending order. */
export function prefixesOfRange(r: Range): readonly Prefix[] {
  const bits = addressBits(r.family);
  const prefixes: Prefix[] = [];
  for (let first = r.first; first <= r.last;) {
    const hostBits = Math.min(trailingZeros(first, bits), bitLength(r.last - first + 1n) - 1);
    prefixes.push({ family: r.family, value: first, length: bits - hostBits });
    first += 1n << BigInt(hostBits);
  }
  return prefixes;
}

/** A CIDR where the range is exactly one, else `start-end`. */
export function formatRange(r: Range): string {
  const [only, ...more] = prefixesOfRange(r);
  if (only !== undefined && more.length === 0) return formatPrefix(only);
  return `${formatAddress({ family: r.family, value: r.first })}-${formatAddress({ family: r.family, value: r.last })}`;
}

function parseCidrEntry(text: string): ParsedRange {
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return { ok: true, range: rangeOfPrefix(prefix) };
  const bare = parseAddress(text.trim());
  const hint = bare === undefined ? "" : `; for one address write ${formatAddress(bare)}/${addressBits(bare.family)}`;
  return fault(`${quote(text)} is neither a CIDR nor a range start-end${hint}`);
}

function parseStartEnd(startText: string, endText: string): ParsedRange {
  const start = parseAddress(startText);
  const end = parseAddress(endText);
  if (start === undefined) return fault(`range start ${quote(startText)} is not an IP address`);
  if (end === undefined) return fault(`range end ${quote(endText)} is not an IP address`);
  const range = `range ${formatAddress(start)}-${formatAddress(end)}`;
  if (start.family !== end.family) return fault(`${range} starts in ${start.family} and ends in ${end.family}`);
  if (start.value > end.value) return fault(`${range} ends before it starts`);
  return { ok: true, range: { family: start.family, first: start.value, last: end.value } };
}

function fault(message: string): ParsedRange {
  return { ok: false, fault: message };
}

/** Users' text in messages, bounded: a pool entry may be megabytes of something else. */
function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function trailingZeros(value: bigint, bits: number): number {
  if (value === 0n) return bits;
  let count = 0;
  for (let rest = value; (rest & 1n) === 0n; rest >>= 1n) count += 1;
  return count;
}

function bitLength(value: bigint): number {
  return value.toString(2).length;
}
