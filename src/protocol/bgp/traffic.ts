/** What goes over the connections of a speaker, for whoever wants to look on: a capture for a bug report, a monitoring station. */
import type { Address } from "../../net/address.ts";

export type Direction = "sent" | "received";

export interface Traffic {
  /** The session's name. */
  readonly session: string;
  readonly direction: Direction;
  /** One whole message when sent; what a read returned when received. Never to be changed. */
  readonly bytes: Uint8Array;
  /** Asked for only by those who look on: it costs a little. */
  readonly ends: Ends;
}

export interface Ends {
  readonly local: TcpEnd | undefined;
  readonly remote: TcpEnd | undefined;
}

export interface TcpEnd {
  readonly address: Address;
  readonly port: number;
}
