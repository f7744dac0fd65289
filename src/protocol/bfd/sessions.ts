/**
 * All BFD sessions of this node: which packet belongs to which (RFC 5880 §6.3, RFC 5881 §4), what is counted, and how they are
 * handed to the next process. Pure but for its own state: bytes go out through `send`, time comes in.
 */
import { formatAddress } from "../../net/address.ts";
import { earliest, later, type Instant } from "../../time/instant.ts";
import type { Random } from "../../time/jitter.ts";
import { sealControl, verifyControl, type Hash } from "./authentication.ts";
import { SESSIONS_MAX, type BfdSessionConfig } from "./config.ts";
import { deadline, step, type Event } from "./machine.ts";
import { detectionMicros, resumeSession, startSession, type Remote, type Settings } from "./session.ts";
import { echoIntervalMicros, stepEcho, type EchoEvent } from "./echo.ts";
import { decodeEcho, type EchoPacket } from "./echo-packet.ts";
import { decodeControl, type Control } from "./packet.ts";
import { detailsOf, peerText, refusedView, viewOf, type Entry } from "./entry.ts";
import type { BfdDetails, BfdSessionView, ParkedSession } from "./view.ts";

export interface Surroundings {
  readonly random: Random;
  readonly hash: Hash;
  /** 32 bits, not zero, not guessable. */
  readonly newDiscriminator: () => number;
  /** 64 bits, not guessable. */
  readonly newCookie: () => bigint;
  /** Sends from the session's own port. */
  readonly send: (entry: Entry, bytes: Uint8Array) => void;
  /** Where the session's echo packets go from now on; says what keeps them from going at all. */
  readonly openEcho: (entry: Entry) => string | undefined;
  readonly sendEcho: (entry: Entry, packet: EchoPacket) => void;
  readonly closeEcho: (entry: Entry) => void;
  /** The state of one end has changed. */
  readonly changed: () => void;
}

/** A datagram that passed the filter of its socket. */
export interface Datagram {
  readonly bytes: Uint8Array;
  /** Canonical text; a link-local one with `%device`. */
  readonly from: string;
  readonly multihop: boolean;
}

/** No peer has reason to send more in a second: at 10 ms it sends 133. */
const PACKETS_A_SECOND_MAX = 400;
const UINT32 = 2 ** 32;
const START_MILLISECONDS = 1000;

export class Sessions {
  readonly #surroundings: Surroundings;
  readonly #entries = new Map<string, Entry>();
  readonly #byDiscriminator = new Map<number, Entry>();
  /** By {@link sessionKey}. */
  readonly #byPath = new Map<string, Entry>();
  /** Until their sessions are configured again. */
  readonly #parked: Map<string, ParkedSession>;
  #refused: readonly BfdSessionConfig[] = [];
  /** Ask about a path that another session watches already. */
  #shared: readonly BfdSessionConfig[] = [];
  /** Of datagrams that belong to nobody, by reason. */
  readonly unknown = new Map<string, number>();

  constructor(surroundings: Surroundings, parked: readonly ParkedSession[]) {
    this.#surroundings = surroundings;
    this.#parked = new Map(parked.map((one) => [`${one.peer} ${one.multihop}`, one]));
  }

