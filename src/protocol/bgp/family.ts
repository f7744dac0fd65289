/** Address family and subsequent address family (RFC 4760 §3, IANA's numbers): what a session may carry routes of. */
import type { Reader } from "../../bytes/reader.ts";
import type { Writer } from "../../bytes/writer.ts";
import type { Family } from "../../net/address.ts";

/** `IPv4` and `IPv6` are their unicast. Others keep their numbers: `1/128`. As text, so that equal ones are equal. */
export type AfiSafi = Family | `${number}/${number}`;

export const AFI = { IPv4: 1, IPv6: 2 } as const satisfies Record<Family, number>;
const SAFI_UNICAST = 1;

export function afiSafi(afi: number, safi: number): AfiSafi {
  if (safi === SAFI_UNICAST && afi === AFI.IPv4) return "IPv4";
  if (safi === SAFI_UNICAST && afi === AFI.IPv6) return "IPv6";
  return `${afi}/${safi}`;
}

export function afiSafiNumbers(family: AfiSafi): readonly [afi: number, safi: number] {
  if (family === "IPv4" || family === "IPv6") return [AFI[family], SAFI_UNICAST];
  const [afi, safi] = family.split("/").map(Number);
  return [afi ?? 0, safi ?? 0];
}

/** AFI in two bytes, SAFI in one. */
export function readAfiSafi(reader: Reader): AfiSafi {
  const afi = reader.u16();
  return afiSafi(afi, reader.u8());
}

export function writeAfiSafi(writer: Writer, family: AfiSafi): Writer {
  const [afi, safi] = afiSafiNumbers(family);
  return writer.u16(afi).u8(safi);
}
