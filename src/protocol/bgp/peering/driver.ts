/**
 * A session with its sockets, its routes and the clock: the machine (machine.ts) decides, this carries out.
 *
 *     events: TCP, messages, clock, BFD ──► step ──► effects: dial, send, close, up, down
 *                                                        │
 *     routes ──► telling.ts ───────── while up ──────────┴──► wire
 */
import type { Socket } from "node:net";
import { networkInterfaces } from "node:os";
import type { TcpSocketOptions } from "../../../kernel/tcp-socket.ts";
import { parseAddress } from "../../../net/address.ts";
import type { Clock } from "../../../time/clock.ts";
import type { Random } from "../../../time/jitter.ts";
import type { SessionConfig } from "../config.ts";
import { emptyCounters, type MutableCounters } from "../counters.ts";
import type { Framed } from "../framer.ts";
import { step } from "../machine.ts";
import type { Message } from "../message.ts";
import type { Negotiated } from "../negotiate.ts";
import { nextHopsOf, type LocalInterface } from "../next-hops.ts";
import type { Outbound } from "../outbound.ts";
import { ReceivedRoutes } from "../received.ts";
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
import { Telling, type Audience } from "../telling.ts";
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

export class Peering {
  readonly #options: PeeringOptions;
  readonly #wires = new Map<string, Wire>();
  /** Those whose last words are on their way. */
  #closing: Wire[] = [];
  readonly counters: MutableCounters = emptyCounters();
  readonly telling: Telling;
  #session: Session;
  #up: Up | undefined;
  #accepted = 0;
  #cancel = (): void => {};

  constructor(options: PeeringOptions) {
    this.#options = options;
    const { config, identity, clock, inheritance } = options;
    const now = clock.now();
    this.#session = initialSession(config, identity, now, inheritance);
    this.telling = new Telling({
      clock,
      counters: this.counters,
      isComplete: options.isComplete,
      restartTimeSeconds: config.gracefulRestart?.restartTimeSeconds,
      audience: () => this.#audience(),
    });
  }

  get session(): Session {
    return this.#session;
  }

  get up(): Up | undefined {
    return this.#up;
  }

  /** For who looks. */
  get outbound(): Outbound {
    return this.telling.outbound;
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
    if (event.type === "stop") this.telling.stop();
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

  /** Undefined: nobody listens. */
  #audience(): Audience | undefined {
    if (this.#up === undefined) return undefined;
    const { wire, negotiated } = this.#up;
    const { local, remote } = wire;
    if (local === undefined || remote === undefined) return undefined;
    const { localAsn, role } = this.#session.config;
    const nextHops = nextHopsOf({ local: local.address, remote: remote.address }, interfacesNow(), negotiated);
    const { context } = negotiated;
    return {
      wire,
      sender: { context, localAs: localAsn, ...(role === undefined ? {} : { localRole: role }), nextHops },
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
        this.telling.lost();
        return;
      case "resend":
        if (effect.family === "IPv4" || effect.family === "IPv6") this.telling.ask(effect.family);
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
    this.telling.lost();
    this.#up = { wire, negotiated, received: new ReceivedRoutes() };
    const { peerAsn, peerIdentifier, context } = negotiated;
    const session = this.#session.config.name;
    const { fourOctetAs } = context;
    this.#options.onObserved?.({ type: "up", session, ends: wire, peerAsn, peerIdentifier, fourOctetAs });
    // Not inside the step: the machine has more to do first.
    setImmediate(() => this.telling.flush());
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
        if (drained) this.telling.flush();
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
