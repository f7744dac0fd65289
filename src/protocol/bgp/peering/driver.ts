/**
 * A session with its sockets, its routes and the clock: the machine (machine.ts) decides, this carries out.
 *
 *     events: TCP, messages, clock, BFD ──► step ──► effects: dial, send, close, up, down
 *                                                        │
 *     routes ──► outbound.ts ──────── while up ──────────┴──► wire
 */
import type { Socket } from "node:net";
import { networkInterfaces } from "node:os";
import type { TcpSocketOptions } from "../../../kernel/tcp-socket.ts";
import { parseAddress, type Family } from "../../../net/address.ts";
import type { Clock } from "../../../time/clock.ts";
import { later, type Instant } from "../../../time/instant.ts";
import type { Random } from "../../../time/jitter.ts";
import { endOfRibs } from "../adjacency-out.ts";
import type { SessionConfig } from "../config.ts";
import { emptyCounters, type MutableCounters } from "../counters.ts";
import type { Framed } from "../framer.ts";
import { step } from "../machine.ts";
import type { Message } from "../message.ts";
import type { Negotiated } from "../negotiate.ts";
import { nextHopsOf, type LocalInterface } from "../next-hops.ts";
import { Outbound } from "../outbound.ts";
import { ReceivedRoutes } from "../received.ts";
import type { Routes, Sender } from "../route.ts";
import {
  deadline,
  initialSession,
  stateOf,
  type Effect,
  type Event,
  type Identity,
  type Inheritance,
  type Session,
  type Target,
} from "../session.ts";
import type { Observed } from "../traffic.ts";
import { adoptWire, dialWire, type Wire, type WireHandlers } from "../wire/driver.ts";

export interface PeeringOptions {
  readonly config: SessionConfig;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly random: Random;
  readonly inheritance: Inheritance;
  /** All routes are known: End-of-RIB may be sent. */
  readonly isComplete: () => boolean;
  /** The state, its reason or the history changed. */
  readonly onChange: () => void;
  readonly onObserved?: (observed: Observed) => void;
}

interface Up {
  readonly wire: Wire;
  readonly negotiated: Negotiated;
  readonly received: ReceivedRoutes;
}

/** Nothing more is made for a peer that has so much left to read. */
const BACKLOG_MAX = 1 << 20;
const REFRESH_MILLISECONDS = 1000;
/** End-of-RIB waits for at most this part of the restart time. */
const DEFERRAL_SHARE = 0.75;
/** Of a peer that keeps nothing: End-of-RIB costs nothing there, and means as little. */
const RESTART_SECONDS = 120;

export class Peering {
  readonly #options: PeeringOptions;
  readonly #wires = new Map<string, Wire>();
  /** Those whose last words are on their way. */
  #closing: Wire[] = [];
  readonly #outbound = new Outbound();
  readonly counters: MutableCounters = emptyCounters();
  #session: Session;
  #up: Up | undefined;
  /** Families the peer wants to be told again. */
  readonly #asked = new Set<Family>();
  #refreshAfter: Instant;
  #cancelRefresh = (): void => {};
  /** Selection_Deferral_Timer (RFC 4724 §4.1). */
  readonly #deferredUntil: Instant;
  readonly #cancelDeferral: () => void;
  #accepted = 0;
  #cancel = (): void => {};

  constructor(options: PeeringOptions) {
    this.#options = options;
    const { config, identity, clock, inheritance } = options;
    const now = clock.now();
    this.#session = initialSession(config, identity, now, inheritance);
    this.#refreshAfter = now;
    this.#deferredUntil = later(now, deferralMilliseconds(config));
    this.#cancelDeferral = clock.at(this.#deferredUntil, () => this.#deferralOver());
  }

  get session(): Session {
    return this.#session;
  }

  get up(): Up | undefined {
    return this.#up;
  }

  get outbound(): Outbound {
    return this.#outbound;
  }

  /** Of the connection that has come furthest. */
  get wire(): Wire | undefined {
    return this.#up?.wire ?? this.#wires.values().next().value;
  }

  /** No socket is left. */
  get quiet(): boolean {
    return this.#wires.size === 0 && this.#closing.every(({ gone }) => gone);
  }

