/** Prefixes into as few UPDATEs as hold them: one kind of content in each, MP attributes first (RFC 7606 §5.1). */
import { Writer } from "../../bytes/writer.ts";
import type { Family } from "../../net/address.ts";
import { addressBits, type Prefix } from "../../net/prefix.ts";
import { encodeAttributes } from "./attribute-list.ts";
import { HEADER_LENGTH, sendLengthMax, type SessionContext } from "./context.ts";
import { encodeMessage, MESSAGE_TYPES, writeHeader } from "./message.ts";
import { nextHopWireLength, type MpReach, type MpUnreach, type NextHop } from "./multiprotocol.ts";
import { prefixesWireLength, prefixWireLength, writePrefixes } from "./nlri.ts";

/** What routes that share messages have in common. */
export interface Wrapping {
  /** All attributes, encoded, but MP_REACH. */
  readonly attributes: Uint8Array;
  /** Of MP_REACH; `undefined`: IPv4 in the message's own field, the next hop is among the attributes. */
  readonly mpNextHop: NextHop | undefined;
}

/** Header and the two lengths of an UPDATE. */
const EMPTY_UPDATE_LENGTH = HEADER_LENGTH + 4;
/** Flags, code and a length of two bytes. */
const ATTRIBUTE_HEADER_LENGTH = 4;
const FAMILY_LENGTH = 3;

/** All of one family. Throws where {@link fitsOne} says no. */
export function packAnnouncements(
  wrapping: Wrapping,
  prefixes: readonly Prefix[],
  context: SessionContext,
): readonly Uint8Array[] {
  const room = roomFor(wrapping, context);
  const { attributes, mpNextHop: nextHop } = wrapping;
  return split(prefixes, room).map((some) => {
    const [first] = some;
    const family = first?.family ?? "IPv4";
    if (nextHop === undefined) return update(attributes, some);
    return update(join(encodeMp({ type: "mpReach", family, nextHop, prefixes: some }, context), attributes), []);
  });
}

/** Of any families. */
export function packWithdrawals(prefixes: readonly Prefix[], context: SessionContext): readonly Uint8Array[] {
  const room = sendLengthMax(context) - EMPTY_UPDATE_LENGTH;
  const mpRoom = room - ATTRIBUTE_HEADER_LENGTH - FAMILY_LENGTH;
  const unreach = (family: Family): readonly Uint8Array[] =>
    split(ofFamily(prefixes, family), mpRoom).map((some) =>
      update(encodeMp({ type: "mpUnreach", family, prefixes: some }, context), []),
    );
  // With extended next hops IPv4 routes may have come by MP_REACH, and go as they came.
  if (context.extendedNextHop) return [...unreach("IPv4"), ...unreach("IPv6")];
  const ipv4 = split(ofFamily(prefixes, "IPv4"), room).map((withdrawn) =>
    encodeMessage({ type: "update", withdrawn, attributes: [], announced: [], faults: [] }, context),
  );
  return [...ipv4, ...unreach("IPv6")];
}

/** Whether a message has room for one prefix beside these attributes. */
export function fitsOne(wrapping: Wrapping, family: Family, context: SessionContext): boolean {
  return roomFor(wrapping, context) >= 1 + addressBits(family) / 8;
}

function roomFor({ attributes, mpNextHop }: Wrapping, context: SessionContext): number {
  const room = sendLengthMax(context) - EMPTY_UPDATE_LENGTH - attributes.length;
  if (mpNextHop === undefined) return room;
  return room - ATTRIBUTE_HEADER_LENGTH - FAMILY_LENGTH - 2 - nextHopWireLength(mpNextHop);
}

function split(prefixes: readonly Prefix[], room: number): readonly (readonly Prefix[])[] {
  const parts: Prefix[][] = [];
  let part: Prefix[] = [];
  let left = room;
  for (const prefix of prefixes) {
    const length = prefixWireLength(prefix);
    if (length > left && part.length > 0) {
      parts.push(part);
      part = [];
      left = room;
    }
    part.push(prefix);
    left -= length;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

function ofFamily(prefixes: readonly Prefix[], family: Family): readonly Prefix[] {
  return prefixes.filter((prefix) => prefix.family === family);
}

function encodeMp(attribute: MpReach | MpUnreach, context: SessionContext): Uint8Array {
  return encodeAttributes([attribute], context);
}

/** The attributes are encoded once for all messages that share them, so the message is put together here. */
function update(attributes: Uint8Array, announced: readonly Prefix[]): Uint8Array {
  const length = EMPTY_UPDATE_LENGTH + attributes.length + prefixesWireLength(announced);
  const writer = writeHeader(new Writer(length), MESSAGE_TYPES.update, length).u16(0);
  return writePrefixes(writer.u16(attributes.length).bytes(attributes), announced).finish();
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  return new Writer(first.length + second.length).bytes(first).bytes(second).finish();
}
