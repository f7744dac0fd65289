/**
 * When the peer of a session is told its routes (outbound.ts knows which): no faster than it reads, End-of-RIB not before all is known, and
 * again when it asks, but once a second at most.
 */
import type { Family } from "../../net/address.ts";
import type { Clock } from "../../time/clock.ts";
import { later, type Instant } from "../../time/instant.ts";
import { endOfRibs } from "./adjacency-out.ts";
import type { MutableCounters } from "./counters.ts";
import { Outbound } from "./outbound.ts";
import type { Routes, Sender } from "./route.ts";

/** The wire to the peer, and as whom it is told. */
export interface Audience {
  readonly wire: { readonly backlog: number; sendBytes(bytes: Uint8Array): void };
  readonly sender: Sender;
}

export interface TellingOptions {
  readonly clock: Clock;
  readonly counters: MutableCounters;
  /** All routes are known: End-of-RIB may be sent. */
  readonly isComplete: () => boolean;
  /** For how long the peer keeps what it was told; undefined: not at all. */
  readonly restartTimeSeconds: number | undefined;
  /** Undefined: nobody listens. */
  readonly audience: () => Audience | undefined;
}

/** Nothing more is made for a peer that has so much left to read. */
const BACKLOG_MAX = 1 << 20;
const REFRESH_MILLISECONDS = 1000;
/** End-of-RIB waits for at most this part of the restart time: within it everything should be known. */
const DEFERRAL_SHARE = 0.75;
/** Of a peer that keeps nothing: End-of-RIB costs nothing there, and means as little. */
const RESTART_SECONDS = 120;

export class Telling {
  readonly outbound = new Outbound();
  readonly #options: TellingOptions;
  /** Families the peer wants to be told again. */
  readonly #asked = new Set<Family>();
  #refreshAfter: Instant;
  #cancelRefresh = (): void => {};
  /** Selection_Deferral_Timer (RFC 4724 §4.1). */
  readonly #deferredUntil: Instant;
  readonly #cancelDeferral: () => void;
  /** Grows with every session: what was begun in one must not go on in the next. */
  #term = 0;

  constructor(options: TellingOptions) {
    this.#options = options;
    const { clock, restartTimeSeconds = RESTART_SECONDS } = options;
    const now = clock.now();
    this.#refreshAfter = now;
    this.#deferredUntil = later(now, 1000 * DEFERRAL_SHARE * restartTimeSeconds);
    this.#cancelDeferral = clock.at(this.#deferredUntil, () => this.#deferralOver());
  }

  announce(routes: Routes): void {
    this.outbound.set(routes);
    this.flush();
  }

  drain(draining: boolean): void {
    this.outbound.draining = draining;
    this.flush();
  }

  /** The peer wants to be told these once more. It may ask as often as it likes. */
  ask(family: Family): void {
    this.#asked.add(family);
    this.flush();
  }

  /** Sends what is due, unless the peer has not read what was due before. */
  flush(): void {
    const audience = this.#options.audience();
    if (audience === undefined || audience.wire.backlog > BACKLOG_MAX) return;
    const complete = this.#options.isComplete() || this.#options.clock.now() >= this.#deferredUntil;
    for (const bytes of this.outbound.due(audience.sender, complete)) this.#send(audience, bytes);
    this.#refresh(audience);
  }

  /** The session has ended, or a new one begun: the peer knows nothing. */
  lost(): void {
    this.#term += 1;
    this.outbound.lost();
    this.#asked.clear();
    this.#cancelRefresh();
  }

  /** For good. */
  stop(): void {
    this.#cancelDeferral();
  }

  /** All that the peer has been told by then, as it would be told anew, in slices; the end of it last. Ends early with the session. */
  *told(): Generator<readonly Uint8Array[], void, void> {
    const sender = this.#options.audience()?.sender;
    if (sender === undefined) return;
    const term = this.#term;
    for (const messages of this.outbound.anew(sender)) {
      if (this.#term !== term) return;
      yield messages;
    }
    if (this.#term === term) yield endOfRibs(sender);
  }

  /** What could not be read until now may take longer: the peer shall not keep routes of an earlier run for ever. */
  #deferralOver(): void {
    if (this.#options.isComplete()) return;
    this.#options.counters.faults["endOfRibDeferralOver"] = 1;
    this.flush();
  }

  #refresh(audience: Audience): void {
    const { clock } = this.#options;
    if (this.#asked.size === 0) return;
    if (clock.now() < this.#refreshAfter) {
      this.#cancelRefresh();
      this.#cancelRefresh = clock.at(this.#refreshAfter, () => this.flush());
      return;
    }
    this.#refreshAfter = later(clock.now(), REFRESH_MILLISECONDS);
    for (const family of this.#asked)
      for (const bytes of this.outbound.again(family, audience.sender)) this.#send(audience, bytes);
    this.#asked.clear();
  }

  #send({ wire }: Audience, bytes: Uint8Array): void {
    this.#options.counters.sent.update += 1;
    wire.sendBytes(bytes);
  }
}
