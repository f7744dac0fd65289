/** What a collector is told of sessions, and what must be kept so that one that comes later is told the same. Pure. */
import { peerDown, peerUp, routeMonitoring, statisticsReport, type MonitoredPeer, type PeerDownReason } from "./bmp.ts";
import { HEADER_LENGTH } from "./context.ts";
import { MESSAGE_TYPES } from "./message.ts";
import type { SessionView } from "./speaker.ts";
import type { Direction, Down, Ends, Observed, Traffic, Up } from "./traffic.ts";

/** UPDATEs of a peer that are kept, in bytes: beyond, the older half is forgotten, and a later collector misses them. */
const KEPT_MAX = 1 << 20;

/** One connection. */
interface Conversation {
  /** Bytes of a message that is not complete; undefined: what came cannot be cut into messages. */
  rest: Uint8Array | undefined;
  readonly opens: Partial<Record<Direction, Uint8Array>>;
  /** UPDATEs of the peer, oldest first. */
  kept: Uint8Array[];
  keptLength: number;
  ending: { readonly direction: Direction; readonly notification: Uint8Array } | undefined;
}

interface Monitored {
  readonly peer: MonitoredPeer;
  readonly conversation: Conversation;
  readonly sent: Uint8Array;
  readonly received: Uint8Array;
}

/** UPDATEs of what a session's peer was told, in slices. */
type Told = (session: string) => Iterable<readonly Uint8Array[]>;

/** What is counted of a session. */
export type Counted = Pick<SessionView, "name" | "received" | "announced"> & {
  readonly counters: Pick<SessionView["counters"], "treatedAsWithdraw">;
};

export class MonitoredSessions {
  readonly #conversations = new WeakMap<Ends, Conversation>();
  /** Established, by name. */
  readonly #up = new Map<string, Monitored>();
  /** Those the present collector has been told are up. */
  readonly #introduced = new Set<string>();

  /** BMP messages about what just happened. */
  observe(observed: Observed, wallClock: number): readonly Uint8Array[] {
    switch (observed.type) {
      case "bytes":
        return this.#heard(observed, wallClock);
      case "up":
        return this.#cameUp(observed, wallClock);
      case "down":
        return this.#wentDown(observed, wallClock);
    }
  }

