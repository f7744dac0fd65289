/**
 * Path attributes, RFC 4271 §4.3 and §5, and of the RFCs named at each. A row of the table has everything about one: its
 * code, the flags it must have, how its value is read and written, and what RFC 7606 makes of one that is malformed.
 *
 *     +---------------+---------------+-------------------------------+
 *     | flags O T P E |     code      |  length: 1 byte, or 2 if E    |  value …
 *     +---------------+---------------+-------------------------------+
 */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Address } from "../../net/address.ts";
import { decodeAsPath, encodeAsPath, type AsSegment } from "./as-path.ts";
import type { LargeCommunity } from "./community.ts";
import type { SessionContext } from "./context.ts";
import type { MpReach, MpUnreach } from "./multiprotocol.ts";
import { addressOf, writeAddress } from "./nlri.ts";
import { AS_TRANS } from "./open.ts";

export const FLAG_OPTIONAL = 0x80;
export const FLAG_TRANSITIVE = 0x40;
const WELL_KNOWN = FLAG_TRANSITIVE;
const OPTIONAL_TRANSITIVE = FLAG_OPTIONAL | FLAG_TRANSITIVE;

const ORIGINS = ["igp", "egp", "incomplete"] as const;

export type PathAttribute =
  | { readonly type: "origin"; readonly origin: (typeof ORIGINS)[number] }
  | { readonly type: "asPath"; readonly segments: readonly AsSegment[] }
  /** IPv4. */
  | { readonly type: "nextHop"; readonly address: Address }
  | { readonly type: "multiExitDisc"; readonly value: number }
  | { readonly type: "localPref"; readonly value: number }
  | { readonly type: "atomicAggregate" }
  | { readonly type: "aggregator"; readonly as: number; readonly address: Address }
  /** RFC 1997. */
  | { readonly type: "communities"; readonly values: readonly number[] }
  /** RFC 4456. */
  | { readonly type: "originatorId"; readonly bgpIdentifier: number }
  | { readonly type: "clusterList"; readonly clusterIds: readonly number[] }
  | MpReach
  | MpUnreach
  /** RFC 4360: eight bytes each. */
  | { readonly type: "extendedCommunities"; readonly values: readonly bigint[] }
  /** RFC 6793: only to and from speakers of two-byte AS numbers. */
  | { readonly type: "as4Path"; readonly segments: readonly AsSegment[] }
  | { readonly type: "as4Aggregator"; readonly as: number; readonly address: Address }
  /** RFC 8092. */
  | { readonly type: "largeCommunities"; readonly values: readonly LargeCommunity[] }
  /** RFC 9234: OTC. */
  | { readonly type: "onlyToCustomer"; readonly as: number }
  | UnknownAttribute;

/** Optional. Whole, so that it can be written back. */
export interface UnknownAttribute {
  readonly type: "unknown";
  readonly code: number;
  readonly transitive: boolean;
  readonly partial: boolean;
  readonly value: Uint8Array;
}

type Of<Type extends PathAttribute["type"]> = Extract<PathAttribute, { readonly type: Type }>;
/** Those with a row; what carries routes of families is read by multiprotocol.ts. */
export type SimpleType = Exclude<PathAttribute["type"], "unknown" | (MpReach | MpUnreach)["type"]>;

interface Codec<Type extends SimpleType> {
  readonly code: number;
  /** Optional and transitive, as they must be. */
  readonly flags: number;
  /** RFC 7606 §7: what becomes of an UPDATE in which it is malformed. */
  readonly malformed: "attributeDiscard" | "treatAsWithdraw";
  /** RFC 7606 §7.5, §7.9, §7.10: from another AS it is not even looked at. */
  readonly internalOnly?: true;
  /** RFC 6793 §4.1: not between speakers of four-byte AS numbers. */
  readonly oldSpeakersOnly?: true;
  /** A text says what is wrong. */
  readonly decode: (value: Uint8Array, context: SessionContext) => Of<Type> | string;
  readonly encode: (attribute: Of<Type>, context: SessionContext) => Uint8Array;
}

