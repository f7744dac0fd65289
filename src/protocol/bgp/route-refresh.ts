/** ROUTE-REFRESH, RFC 2918, with the markers around a refresh (RFC 7313 §3.2). Filters inside it (RFC 5291) are not offered. */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { afiSafi, afiSafiNumbers, type AfiSafi } from "./family.ts";

const SUBTYPES = { request: 0, begin: 1, end: 2 } as const;

export interface RouteRefresh {
  readonly type: "routeRefresh";
  readonly family: AfiSafi;
  /** `begin` and `end` enclose what is sent again. Others keep their number, and are ignored. */
  readonly subtype: keyof typeof SUBTYPES | number;
}

/** Of four bytes: the framer has seen to that. */
export function decodeRouteRefresh(body: Uint8Array): RouteRefresh {
  const reader = new Reader(body);
  const afi = reader.u16();
  const code = reader.u8();
  const family = afiSafi(afi, reader.u8());
  const subtype = Object.entries(SUBTYPES).find(([, number]) => number === code)?.[0];
  return { type: "routeRefresh", family, subtype: (subtype as keyof typeof SUBTYPES | undefined) ?? code };
}

export function encodeRouteRefresh({ family, subtype }: RouteRefresh): Uint8Array {
  const [afi, safi] = afiSafiNumbers(family);
  return new Writer(4)
    .u16(afi)
    .u8(typeof subtype === "number" ? subtype : SUBTYPES[subtype])
    .u8(safi)
    .finish();
}