  get established(): boolean {
    return stateOf(this.#session) === "established";
  }

  handle(event: Event): void {
    const { clock, random, onChange } = this.#options;
    const { password } = this.#session.config;
    const [next, effects] = step(this.#session, event, clock.now(), random);
    this.#session = next;
    for (const effect of effects) this.#perform(effect);
    this.#cancel();
    const wakeAt = deadline(this.#session);
    // After what lies in the sockets: a process that was not run must not take its own silence for the peer's.
    const wake = (): void => void setImmediate(() => this.handle({ type: "clock" }));
    this.#cancel = wakeAt === undefined ? (): void => {} : clock.at(wakeAt, wake);
    if (event.type === "stop") this.#cancelDeferral();
    if (event.type === "configure") this.#rekey(password, event.config.password);
    if (effects.some(({ type }) => type === "changed")) onChange();
  }

  /** The peer should do the same before the hold time is over; until then TCP tries again and again. */
  #rekey(before: string | undefined, after: string | undefined): void {
    if (before === undefined || after === undefined || before === after) return;
    for (const wire of [...this.#wires.values()]) wire.setKey(after);
  }

  /** A connection from the peer. */
  accept(socket: Socket): void {
    this.#accepted += 1;
    const id = `in:${this.#accepted}`;
    this.#wires.set(id, adoptWire(socket, this.#protection(), this.#handlers(id)));
    this.handle({ type: "accepted", connection: id });
  }

  announce(routes: Routes): void {
    this.#outbound.set(routes);
    this.flush();
  }

  drain(draining: boolean): void {
    this.#outbound.draining = draining;
    this.flush();
  }

  /** Sends what is due, unless the peer has not read what was due before. */
  flush(): void {
    const up = this.#up;
    if (up === undefined || up.wire.backlog > BACKLOG_MAX) return;
    const sender = this.#sender(up);
    if (sender === undefined) return;
    const complete = this.#options.isComplete() || this.#options.clock.now() >= this.#deferredUntil;
    for (const bytes of this.#outbound.due(sender, complete)) this.#sendUpdate(up.wire, bytes);
    this.#refresh(up.wire, sender);
  }

  /** What could not be read until now may take longer: the peer shall not keep routes of an earlier run for ever. */
  #deferralOver(): void {
    if (this.#options.isComplete()) return;
    this.counters.faults["endOfRibDeferralOver"] = 1;
    this.flush();
  }

  /** What the peer asked for once more. It may ask as often as it likes, and gets all of it once a second at most. */
  #refresh(wire: Wire, sender: Sender): void {
    const { clock } = this.#options;
    if (this.#asked.size === 0) return;
    if (clock.now() < this.#refreshAfter) {
      this.#cancelRefresh();
      this.#cancelRefresh = clock.at(this.#refreshAfter, () => this.flush());
      return;
    }
    this.#refreshAfter = later(clock.now(), REFRESH_MILLISECONDS);
    for (const family of this.#asked)
      for (const bytes of this.#outbound.again(family, sender)) this.#sendUpdate(wire, bytes);
    this.#asked.clear();
  }

  /** All that the peer has been told by then, as it would be told anew, in slices; the end of it last. Ends early with the session. */
  *told(): Generator<readonly Uint8Array[], void, void> {
    const up = this.#up;
    const sender = up === undefined ? undefined : this.#sender(up);
    if (sender === undefined) return;
    for (const messages of this.#outbound.anew(sender)) {
      if (this.#up !== up) return;
      yield messages;
    }
    yield endOfRibs(sender);
  }

  #sendUpdate(wire: Wire, bytes: Uint8Array): void {
    this.counters.sent.update += 1;
    wire.sendBytes(bytes);
  }

  #sender({ wire, negotiated }: Up): Sender | undefined {
    const { local, remote } = wire;
    if (local === undefined || remote === undefined) return undefined;
    const { localAsn, role } = this.#session.config;
    const nextHops = nextHopsOf({ local: local.address, remote: remote.address }, interfacesNow(), negotiated);
    return {
      context: negotiated.context,
      localAs: localAsn,
      ...(role === undefined ? {} : { localRole: role }),
      nextHops,
    };
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "dial":
        this.#dial(effect.connection, effect.target);
        return;
      case "send":
        this.counters.sent[effect.message.type] += 1;
        this.#wires.get(effect.connection)?.send(effect.message);
        return;
      case "close": {
        const { notification, abort = false } = effect;
        if (notification !== undefined) this.counters.sent.notification += 1;
        const wire = this.#wires.get(effect.connection);
        if (wire === undefined) return;
        wire.close({ abort, ...(notification === undefined ? {} : { notification }) });
        this.#closing = [...this.#closing.filter(({ gone }) => !gone), wire];
        this.#wires.delete(effect.connection);
        return;
      }
      case "up":
        this.#cameUp(effect.connection, effect.negotiated);
        return;
      case "down":
        this.#options.onObserved?.({
          type: "down",
          session: this.#session.config.name,
          byPeer: this.#up?.wire.gone ?? false,
        });
        this.#up = undefined;
        this.#outbound.lost();
        this.#asked.clear();
        this.#cancelRefresh();
        return;
      case "resend":
        if (effect.family === "IPv4" || effect.family === "IPv6") this.#asked.add(effect.family);
        this.flush();
        return;
      case "count":
        this.counters.faults[effect.fault] = (this.counters.faults[effect.fault] ?? 0) + 1;
        return;
      case "changed":
        return;
    }
  }

  #dial(id: string, { address, device }: Target): void {
    const { port, sourceAddress, bindDevice, ttl, ttlSecurityHops, password } = this.#session.config;
    const options = {
      to: { address, port, ...(device === undefined ? {} : { device }) },
      ...(sourceAddress === undefined ? {} : { source: { address: sourceAddress, port: 0 } }),
      ...(bindDevice === undefined ? {} : { bindDevice }),
      ...(ttlSecurityHops === undefined ? (ttl === undefined ? {} : { ttl }) : { ttl: 255 }),
      ...this.#protection(),
      ...(password === undefined ? {} : { password }),
    };
    this.#wires.set(id, dialWire(options, this.#handlers(id)));
  }

  /** What the kernel shall see to, whoever called. */
  #protection(): Pick<TcpSocketOptions, "ttlMin" | "userTimeoutMilliseconds"> {
    const { ttlSecurityHops, holdTimeSeconds } = this.#session.config;
    return {
      ...(ttlSecurityHops === undefined ? {} : { ttlMin: 256 - ttlSecurityHops }),
      ...(holdTimeSeconds === 0 ? {} : { userTimeoutMilliseconds: holdTimeSeconds * 1000 }),
    };
  }

  #cameUp(id: string, negotiated: Negotiated): void {
    const wire = this.#wires.get(id);
    if (wire === undefined) return;
    this.counters.established += 1;
    this.#outbound.lost();
    this.#up = { wire, negotiated, received: new ReceivedRoutes() };
    const { peerAsn, peerIdentifier, context } = negotiated;
    const session = this.#session.config.name;
    const { fourOctetAs } = context;
    this.#options.onObserved?.({ type: "up", session, ends: wire, peerAsn, peerIdentifier, fourOctetAs });
    // Not inside the step: the machine has more to do first.
    setImmediate(() => this.flush());
  }