  /**
   * BMP messages for a collector that knows nothing, in slices: between two of them `observe` goes on, and says nothing of sessions
   * whose turn is yet to come. `told`: UPDATEs of what a session's peer was told, End-of-RIB last.
   */
  *dump(told: Told, wallClock: () => number): Generator<readonly Uint8Array[], void, void> {
    this.#introduced.clear();
    for (const name of [...this.#up.keys()]) {
      const monitored = this.#up.get(name);
      if (monitored === undefined || this.#introduced.has(name)) continue;
      this.#introduced.add(name);
      yield introduction(monitored, wallClock());
      for (const messages of told(name)) {
        if (this.#up.get(name) !== monitored) break;
        yield messages
          .filter((bytes) => typeOf(bytes) === MESSAGE_TYPES.update)
          .map((bytes) => routeMonitoring(monitored.peer, "sent", bytes, wallClock()));
      }
    }
  }

  /** One report for each session the collector knows. */
  statistics(sessions: readonly Counted[], wallClock: number): readonly Uint8Array[] {
    return sessions.flatMap(({ name, received, announced: sent, counters: { treatedAsWithdraw } }) => {
      const monitored = this.#up.get(name);
      if (monitored === undefined || !this.#introduced.has(name)) return [];
      return [statisticsReport(monitored.peer, { received, sent, treatedAsWithdraw }, wallClock)];
    });
  }

  #heard({ session, direction, bytes, ends }: Traffic, wallClock: number): readonly Uint8Array[] {
    const conversation = this.#conversationOf(ends);
    const messages = direction === "sent" ? [bytes] : cut(conversation, bytes);
    const monitored = this.#up.get(session);
    const isUp = monitored?.conversation === conversation && this.#introduced.has(session);
    return messages.flatMap((message) => {
      note(conversation, direction, message);
      if (!isUp || typeOf(message) !== MESSAGE_TYPES.update) return [];
      return [routeMonitoring(monitored.peer, direction, message, wallClock)];
    });
  }

  #cameUp(up: Up, wallClock: number): readonly Uint8Array[] {
    const { local, remote } = up.ends;
    const conversation = this.#conversationOf(up.ends);
    const { sent, received } = conversation.opens;
    if (local === undefined || remote === undefined || sent === undefined || received === undefined) return [];
    const { peerAsn: asn, peerIdentifier: bgpIdentifier, fourOctetAs } = up;
    const monitored = { peer: { local, remote, asn, bgpIdentifier, fourOctetAs }, conversation, sent, received };
    this.#up.set(up.session, monitored);
    this.#introduced.add(up.session);
    return introduction(monitored, wallClock);
  }

  #wentDown({ session, byPeer }: Down, wallClock: number): readonly Uint8Array[] {
    const monitored = this.#up.get(session);
    this.#up.delete(session);
    if (!this.#introduced.delete(session) || monitored === undefined) return [];
    return [peerDown(monitored.peer, reasonOf(monitored.conversation, byPeer), wallClock)];
  }

  #conversationOf(ends: Ends): Conversation {
    const found = this.#conversations.get(ends);
    if (found !== undefined) return found;
    const made = { rest: new Uint8Array(0), opens: {}, kept: [], keptLength: 0, ending: undefined };
    this.#conversations.set(ends, made);
    return made;
  }
}

/** Peer Up, and all that the peer has told. */
function introduction({ peer, conversation, sent, received }: Monitored, wallClock: number): readonly Uint8Array[] {
  return [
    peerUp(peer, sent, received, wallClock),
    ...conversation.kept.map((update) => routeMonitoring(peer, "received", update, wallClock)),
  ];
}

function reasonOf({ ending }: Conversation, byPeer: boolean): PeerDownReason {
  if (ending === undefined) return { type: byPeer ? "closedByPeer" : "closedHere" };
  const { direction, notification } = ending;
  return { type: direction === "sent" ? "notificationSent" : "notificationReceived", notification };
}

function note(conversation: Conversation, direction: Direction, message: Uint8Array): void {
  const type = typeOf(message);
  if (type === MESSAGE_TYPES.open) conversation.opens[direction] = message;
  if (type === MESSAGE_TYPES.notification) conversation.ending ??= { direction, notification: message };
  if (type !== MESSAGE_TYPES.update || direction === "sent") return;
  conversation.kept.push(message);
  conversation.keptLength += message.length;
  if (conversation.keptLength <= KEPT_MAX) return;
  // Half of it at once: a flood must not pay for every message.
  let gone = 0;
  while (conversation.keptLength > KEPT_MAX / 2) {
    conversation.keptLength -= conversation.kept[gone]?.length ?? 0;
    gone += 1;
  }
  conversation.kept = conversation.kept.slice(gone);
}

/** Whole messages, as copies: what a read returned is large. */
function cut(conversation: Conversation, bytes: Uint8Array): readonly Uint8Array[] {
  if (conversation.rest === undefined) return [];
  const messages: Uint8Array[] = [];
  let rest: Uint8Array = conversation.rest.length === 0 ? bytes : Buffer.concat([conversation.rest, bytes]);
  while (rest.length >= HEADER_LENGTH) {
    const length = ((rest[16] ?? 0) << 8) | (rest[17] ?? 0);
    if (length < HEADER_LENGTH) {
      // The session ends with it.
      conversation.rest = undefined;
      return messages;
    }
    if (rest.length < length) break;
    messages.push(Uint8Array.from(rest.subarray(0, length)));
    rest = rest.subarray(length);
  }
  conversation.rest = Uint8Array.from(rest);
  return messages;
}

function typeOf(message: Uint8Array): number | undefined {
  return message[HEADER_LENGTH - 1];
}
