/** What goes over the connections of a speaker, for whoever wants to look on: a capture for a bug report, a monitoring station. */
import type { Address } from "../../net/address.ts";

export type Direction = "sent" | "received";

export type Observed = Traffic | Up | Down;

export interface Traffic {
  readonly type: "bytes";
  /** The session's name. */
  readonly session: string;
  readonly direction: Direction;
  /** One whole message when sent; what a read returned when received. Never to be changed. */
  readonly bytes: Uint8Array;
  /** Asked for only by those who look on: it costs a little. */
  readonly ends: Ends;
}

/** The session on this connection is established; what its chunk has behind the KEEPALIVE has been shown already. */
export interface Up {
  readonly type: "up";
  readonly session: string;
  readonly ends: Ends;
  readonly peerAsn: number;
  readonly peerIdentifier: number;
  readonly fourOctetAs: boolean;
}

export interface Down {
  readonly type: "down";
  readonly session: string;
  /** The connection was gone before we knew. */
  readonly byPeer: boolean;
}

export interface Ends {
  readonly local: TcpEnd | undefined;
  readonly remote: TcpEnd | undefined;
}

export interface TcpEnd {
  readonly address: Address;
  readonly port: number;
}
