/** Sessions for tests: one that is as ordinary as can be, brought into any state, and effects as text. */
import { address } from "../../net/address.ts";
import { instant, type Instant } from "../../time/instant.ts";
import { seededRandom, type Random } from "../../time/jitter.ts";
import { BGP_PORT, type SessionConfig } from "./config.ts";
import { step } from "./machine.ts";
import { openOf } from "./negotiate.ts";
import type { Open } from "./open.ts";
import {
  initialSession,
  type Effect,
  type Event,
  type Inheritance,
  type Received,
  type Session,
  type SessionState,
} from "./session.ts";

export const CONFIG: SessionConfig = {
  name: "tor",
  localAsn: 65001,
  peerAsn: 65002,
  peer: { type: "address", address: address("192.0.2.1") },
  port: BGP_PORT,
  initiation: "both",
  holdTimeSeconds: 90,
  connectTimeSeconds: 30,
  families: ["IPv4"],
};

const OURS = { bgpIdentifier: 0x0a00_0002, hostname: "node" };
const THEIRS = { bgpIdentifier: 0x0a00_0001, hostname: "router" };

/** What the peer of {@link CONFIG} says. */
export function peerOpen(
  change: Partial<Open> = {},
  config: Partial<SessionConfig> = {},
  identifier: number = THEIRS.bgpIdentifier,
): Open {
  const theirs: SessionConfig = { ...CONFIG, localAsn: 65002, peerAsn: 65001, ...config };
  return {
    ...openOf(theirs, { ...THEIRS, bgpIdentifier: identifier, restarting: false, forwarding: true, offer: "full" }),
    ...change,
  };
}

/** A session with the clock in hand. */
export class Rig {
  session: Session;
  now: Instant = instant(1000);
  readonly #random: Random = seededRandom(1);
  /** Of the last event. */
  effects: readonly Effect[] = [];
  /** Of all. */
  readonly log: string[] = [];

  constructor(config: Partial<SessionConfig> = {}, inheritance?: Inheritance) {
    this.session = initialSession({ ...CONFIG, ...config }, OURS, this.now, inheritance);
  }

  at(milliseconds: number): this {
    this.now = instant(milliseconds);
    return this;
  }

  do(...events: readonly Event[]): this {
    for (const event of events) {
      [this.session, this.effects] = step(this.session, event, this.now, this.#random);
      this.log.push(...this.effects.map(effectText));
    }
    return this;
  }

  hear(connection: string, ...messages: readonly Received[]): this {
    return this.do(...messages.map((message): Event => ({ type: "received", connection, message })));
  }

  /** By a connection that we opened. */
  bring(state: Exclude<SessionState, "active">, open: Open = peerOpen()): this {
    if (state === "idle") return this;
    this.do({ type: "start" });
    if (state === "connect") return this;
    this.do({ type: "connected", connection: "out:1" });
    if (state === "openSent") return this;
    this.hear("out:1", open);
    if (state === "openConfirm") return this;
    return this.hear("out:1", { type: "keepalive" });
  }

  text(): string[] {
    return this.effects.map(effectText);
  }
}

function effectText(effect: Effect): string {
  switch (effect.type) {
    case "dial":
      return `dial ${effect.connection}`;
    case "send":
      return `send ${effect.connection} ${effect.message.type}`;
    case "close": {
      const { notification: said } = effect;
      const how = said === undefined ? "silently" : `${said.code}/${said.subcode}`;
      return `close ${effect.connection} ${how}${effect.abort === true ? " at once" : ""}`;
    }
    case "up":
      return `up ${effect.connection}`;
    case "down":
      return `down ${effect.connection}`;
    case "resend":
      return `resend ${effect.family}`;
    case "count":
      return `count ${effect.fault}`;
    case "changed":
      return "changed";
  }
}
