import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { instant, later } from "../../time/instant.ts";
import { seededRandom } from "../../time/jitter.ts";
import { deadline, step, type Effect, type Event } from "./machine.ts";
import {
  advertisedTxMicros,
  detectionMicros,
  SLOW_MICROS,
  startSession,
  type Session,
  type Settings,
} from "./session.ts";
import { STATES, type BfdState, type Control } from "./packet.ts";

const SETTINGS: Settings = {
  myDiscriminator: 1,
  desiredMinTxMicros: 50_000,
  requiredMinRxMicros: 50_000,
  requiredMinEchoRxMicros: 0,
  desiredMinEchoTxMicros: 0,
  detectMult: 3,
  passive: false,
};
const START = instant(1000);
/** No jitter: the longest interval allowed. */
const STILL = (): number => 0;

describe("a session", () => {
  // RFC 5880 §6.8.6: ours, then what each of the peer's states makes of it, in the order of STATES.
  const table: readonly [BfdState, ...BfdState[]][] = [
    ["adminDown", "adminDown", "adminDown", "adminDown", "adminDown"],
    ["down", "down", "init", "up", "down"],
    ["init", "down", "init", "up", "up"],
    ["up", "down", "down", "up", "up"],
  ];
  for (const [ours, ...results] of table) {
    for (const [i, result] of results.entries()) {
      const theirs = STATES[i] ?? "down";
      test(`that is ${ours} and hears ${theirs} is ${result}`, () => {
        const [after] = receive(inState(ours), { state: theirs });
        assert.equal(after.state, result);
        assert.equal(after.remote.state, theirs);
        if (result === "down" && (ours === "init" || ours === "up"))
          assert.equal(after.diagnostic, "neighborSignaledDown");
      });
    }
  }

  test("speaks at once, and no faster than a second before it is Up", () => {
    const session = startSession(SETTINGS, START);
    assert.equal(deadline(session), START);
    const [first, effects] = step(session, { type: "clock" }, START, STILL);
    assert.equal(sent(effects)[0]?.desiredMinTxMicros, SLOW_MICROS);
    assert.equal(deadline(first), later(START, 1000));
  });

  test("that is passive waits for the peer", () => {
    const session = startSession({ ...SETTINGS, passive: true }, START);
    assert.equal(deadline(session), undefined);
    const [after, effects] = receive(session, { state: "down", yourDiscriminator: 0 });
    assert.deepEqual([after.state, sent(effects).length], ["init", 1]);
  });

  test("tells a change of state at once, and the peer why it went down", () => {
    const [, effects] = receive(inState("up"), { state: "down" });
    assert.deepEqual(
      sent(effects).map(({ state, diagnostic }) => [state, diagnostic]),
      [["down", "neighborSignaledDown"]],
    );
  });

  test("going Up polls until the peer has answered, then stops", () => {
    const [up, effects] = receive(inState("init"), { state: "init" });
    assert.deepEqual(
      sent(effects).map(({ poll }) => poll),
      [true],
    );
    assert.equal(up.poll, "polling");
    const [, again] = step(up, { type: "clock" }, deadline(up) ?? START, STILL);
    assert.deepEqual(
      sent(again).map(({ poll }) => poll),
      [true],
    );
    const [done] = receive(up, { state: "up", final: true });
    assert.equal(done.poll, "idle");
  });

  test("answers a poll at once, beside its timer, with F and never with P", () => {
    const polling: Session = { ...inState("up"), poll: "polling" };
    const [after, effects] = receive(polling, { state: "up", poll: true });
    assert.deepEqual(
      sent(effects).map(({ poll, final }) => [poll, final]),
      [[false, true]],
    );
    assert.equal(after.sendAt, polling.sendAt);
    assert.equal(after.poll, "polling");
  });

  test("under a flood of polls answers each, and its own pace stays", () => {
    let session = inState("up");
    const { sendAt } = session;
    for (let i = 0; i < 500; i += 1) {
      const [next, effects] = receive(session, { state: "up", poll: true });
      assert.equal(sent(effects).length, 1);
      session = next;
    }
    assert.equal(session.sendAt, sendAt);
  });

  test("finds the peer down after its multiplier times the slower of both intervals", () => {
    const [up] = receive(inState("up"), { state: "up", detectMult: 5, desiredMinTxMicros: 20_000 });
    assert.equal(detectionMicros(up), 250_000);
    const [slow] = receive(up, { state: "up", detectMult: 2, desiredMinTxMicros: 400_000 });
    assert.equal(detectionMicros(slow), 800_000);
    const [still] = step(slow, { type: "clock" }, later(START, 799), STILL);
    assert.equal(still.state, "up");
    const [down, effects] = step(slow, { type: "clock" }, later(START, 800), STILL);
    assert.deepEqual([down.state, down.diagnostic, down.remote.discriminator], ["down", "detectionTimeExpired", 0]);
    assert.deepEqual(effects.filter(({ type }) => type === "changed").length, 1);
    assert.equal(sent(effects)[0]?.yourDiscriminator, 0);
  });

  test("that is Down forgets a peer that is silent, and stays Down", () => {
    const [heard] = receive(startSession(SETTINGS, START), { state: "up" });
    const [after, effects] = step(heard, { type: "clock" }, later(START, 10_000), STILL);
    assert.deepEqual([after.state, after.diagnostic, after.remote.discriminator], ["down", "none", 0]);
    assert.deepEqual(
      effects.filter(({ type }) => type === "changed"),
      [],
    );
  });

  test("sends no faster than the peer can take", () => {
    const [slow] = receive(inState("up"), { state: "up", requiredMinRxMicros: 700_000 });
    const [after] = step(slow, { type: "clock" }, deadline({ ...slow, detectAt: undefined }) ?? START, STILL);
    assert.equal(after.sendAt, later(slow.sendAt ?? START, 700));
  });

  test("sends nothing to a peer that wants nothing, until it wants", () => {
    const [silent] = receive(inState("up"), { state: "up", requiredMinRxMicros: 0 });
    assert.equal(silent.sendAt, undefined);
    const [speaks, effects] = receive(silent, { state: "up" });
    assert.equal(sent(effects).length, 1);
    assert.ok(speaks.sendAt !== undefined);
  });

  test("of a peer in demand mode sends only what is asked for", () => {
    const [quiet] = receive(inState("up"), { state: "up", demand: true });
    assert.equal(quiet.sendAt, undefined);
    const [still, answer] = receive(quiet, { state: "up", demand: true, poll: true });
    assert.deepEqual(
      sent(answer).map(({ final }) => final),
      [true],
    );
    assert.equal(still.sendAt, undefined);
    // A change of ours is polled for all the same (§6.6).
    const [polling, effects] = configure(still, { detectMult: 5 });
    assert.deepEqual(
      sent(effects).map(({ poll }) => poll),
      [true],
    );
    assert.ok(polling.sendAt !== undefined);
    const [done] = receive(polling, { state: "up", demand: true, final: true });
    assert.equal(done.sendAt, undefined);
    const [back] = receive(done, { state: "up" });
    assert.ok(back.sendAt !== undefined);
  });

  test("that is Up sends slower only when the peer knows (§6.8.3)", () => {
    const [changed, effects] = configure(inState("up"), { desiredMinTxMicros: 400_000 });
    assert.deepEqual(
      sent(effects).map((one) => [one.poll, one.desiredMinTxMicros]),
      [[true, 400_000]],
    );
    assert.equal(changed.txMicros, 50_000);
    const [done] = receive(changed, { state: "up", final: true });
    assert.equal(done.txMicros, 400_000);
  });

  test("that is Up expects more only when the peer knows (§6.8.3)", () => {
    const slow: Session = configured(inState("up"), { requiredMinRxMicros: 400_000 });
    assert.equal(slow.rxMicros, 400_000);
    const [done] = receive(slow, { state: "up", final: true });
    const [faster] = configure(done, { requiredMinRxMicros: 50_000 });
    assert.equal(faster.rxMicros, 400_000);
    assert.equal(receive(faster, { state: "up", final: true })[0].rxMicros, 50_000);
  });

  test("asks again when a change comes while it asks", () => {
    const once = configured(inState("up"), { desiredMinTxMicros: 400_000 });
    const twice = configured(once, { desiredMinTxMicros: 800_000 });
    assert.equal(twice.poll, "changedMeanwhile");
    const [first] = receive(twice, { state: "up", final: true });
    assert.deepEqual([first.poll, first.txMicros], ["polling", 50_000]);
    const [second] = receive(first, { state: "up", final: true });
    assert.deepEqual([second.poll, second.txMicros], ["idle", 800_000]);
  });

  test("asks nothing when nothing changed", () => {
    const before = inState("up");
    assert.deepEqual(configure(before, {}), [before, []]);
  });

  test("that is taken out of service says so, hears nothing, and comes back", () => {
    const [out, effects] = step(inState("up"), { type: "admin", enabled: false }, START, STILL);
    assert.deepEqual(
      sent(effects).map(({ state, diagnostic }) => [state, diagnostic]),
      [["adminDown", "administrativelyDown"]],
    );
    assert.equal(receive(out, { state: "up" })[0].state, "adminDown");
    const [back] = step(out, { type: "admin", enabled: true }, START, STILL);
    assert.deepEqual([back.state, back.diagnostic], ["down", "none"]);
  });

  test("leaves out up to a quarter of an interval, and at least a tenth where one packet decides (§6.8.7)", () => {
    for (const [detectMult, shortest, longest] of [
      [3, 37.5, 50],
      [1, 37.5, 45],
    ] as const) {
      const up: Session = { ...inState("up"), settings: { ...SETTINGS, detectMult }, detectAt: undefined };
      const random = seededRandom(5);
      const gaps = Array.from({ length: 2000 }, () => {
        const [next] = step({ ...up, sendAt: START }, { type: "clock" }, START, random);
        return (next.sendAt ?? START) - START;
      });
      assert.ok(Math.min(...gaps) >= shortest && Math.min(...gaps) < shortest + 0.2, `${Math.min(...gaps)}`);
      assert.ok(Math.max(...gaps) <= longest && Math.max(...gaps) > longest - 0.2, `${Math.max(...gaps)}`);
    }
  });

  test("keeps its promises under any sequence of events", () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 60 }), fc.integer(), (list, seed) => {
        const random = seededRandom(seed);
        let session = startSession(SETTINGS, START);
        let now = START;
        for (const { event, after } of list) {
          now = later(now, after);
          const [next, effects] = step(session, event, now, random);
          assertPromises(session, next, effects);
          session = next;
        }
      }),
      { numRuns: 500 },
    );
  });
});

