/** The constants of membership, why they are what they are, and the key that all nodes share. */
import { Reader } from "../../bytes/reader.ts";
import type { SipKey } from "./siphash.ts";

/** UDP. MetalLB's memberlist uses 7946; both may run during a migration. */
export const MEMBERSHIP_PORT = 7956;

export interface Timing {
  /** Between probes of a peer that answers. */
  readonly probeIntervalMilliseconds: number;
  /** So much shorter or longer, at random, that nodes do not probe in step. */
  readonly jitterFraction: number;
  /** A probe not answered by then is followed by more at `retryIntervalMilliseconds`: loss is not death. */
  readonly answerTimeoutMilliseconds: number;
  readonly retryIntervalMilliseconds: number;
  /** Whoever is due within this is asked together with the one that is. */
  readonly togetherMilliseconds: number;
  /** Silence after which a peer is gone. */
  readonly windowMilliseconds: number;
  /** A peer that fell silent at most so long before or after another did so "at once". */
  readonly atOnceMilliseconds: number;
  /** Our own timer being later than this means that we did not run, and what we did not hear says nothing. */
  readonly stallMilliseconds: number;
  /** A peer whose stamp was not put off for so long has no agent at work. Longer than one takes to start anew. */
  readonly awayMilliseconds: number;
}

/**
 * Worst case from a node's death to "gone": 600 ms. In that time 17 probes go unanswered; with one packet in five lost in
 * either direction a living peer fails all of them once in 3.5e7 windows, less than once a month.
 */
export const DEFAULT_TIMING: Timing = {
  probeIntervalMilliseconds: 150,
  jitterFraction: 0.1,
  answerTimeoutMilliseconds: 50,
  retryIntervalMilliseconds: 25,
  togetherMilliseconds: 5,
  windowMilliseconds: 600,
  atOnceMilliseconds: 300,
  stallMilliseconds: 25,
  awayMilliseconds: 5000,
};

/** A window with fewer probes than this proves nothing. */
export const UNANSWERED_MIN = 3;

/** How old the times in the agent's view may be. */
export const REPORT_INTERVAL_MILLISECONDS = 200;

/** How often the stamp is written; it is valid for the grace, many times that. */
export const STAMP_INTERVAL_MILLISECONDS = 500;
/**
 * So long after its last renewal was heard an agent may still have been at work: it renews every half second, and it hears of others' ends a little
 * sooner or later than we do.
 */
export const LAST_WORK_MILLISECONDS = 2 * STAMP_INTERVAL_MILLISECONDS;
export const GRACE_SECONDS = 60;
/** A stop for an upgrade leaves the datapath to itself for so long. */
export const RESTART_SECONDS = 600;
/**
 * After a lapse: how long this node waits before it announces again. By then every peer has probed it, found it back and
 * withdrawn what it had taken over: a window, and time to act on it.
 */
export const SETTLE_MILLISECONDS = 800;

/**
 * The key of the probes from the text of the key file (blanks around it do not count): the first 16 bytes of its SHA-256
 * with a prefix. Without a file the text is empty: probes are then protected against accidents, not against attackers.
 */
export function membershipKey(secret: string, sha256: (text: string) => Uint8Array): SipKey {
  const reader = new Reader(sha256(`fairlead membership\n${secret.trim()}`).slice(0, 16).toReversed());
  const k1 = reader.u64();
  return [reader.u64(), k1];
}
