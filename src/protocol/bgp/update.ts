/**
 * UPDATE, RFC 4271 §4.3.
 *
 *     +-------------------------------+-------------------------------+
 *     | withdrawn length (2)          | withdrawn IPv4 prefixes …     |
 *     +-------------------------------+-------------------------------+
 *     | attributes length (2)         | path attributes …             |
 *     +-------------------------------+-------------------------------+
 *     | announced IPv4 prefixes, up to the end of the message …       |
 *     +---------------------------------------------------------------+
 */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import type { Prefix } from "../../net/prefix.ts";
import type { PathAttribute } from "./attribute.ts";
import { decodeAttributes, encodeAttributes, type AttributeList, type UpdateFault } from "./attribute-list.ts";
import type { SessionContext } from "./context.ts";
import { bgpError, type BgpError } from "./error.ts";
import type { AfiSafi } from "./family.ts";
import type { NextHop } from "./multiprotocol.ts";
import { prefixesWireLength, readPrefixes, writePrefixes } from "./nlri.ts";

export interface Update {
  readonly type: "update";
  /** IPv4, of the message's own field; other families are in `mpUnreach`. */
  readonly withdrawn: readonly Prefix[];
  readonly attributes: readonly PathAttribute[];
  /** IPv4, of the message's own field; other families are in `mpReach`. */
  readonly announced: readonly Prefix[];
  /** What was wrong and does not end the session. Empty in what we send. See {@link routesOf}. */
  readonly faults: readonly UpdateFault[];
}

/** What an UPDATE does to the routes of a receiver, RFC 7606 considered. */
export interface UpdateRoutes {
  readonly announced: readonly { readonly prefix: Prefix; readonly nextHop: NextHop }[];
  readonly withdrawn: readonly Prefix[];
  /** Of this family everything has been told (RFC 4724 §2). */
  readonly endOfRib: AfiSafi | undefined;
}

export type DecodedUpdate =
  | { readonly ok: true; readonly value: Update }
  | { readonly ok: false; readonly error: BgpError };

export function decodeUpdate(body: Uint8Array, context: SessionContext): DecodedUpdate {
  const reader = new Reader(body);
  const withdrawnBytes = reader.take(reader.u16());
  const attributeBytes = reader.take(reader.u16());
  if (reader.ranOut) return malformed("malformedAttributeList", "the lengths of its parts do not fit into the message");
  const withdrawn = readPrefixes(new Reader(withdrawnBytes), "IPv4");
  if (typeof withdrawn === "string") return malformed("invalidNetworkField", `withdrawn routes: ${withdrawn}`);
  const announced = readPrefixes(new Reader(reader.rest()), "IPv4");
  if (typeof announced === "string") return malformed("invalidNetworkField", `announced routes: ${announced}`);
  const list = decodeAttributes(attributeBytes, context);
  if (!list.ok) return list;
  const { attributes, faults } = list.value;
  const missing = missingFault(list.value, announced);
  return {
    ok: true,
    value: {
      type: "update",
      withdrawn,
      attributes,
      announced,
      faults: missing === undefined ? faults : [...faults, missing],
    },
  };
}

export function encodeUpdate(update: Update, context: SessionContext): Uint8Array {
  const { withdrawn, announced } = update;
  const withdrawnLength = prefixesWireLength(withdrawn);
  const attributes = encodeAttributes(update.attributes, context);
  const writer = new Writer(4 + withdrawnLength + attributes.length + prefixesWireLength(announced));
  writePrefixes(writer.u16(withdrawnLength), withdrawn);
  return writePrefixes(writer.u16(attributes.length).bytes(attributes), announced).finish();
}

/** RFC 4724 §2: an empty UPDATE for IPv4, an empty MP_UNREACH for the others. */
export function endOfRib(family: AfiSafi): Update {
  const attributes: readonly PathAttribute[] =
    family === "IPv4"
      ? []
      : family === "IPv6"
        ? [{ type: "mpUnreach", family, prefixes: [] }]
        : [{ type: "mpUnreachOther", family, value: new Uint8Array(0) }];
  return { type: "update", withdrawn: [], attributes, announced: [], faults: [] };
}

/** Families of `disableFamily` faults are left out; so are those that were not agreed on. */
export function routesOf(update: Update): UpdateRoutes {
  const announced: { prefix: Prefix; nextHop: NextHop }[] = [];
  const withdrawn: Prefix[] = [...update.withdrawn];
  const asWithdrawn = update.faults.some(({ grade }) => grade === "treatAsWithdraw");
  const nextHop = update.attributes.find((attribute) => attribute.type === "nextHop");
  for (const attribute of update.attributes) {
    if (attribute.type === "mpUnreach") withdrawn.push(...attribute.prefixes);
    if (attribute.type !== "mpReach") continue;
    if (asWithdrawn) withdrawn.push(...attribute.prefixes);
    else announced.push(...attribute.prefixes.map((prefix) => ({ prefix, nextHop: attribute.nextHop })));
  }
  if (asWithdrawn || nextHop === undefined) withdrawn.push(...update.announced);
  else announced.push(...update.announced.map((prefix) => ({ prefix, nextHop: { address: nextHop.address } })));
  return { announced, withdrawn, endOfRib: endOfRibFamily(update) };
}

/** RFC 7606 §3 (d): without these a route is none. */
function missingFault(list: AttributeList, announced: readonly Prefix[]): UpdateFault | undefined {
  const present = new Set(list.attributes.map(({ type }) => type));
  const faulty = new Set(list.faults.map(({ code }) => code));
  if (announced.length === 0 && !present.has("mpReach")) return undefined;
  const needed = [
    { type: "origin", code: 1 },
    { type: "asPath", code: 2 },
    ...(announced.length > 0 ? [{ type: "nextHop", code: 3 } as const] : []),
  ] as const;
  const missing = needed.find(({ type, code }) => !present.has(type) && !faulty.has(code));
  return missing && { grade: "treatAsWithdraw", code: missing.code, reason: "it is missing" };
}

function endOfRibFamily({ withdrawn, announced, attributes, faults }: Update): AfiSafi | undefined {
  if (withdrawn.length > 0 || announced.length > 0 || faults.length > 0) return undefined;
  const [first, second] = attributes;
  if (first === undefined) return "IPv4";
  if (second !== undefined) return undefined;
  if (first.type === "mpUnreach") return first.prefixes.length === 0 ? first.family : undefined;
  return first.type === "mpUnreachOther" && first.value.length === 0 ? first.family : undefined;
}

function malformed(subcode: "malformedAttributeList" | "invalidNetworkField", reason: string): DecodedUpdate {
  return { ok: false, error: bgpError("update", subcode, `malformed UPDATE: ${reason}`) };
}
