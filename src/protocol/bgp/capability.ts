/**
 * Capabilities of an OPEN (RFC 5492): each a code, a length of one byte and a value. Unknown codes keep their bytes.
 * A known code with a length it cannot have is a fault of the whole OPEN, as FRR and BIRD see it too (2/0).
 */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { afiSafi, afiSafiNumbers, readAfiSafi, writeAfiSafi, type AfiSafi } from "./family.ts";

const CAPABILITY_CODES = {
  multiprotocol: 1,
  routeRefresh: 2,
  extendedNextHop: 5,
  extendedMessage: 6,
  role: 9,
  gracefulRestart: 64,
  fourOctetAs: 65,
  enhancedRouteRefresh: 70,
  longLivedGracefulRestart: 71,
  hostname: 73,
  linkLocalNextHop: 77,
} as const;

/** RFC 9234 §4.1: what we are to the peer. Other numbers stay numbers. */
export const ROLES = { provider: 0, routeServer: 1, routeServerClient: 2, customer: 3, peer: 4 } as const;
export type Role = keyof typeof ROLES;

export type Capability =
  /** RFC 4760. */
  | { readonly type: "multiprotocol"; readonly family: AfiSafi }
  /** RFC 2918. */
  | { readonly type: "routeRefresh" }
  /** RFC 8950: routes of `family` may have next hops of this AFI. */
  | { readonly type: "extendedNextHop"; readonly entries: readonly ExtendedNextHop[] }
  /** RFC 8654. */
  | { readonly type: "extendedMessage" }
  /** RFC 9234. */
  | { readonly type: "role"; readonly role: Role | number }
  | GracefulRestart
  /** RFC 6793. */
  | { readonly type: "fourOctetAs"; readonly as: number }
  /** RFC 7313. */
  | { readonly type: "enhancedRouteRefresh" }
  /** RFC 9494. */
  | { readonly type: "longLivedGracefulRestart"; readonly families: readonly LongLivedFamily[] }
  /** draft-walton-bgp-hostname: shown by routers beside the address. */
  | { readonly type: "hostname"; readonly hostname: string; readonly domain: string }
  /** draft-ietf-idr-linklocal-capability: a next hop may be a link-local address alone. */
  | { readonly type: "linkLocalNextHop" }
  | { readonly type: "unknown"; readonly code: number; readonly value: Uint8Array };

export interface ExtendedNextHop {
  readonly family: AfiSafi;
  readonly nextHopAfi: number;
}

/** RFC 4724 §3, RFC 8538 §2. */
export interface GracefulRestart {
  readonly type: "gracefulRestart";
  /** The R bit: the sender has just restarted. */
  readonly restarting: boolean;
  /** The N bit: a NOTIFICATION other than a hard reset keeps the routes too. */
  readonly notification: boolean;
  /** 12 bits. */
  readonly restartTimeSeconds: number;
  /** None: it helps others restart, and does not itself. */
  readonly families: readonly { readonly family: AfiSafi; readonly forwarding: boolean }[];
}

export interface LongLivedFamily {
  readonly family: AfiSafi;
  readonly forwarding: boolean;
  /** 24 bits. */
  readonly staleTimeSeconds: number;
}

/** Where the known codes have their lengths, so that nobody has to know them twice. */
const FIXED_LENGTHS: Readonly<Record<number, number>> = {
  [CAPABILITY_CODES.multiprotocol]: 4,
  [CAPABILITY_CODES.routeRefresh]: 0,
  [CAPABILITY_CODES.extendedMessage]: 0,
  [CAPABILITY_CODES.role]: 1,
  [CAPABILITY_CODES.fourOctetAs]: 4,
  [CAPABILITY_CODES.enhancedRouteRefresh]: 0,
  [CAPABILITY_CODES.linkLocalNextHop]: 0,
};
/** Length is `fixed` and any number of `each`. */
const LIST_LENGTHS: Readonly<Record<number, { readonly fixed: number; readonly each: number }>> = {
  [CAPABILITY_CODES.extendedNextHop]: { fixed: 0, each: 6 },
  [CAPABILITY_CODES.gracefulRestart]: { fixed: 2, each: 4 },
  [CAPABILITY_CODES.longLivedGracefulRestart]: { fixed: 0, each: 7 },
};

const FLAG_RESTARTING = 0x8000;
const FLAG_NOTIFICATION = 0x4000;
const RESTART_TIME = 0x0fff;
const FLAG_FORWARDING = 0x80;

/** `undefined`: a known code with a length it cannot have. */
export function decodeCapability(code: number, value: Uint8Array): Capability | undefined {
  const list = LIST_LENGTHS[code];
  if (value.length !== (FIXED_LENGTHS[code] ?? value.length)) return undefined;
  if (list !== undefined && (value.length < list.fixed || (value.length - list.fixed) % list.each !== 0))
    return undefined;
  const reader = new Reader(value);
  const known = Object.entries(CAPABILITY_CODES).find(([, number]) => number === code)?.[0];
  return decodeKnown(known as keyof typeof CAPABILITY_CODES | undefined, reader) ?? { type: "unknown", code, value };
}

