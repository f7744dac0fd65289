/** What a BFD session is told, and the numbers where nothing is said: FRR's, whose profiles MetalLB's are. */
import type { Address } from "../../net/address.ts";
import type { BfdKey } from "./authentication.ts";

/** How fast, and how: MetalLB's BFDProfile. */
export interface BfdProfile {
  /** Between packets we send, at least. 10 to 60,000. */
  readonly transmitIntervalMilliseconds: number;
  /** Between packets we can take, at least. 10 to 60,000. */
  readonly receiveIntervalMilliseconds: number;
  /** So many of our packets may be missed before the peer finds us down. 1 to 255. */
  readonly detectMultiplier: number;
  /** Say nothing before the peer has (RFC 5880 §6.1). */
  readonly passive: boolean;
  /** The peer's echo packets are returned if they come no faster; `undefined`: it may send none. Single hop only. */
  readonly echoReceiveIntervalMilliseconds?: number;
  /** Between echo packets of ours, at least; `undefined`: none are sent. Single hop only. */
  readonly echoTransmitIntervalMilliseconds?: number;
  /** Multihop only: packets with a lower TTL are dropped. 1 to 255. */
  readonly minimumTtl: number;
}

export const DEFAULT_PROFILE: BfdProfile = {
  transmitIntervalMilliseconds: 300,
  receiveIntervalMilliseconds: 300,
  detectMultiplier: 3,
  passive: false,
  minimumTtl: 254,
};

export interface BfdSessionConfig {
  /** Unique on this node: the BGP peer's name. */
  readonly name: string;
  /** One session serves all that ask about the same peer, device and hops (RFC 5882 §2); the first's profile counts. */
  readonly peer: Address;
  /** Source of our packets; the BGP session's local address. Needed for multihop. Default: the kernel's choice. */
  readonly local?: Address;
  /** Only through this device; of a link-local peer it must be known. */
  readonly device?: string;
  /** RFC 5883 instead of RFC 5881. */
  readonly multihop: boolean;
  readonly profile: BfdProfile;
  readonly key?: BfdKey;
}

/** RFC 5881 §4, RFC 5883 §5. */
export const CONTROL_PORT = 3784;
export const ECHO_PORT = 3785;
export const MULTIHOP_PORT = 4784;
/** RFC 5881 §4. */
export const SOURCE_PORTS = { first: 49152, last: 65535 } as const;
/** RFC 5881 §5: what has been routed has less. */
export const SINGLE_HOP_TTL = 255;

/** A packet that the peer's forwarding has returned, and nothing on the way. */
export const RETURNED_TTL_MIN = SINGLE_HOP_TTL - 1;

/** One more is refused: at 50 ms they would be 20,000 packets a second. */
export const SESSIONS_MAX = 512;
