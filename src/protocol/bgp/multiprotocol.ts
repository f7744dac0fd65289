/**
 * MP_REACH_NLRI and MP_UNREACH_NLRI, RFC 4760 §3 and §4: routes of other families than IPv4, and IPv4 routes with an IPv6
 * next hop (RFC 8950). IPv6 next hops have 16 bytes, or 32 with the link-local address (RFC 2545 §3).
 *
 *     MP_REACH:    AFI (2)  SAFI (1)  length (1)  next hop (length)  reserved (1)  prefixes …
 *     MP_UNREACH:  AFI (2)  SAFI (1)  prefixes …
 */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Address, Family } from "../../net/address.ts";
import type { Prefix } from "../../net/prefix.ts";
import { readAfiSafi, writeAfiSafi, type AfiSafi } from "./family.ts";
import { addressOf, prefixesWireLength, readPrefixes, writeAddress, writePrefixes } from "./nlri.ts";

export interface NextHop {
  readonly address: Address;
  /** For peers on the same link, beside an IPv6 `address`. */
  readonly linkLocal?: Address;
}

export type MpReach =
  | {
      readonly type: "mpReach";
      readonly family: Family;
      readonly nextHop: NextHop;
      readonly prefixes: readonly Prefix[];
    }
  /** Of a family that is not for us: `value` is what follows AFI and SAFI. */
  | { readonly type: "mpReachOther"; readonly family: AfiSafi; readonly value: Uint8Array };

export type MpUnreach =
  | { readonly type: "mpUnreach"; readonly family: Family; readonly prefixes: readonly Prefix[] }
  | { readonly type: "mpUnreachOther"; readonly family: AfiSafi; readonly value: Uint8Array };

/** What cannot be read, and of which family it was, where so much can be said. */
export interface MpFault {
  readonly reason: string;
  readonly family: AfiSafi | undefined;
}

const IPV6_LENGTH = 16;

export function decodeMpReach(value: Uint8Array, families: readonly AfiSafi[]): MpReach | MpFault {
  const reader = new Reader(value);
  const family = readAfiSafi(reader);
  if (reader.ranOut) return { reason: "too short for a family", family: undefined };
  if (!isOurs(family, families)) return { type: "mpReachOther", family, value: reader.rest() };
  const nextHop = readNextHop(reader.take(reader.u8()), family);
  reader.u8();
  if (reader.ranOut) return { reason: "it ends inside the next hop", family };
  if (typeof nextHop === "string") return { reason: nextHop, family };
  const prefixes = readPrefixes(reader, family);
  return typeof prefixes === "string" ? { reason: prefixes, family } : { type: "mpReach", family, nextHop, prefixes };
}

export function decodeMpUnreach(value: Uint8Array, families: readonly AfiSafi[]): MpUnreach | MpFault {
  const reader = new Reader(value);
  const family = readAfiSafi(reader);
  if (reader.ranOut) return { reason: "too short for a family", family: undefined };
  if (!isOurs(family, families)) return { type: "mpUnreachOther", family, value: reader.rest() };
  const prefixes = readPrefixes(reader, family);
  return typeof prefixes === "string" ? { reason: prefixes, family } : { type: "mpUnreach", family, prefixes };
}

export function encodeMpReach(attribute: MpReach): Uint8Array {
  if (attribute.type === "mpReachOther") return encodeOther(attribute);
  const { family, nextHop, prefixes } = attribute;
  const nextHopLength = nextHopWireLength(nextHop);
  const writer = new Writer(5 + nextHopLength + prefixesWireLength(prefixes));
  writeAddress(writeAfiSafi(writer, family).u8(nextHopLength), nextHop.address);
  if (nextHop.linkLocal !== undefined) writeAddress(writer, nextHop.linkLocal);
  return writePrefixes(writer.u8(0), prefixes).finish();
}

export function encodeMpUnreach(attribute: MpUnreach): Uint8Array {
  if (attribute.type === "mpUnreachOther") return encodeOther(attribute);
  const writer = new Writer(3 + prefixesWireLength(attribute.prefixes));
  return writePrefixes(writeAfiSafi(writer, attribute.family), attribute.prefixes).finish();
}

export function nextHopWireLength({ address, linkLocal }: NextHop): number {
  return (address.family === "IPv4" ? 4 : IPV6_LENGTH) + (linkLocal === undefined ? 0 : IPV6_LENGTH);
}

/** Routes that were not agreed on are not ours to judge. */
function isOurs(family: AfiSafi, families: readonly AfiSafi[]): family is Family {
  return (family === "IPv4" || family === "IPv6") && families.includes(family);
}

/** IPv4 routes may have either kind, by whatever was agreed: nothing is imported, so nothing hangs on it. */
function readNextHop(bytes: Uint8Array, family: Family): NextHop | string {
  if (bytes.length === 4 && family === "IPv4") return { address: addressOf(bytes, "IPv4") };
  if (bytes.length === IPV6_LENGTH) return { address: addressOf(bytes, "IPv6") };
  if (bytes.length !== 2 * IPV6_LENGTH) return `a next hop of ${bytes.length} bytes for ${family} routes`;
  return {
    address: addressOf(bytes, "IPv6"),
    linkLocal: addressOf(bytes.subarray(IPV6_LENGTH), "IPv6"),
  };
}

function encodeOther({ family, value }: { readonly family: AfiSafi; readonly value: Uint8Array }): Uint8Array {
  return writeAfiSafi(new Writer(3 + value.length), family)
    .bytes(value)
    .finish();
}
