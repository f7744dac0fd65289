/**
 * Router advertisements (RFC 4861 §4.2), as unnumbered BGP peers find each other by: without a header, as an ICMPv6 socket has
 * them. Ours offer nothing - lifetime 0, no prefix - they only say "here is a router, at this link-local address".
 *
 *     +---------------+---------------+-------------------------------+
 *     |   type 134    |   code = 0    |           checksum            |
 *     +---------------+-+-+-----------+-------------------------------+
 *     | hop limit = 0 |M|O| reserved  |     router lifetime (s)       |
 *     +---------------+---------------+-------------------------------+
 *     |                reachable time, retransmit timer               |
 *     +---------------+---------------+-------------------------------+
 *     | option type   | length / 8    |  link-layer address (6) …     |
 *     +---------------+---------------+-------------------------------+
 */
import { decoded, faulty, type Decoded } from "../../bytes/decoded.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";

export const ROUTER_SOLICITATION = 133;
export const ROUTER_ADVERTISEMENT = 134;
const SOURCE_LINK_LAYER = 1;
const FIXED_LENGTH = 16;

export interface RouterAdvertisement {
  /** 0: not to be a default router. */
  readonly lifetimeSeconds: number;
}

/** The checksum is the kernel's business. */
export function encodeRouterAdvertisement(mac: Uint8Array): Uint8Array {
  const option = mac.length === 6;
  const writer = new Writer(FIXED_LENGTH + (option ? 8 : 0));
  writer.u8(ROUTER_ADVERTISEMENT).u8(0).u16(0).u8(0).u8(0).u16(0).u32(0).u32(0);
  return option ? writer.u8(SOURCE_LINK_LAYER).u8(1).bytes(mac, 6).finish() : writer.finish();
}

/** Options are looked at only as far as RFC 4861 §6.1.2 makes them a condition: none may have length 0. */
export function decodeRouterAdvertisement(
  bytes: Uint8Array,
): Decoded<RouterAdvertisement, "short" | "type" | "code" | "option"> {
  const reader = new Reader(bytes);
  const type = reader.u8();
  const code = reader.u8();
  reader.u32();
  const lifetimeSeconds = reader.u16();
  reader.u64();
  if (reader.ranOut) return faulty("short");
  if (type !== ROUTER_ADVERTISEMENT) return faulty("type");
  if (code !== 0) return faulty("code");
  while (reader.remaining > 0) {
    reader.u8();
    const length = reader.u8() * 8;
    if (length === 0) return faulty("option");
    reader.take(length - 2);
    if (reader.ranOut) return faulty("option");
  }
  return decoded({ lifetimeSeconds });
}
