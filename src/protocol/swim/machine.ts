/**
 * Who of the other nodes is there: a full mesh of probes, answered by the peers' datapaths. Pure: time, randomness and
 * packets come in, packets and news go out; the driver wakes the machine at `deadline(state)`.
 *
 *     alive ──────── answer: stamp run out, or it runs out while the peer is silent ───────► abandoned
 *       ▲  ◄──────────────────────── answer: stamp valid ──────────────────────────────────────  │
 *       │                                                                                        │
 *       └─ answer ──  gone  ◄──── silent for the window, and it is not we who are cut off ───────┘
 *
 * A peer that nobody has heard of yet counts as alive until its first window is over.
 *
 * One that is alive is `away` while no agent puts off the end of its stamp: its datapath goes on, but there is nobody to take anything over. An
 * agent that knows nothing yet puts it off once in a long time (stamp.ts), so it takes two of them in a row to count as back.
 */
import type { Address } from "../../net/address.ts";
import { sameAddress } from "../../net/address.ts";
import { later, type Instant } from "../../time/instant.ts";
import { jittered, type Random } from "../../time/jitter.ts";
import { UNANSWERED_MIN, type Timing } from "./config.ts";
import type { Probe } from "./packet.ts";
import type { PeerState } from "./view.ts";

export interface PeerRow {
  readonly name: string;
  readonly address: Address;
  readonly nonce: bigint;
  readonly state: PeerState;
  /** Start of the silence that counts: the last answer, or later where we were not able to hear. */
  readonly silentSince: Instant;
  readonly lastAnswerAt: Instant | undefined;
  /** When its stamp runs out, reckoned from the arrival of the answer, so never too early. Undefined: not known, or not any more. */
  readonly expiresAt: Instant | undefined;
  /** When the request was sent whose answer came last. */
  readonly lastAskedAt: Instant | undefined;
  /** Its agent was there at this moment or later: it has put off the end of its stamp. Undefined: not seen doing so. */
  readonly renewedAt: Instant | undefined;
  /** Since when it has not done so, as far as could be heard. */
  readonly idleSince: Instant;
  /** When it was alive last, where it is not or was not once. */
  readonly leftAt: Instant | undefined;
  /** Its datapath answers for what it had, and nobody is there to take over more. */
  readonly away: boolean;
  /** Sequence of the last request. */
  readonly sequence: number;
  /** Requests since the last answered one that may still be answered. */
  readonly outstanding: readonly { readonly sequence: number; readonly sentAt: Instant }[];
  readonly probeAt: Instant;
}

export interface State {
  readonly timing: Timing;
  /** The order of `peers` events. */
  readonly peers: readonly PeerRow[];
  readonly isolated: boolean;
  readonly reunions: number;
  /** Of the last event. */
  readonly at: Instant;
}

export type Event =
  /** All peers from now on. A nonce is used for a peer that is new or has a new address, else ignored. */
  | {
      readonly type: "peers";
      readonly peers: readonly { readonly name: string; readonly address: Address; readonly nonce: bigint }[];
    }
  | { readonly type: "received"; readonly probe: Probe }
  | { readonly type: "clock" };

export type Effect =
  | { readonly type: "send"; readonly to: Address; readonly probe: Probe }
  /** A peer answered for the first time; or a peer's state, `away`, `isolated`, `reunions` or the list of peers changed. */
  | { readonly type: "publish" };

export function initialState(timing: Timing, now: Instant): State {
  return { timing, peers: [], isolated: false, reunions: 0, at: now };
}

export function step(before: State, event: Event, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  const state = { ...before, at: now };
  switch (event.type) {
    case "peers":
      return withNews(before, { ...state, peers: event.peers.map((peer) => knownOrNew(peer, before, now)) }, []);
    case "received":
      // Not judged here: after a stall, answers of one peer may be read before our own lateness is noticed.
      return withNews(before, received(state, event.probe, now, random), []);
    case "clock": {
      const [next, sent] = probed(judged(forgivingStalls(state, before, now), now), now, random);
      return withNews(before, next, sent);
    }
  }
}

/** The one moment at which the driver must send a `clock` event; undefined: never. */
export function deadline({ peers, at, timing }: State): Instant | undefined {
  let first: Instant | undefined;
  // Without a list of them all: this is asked hundreds of times a second, of hundreds of peers.
  for (const { probeAt, silentSince, expiresAt } of peers) {
    if (first === undefined || probeAt < first) first = probeAt;
    // Moments that have passed without a change wait for something else to happen: a witness, an answer.
    const verdictAt = later(silentSince, timing.windowMilliseconds);
    if (verdictAt > at && verdictAt < first) first = verdictAt;
    if (expiresAt !== undefined && expiresAt > at && expiresAt < first) first = expiresAt;
  }
  return first;
}

