/**
 * The list of path attributes of an UPDATE, read as RFC 7606 wants it: a malformed attribute costs the route or itself,
 * rarely the session. What is malformed beyond that is an error to end the session with.
 */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { CODECS, FLAG_OPTIONAL, FLAG_TRANSITIVE, type PathAttribute, type SimpleType } from "./attribute.ts";
import type { SessionContext } from "./context.ts";
import { bgpError, type BgpError } from "./error.ts";
import type { AfiSafi } from "./family.ts";
import { decodeMpReach, decodeMpUnreach, encodeMpReach, encodeMpUnreach } from "./multiprotocol.ts";

/**
 * RFC 7606 §2, from mild to severe. `disableFamily` ("AFI/SAFI disable"): routes of that family cannot be told any more
 * and are ignored from here on; to a speaker that only announces it costs nothing, where a reset would cost its routes.
 */
export type UpdateFault =
  | { readonly grade: "attributeDiscard" | "treatAsWithdraw"; readonly code: number; readonly reason: string }
  | { readonly grade: "disableFamily"; readonly code: number; readonly reason: string; readonly family: AfiSafi };

export interface AttributeList {
  readonly attributes: readonly PathAttribute[];
  readonly faults: readonly UpdateFault[];
}

export type DecodedAttributes =
  | { readonly ok: true; readonly value: AttributeList }
  | { readonly ok: false; readonly error: BgpError };

const FLAG_PARTIAL = 0x20;
const FLAG_EXTENDED_LENGTH = 0x10;
const MP_REACH = 14;
const MP_UNREACH = 15;
/** The smallest attribute: flags, code, length. */
const LENGTH_MIN = 3;

const TYPES_BY_CODE: ReadonlyMap<number, SimpleType> = new Map(
  // Its own keys, so nothing else can be in it.
  (Object.keys(CODECS) as SimpleType[]).map((type) => [CODECS[type].code, type]),
);

interface RawAttribute {
  readonly flags: number;
  readonly code: number;
  readonly value: Uint8Array;
  /** With flags, code and length: the data of a NOTIFICATION about it. */
  readonly whole: Uint8Array;
}

export function decodeAttributes(bytes: Uint8Array, context: SessionContext): DecodedAttributes {
  const { found, faults } = splitAttributes(bytes);
  const attributes: PathAttribute[] = [];
  const seen = new Set<number>();
  for (const raw of found) {
    const error = resetFor(raw, seen);
    if (error !== undefined) return { ok: false, error };
    if (seen.has(raw.code)) {
      faults.push({ grade: "attributeDiscard", code: raw.code, reason: "a second one in the same UPDATE" });
      continue;
    }
    seen.add(raw.code);
    const read = decodeAttribute(raw, context);
    if (read === undefined) continue;
    if ("type" in read) attributes.push(read);
    else if ("grade" in read) faults.push(read);
    else return { ok: false, error: read };
  }
  return { ok: true, value: { attributes, faults } };
}

/** MP first (RFC 7606 §5.1), the others by code; the order they are given in does not matter. */
export function encodeAttributes(attributes: readonly PathAttribute[], context: SessionContext): Uint8Array {
  const parts = attributes
    .map((attribute) => encodeAttribute(attribute, context))
    .toSorted((a, b) => rank(a.code) - rank(b.code));
  const writer = new Writer(parts.reduce((sum, { bytes }) => sum + bytes.length, 0));
  for (const { bytes } of parts) writer.bytes(bytes);
  return writer.finish();
}

/** Bytes that make no attribute end the list: the routes beside it are found by its total length (RFC 7606 §4). */
function splitAttributes(bytes: Uint8Array): { found: readonly RawAttribute[]; faults: UpdateFault[] } {
  const reader = new Reader(bytes);
  const found: RawAttribute[] = [];
  while (reader.remaining > 0) {
    const start = bytes.length - reader.remaining;
    const flags = reader.u8();
    const code = reader.u8();
    const length = (flags & FLAG_EXTENDED_LENGTH) === 0 ? reader.u8() : reader.u16();
    const value = reader.take(length);
    if (reader.ranOut) {
      const reason = bytes.length - start < LENGTH_MIN ? "bytes left after the last attribute" : "longer than the list";
      return { found, faults: [{ grade: "treatAsWithdraw", code, reason }] };
    }
    found.push({ flags, code, value, whole: bytes.slice(start, bytes.length - reader.remaining) });
  }
  return { found, faults: [] };
}