  #handlers(id: string): WireHandlers {
    const { config, onObserved } = this.#options;
    return {
      onBytes: (direction, bytes) => {
        const ends = this.#wires.get(id);
        if (ends !== undefined) onObserved?.({ type: "bytes", session: config.name, direction, bytes, ends });
      },
      onConnected: () => this.handle({ type: "connected", connection: id }),
      onFramed: (framed) => this.#framed(id, framed),
      onClosed: (reason) => {
        this.#wires.delete(id);
        this.handle({ type: "closed", connection: id, reason });
      },
      onBlocked: () => this.handle({ type: "blocked", connection: id }),
      onTaken: (drained) => {
        this.handle({ type: "taken", connection: id, drained });
        if (drained) this.flush();
      },
    };
  }

  #framed(id: string, framed: Framed): void {
    if (!framed.ok) {
      this.handle({ type: "faulty", connection: id, error: framed.error });
      return;
    }
    const message = framed.value;
    this.counters.received[message.type] += 1;
    if (message.type === "update") this.#updated(id, message);
    this.handle({ type: "received", connection: id, message });
    const negotiated = this.#session.connections.find((connection) => connection.id === id)?.negotiated;
    if (message.type === "open" && negotiated !== undefined) this.#wires.get(id)?.setContext(negotiated.context);
  }

  /** Before the machine sees it: over the limit, the message is an error. */
  #updated(id: string, update: Extract<Message, { type: "update" }>): void {
    for (const { grade, code } of update.faults) {
      const fault = `${grade} attribute ${code}`;
      this.counters.faults[fault] = (this.counters.faults[fault] ?? 0) + 1;
    }
    if (update.faults.some(({ grade }) => grade === "treatAsWithdraw")) this.counters.treatedAsWithdraw += 1;
    if (this.#up === undefined || this.#up.wire !== this.#wires.get(id)) return;
    const error = this.#up.received.add(update, this.#session.config.receivedPrefixesMax);
    if (error !== undefined) this.handle({ type: "faulty", connection: id, error });
  }
}

/** Within it everything should be known, and the peer still keeps what it was told before. */
function deferralMilliseconds({ gracefulRestart }: SessionConfig): number {
  return 1000 * DEFERRAL_SHARE * (gracefulRestart?.restartTimeSeconds ?? RESTART_SECONDS);
}

/** Addresses as they are at this moment. */
function interfacesNow(): readonly LocalInterface[] {
  return Object.entries(networkInterfaces()).map(([name, rows = []]) => ({
    name,
    addresses: rows.flatMap(({ address: text, cidr }) => {
      const address = parseAddress(text.split("%")[0] ?? "");
      const prefixLength = Number(cidr?.split("/")[1]);
      return address === undefined || !Number.isInteger(prefixLength) ? [] : [{ address, prefixLength }];
    }),
  }));
}