function knownOrNew(
  peer: { readonly name: string; readonly address: Address; readonly nonce: bigint },
  before: State,
  now: Instant,
): PeerRow {
  const known = before.peers.find(({ name }) => name === peer.name);
  if (known !== undefined && sameAddress(known.address, peer.address)) return known;
  return {
    ...peer,
    state: "alive",
    silentSince: now,
    lastAnswerAt: undefined,
    expiresAt: undefined,
    lastAskedAt: undefined,
    renewedAt: undefined,
    idleSince: now,
    leftAt: undefined,
    away: false,
    sequence: 0,
    outstanding: [],
    probeAt: now,
  };
}

/** Requests, answers to nobody and answers to old questions change nothing. */
function received(state: State, probe: Probe, now: Instant, random: Random): State {
  if (probe.type !== "answer") return state;
  const index = state.peers.findIndex(({ nonce }) => nonce === probe.nonce);
  const peer = state.peers[index];
  const answered = peer?.outstanding.find(({ sequence }) => sequence === probe.sequence);
  if (peer === undefined || answered === undefined) return state;
  // What waited for us in a buffer for longer than a window is history.
  if (now > later(answered.sentAt, state.timing.windowMilliseconds)) return state;
  const { probeIntervalMilliseconds, jitterFraction } = state.timing;
  const next: PeerRow = {
    ...peer,
    ...inState(peer, probe.remainingMilliseconds > 0 ? "alive" : "abandoned", now),
    silentSince: now,
    lastAnswerAt: now,
    expiresAt: later(now, probe.remainingMilliseconds),
    lastAskedAt: answered.sentAt,
    ...presence(peer, probe, answered.sentAt, { now, awayMilliseconds: state.timing.awayMilliseconds }),
    outstanding: peer.outstanding.filter(({ sequence }) => sequence > probe.sequence),
    probeAt: later(answered.sentAt, jittered(probeIntervalMilliseconds, jitterFraction, random)),
  };
  const reunions = state.reunions + (peer.state === "gone" || state.isolated ? 1 : 0);
  const others = state.isolated ? state.peers.map((row) => heardAgain(row, now)) : state.peers;
  return { ...state, isolated: false, reunions, peers: others.with(index, next) };
}

/** What the answer says about its agent. */
function presence(
  peer: PeerRow,
  probe: Probe,
  askedAt: Instant,
  { now, awayMilliseconds }: { readonly now: Instant; readonly awayMilliseconds: number },
): Pick<PeerRow, "renewedAt" | "idleSince" | "away"> {
  const { renewedAt, idleSince } = peer;
  const idle = now > later(idleSince, awayMilliseconds);
  if (isRenewed(peer, probe, askedAt)) return { renewedAt: peer.lastAskedAt, idleSince: now, away: peer.away && idle };
  // Without an earlier answer to compare it with it says nothing, and whose stamp has run out may announce nothing anyway.
  if (peer.expiresAt === undefined || probe.remainingMilliseconds === 0)
    return { renewedAt, idleSince: now, away: false };
  return { renewedAt, idleSince, away: peer.away || idle };
}

/** Answers tell whole milliseconds: of what was left by the last one, so much may have been cut off. */
const ROUNDING_MS = 1;

/** Its stamp ends later than it can have ended by its last answer, however long either was under way. */
function isRenewed(peer: PeerRow, probe: Probe, askedAt: Instant): boolean {
  return (
    peer.expiresAt !== undefined && later(askedAt, probe.remainingMilliseconds) > later(peer.expiresAt, ROUNDING_MS)
  );
}

/** We were cut off and are no longer: everybody gets a new window, and is asked at once. */
function heardAgain(peer: PeerRow, now: Instant): PeerRow {
  return { ...peer, silentSince: now, expiresAt: undefined, outstanding: [], probeAt: now };
}

/** What could have been heard while this process did not run, also of stamps renewed, was not missed by the peers. */
function forgivingStalls(state: State, before: State, now: Instant): State {
  const due = deadline(before);
  const late = due === undefined ? 0 : now - due;
  if (late <= state.timing.stallMilliseconds) return state;
  const forgive = (moment: Instant): Instant => (later(moment, late) > now ? now : later(moment, late));
  const stampOf = ({ expiresAt }: PeerRow): Instant | undefined =>
    expiresAt !== undefined && expiresAt <= now ? undefined : expiresAt;
  return {
    ...state,
    peers: state.peers.map((peer) => ({ ...peer, silentSince: forgive(peer.silentSince), expiresAt: stampOf(peer) })),
  };
}