/** What ends the session whatever is in it. */
function resetFor({ flags, code, whole }: RawAttribute, seen: ReadonlySet<number>): BgpError | undefined {
  const isMp = code === MP_REACH || code === MP_UNREACH;
  // RFC 7606 §3 (g).
  if (isMp && seen.has(code))
    return bgpError("update", "malformedAttributeList", `two attributes of code ${code} in one UPDATE`);
  // RFC 4271 §6.3, not changed by RFC 7606: a route with it cannot be understood at all.
  if ((flags & FLAG_OPTIONAL) === 0 && !isMp && !TYPES_BY_CODE.has(code))
    return bgpError("update", "unrecognizedWellKnownAttribute", `unknown well-known attribute ${code}`, whole);
  return undefined;
}

/** `undefined`: nothing to keep and nothing wrong. */
function decodeAttribute(
  raw: RawAttribute,
  context: SessionContext,
): PathAttribute | UpdateFault | BgpError | undefined {
  if (raw.code === MP_REACH || raw.code === MP_UNREACH) return decodeMp(raw, context);
  const type = TYPES_BY_CODE.get(raw.code);
  if (type === undefined) return decodeUnknown(raw);
  const codec = CODECS[type];
  const { code, malformed, flags, internalOnly = false, oldSpeakersOnly = false } = codec;
  if (internalOnly && context.external) return { grade: "attributeDiscard", code, reason: "not from another AS" };
  if (oldSpeakersOnly && context.fourOctetAs)
    return { grade: "attributeDiscard", code, reason: "not from a speaker of four-byte AS numbers" };
  if (!hasFlags(raw, flags)) return { grade: "treatAsWithdraw", code, reason: flagsReason(raw) };
  const read = codec.decode(raw.value, context);
  return typeof read === "string" ? { grade: malformed, code, reason: read } : read;
}

function decodeMp(raw: RawAttribute, { families }: SessionContext): PathAttribute | UpdateFault | BgpError {
  const { code, value } = raw;
  const read = code === MP_REACH ? decodeMpReach(value, families) : decodeMpUnreach(value, families);
  if ("type" in read) {
    if (hasFlags(raw, FLAG_OPTIONAL)) return read;
    return { grade: "treatAsWithdraw", code, reason: flagsReason(raw) };
  }
  const { family, reason } = read;
  return family === undefined
    ? bgpError("update", "optionalAttributeError", `attribute ${code}: ${reason}`, raw.whole)
    : { grade: "disableFamily", code, reason, family };
}

/** RFC 4271 §5: the transitive ones are kept; the others are quietly ignored. */
function decodeUnknown({ flags, code, value }: RawAttribute): PathAttribute {
  const transitive = (flags & FLAG_TRANSITIVE) !== 0;
  return { type: "unknown", code, transitive, partial: (flags & FLAG_PARTIAL) !== 0, value };
}

function hasFlags(raw: RawAttribute, flags: number): boolean {
  return (raw.flags & (FLAG_OPTIONAL | FLAG_TRANSITIVE)) === flags;
}

function flagsReason({ flags }: RawAttribute): string {
  return `its flags are 0x${flags.toString(16).padStart(2, "0")}`;
}

function encodeAttribute(
  attribute: PathAttribute,
  context: SessionContext,
): { readonly code: number; readonly bytes: Uint8Array } {
  const { code, flags, value } = partsOf(attribute, context);
  const extended = value.length > 0xff;
  const writer = new Writer((extended ? 4 : 3) + value.length)
    .u8(flags | (extended ? FLAG_EXTENDED_LENGTH : 0))
    .u8(code);
  if (extended) writer.u16(value.length);
  else writer.u8(value.length);
  return { code, bytes: writer.bytes(value).finish() };
}

function partsOf(
  attribute: PathAttribute,
  context: SessionContext,
): { readonly code: number; readonly flags: number; readonly value: Uint8Array } {
  switch (attribute.type) {
    case "mpReach":
    case "mpReachOther":
      return { code: MP_REACH, flags: FLAG_OPTIONAL, value: encodeMpReach(attribute) };
    case "mpUnreach":
    case "mpUnreachOther":
      return { code: MP_UNREACH, flags: FLAG_OPTIONAL, value: encodeMpUnreach(attribute) };
    case "unknown": {
      const { code, transitive, partial, value } = attribute;
      return { code, flags: FLAG_OPTIONAL | (transitive ? FLAG_TRANSITIVE : 0) | (partial ? FLAG_PARTIAL : 0), value };
    }
    default: {
      const codec = CODECS[attribute.type];
      // The row of its type takes it; TypeScript does not follow the two together.
      const encode = codec.encode as (attribute: PathAttribute, context: SessionContext) => Uint8Array;
      return { code: codec.code, flags: codec.flags, value: encode(attribute, context) };
    }
  }
}

function rank(code: number): number {
  return code === MP_REACH || code === MP_UNREACH ? code - 0x100 : code;
}