function decodeKnown(type: keyof typeof CAPABILITY_CODES | undefined, reader: Reader): Capability | undefined {
  switch (type) {
    case undefined:
      return undefined;
    case "multiprotocol": {
      const afi = reader.u16();
      reader.u8();
      return { type, family: afiSafi(afi, reader.u8()) };
    }
    case "routeRefresh":
    case "extendedMessage":
    case "enhancedRouteRefresh":
    case "linkLocalNextHop":
      return { type };
    case "role":
      return { type, role: roleName(reader.u8()) };
    case "fourOctetAs":
      return { type, as: reader.u32() };
    case "extendedNextHop":
      return { type, entries: repeat(reader, readExtendedNextHop) };
    case "gracefulRestart": {
      const flags = reader.u16();
      return {
        type,
        restarting: (flags & FLAG_RESTARTING) !== 0,
        notification: (flags & FLAG_NOTIFICATION) !== 0,
        restartTimeSeconds: flags & RESTART_TIME,
        families: repeat(reader, readForwarding),
      };
    }
    case "longLivedGracefulRestart":
      return { type, families: repeat(reader, readLongLived) };
    case "hostname":
      return decodeHostname(reader);
  }
}

/** Code, length and value. Throws on a value beyond its field or beyond 255 bytes. */
export function encodeCapability(capability: Capability): Uint8Array {
  const value = encodeValue(capability);
  const code = capability.type === "unknown" ? capability.code : CAPABILITY_CODES[capability.type];
  return new Writer(2 + value.length).u8(code).u8(value.length).bytes(value).finish();
}

function encodeValue(capability: Capability): Uint8Array {
  switch (capability.type) {
    case "multiprotocol": {
      const [afi, safi] = afiSafiNumbers(capability.family);
      return new Writer(4).u16(afi).u8(0).u8(safi).finish();
    }
    case "routeRefresh":
    case "extendedMessage":
    case "enhancedRouteRefresh":
    case "linkLocalNextHop":
      return new Uint8Array(0);
    case "role":
      return Uint8Array.of(typeof capability.role === "number" ? capability.role : ROLES[capability.role]);
    case "fourOctetAs":
      return new Writer(4).u32(capability.as).finish();
    case "extendedNextHop": {
      const writer = new Writer(6 * capability.entries.length);
      for (const { family, nextHopAfi } of capability.entries) {
        const [afi, safi] = afiSafiNumbers(family);
        writer.u16(afi).u16(safi).u16(nextHopAfi);
      }
      return writer.finish();
    }
    case "gracefulRestart":
      return encodeGracefulRestart(capability);
    case "longLivedGracefulRestart": {
      const writer = new Writer(7 * capability.families.length);
      for (const { family, forwarding, staleTimeSeconds } of capability.families)
        writeAfiSafi(writer, family)
          .u8(forwarding ? FLAG_FORWARDING : 0)
          .u8(Math.floor(staleTimeSeconds / 0x1_0000))
          .u16(staleTimeSeconds % 0x1_0000);
      return writer.finish();
    }
    case "hostname":
      return encodeHostname(capability.hostname, capability.domain);
    case "unknown":
      return capability.value;
  }
}

function encodeGracefulRestart(capability: GracefulRestart): Uint8Array {
  const { restartTimeSeconds, families } = capability;
  if (restartTimeSeconds > RESTART_TIME)
    throw new RangeError(`A restart time is at most ${RESTART_TIME} s, got ${restartTimeSeconds}`);
  const flags = (capability.restarting ? FLAG_RESTARTING : 0) | (capability.notification ? FLAG_NOTIFICATION : 0);
  const writer = new Writer(2 + 4 * families.length).u16(flags | restartTimeSeconds);
  for (const { family, forwarding } of families) writeAfiSafi(writer, family).u8(forwarding ? FLAG_FORWARDING : 0);
  return writer.finish();
}

/** RFC 8950 §4 gives the SAFI two bytes here. */
function readExtendedNextHop(reader: Reader): ExtendedNextHop {
  const afi = reader.u16();
  const safi = reader.u16();
  return { family: afiSafi(afi, safi), nextHopAfi: reader.u16() };
}

function readForwarding(reader: Reader): GracefulRestart["families"][number] {
  return { family: readAfiSafi(reader), forwarding: (reader.u8() & FLAG_FORWARDING) !== 0 };
}

function readLongLived(reader: Reader): LongLivedFamily {
  const family = readAfiSafi(reader);
  const forwarding = (reader.u8() & FLAG_FORWARDING) !== 0;
  const high = reader.u8();
  return { family, forwarding, staleTimeSeconds: high * 0x1_0000 + reader.u16() };
}

/** A draft's capability is not worth a session: what does not fit stays unknown. */
function decodeHostname(reader: Reader): Capability | undefined {
  const hostname = utf8(reader.take(reader.u8()));
  const domain = utf8(reader.take(reader.u8()));
  if (reader.ranOut || reader.remaining > 0 || hostname === undefined || domain === undefined) return undefined;
  return { type: "hostname", hostname, domain };
}

function encodeHostname(hostname: string, domain: string): Uint8Array {
  const [host, suffix] = [new TextEncoder().encode(hostname), new TextEncoder().encode(domain)];
  return new Writer(2 + host.length + suffix.length)
    .u8(host.length)
    .bytes(host)
    .u8(suffix.length)
    .bytes(suffix)
    .finish();
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function roleName(value: number): Role | number {
  const found = Object.entries(ROLES).find(([, number]) => number === value)?.[0];
  return (found as Role | undefined) ?? value;
}

function repeat<Item>(reader: Reader, read: (reader: Reader) => Item): readonly Item[] {
  const items: Item[] = [];
  while (reader.remaining > 0) items.push(read(reader));
  return items;
}