export const CODECS: { readonly [Type in SimpleType]: Codec<Type> } = {
  origin: {
    code: 1,
    flags: WELL_KNOWN,
    malformed: "treatAsWithdraw",
    decode: (value) => {
      const origin = value.length === 1 ? ORIGINS[value[0] ?? ORIGINS.length] : undefined;
      return origin === undefined ? "neither IGP, EGP nor incomplete" : { type: "origin", origin };
    },
    encode: ({ origin }) => Uint8Array.of(ORIGINS.indexOf(origin)),
  },
  asPath: {
    code: 2,
    flags: WELL_KNOWN,
    malformed: "treatAsWithdraw",
    decode: (value, { fourOctetAs }) => withSegments("asPath", decodeAsPath(value, fourOctetAs)),
    encode: ({ segments }, { fourOctetAs }) => encodeAsPath(segments, fourOctetAs),
  },
  nextHop: {
    code: 3,
    flags: WELL_KNOWN,
    malformed: "treatAsWithdraw",
    decode: (value) =>
      value.length === 4 ? { type: "nextHop", address: addressOf(value, "IPv4") } : `${value.length} bytes, not 4`,
    encode: ({ address }) => writeAddress(new Writer(4), address).finish(),
  },
  multiExitDisc: {
    code: 4,
    flags: FLAG_OPTIONAL,
    malformed: "treatAsWithdraw",
    decode: (value) => withNumber(value, (number) => ({ type: "multiExitDisc", value: number })),
    encode: ({ value }) => u32(value),
  },
  localPref: {
    code: 5,
    flags: WELL_KNOWN,
    malformed: "treatAsWithdraw",
    internalOnly: true,
    decode: (value) => withNumber(value, (number) => ({ type: "localPref", value: number })),
    encode: ({ value }) => u32(value),
  },
  atomicAggregate: {
    code: 6,
    flags: WELL_KNOWN,
    malformed: "attributeDiscard",
    decode: (value) => (value.length === 0 ? { type: "atomicAggregate" } : `${value.length} bytes, not 0`),
    encode: () => new Uint8Array(0),
  },
  aggregator: {
    code: 7,
    flags: OPTIONAL_TRANSITIVE,
    malformed: "attributeDiscard",
    decode: (value, { fourOctetAs }) => withAggregator("aggregator", value, fourOctetAs),
    encode: (attribute, { fourOctetAs }) => encodeAggregator(attribute, fourOctetAs),
  },
  communities: {
    code: 8,
    flags: OPTIONAL_TRANSITIVE,
    malformed: "treatAsWithdraw",
    decode: (value) => withNumbers(value, (values) => ({ type: "communities", values })),
    encode: ({ values }) => u32(...values),
  },
  originatorId: {
    code: 9,
    flags: FLAG_OPTIONAL,
    malformed: "treatAsWithdraw",
    internalOnly: true,
    decode: (value) => withNumber(value, (bgpIdentifier) => ({ type: "originatorId", bgpIdentifier })),
    encode: ({ bgpIdentifier }) => u32(bgpIdentifier),
  },
  clusterList: {
    code: 10,
    flags: FLAG_OPTIONAL,
    malformed: "treatAsWithdraw",
    internalOnly: true,
    decode: (value) => withNumbers(value, (clusterIds) => ({ type: "clusterList", clusterIds })),
    encode: ({ clusterIds }) => u32(...clusterIds),
  },
  extendedCommunities: {
    code: 16,
    flags: OPTIONAL_TRANSITIVE,
    malformed: "treatAsWithdraw",
    decode: (value) => {
      const values = repeat(value, 8, (reader) => reader.u64());
      return typeof values === "string" ? values : { type: "extendedCommunities", values };
    },
    encode: ({ values }) => values.reduce((writer, value) => writer.u64(value), new Writer(8 * values.length)).finish(),
  },
  as4Path: {
    code: 17,
    flags: OPTIONAL_TRANSITIVE,
    malformed: "attributeDiscard",
    oldSpeakersOnly: true,
    decode: (value) => withSegments("as4Path", decodeAsPath(value, true)),
    encode: ({ segments }) => encodeAsPath(segments, true),
  },
  as4Aggregator: {
    code: 18,
    flags: OPTIONAL_TRANSITIVE,
    malformed: "attributeDiscard",
    oldSpeakersOnly: true,
    decode: (value) => withAggregator("as4Aggregator", value, true),
    encode: (attribute) => encodeAggregator(attribute, true),
  },
  largeCommunities: {
    code: 32,
    flags: OPTIONAL_TRANSITIVE,
    malformed: "treatAsWithdraw",
    decode: (value) => {
      const values = repeat(value, 12, readLarge);
      return typeof values === "string" ? values : { type: "largeCommunities", values };
    },
    encode: ({ values }) => u32(...values.flatMap((one) => [one.globalAdministrator, one.localData1, one.localData2])),
  },
  onlyToCustomer: {
    code: 35,
    flags: OPTIONAL_TRANSITIVE,
    malformed: "treatAsWithdraw",
    decode: (value) => withNumber(value, (as) => ({ type: "onlyToCustomer", as })),
    encode: ({ as }) => u32(as),
  },
};

