import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { instant, later, type Instant } from "../../time/instant.ts";
import { seededRandom } from "../../time/jitter.ts";
import { deadline, step, type Effect, type Event } from "./machine.ts";
import { startSession, type Session, type Settings } from "./session.ts";
import type { BfdState, Control } from "./packet.ts";

/**
 * Two machines on one virtual clock, and a link between them that delays, drops, doubles and reorders by a seed.
 * What a packet carries is delivered as it is: bytes are packet.test.ts's.
 */
interface Link {
  readonly delayMilliseconds: readonly [number, number];
  /** 0 to 1. */
  readonly loss: number;
  readonly duplicate: number;
}

const CLEAN: Link = { delayMilliseconds: [1, 2], loss: 0, duplicate: 0 };

class Pair {
  readonly #random: () => number;
  readonly #flying: { readonly at: Instant; readonly to: 0 | 1; readonly control: Control }[] = [];
  readonly sessions: [Session, Session];
  readonly states: [BfdState[], BfdState[]] = [["down"], ["down"]];
  readonly sentAt: [Instant[], Instant[]] = [[], []];
  link: Link = CLEAN;
  /** Nothing gets through in this direction. */
  cut: [boolean, boolean] = [false, false];
  now: Instant = instant(0);

  constructor(seed: number, parts: readonly [Partial<Settings>, Partial<Settings>] = [{}, {}]) {
    this.#random = seededRandom(seed);
    this.sessions = [startSession(settings(1, parts[0]), this.now), startSession(settings(2, parts[1]), this.now)];
  }