const events: fc.Arbitrary<{ readonly event: Event; readonly after: number }> = fc.record({
  after: fc.nat({ max: 400 }),
  event: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Event>({ type: "clock" }) },
    {
      weight: 6,
      arbitrary: fc
        .record({
          state: fc.constantFrom(...STATES),
          poll: fc.boolean(),
          final: fc.boolean(),
          demand: fc.boolean(),
          requiredMinRxMicros: fc.constantFrom(0, 10_000, 50_000, 2_000_000),
          desiredMinTxMicros: fc.constantFrom(10_000, 50_000, 1_000_000),
          detectMult: fc.constantFrom(1, 3),
        })
        .map((parts): Event => ({ type: "received", control: packet(parts) })),
    },
    {
      weight: 1,
      arbitrary: fc
        .record({
          desiredMinTxMicros: fc.constantFrom(50_000, 400_000),
          requiredMinRxMicros: fc.constantFrom(50_000, 400_000),
        })
        .map((parts): Event => ({ type: "configure", settings: { ...SETTINGS, ...parts } })),
    },
    { weight: 1, arbitrary: fc.boolean().map((enabled): Event => ({ type: "admin", enabled })) },
  ),
});

function assertPromises(before: Session, after: Session, effects: readonly Effect[]): void {
  for (const control of sent(effects)) {
    assert.ok(!(control.poll && control.final), "P and F together");
    assert.equal(control.myDiscriminator, SETTINGS.myDiscriminator);
    assert.ok(control.state === "up" || control.desiredMinTxMicros >= SLOW_MICROS, "fast though not Up");
    assert.ok(!control.demand, "we never ask for demand mode");
  }
  if (after.state === "up" || after.state === "init") assert.ok(after.detectAt !== undefined, "Up, and nobody watches");
  if (after.state !== "up") assert.equal(after.poll, "idle");
  if (after.state !== before.state)
    assert.ok(
      effects.some(({ type }) => type === "changed"),
      "a change nobody hears of",
    );
  if (after.remote.requiredMinRxMicros === 0) assert.equal(after.sendAt, undefined);
  assert.ok(sent(effects).length <= 3, `${sent(effects).length} packets for one event`);
  assert.ok(advertisedTxMicros(after) >= after.settings.desiredMinTxMicros);
  assert.ok(after.state !== "adminDown" || after.detectAt === undefined);
}

