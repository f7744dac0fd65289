/** What two speakers agreed on in their OPENs, as far as the bytes of later messages depend on it. */
import type { AfiSafi } from "./family.ts";

export interface SessionContext {
  /** Both sent capability 65: AS numbers in UPDATEs have four bytes (RFC 6793). */
  readonly fourOctetAs: boolean;
  /** We sent capability 6, so messages up to 65535 bytes are received (RFC 8654). */
  readonly receiveExtended: boolean;
  /** The peer sent capability 6, so we may send such. */
  readonly sendExtended: boolean;
  /** The peer's AS is another than ours. */
  readonly external: boolean;
  /** Both sent it; routes of others are not looked at. */
  readonly families: readonly AfiSafi[];
  /** Both sent capability 5 for IPv4 unicast with IPv6 next hops (RFC 8950). */
  readonly extendedNextHop: boolean;
  /** Both sent capability 70: markers around a refresh, and their errors have a code (RFC 7313). */
  readonly enhancedRouteRefresh: boolean;
}

/** Before the OPENs: what RFC 4271 alone says. */
export const INITIAL_CONTEXT: SessionContext = {
  fourOctetAs: false,
  receiveExtended: false,
  sendExtended: false,
  external: true,
  families: ["IPv4"],
  extendedNextHop: false,
  enhancedRouteRefresh: false,
};

export const HEADER_LENGTH = 19;
export const MESSAGE_LENGTH_MAX = 4096;
export const EXTENDED_MESSAGE_LENGTH_MAX = 65535;

/** How long a message we send may be; OPEN and KEEPALIVE stay below 4096 always. */
export function sendLengthMax(context: SessionContext): number {
  return context.sendExtended ? EXTENDED_MESSAGE_LENGTH_MAX : MESSAGE_LENGTH_MAX;
}