  get entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  /** All that there should be: others end, those whose path changed begin anew. Returns those that end. */
  configure(configs: readonly BfdSessionConfig[], now: Instant): readonly Entry[] {
    const first = new Map(configs.toReversed().map((config) => [sessionKey(config), config]));
    const own = configs.filter((config) => first.get(sessionKey(config)) === config);
    this.#shared = configs.filter((config) => first.get(sessionKey(config)) !== config);
    const wanted = new Map(own.slice(0, SESSIONS_MAX).map((config) => [identity(config), config]));
    this.#refused = own.slice(SESSIONS_MAX);
    const removed = [...this.#entries].filter(([id]) => !wanted.has(id)).map(([, entry]) => entry);
    for (const entry of removed) this.#remove(entry, now);
    for (const [id, config] of wanted) {
      const entry = this.#entries.get(id);
      if (entry === undefined) this.#add(id, config, now);
      else {
        this.#entries.set(id, Object.assign(entry, { config }));
        this.handle(entry, { type: "configure", settings: settingsOf(config, entry.session.settings) }, now);
      }
    }
    return removed;
  }

  /** Whether it is still one of ours. */
  has(entry: Entry): boolean {
    return this.#byDiscriminator.get(entry.session.settings.myDiscriminator) === entry;
  }

  receive({ bytes, from, multihop }: Datagram, now: Instant): Entry | undefined {
    const read = decodeControl(bytes);
    if (!read.ok) return this.#discardUnknown(read.fault);
    const control = read.value;
    const entry = this.#find(control, from, multihop);
    if (entry === undefined) return this.#discardUnknown("unknownSession");
    if (!withinRate(entry, now)) return discard(entry, "tooMany");
    forgetSequence(entry, now);
    const { config, receivedSequence } = entry;
    const verdict = verifyControl(control, bytes, config.key, receivedSequence, this.#surroundings.hash);
    if (!verdict.ok) return discard(entry, verdict.fault);
    entry.receivedSequence = verdict.sequence;
    countReceived(entry, now);
    this.handle(entry, { type: "received", control }, now);
    return entry;
  }

  handle(entry: Entry, event: Event, now: Instant): void {
    const before = entry.session;
    const [session, effects] = step(before, event, now, this.#surroundings.random);
    entry.session = session;
    if (session.state !== before.state) {
      entry.since = now;
      entry.longestGapMilliseconds = session.state === "up" ? 0 : entry.longestGapMilliseconds;
      if (before.state === "up") entry.flaps += 1;
    }
    for (const effect of effects) {
      if (effect.type === "send") this.#send(entry, effect.control);
      else this.#surroundings.changed();
    }
    this.#echo(entry, event.type === "clock" ? { type: "clock" } : { type: "session" }, now);
  }

  /** A packet that looks like an echo packet of ours. */
  receiveEcho(bytes: Uint8Array, now: Instant): Entry | undefined {
    const read = decodeEcho(bytes);
    if (!read.ok) return this.#discardUnknown("malformedEcho");
    const { myDiscriminator, sequence, cookie } = read.value;
    const entry = this.#byDiscriminator.get(myDiscriminator);
    if (entry === undefined) return this.#discardUnknown("unknownEcho");
    const { echo } = entry;
    if (echo.running === undefined || cookie !== echo.cookie) return discard(entry, "unknownEcho");
    if (sequence === echo.running.sent && sequence > echo.running.returned && echo.sentAt !== undefined)
      echo.roundTripMilliseconds = now - echo.sentAt;
    const before = echo.running.returned;
    this.#echo(entry, { type: "returned", sequence }, now);
    if (echo.running.returned === before) return discard(entry, "unknownEcho");
    echo.returned += 1;
    return entry;
  }

  details(): readonly BfdDetails[] {
    const shared = this.#shared.flatMap((config) => {
      const entry = this.#byPath.get(sessionKey(config));
      return entry === undefined ? [] : [{ ...detailsOf(entry), name: config.name }];
    });
    return [...[...this.#entries.values()].map(detailsOf), ...shared];
  }

  views(now: Instant): readonly BfdSessionView[] {
    return [...this.details().map(viewOf), ...this.#refused.map((config) => refusedView(config, now))];
  }

  /** Tells every peer to expect nothing for so long, which it confirms; see {@link parkedSessions}. */
  park(holdMilliseconds: number, now: Instant): void {
    for (const entry of this.#entries.values()) {
      if (entry.session.state !== "up") continue;
      const { settings } = entry.session;
      const desiredMinTxMicros = Math.min(
        UINT32 - 1,
        Math.max(settings.desiredMinTxMicros, Math.ceil((holdMilliseconds * 1000) / settings.detectMult)),
      );
      this.handle(entry, { type: "configure", settings: { ...settings, desiredMinTxMicros } }, now);
    }
  }

  /** Those whose peer has confirmed the wait; `complete`: none is left that may still do so. */
  parkedSessions(
    holdMilliseconds: number,
    now: Instant,
  ): { readonly complete: boolean; readonly parked: readonly ParkedSession[] } {
    const up = [...this.#entries.values()].filter(({ session }) => session.state === "up");
    const confirmed = up.filter(({ session }) => session.poll === "idle");
    return {
      complete: confirmed.length === up.length,
      parked: confirmed.map((entry) => parkedOf(entry, later(now, holdMilliseconds))),
    };
  }

  /** Starts, goes on with or ends the echo function, as the session allows. */
  #echo(entry: Entry, event: EchoEvent, now: Instant): void {
    const { echo, session } = entry;
    const allowed = echoIntervalMicros(session) !== undefined;
    if (!allowed && echo.running !== undefined) this.#surroundings.closeEcho(entry);
    if (!allowed) echo.problem = undefined;
    if (allowed && echo.running === undefined && !this.#openEcho(entry)) return;
    const [running, effects] = stepEcho(echo.running, session, event, now, this.#surroundings.random);
    echo.running = running;
    for (const effect of effects) {
      if (effect.type === "failed") this.handle(entry, { type: "echoFailed", everReturned: effect.everReturned }, now);
      else {
        echo.sent += 1;
        echo.sentAt = now;
        const { myDiscriminator } = session.settings;
        this.#surroundings.sendEcho(entry, { myDiscriminator, sequence: effect.sequence, cookie: echo.cookie });
      }
    }
  }

  /** Where it cannot be, the session goes on without; the next time it comes Up it is tried again. */
  #openEcho(entry: Entry): boolean {
    if (entry.echo.problem !== undefined) return false;
    entry.echo.problem = this.#surroundings.openEcho(entry);
    if (entry.echo.problem !== undefined) this.#surroundings.changed();
    return entry.echo.problem === undefined;
  }

  #add(id: string, config: BfdSessionConfig, now: Instant): void {
    const key = sessionKey(config);
    const parked = this.#parked.get(key);
    this.#parked.delete(key);
    const usable = parked !== undefined && parked.until > now ? parked : undefined;
    const settings = settingsOf(config, { myDiscriminator: usable?.myDiscriminator ?? this.#freshDiscriminator() });
    const session =
      usable === undefined
        ? startSession(settings, now)
        : resumeSession(settings, usable.remote, Math.min(usable.until - now, patience(settings, usable.remote)), now);
    const entry: Entry = {
      config,
      key,
      sourcePort: usable?.sourcePort ?? 0,
      session,
      sequence: usable?.sequence ?? this.#surroundings.newDiscriminator(),
      receivedSequence: undefined,
      lastReceivedAt: undefined,
      since: now,
      flaps: 0,
      sent: 0,
      received: 0,
      discarded: new Map(),
      longestGapMilliseconds: 0,
      sendProblem: undefined,
      listenProblem: undefined,
      echo: {
        cookie: this.#surroundings.newCookie(),
        running: undefined,
        sent: 0,
        returned: 0,
        sentAt: undefined,
        roundTripMilliseconds: undefined,
        problem: undefined,
      },
      second: { began: now, packets: 0 },
    };
    this.#entries.set(id, entry);
    this.#byDiscriminator.set(settings.myDiscriminator, entry);
    this.#byPath.set(key, entry);
  }

  /** A session that is not wanted any more says so, and is gone. */
  #remove(entry: Entry, now: Instant): void {
    this.handle(entry, { type: "admin", enabled: false }, now);
    this.#entries.delete(identity(entry.config));
    this.#byDiscriminator.delete(entry.session.settings.myDiscriminator);
    this.#byPath.delete(entry.key);
  }

  /** RFC 5880 §6.8.6: by our discriminator, or the peer's address as long as it does not know ours. */
  #find({ yourDiscriminator }: Control, from: string, multihop: boolean): Entry | undefined {
    if (yourDiscriminator !== 0) {
      const entry = this.#byDiscriminator.get(yourDiscriminator);
      return entry !== undefined && entry.config.multihop === multihop ? entry : undefined;
    }
    return this.#byPath.get(`${from} ${multihop}`);
  }

  #send(entry: Entry, control: Control): void {
    const { config } = entry;
    const bytes = sealControl(control, config.key, entry.sequence, this.#surroundings.hash);
    if (config.key !== undefined) entry.sequence = (entry.sequence + 1) % UINT32;
    entry.sent += 1;
    this.#surroundings.send(entry, bytes);
  }

  #freshDiscriminator(): number {
    let number = this.#surroundings.newDiscriminator();
    while (number === 0 || this.#byDiscriminator.has(number)) number = this.#surroundings.newDiscriminator();
    return number;
  }

  #discardUnknown(reason: string): undefined {
    this.unknown.set(reason, (this.unknown.get(reason) ?? 0) + 1);
    return undefined;
  }
}

/** What a packet that knows no discriminator yet is told apart by. */
function sessionKey({ peer, device, multihop }: BfdSessionConfig): string {
  return `${peerText({ peer, ...(device === undefined ? {} : { device }) })} ${multihop}`;
}

export function nextDeadline({ session, echo: { running } }: Entry): Instant | undefined {
  return earliest([deadline(session), running?.sendAt, running?.detectAt]);
}

/** A change of these is another session: its socket, or what the peer checks. */
function identity({ peer, local, device, multihop, profile, key }: BfdSessionConfig): string {
  const secret = key === undefined ? "" : `${key.type} ${key.keyId} ${key.secret.join()}`;
  const source = local === undefined ? "" : formatAddress(local);
  return [formatAddress(peer), source, device ?? "", multihop, multihop ? profile.minimumTtl : "", secret].join(" ");
}

function settingsOf({ profile, multihop }: BfdSessionConfig, kept: Pick<Settings, "myDiscriminator">): Settings {
  // RFC 5883 §4.3: no echo over several hops.
  const [echoRx = 0, echoTx = 0] = multihop
    ? []
    : [profile.echoReceiveIntervalMilliseconds, profile.echoTransmitIntervalMilliseconds];
  return {
    myDiscriminator: kept.myDiscriminator,
    desiredMinTxMicros: profile.transmitIntervalMilliseconds * 1000,
    requiredMinRxMicros: profile.receiveIntervalMilliseconds * 1000,
    requiredMinEchoRxMicros: echoRx * 1000,
    desiredMinEchoTxMicros: echoTx * 1000,
    detectMult: profile.detectMultiplier,
    passive: profile.passive,
  };
}

/** For a session taken over: the peer has gone on sending, but this process has only just begun to listen. */
function patience(settings: Settings, { detectMult, desiredMinTxMicros }: Remote): number {
  return START_MILLISECONDS + (detectMult * Math.max(settings.requiredMinRxMicros, desiredMinTxMicros)) / 1000;
}

function withinRate(entry: Entry, now: Instant): boolean {
  const { began, packets } = entry.second;
  entry.second = now - began >= 1000 ? { began: now, packets: 1 } : { began, packets: packets + 1 };
  return entry.second.packets <= PACKETS_A_SECOND_MAX;
}

/** RFC 5880 §6.8.1, bfd.AuthSeqKnown: after twice the detection time any sequence may start. */
function forgetSequence(entry: Entry, now: Instant): void {
  const { lastReceivedAt, session } = entry;
  if (lastReceivedAt !== undefined && now - lastReceivedAt > (2 * detectionMicros(session)) / 1000)
    entry.receivedSequence = undefined;
}

function countReceived(entry: Entry, now: Instant): void {
  const { lastReceivedAt } = entry;
  entry.received += 1;
  if (lastReceivedAt !== undefined && entry.session.state === "up")
    entry.longestGapMilliseconds = Math.max(entry.longestGapMilliseconds, now - lastReceivedAt);
  entry.lastReceivedAt = now;
}

function discard(entry: Entry, reason: string): undefined {
  entry.discarded.set(reason, (entry.discarded.get(reason) ?? 0) + 1);
  return undefined;
}

function parkedOf({ config, session, sequence, sourcePort }: Entry, until: Instant): ParkedSession {
  return {
    peer: peerText(config),
    multihop: config.multihop,
    myDiscriminator: session.settings.myDiscriminator,
    sourcePort,
    sequence,
    remote: session.remote,
    until,
  };
}