  run(milliseconds: number): this {
    const end = later(this.now, milliseconds);
    for (let turns = 0; ; turns += 1) {
      assert.ok(turns < 100_000, "the machines keep each other busy without time passing");
      const arrival = Math.min(...this.#flying.map(({ at }) => at));
      const wakes = this.sessions.map((session) => deadline(session) ?? Number.POSITIVE_INFINITY);
      const next = Math.min(arrival, ...wakes);
      if (next > end) break;
      if (next > this.now) this.now = instant(next);
      if (arrival <= next) this.#deliver(arrival);
      else this.handle(wakes[0] === next ? 0 : 1, { type: "clock" });
    }
    this.now = end;
    return this;
  }

  handle(i: 0 | 1, event: Event): void {
    const [session, effects] = step(this.sessions[i], event, this.now, this.#random);
    this.sessions[i] = session;
    if (session.state !== this.states[i].at(-1)) this.states[i].push(session.state);
    for (const effect of effects) this.#carry(i, effect);
  }

  get up(): boolean {
    return this.sessions.every(({ state, remote }) => state === "up" && remote.state === "up");
  }

  #carry(from: 0 | 1, effect: Effect): void {
    if (effect.type !== "send") return;
    this.sentAt[from].push(this.now);
    const { delayMilliseconds, loss, duplicate } = this.link;
    if (this.cut[from] || this.#random() < loss) return;
    const [least, most] = delayMilliseconds;
    for (const copy of this.#random() < duplicate ? [0, 1] : [0])
      this.#flying.push({
        at: later(this.now, least + (most - least) * this.#random() + copy),
        to: from === 0 ? 1 : 0,
        control: effect.control,
      });
  }

  #deliver(moment: number): void {
    const i = this.#flying.findIndex(({ at }) => at === moment);
    const [packet] = this.#flying.splice(i, 1);
    assert.ok(packet);
    const { control, to } = packet;
    // As sessions.ts demultiplexes: by our discriminator, or none.
    if (control.yourDiscriminator !== 0 && control.yourDiscriminator !== this.sessions[to].settings.myDiscriminator)
      return;
    this.handle(to, { type: "received", control });
  }
}

const seeds = fc.integer();
const intervals = fc.constantFrom(10_000, 50_000, 300_000, 1_500_000);
const profiles: fc.Arbitrary<Partial<Settings>> = fc.record({
  desiredMinTxMicros: intervals,
  requiredMinRxMicros: intervals,
  detectMult: fc.constantFrom(2, 3, 5),
});

describe("two sessions", () => {
  test("over a clean link are Up soon, agree on the pace and stay Up, whatever their intervals", () => {
    fc.assert(
      fc.property(seeds, profiles, profiles, (seed, a, b) => {
        const pair = new Pair(seed, [a, b]).run(10_000);
        assert.ok(pair.up, pair.states.join(" | "));
        pair.run(20_000);
        assert.deepEqual(
          pair.states.map((list) => list.filter((state) => state === "up").length),
          [1, 1],
        );
        const [one, two] = pair.sessions;
        assert.deepEqual([one.poll, two.poll], ["idle", "idle"]);
        assert.equal(one.remote.desiredMinTxMicros, two.settings.desiredMinTxMicros);
        assert.equal(two.remote.desiredMinTxMicros, one.settings.desiredMinTxMicros);
      }),
    );
  });

  test("send as often as agreed, no more", () => {
    const pair = new Pair(3, [{ desiredMinTxMicros: 50_000 }, { requiredMinRxMicros: 200_000 }]).run(10_000);
    const before = pair.sentAt[0].length;
    pair.run(20_000);
    const packets = pair.sentAt[0].length - before;
    assert.ok(packets >= 100 && packets <= 134, `${packets} in 20 s at 200 ms less up to a quarter`);
  });

  test("of which one waits for the other come Up; two that wait never do, and say nothing", () => {
    assert.ok(new Pair(1, [{ passive: true }, {}]).run(5000).up);
    const silent = new Pair(1, [{ passive: true }, { passive: true }]).run(60_000);
    assert.deepEqual([silent.up, silent.sentAt.flat()], [false, []]);
  });

  test("cut apart are Down within the detection time, and Up again when the link is back", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const pair = new Pair(seed).run(5000);
        pair.cut = [true, true];
        pair.run(155);
        assert.deepEqual(
          pair.sessions.map(({ state, diagnostic }) => [state, diagnostic]),
          [
            ["down", "detectionTimeExpired"],
            ["down", "detectionTimeExpired"],
          ],
        );
        pair.cut = [false, false];
        assert.ok(pair.run(5000).up);
      }),
    );
  });

  test("cut in one direction are both Down: one hears nothing, the other hears so", () => {
    const pair = new Pair(7).run(5000);
    pair.cut = [true, false];
    pair.run(160);
    const [speaks, deaf] = pair.sessions;
    assert.deepEqual([deaf.state, deaf.diagnostic], ["down", "detectionTimeExpired"]);
    assert.deepEqual([speaks.state, speaks.diagnostic], ["down", "neighborSignaledDown"]);
    pair.run(20_000);
    // What is heard says Down; it must not come up on its own word.
    assert.ok(pair.sessions.every(({ state }) => state !== "up"));
  });

  test("stay Up over a link that never loses as many in a row as their multiplier", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const pair = new Pair(seed, [{ detectMult: 5 }, { detectMult: 5 }]).run(3000);
        let drops = 0;
        for (let i = 0; i < 400; i += 1) {
          // Two of any three packets at most: the gap stays below three intervals of five.
          drops = drops < 2 && (seed + i) % 3 !== 0 ? drops + 1 : 0;
          pair.cut = drops > 0 ? [true, true] : [false, false];
          pair.run(50);
        }
        assert.deepEqual(
          pair.states.map((list) => list.filter((state) => state === "up").length),
          [1, 1],
        );
      }),
      { numRuns: 30 },
    );
  });

  test("come Up over a link that loses a third, doubles and reorders, and poll through it", () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const pair = new Pair(seed, [{ detectMult: 20 }, { detectMult: 20 }]);
        pair.link = { delayMilliseconds: [1, 40], loss: 0.33, duplicate: 0.2 };
        pair.run(60_000);
        assert.ok(pair.up, pair.states.join(" | "));
        for (const desiredMinTxMicros of [200_000, 50_000, 400_000])
          pair.handle(0, { type: "configure", settings: settings(1, { detectMult: 20, desiredMinTxMicros }) });
        pair.link = CLEAN;
        pair.run(5000);
        assert.equal(pair.sessions[0].txMicros, 400_000);
        assert.equal(pair.sessions[1].remote.desiredMinTxMicros, 400_000);
        assert.ok(pair.up);
      }),
      { numRuns: 30 },
    );
  });

  test("that change their pace while Up lose nothing, slower or faster", () => {
    fc.assert(
      fc.property(seeds, profiles, profiles, (seed, a, b) => {
        const pair = new Pair(seed).run(5000);
        pair.handle(0, { type: "configure", settings: settings(1, a) });
        pair.run(700);
        pair.handle(1, { type: "configure", settings: settings(2, b) });
        pair.run(30_000);
        assert.ok(pair.up);
        assert.deepEqual(
          pair.states.map((list) => list.filter((state) => state === "up").length),
          [1, 1],
        );
      }),
    );
  });

  test("of which one is taken out of service are Down, the other knowing why, and Up when it is back", () => {
    const pair = new Pair(9).run(5000);
    pair.handle(0, { type: "admin", enabled: false });
    pair.run(100);
    const [, other] = pair.sessions;
    assert.deepEqual(
      [other.state, other.diagnostic, other.remote.state],
      ["down", "neighborSignaledDown", "adminDown"],
    );
    pair.handle(0, { type: "admin", enabled: true });
    assert.ok(pair.run(5000).up);
  });

  test("of which one started anew are Down at once, and Up again", () => {
    const pair = new Pair(11).run(5000);
    pair.sessions[0] = startSession(settings(3, {}), pair.now);
    pair.run(1500);
    assert.equal(pair.states[1].includes("down", 1), true);
    assert.ok(pair.run(5000).up);
  });
});

function settings(myDiscriminator: number, parts: Partial<Settings>): Settings {
  return {
    myDiscriminator,
    desiredMinTxMicros: 50_000,
    requiredMinRxMicros: 50_000,
    requiredMinEchoRxMicros: 0,
    desiredMinEchoTxMicros: 0,
    detectMult: 3,
    passive: false,
    ...parts,
  };
}
