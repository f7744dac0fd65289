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
  /** Alive, but no agent is at work there, or one that has not read yet what there is to announce. */
  readonly away: boolean;
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
  /**
   * Of those alive, the ones whose agent is away: they announce what they had and can take nothing over. Of each: who was alive when it went, by which
   * everybody knows what it had. The same object until that changes.
   */
  readonly away: ReadonlyMap<string, ReadonlySet<string>>;
  /** The nodes whose backends get no more packets. */
  readonly gone: ReadonlySet<string>;
  /**
   * Every peer has answered or been found gone since the start. Until then (a window at most) an agent should change
   * nothing: it does not know yet what it had taken over from whom.
   */
  readonly complete: boolean;
  /** This node may announce more than it does: the others have seen that its agent is at work. What is not its own any more it takes back in any case. */
  readonly mayTake: boolean;
  /** All peers fell silent at once: it is we who are cut off, and the states are those of before. */
  readonly isolated: boolean;
  /**
   * Grows whenever somebody who was out of reach answers again: they may have announced our addresses meanwhile, so those
   * must be announced again even though nothing changed for us.
   */
  readonly reunions: number;
  readonly peers: readonly PeerView[];
}
