/** What the agent knows about the other nodes. */
import type { Address } from "../../net/address.ts";

/**
 * `alive`: its datapath answers and an agent looks after it. `abandoned`: its datapath answers, but its agent is gone for
 * longer than its grace: it may not announce, its pods still serve. `gone`: no answer, neither announcer nor backends.
 */
export type PeerState = "alive" | "abandoned" | "gone";

export interface PeerView {
  readonly name: string;
  readonly address: Address;
  readonly state: PeerState;
  /** Of its agent's stamp; counts down while it is silent. Undefined: it never answered. */
  readonly remainingMilliseconds: number | undefined;
  /** Since its last answer. Undefined: it never answered. */
  readonly lastAnswerMilliseconds: number | undefined;
  /** Why it cannot even be asked, in words. */
  readonly problem: string | undefined;
}

export interface MembershipView {
  /** The nodes that may announce. Myself included, unless my own stamp ran out and the others may not have seen me back yet. */
  readonly alive: ReadonlySet<string>;
  /** The nodes whose backends get no more packets. */
  readonly gone: ReadonlySet<string>;
  /**
   * Every peer has answered or been found gone since the start. Until then (a window at most) an agent should change
   * nothing: it does not know yet what it had taken over from whom.
   */
  readonly complete: boolean;
  /** All peers fell silent at once: it is we who are cut off, and the states are those of before. */
  readonly isolated: boolean;
  /**
   * Grows whenever somebody who was out of reach answers again: they may have announced our addresses meanwhile, so those
   * must be announced again even though nothing changed for us.
   */
  readonly reunions: number;
  readonly peers: readonly PeerView[];
}
