/** Two nodes with BFD on one virtual clock, and nothing between them that is not said. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { address } from "../../net/address.ts";
import { instant, later, type Instant } from "../../time/instant.ts";
import { seededRandom } from "../../time/jitter.ts";
import { DEFAULT_PROFILE, type BfdSessionConfig } from "./config.ts";
import { encodeEcho } from "./echo-packet.ts";
import type { Entry } from "./entry.ts";
import { nextDeadline, Sessions } from "./sessions.ts";
import type { BfdDetails, ParkedSession } from "./view.ts";

export const FAST = { ...DEFAULT_PROFILE, transmitIntervalMilliseconds: 50, receiveIntervalMilliseconds: 50 };
export const KEY = { type: "meticulousKeyedSha1", keyId: 1, secret: new TextEncoder().encode("geheim") } as const;

/** Two nodes on one clock; `lost`: what is sent gets nowhere. */
export class Network {
  readonly #random = seededRandom(4);
  #numbers = 100;
  now: Instant = instant(0);
  lost = false;
  /** Whether each node returns what is addressed to others: echo packets of the other one. */
  readonly forwards: [boolean, boolean] = [true, true];
  /** What keeps node 0 from sending echo packets. */
  noEcho: string | undefined;
  /** When node 0 sent an echo packet, and what. */
  readonly echoes: { readonly at: Instant; readonly bytes: Uint8Array }[] = [];
  readonly openEchoes = new Set<Entry>();
  /** Every datagram of node 0, for a peer who would play it back. */
  readonly recorded: Uint8Array[] = [];
  readonly nodes: [Sessions, Sessions] = [this.node(0), this.node(1)];

  node(i: 0 | 1, parked: readonly ParkedSession[] = []): Sessions {
    return new Sessions(
      {
        random: this.#random,
        hash: (algorithm, bytes) => createHash(algorithm).update(bytes).digest(),
        newDiscriminator: () => (this.#numbers += 1),
        send: (entry, bytes) => {
          if (i === 0) this.recorded.push(bytes);
          if (!this.lost) this.deliver(i === 0 ? 1 : 0, bytes, entry.config.multihop);
        },
        newCookie: () => BigInt((this.#numbers += 1)),
        openEcho: (entry) => {
          if (this.noEcho === undefined) this.openEchoes.add(entry);
          return this.noEcho;
        },
        closeEcho: (entry) => this.openEchoes.delete(entry),
        sendEcho: (_, packet) => this.#loop(i, encodeEcho(packet, address(`10.0.0.${i + 1}`), 50_000)),
        changed: () => {},
      },
      parked,
    );
  }

  deliver(to: 0 | 1, bytes: Uint8Array, multihop = false): Entry | undefined {
    return this.nodes[to].receive({ bytes, from: to === 0 ? "10.0.0.2" : "10.0.0.1", multihop }, this.now);
  }

  #loop(i: 0 | 1, bytes: Uint8Array): void {
    if (i === 0) this.echoes.push({ at: this.now, bytes });
    if (!this.lost && this.forwards[i === 0 ? 1 : 0]) this.nodes[i].receiveEcho(bytes, this.now);
  }

  configure(i: 0 | 1, parts: Partial<BfdSessionConfig> = {}): this {
    this.nodes[i].configure([config(i === 0 ? "10.0.0.2" : "10.0.0.1", parts)], this.now);
    return this;
  }

  run(milliseconds: number): this {
    const end = later(this.now, milliseconds);
    for (let next = this.#next(); next !== undefined && next.moment <= end; next = this.#next()) {
      if (next.moment > this.now) this.now = next.moment;
      next.sessions.handle(next.entry, { type: "clock" }, this.now);
    }
    this.now = end;
    return this;
  }

  details(i: 0 | 1): BfdDetails {
    const [details] = this.nodes[i].details();
    assert.ok(details);
    return details;
  }

  #next(): { moment: Instant; entry: Entry; sessions: Sessions } | undefined {
    return this.nodes
      .flatMap((sessions) => [...sessions.entries].map((entry) => ({ moment: nextDeadline(entry), entry, sessions })))
      .filter((one): one is { moment: Instant; entry: Entry; sessions: Sessions } => one.moment !== undefined)
      .toSorted((a, b) => a.moment - b.moment)[0];
  }
}

export function config(peer: string, parts: Partial<BfdSessionConfig> = {}): BfdSessionConfig {
  return { name: "peer", peer: address(peer), multihop: false, profile: FAST, ...parts };
}