function judged(state: State, now: Instant): State {
  if (state.isolated) return state;
  const suspects = state.peers.filter((peer) => peer.state !== "gone" && isSilent(peer, state.timing, now));
  if (suspects.some((peer) => verdict(peer, state, now) === "isolated")) return { ...state, isolated: true };
  const gone = new Set(suspects.filter((peer) => verdict(peer, state, now) === "gone"));
  return {
    ...state,
    peers: state.peers.map((peer) =>
      gone.has(peer) ? { ...peer, ...inState(peer, "gone", now) } : expired(peer, now),
    ),
  };
}

function expired(peer: PeerRow, now: Instant): PeerRow {
  const over = peer.state === "alive" && peer.expiresAt !== undefined && now >= peer.expiresAt;
  return over ? { ...peer, ...inState(peer, "abandoned", now) } : peer;
}

function inState(peer: PeerRow, state: PeerState, now: Instant): Pick<PeerRow, "state" | "leftAt"> {
  return { state, leftAt: peer.state === "alive" && state !== "alive" ? now : peer.leftAt };
}

function isSilent(peer: PeerRow, timing: Timing, now: Instant): boolean {
  return now >= later(peer.silentSince, timing.windowMilliseconds) && peer.outstanding.length >= UNANSWERED_MIN;
}

/**
 * A silent peer is gone when another one proves that we are not cut off. Peers that never answered prove nothing, and
 * with only one peer there is nobody to ask: then the silent one is gone, because somebody must serve.
 */
function verdict(peer: PeerRow, state: State, now: Instant): "gone" | "isolated" | "undecided" {
  const { lastAnswerAt } = peer;
  if (lastAnswerAt === undefined) return "gone";
  const others = state.peers.flatMap((other) =>
    other === peer || other.lastAnswerAt === undefined ? [] : [{ other, heardAt: other.lastAnswerAt }],
  );
  const present = others.filter(({ other }) => other.state !== "gone");
  const withinOnce = (a: Instant, b: Instant): boolean => Math.abs(a - b) <= state.timing.atOnceMilliseconds;
  if (present.some(({ heardAt }) => withinOnce(heardAt, now))) return "gone";
  if (present.some(({ other }) => !isSilent(other, state.timing, now))) return "undecided";
  return others.some(({ heardAt }) => withinOnce(heardAt, lastAnswerAt)) ? "isolated" : "gone";
}

function probed(state: State, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  const effects: Effect[] = [];
  // Who wakes to ask one peer asks those too that are next: with hundreds there would be no sleep otherwise.
  const together = later(now, state.timing.togetherMilliseconds);
  const isDue = state.peers.some(({ probeAt }) => probeAt <= now);
  const peers = state.peers.map((peer) => {
    if (!isDue || peer.probeAt > together) return peer;
    const sequence = (peer.sequence + 1) >>> 0;
    effects.push({
      type: "send",
      to: peer.address,
      probe: { type: "request", sequence, remainingMilliseconds: 0, nonce: peer.nonce },
    });
    const { windowMilliseconds } = state.timing;
    const open = peer.outstanding.filter(({ sentAt }) => now <= later(sentAt, windowMilliseconds));
    return {
      ...peer,
      sequence,
      outstanding: [...open, { sequence, sentAt: now }],
      probeAt: later(now, pause(peer, state, random)),
    };
  });
  return [{ ...state, peers }, effects];
}

/** Until the next probe, if none of the present ones is answered. Nobody hurries for those who are known not to be there. */
function pause(peer: PeerRow, { timing, isolated }: State, random: Random): number {
  if (peer.state === "gone" || isolated)
    return jittered(timing.probeIntervalMilliseconds, timing.jitterFraction, random);
  return peer.outstanding.length === 0 ? timing.answerTimeoutMilliseconds : timing.retryIntervalMilliseconds;
}

function withNews(before: State, after: State, effects: readonly Effect[]): readonly [State, readonly Effect[]] {
  const same =
    before.isolated === after.isolated &&
    before.reunions === after.reunions &&
    before.peers.length === after.peers.length &&
    after.peers.every((peer, index) => sameNews(peer, before.peers[index]));
  return [after, same ? effects : [...effects, { type: "publish" }]];
}

function sameNews(a: PeerRow, b: PeerRow | undefined): boolean {
  if (a === b) return true;
  if (a.name !== b?.name || a.state !== b.state || a.away !== b.away) return false;
  return (a.lastAnswerAt === undefined) === (b.lastAnswerAt === undefined);
}
