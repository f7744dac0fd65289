/**
 * Communities: standard (RFC 1997), extended (RFC 4360, RFC 5668) and large (RFC 8092), with their text.
 *
 *     64512:100            standard; well-known ones by name: no-export, graceful-shutdown …
 *     large:64512:1:2      large, as MetalLB writes it
 *     rt:64512:100         extended, route target; soo: origin; also with an IPv4 address first
 *     lb:64512:1000000     extended, link bandwidth in bytes a second (draft-ietf-idr-link-bandwidth)
 *     ext:4004fc0049742400 extended, as its eight bytes
 */
import { formatAddress, parseAddress } from "../../net/address.ts";

export type Community =
  | { readonly type: "standard"; readonly value: number }
  | { readonly type: "extended"; readonly value: bigint }
  | LargeCommunity;

export interface LargeCommunity {
  readonly type: "large";
  readonly globalAdministrator: number;
  readonly localData1: number;
  readonly localData2: number;
}

/** RFC 1997, 3765, 7999, 8326, 9494; the names of IANA's registry, in the spelling of routers. */
const WELL_KNOWN_COMMUNITIES = {
  "graceful-shutdown": 0xffff_0000,
  "accept-own": 0xffff_0001,
  "llgr-stale": 0xffff_0006,
  "no-llgr": 0xffff_0007,
  blackhole: 0xffff_029a,
  "no-export": 0xffff_ff01,
  "no-advertise": 0xffff_ff02,
  "no-export-subconfed": 0xffff_ff03,
  "no-peer": 0xffff_ff04,
} as const;

/** RFC 8326: routers prefer any other path to one that carries it. */
export const GRACEFUL_SHUTDOWN: Community = {
  type: "standard",
  value: WELL_KNOWN_COMMUNITIES["graceful-shutdown"],
};

/** Other spellings that routers know. */
const ALIASES: Readonly<Record<string, keyof typeof WELL_KNOWN_COMMUNITIES>> = {
  gshut: "graceful-shutdown",
  "local-as": "no-export-subconfed",
};

/** The text of a community, or what is wrong with it: a message that quotes it. */
export type ParsedCommunity =
  | { readonly ok: true; readonly value: Community }
  | { readonly ok: false; readonly message: string };

export function parseCommunity(text: string): ParsedCommunity {
  const wellKnown = wellKnownValue(text);
  if (wellKnown !== undefined) return valid({ type: "standard", value: wellKnown });
  const parts = text.split(":");
  const [kind = "", ...fields] = parts;
  if (kind in EXTENDED_KINDS || kind === "lb" || kind === "ext") return parseExtended(text, kind, fields);
  if (kind === "large") return parseLarge(text, fields);
  if (parts.length !== 2)
    return invalid(text, "expected NUMBER:NUMBER, large:A:B:C, rt:, soo:, lb:, ext: or a well-known name");
  const [high, low] = [number(parts[0], 0xffff), number(parts[1], 0xffff)];
  if (high === undefined || low === undefined)
    return invalid(text, "both numbers of a standard community are 0 to 65535");
  return valid({ type: "standard", value: high * 0x1_0000 + low });
}

/** Well-known standard ones by name, the rest as {@link parseCommunity} reads it. */
export function formatCommunity(community: Community): string {
  switch (community.type) {
    case "standard":
      return (
        Object.entries(WELL_KNOWN_COMMUNITIES).find(([, value]) => value === community.value)?.[0] ??
        `${community.value >>> 16}:${community.value & 0xffff}`
      );
    case "large":
      return `large:${community.globalAdministrator}:${community.localData1}:${community.localData2}`;
    case "extended":
      return formatExtended(community.value);
  }
}

/** In the order of the wire: standard, extended, large; each by number. Doubles are one (RFC 8092 §3). */
export function canonicalCommunities(communities: readonly Community[]): readonly Community[] {
  const sorted = communities.toSorted(compareCommunities);
  return sorted.filter((one, i) => {
    const before = sorted[i - 1];
    return before === undefined || compareCommunities(before, one) !== 0;
  });
}

/** Equal for lists with the same communities in the same order; quick for a list asked about often. */
export function communitiesKey(communities: readonly Community[]): string {
  const known = KEYS.get(communities);
  if (known !== undefined) return known;
  const key = communities.map(formatCommunity).join(" ");
  KEYS.set(communities, key);
  return key;
}

const KEYS = new WeakMap<readonly Community[], string>();

/** The bandwidth of one link as a non-transitive extended community: routers weigh equal paths by it. */
export function linkBandwidth(as: number, bytesPerSecond: number): Community {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint16(0, LINK_BANDWIDTH);
  view.setUint16(2, as > 0xffff ? AS_TRANS : as);
  view.setFloat32(4, bytesPerSecond);
  return { type: "extended", value: view.getBigUint64(0) };
}

