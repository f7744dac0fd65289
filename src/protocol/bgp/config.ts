/**
 * What a BGP session is told, and the numbers it falls back to. A session that is told something new keeps running
 * unless the new value is part of the OPEN message, of the TCP connection or of its security: see `needsReset`.
 */
import type { Address, Family } from "../../net/address.ts";
import type { Prefix } from "../../net/prefix.ts";
import type { Role } from "./capability.ts";

/** RFC 4271 §8.2.2 and everybody's firewalls. */
export const BGP_PORT = 179;
/** RFC 4271 §10 suggests it. */
export const HOLD_TIME_SECONDS = 90;
/** The longest pause between two attempts to connect. RFC 4271 suggests 120 s; a node that waits so long serves nobody meanwhile. */
export const CONNECT_TIME_SECONDS = 30;
export type PeerLocation =
  /** `device`: by which a link-local address is reached. */
  | { readonly type: "address"; readonly address: Address; readonly device?: string }
  /** Unnumbered: whoever advertises itself as a router on this device, by its link-local address. */
  | { readonly type: "interface"; readonly device: string }
  /** Anybody of this prefix may connect; nobody is called. Each peer becomes a session `NAME/ADDRESS`. */
  | { readonly type: "prefix"; readonly prefix: Prefix; readonly sessionsMax: number };

export interface GracefulRestart {
  /** How long the peer keeps our routes while we are away: at most 4095 (RFC 4724 §3). 120 is usual: a pod restarts in 10 to 60 s. */
  readonly restartTimeSeconds: number;
  /** Keep routes over NOTIFICATIONs as well (RFC 8538, the N bit); then only a Hard Reset ends them. */
  readonly notifications: boolean;
  /** RFC 9494: for so long again, as routes of last resort; at most 16,777,215. */
  readonly longLivedSeconds?: number;
}

export interface SessionConfig {
  /** Unique on this node: the BGPPeer's name. */
  readonly name: string;
  /** What the peer knows us by, in OPEN and AS_PATH alike: the BGPPeer's `localASN`, or else its `myASN`. */
  readonly localAsn: number;
  /** `internal`: the same as ours; `external`: any other. */
  readonly peerAsn: number | "internal" | "external";
  readonly peer: PeerLocation;
  /** Of the peer. */
  readonly port: number;
  /** Who opens the TCP connection. `both`: whoever comes first (RFC 4271 §6.8). */
  readonly initiation: "dial" | "accept" | "both";
  readonly sourceAddress?: Address;
  /** SO_BINDTODEVICE: a VRF, or a network interface. */
  readonly bindDevice?: string;
  /** 0: no KEEPALIVEs, no hold timer, in either direction. */
  readonly holdTimeSeconds: number;
  /** Default: a third of the negotiated hold time, which is also the most that is used. */
  readonly keepaliveTimeSeconds?: number;
  /** The longest pause between attempts to connect. */
  readonly connectTimeSeconds: number;
  /** Default: the connection's local IPv4 address, else the speaker's. */
  readonly routerId?: Address;
  /** TCP MD5 (RFC 2385): 1 to 80 bytes. */
  readonly password?: string;
  /** Of packets we send. Default: the kernel's; `ttlSecurityHops` overrules it. */
  readonly ttl?: number;
  /** GTSM (RFC 5082): the peer is at most so many hops away; 1: directly connected. */
  readonly ttlSecurityHops?: number;
  /** Of routes. At least one. */
  readonly families: readonly Family[];
  readonly gracefulRestart?: GracefulRestart;
  /** RFC 9234: what we are to the peer. */
  readonly role?: Role;
  /** Refuse a peer that does not say its role (RFC 9234 §4.2). */
  readonly roleRequired?: boolean;
  /** Of each family; one more from the peer ends the session (Cease, subcode 1). Nothing it sends is kept either way. */
  readonly receivedPrefixesMax?: number;
  /** Wait for BFD before the session comes up; absent: BFD only ends sessions. */
  readonly bfdStrict?: boolean;
}

/** Between two configurations of one name: what the session has to end for, if it has to. */
export function needsReset(before: SessionConfig, after: SessionConfig): keyof SessionConfig | undefined {
  // A key for another is changed on the running connection (RFC 2385); one where there was none changes what TCP has agreed on.
  if ((before.password === undefined) !== (after.password === undefined)) return "password";
  return RESETTING.find((field) => JSON.stringify(plain(before[field])) !== JSON.stringify(plain(after[field])));
}

/** Not here: what is used next time, or at once but quietly: who dials, pauses, limits, strictness. */
const RESETTING = [
  "localAsn",
  "peerAsn",
  "peer",
  "port",
  "sourceAddress",
  "bindDevice",
  "holdTimeSeconds",
  "routerId",
  "ttl",
  "ttlSecurityHops",
  "families",
  "gracefulRestart",
  "role",
] as const satisfies readonly (keyof SessionConfig)[];

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, plain(inner)]),
  );
}