function withSegments<Type extends "asPath" | "as4Path">(
  type: Type,
  segments: readonly AsSegment[] | string,
): { readonly type: Type; readonly segments: readonly AsSegment[] } | string {
  return typeof segments === "string" ? segments : { type, segments };
}

function withNumber<Value>(value: Uint8Array, make: (number: number) => Value): Value | string {
  return value.length === 4 ? make(new Reader(value).u32()) : `${value.length} bytes, not 4`;
}

function withNumbers<Value>(value: Uint8Array, make: (numbers: readonly number[]) => Value): Value | string {
  const numbers = repeat(value, 4, (reader) => reader.u32());
  return typeof numbers === "string" ? numbers : make(numbers);
}

/** RFC 7607 §2: AS 0 is malformed here too. */
function withAggregator<Type extends "aggregator" | "as4Aggregator">(
  type: Type,
  value: Uint8Array,
  fourOctets: boolean,
): { readonly type: Type; readonly as: number; readonly address: Address } | string {
  const length = fourOctets ? 8 : 6;
  if (value.length !== length) return `${value.length} bytes, not ${length}`;
  const reader = new Reader(value);
  const as = fourOctets ? reader.u32() : reader.u16();
  return as === 0 ? "AS 0" : { type, as, address: addressOf(reader.rest(), "IPv4") };
}

function encodeAggregator(
  { as, address }: { readonly as: number; readonly address: Address },
  fourOctets: boolean,
): Uint8Array {
  const writer = fourOctets ? new Writer(8).u32(as) : new Writer(6).u16(as > 0xffff ? AS_TRANS : as);
  return writeAddress(writer, address).finish();
}

function readLarge(reader: Reader): LargeCommunity {
  return { type: "large", globalAdministrator: reader.u32(), localData1: reader.u32(), localData2: reader.u32() };
}

/** RFC 7606 §7.8, §7.14: an empty list is as malformed as a part of an item. */
function repeat<Item>(value: Uint8Array, size: number, read: (reader: Reader) => Item): readonly Item[] | string {
  if (value.length === 0 || value.length % size !== 0) return `${value.length} bytes, not a multiple of ${size}`;
  const reader = new Reader(value);
  return Array.from({ length: value.length / size }, () => read(reader));
}

function u32(...values: readonly number[]): Uint8Array {
  return values.reduce((writer, value) => writer.u32(value), new Writer(4 * values.length)).finish();
}