function packet(parts: Partial<Control>): Control {
  return {
    diagnostic: "none",
    state: "up",
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    detectMult: 3,
    myDiscriminator: 2,
    yourDiscriminator: 1,
    desiredMinTxMicros: 50_000,
    requiredMinRxMicros: 50_000,
    requiredMinEchoRxMicros: 0,
    ...parts,
  };
}

function receive(session: Session, parts: Partial<Control>): readonly [Session, readonly Effect[]] {
  return step(session, { type: "received", control: packet(parts) }, START, STILL);
}

function configure(session: Session, parts: Partial<Settings>): readonly [Session, readonly Effect[]] {
  return step(session, { type: "configure", settings: { ...session.settings, ...parts } }, START, STILL);
}

function configured(session: Session, parts: Partial<Settings>): Session {
  return configure(session, parts)[0];
}

/** Brought there by packets; Up with its polls answered. */
function inState(state: BfdState): Session {
  const [fresh] = step(startSession(SETTINGS, START), { type: "clock" }, START, STILL);
  if (state === "down") return fresh;
  if (state === "adminDown") return step(fresh, { type: "admin", enabled: false }, START, STILL)[0];
  const [init] = receive(fresh, { state: "down" });
  if (state === "init") return init;
  return receive(receive(init, { state: "init" })[0], { state: "up", final: true })[0];
}

function sent(effects: readonly Effect[]): readonly Control[] {
  return effects.filter((effect) => effect.type === "send").map(({ control }) => control);
}