const AS_TRANS = 23456;
const LINK_BANDWIDTH = 0x4004;
/** Low byte of the type: RFC 4360 §4, §5. */
const EXTENDED_KINDS: Readonly<Record<string, number>> = { rt: 2, soo: 3 };
const RANKS = { standard: 0, extended: 1, large: 2 } as const;

function compareCommunities(a: Community, b: Community): number {
  if (a.type === "large" && b.type === "large")
    return a.globalAdministrator - b.globalAdministrator || a.localData1 - b.localData1 || a.localData2 - b.localData2;
  if (a.type === "large" || b.type === "large" || a.type !== b.type) return RANKS[a.type] - RANKS[b.type];
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

function wellKnownValue(text: string): number | undefined {
  const name = text.toLowerCase().replaceAll("_", "-");
  const names: Readonly<Record<string, number>> = WELL_KNOWN_COMMUNITIES;
  if (name === "internet") return 0;
  if (Object.hasOwn(names, name)) return names[name];
  const alias = Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined;
  return alias === undefined ? undefined : names[alias];
}

function parseLarge(text: string, fields: readonly string[]): ParsedCommunity {
  const [a, b, c] = fields.map((field) => number(field, 0xffff_ffff));
  if (fields.length !== 3) return invalid(text, "a large community is large:A:B:C");
  if (a === undefined || b === undefined || c === undefined)
    return invalid(text, "the numbers of a large community are 0 to 4294967295");
  return valid({ type: "large", globalAdministrator: a, localData1: b, localData2: c });
}

function parseExtended(text: string, kind: string, fields: readonly string[]): ParsedCommunity {
  if (kind === "ext") {
    const digits = fields[0] ?? "";
    if (fields.length !== 1 || !/^[0-9a-f]{16}$/i.test(digits))
      return invalid(text, "ext: is followed by 16 hexadecimal digits, the eight bytes");
    return valid({ type: "extended", value: BigInt(`0x${digits}`) });
  }
  const [first = "", second = ""] = fields;
  if (fields.length !== 2) return invalid(text, `expected ${kind}:AS:NUMBER`);
  if (kind === "lb") {
    const as = number(first, 0xffff_ffff);
    const bandwidth = number(second, Number.MAX_SAFE_INTEGER);
    if (as === undefined || bandwidth === undefined) return invalid(text, "expected lb:AS:BYTES-PER-SECOND");
    return valid(linkBandwidth(as, bandwidth));
  }
  return parseTwoPart(text, EXTENDED_KINDS[kind] ?? 0, first, second);
}

/** Type 0: two-byte AS and a number of four; 1: IPv4 address, 2: four-byte AS, and a number of two. */
function parseTwoPart(text: string, subtype: number, first: string, second: string): ParsedCommunity {
  const address = first.includes(".") ? parseAddress(first) : undefined;
  const administrator = address === undefined ? number(first, 0xffff_ffff) : Number(address.value);
  const short = address === undefined && administrator !== undefined && administrator <= 0xffff;
  const local = number(second, short ? 0xffff_ffff : 0xffff);
  if (administrator === undefined || local === undefined)
    return invalid(
      text,
      "expected AS:NUMBER or ADDRESS:NUMBER; the number is 0 to 65535 after an address or a long AS",
    );
  const type = address !== undefined ? 1 : short ? 0 : 2;
  const value = short ? (BigInt(administrator) << 32n) | BigInt(local) : (BigInt(administrator) << 16n) | BigInt(local);
  return valid({ type: "extended", value: (BigInt(type * 256 + subtype) << 48n) | value });
}

function formatExtended(value: bigint): string {
  const type = Number(value >> 48n);
  const kind = Object.entries(EXTENDED_KINDS).find(([, subtype]) => subtype === (type & 0xff))?.[0];
  const [first, second] = [Number((value >> 16n) & 0xffff_ffffn), Number(value & 0xffffn)];
  if (kind !== undefined && type >> 8 === 0) return `${kind}:${first >>> 16}:${Number(value & 0xffff_ffffn)}`;
  if (kind !== undefined && type >> 8 === 1)
    return `${kind}:${formatAddress({ family: "IPv4", value: BigInt(first) })}:${second}`;
  // A small AS in the long form would be read back as the short one.
  if (kind !== undefined && type >> 8 === 2 && first > 0xffff) return `${kind}:${first}:${second}`;
  if (type === LINK_BANDWIDTH) {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, value);
    const bandwidth = view.getFloat32(4);
    if (Number.isSafeInteger(bandwidth) && !Object.is(bandwidth, -0) && bandwidth >= 0)
      return `lb:${view.getUint16(2)}:${bandwidth}`;
  }
  return `ext:${value.toString(16).padStart(16, "0")}`;
}

function number(text: string | undefined, largest: number): number | undefined {
  if (text === undefined || !/^(0|[1-9]\d{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= largest ? value : undefined;
}

function valid(value: Community): ParsedCommunity {
  return { ok: true, value };
}

function invalid(text: string, message: string): ParsedCommunity {
  return { ok: false, message: `invalid community ${JSON.stringify(text)}: ${message}` };
}
