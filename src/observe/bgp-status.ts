/** The documents of the local API about BGP, as types. What each says comes from the speaker at that moment. */

export interface BgpPeerRow {
  /** The BGPPeer's name; `NAME/ADDRESS` for a peer that called from a prefix. */
  readonly name: string;
  /** Address, `address%device`, device (unnumbered) or prefix. */
  readonly peer: string;
  readonly port: number;
  readonly vrf?: string;
  /** RFC 4271 §8.2.2. */
  readonly state: "idle" | "connect" | "active" | "openSent" | "openConfirm" | "established";
  /** ISO 8601: since when it has been in this state. */
  readonly since: string;
  readonly localAsn: number;
  /** What it is configured to be, or says that it is. */
  readonly peerAsn: number | "internal" | "external";
  /** The next fields are there while there is a connection. */
  readonly localAddress?: string;
  readonly peerAddress?: string;
  readonly routerId?: string;
  readonly peerRouterId?: string;
  /** Negotiated; 0: neither KEEPALIVEs nor a hold timer. */
  readonly holdTimeSeconds?: number;
  readonly keepaliveTimeSeconds?: number;
  readonly families: readonly string[];
  readonly capabilities: { readonly sent: readonly string[]; readonly received: readonly string[] };
  /** Routes by family: what the peer has been told, and what it has told us, of which none is used. */
  readonly announced: Readonly<Record<"IPv4" | "IPv6", number>>;
  readonly received: Readonly<Record<"IPv4" | "IPv6", number>>;
  /** Changes the peer has not been told yet. */
  readonly pending: number;
  readonly messages: BgpMessageCounts;
  /** Times the session came up. */
  readonly established: number;
  /** Why it is not up, or last went down, in words. */
  readonly lastReason?: string;
  /** Newest last; what repeats is one line. */
  readonly history: readonly BgpChangeRow[];
  readonly problems: readonly string[];
  /** This node is excluded or drained: its routes are those of last resort, or gone. */
  readonly leaving?: "leaving" | "gone";
}

export interface BgpMessageCounts {
  /** By type: open, update, notification, keepalive, routeRefresh. */
  readonly sent: Readonly<Record<string, number>>;
  readonly received: Readonly<Record<string, number>>;
  /** What went wrong, by name: NOTIFICATIONs sent, and attributes handled as RFC 7606 says. */
  readonly faults: Readonly<Record<string, number>>;
}

export interface BgpChangeRow {
  /** ISO 8601; the last time, where it happened several times in a row. */
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly times: number;
}

/** The BFD session beside a BGP session. */
export interface BgpBfdRow {
  /** The BGP session's name. */
  readonly peer: string;
  readonly address: string;
  /** RFC 5880 §4.1, ours and what the peer says of its own. */
  readonly state: "adminDown" | "down" | "init" | "up";
  readonly remoteState: "adminDown" | "down" | "init" | "up";
  readonly diagnostic: string;
  readonly remoteDiagnostic: string;
  /** ISO 8601. */
  readonly since: string;
  /** Times it left Up. */
  readonly flaps: number;
  readonly multihop: boolean;
  /** Between our packets. */
  readonly transmitIntervalMilliseconds: number;
  /** Silence after which the peer is down; 0: it has not spoken. */
  readonly detectionMilliseconds: number;
  /** The longest pause between its packets while Up: near the detection time, the session is in danger. */
  readonly longestGapMilliseconds: number;
  readonly sent: number;
  readonly received: number;
  /** Packets discarded, by reason. */
  readonly discarded: Readonly<Record<string, number>>;
  /** Our own echo packets, which the peer's forwarding returns; absent: none were sent. */
  readonly echo?: BgpBfdEcho;
  readonly problem?: string;
}

export interface BgpBfdEcho {
  /** Between packets; 0: none are sent at the moment. */
  readonly intervalMilliseconds: number;
  readonly detectionMilliseconds: number;
  readonly sent: number;
  readonly returned: number;
  readonly roundTripMilliseconds?: number;
}

/** A route this node announces to a peer, as it is desired; `told`: the session is up. */
export interface BgpRouteRow {
  readonly peer: string;
  readonly prefix: string;
  readonly localPref?: number;
  readonly med?: number;
  /** Times our AS stands in the path beyond the first. */
  readonly asPathPrepend?: number;
  /** As they are written in a BGPAdvertisement. */
  readonly communities: readonly string[];
  /** Services (`namespace/name`) whose addresses it covers; empty: a pod CIDR. */
  readonly services: readonly string[];
  readonly told: boolean;
}

/** A route a peer has told us. None is used; of each peer the first thousand are kept to be looked at. */
export interface BgpReceivedRow {
  readonly peer: string;
  readonly prefix: string;
  readonly nextHop: string;
}
