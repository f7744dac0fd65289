import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { address, type Address } from "../../net/address.ts";
import { instant, later, type Instant } from "../../time/instant.ts";
import { seededRandom } from "../../time/jitter.ts";
import { DEFAULT_TIMING } from "./config.ts";
import { deadline, initialState, step, type Event, type State } from "./machine.ts";
import type { Probe } from "./packet.ts";

/** What a peer's datapath answers at a moment: milliseconds left of its stamp, or nothing. */
type Script = (now: number) => number | undefined;

interface Scene {
  readonly peers: Readonly<Record<string, Script>>;
  readonly until: number;
  /** Our process does not run from … to …; then it finds what arrived, before or after its own timer. */
  readonly stall?: { readonly from: number; readonly to: number; readonly first: "timer" | "answers" };
  readonly seed?: number;
}

interface Outcome {
  /** `time name state`, `time isolated`, `time reunited`: every change, in order. */
  readonly log: readonly { readonly at: number; readonly what: string }[];
  /** When each peer was asked. */
  readonly asked: Readonly<Record<string, readonly number[]>>;
  readonly state: State;
}

const HOUR = 3_600_000;
const always: Script = () => 60_000;
const never: Script = () => undefined;
const until =
  (end: number): Script =>
  (now) =>
    now < end ? 60_000 : undefined;
const except =
  (from: number, to: number): Script =>
  (now) =>
    now >= from && now < to ? undefined : 60_000;
/** One way: half of the round trip. */
const LATENCY = 0.5;

function peersEvent(names: readonly string[]): Event {
  return {
    type: "peers",
    peers: names.map((name, index) => ({ name, address: addressOf(index), nonce: BigInt(index + 1) })),
  };
}

function addressOf(index: number): Address {
  return address(`10.0.0.${index + 1}`);
}

/** One machine among scripted peers, woken exactly when it asks to be, except while it is stalled. */
function play(scene: Scene): Outcome {
  const names = Object.keys(scene.peers);
  const random = seededRandom(scene.seed ?? 1);
  const log: { at: number; what: string }[] = [];
  const asked: Record<string, number[]> = Object.fromEntries(names.map((name) => [name, []]));
  let state = initialState(DEFAULT_TIMING, instant(0));
  let arriving: { at: number; probe: Probe }[] = [];

  const feed = (event: Event, now: Instant): void => {
    const before = state;
    const [next, effects] = step(before, event, now, random);
    state = next;
    if (event.type === "clock")
      assert.ok((deadline(state) ?? Infinity) > now, `asks to be woken again at ${now}, for ever`);
    for (const effect of effects) {
      if (effect.type === "publish") note(before, now);
      else ask(effect.probe, now);
    }
  };
  const note = (before: State, now: Instant): void => {
    for (const [index, peer] of state.peers.entries())
      if (before.peers.length > 0 && before.peers[index]?.state !== peer.state)
        log.push({ at: now, what: `${peer.name} ${peer.state}` });
    if (state.isolated && !before.isolated) log.push({ at: now, what: "isolated" });
    if (state.reunions > before.reunions) log.push({ at: now, what: "reunited" });
  };
  const ask = (probe: Probe, now: Instant): void => {
    const name = names[Number(probe.nonce) - 1] ?? "";
    asked[name]?.push(now);
    const remainingMilliseconds = scene.peers[name]?.(now + LATENCY);
    if (remainingMilliseconds !== undefined)
      arriving.push({ at: now + 2 * LATENCY, probe: { ...probe, type: "answer", remainingMilliseconds } });
  };

  feed(peersEvent(names), instant(0));
  for (;;) {
    arriving.sort((a, b) => a.at - b.at);
    const timerAt = awake(scene, deadline(state) ?? Infinity);
    const answerAt = awake(scene, arriving[0]?.at ?? Infinity);
    const now = Math.min(timerAt, answerAt);
    if (now > scene.until) return { log, asked, state };
    const timerFirst = timerAt < answerAt || (timerAt === answerAt && scene.stall?.first !== "answers");
    const [first] = arriving;
    if (timerFirst || first === undefined) feed({ type: "clock" }, instant(now));
    else {
      arriving = arriving.slice(1);
      feed({ type: "received", probe: first.probe }, instant(now));
    }
  }
}

function awake({ stall }: Scene, at: number): number {
  return stall !== undefined && at >= stall.from && at < stall.to ? stall.to : at;
}

/** Without times. */
function story(scene: Scene): readonly string[] {
  return play(scene).log.map(({ what }) => what);
}

describe("a peer", () => {
  const stories: { name: string; scene: Scene; story: readonly string[] }[] = [
    { name: "that answers is alive and stays so", scene: { peers: { b: always }, until: HOUR / 60 }, story: [] },
    {
      name: "that never answers is gone after the first window",
      scene: { peers: { b: never }, until: 5000 },
      story: ["b gone"],
    },
    {
      name: "that falls silent is gone, also when it is the only one",
      scene: { peers: { b: until(3000) }, until: 9000 },
      story: ["b gone"],
    },
    {
      name: "that falls silent is gone for those who hear another",
      scene: { peers: { b: until(3000), c: always }, until: 9000 },
      story: ["b gone"],
    },
    {
      name: "that comes back is alive again, which is a reunion",
      scene: { peers: { b: except(3000, 6000), c: always }, until: 9000 },
      story: ["b gone", "b alive", "reunited"],
    },
    {
      name: "that misses less than the window is not even suspected",
      scene: { peers: { b: except(3000, 3400) }, until: 9000 },
      story: [],
    },
    {
      name: "whose stamp has run out is abandoned",
      scene: { peers: { b: (now) => (now < 3000 ? 60_000 : 0) }, until: 9000 },
      story: ["b abandoned"],
    },
    {
      name: "whose agent comes back is alive again, which is no reunion",
      scene: { peers: { b: (now) => (now > 3000 && now < 6000 ? 0 : 60_000) }, until: 9000 },
      story: ["b abandoned", "b alive"],
    },
    {
      name: "whose stamp runs out while it is silent is abandoned before it is gone",
      scene: { peers: { b: (now) => (now < 3000 ? 400 : undefined), c: always }, until: 9000 },
      story: ["b abandoned", "b gone"],
    },
    {
      name: "that is abandoned and falls silent is gone",
      scene: { peers: { b: (now) => (now < 3000 ? 0 : undefined), c: always }, until: 9000 },
      story: ["b abandoned", "b gone"],
    },
    {
      name: "that comes back without its agent is abandoned, which is a reunion",
      scene: { peers: { b: (now) => (now < 3000 ? 60_000 : now < 6000 ? undefined : 0), c: always }, until: 9000 },
      story: ["b gone", "b abandoned", "reunited"],
    },
    {
      name: "whose agent leaves (stamp 0 at once) is abandoned at the next probe",
      scene: { peers: { b: (now) => (now < 100 ? 60_000 : 0) }, until: 300 },
      story: ["b abandoned"],
    },
  ];
  for (const row of stories) test(row.name, () => assert.deepEqual(story(row.scene), row.story));

  test("is gone within 600 ms of its death, whenever that is", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 3000 }), fc.nat(), fc.boolean(), (death, seed, another) => {
        const { log } = play({
          peers: { b: until(death), ...(another ? { c: always } : {}) },
          until: death + 2000,
          seed,
        });
        assert.deepEqual(
          log.map(({ what }) => what),
          ["b gone"],
        );
        const after = (log[0]?.at ?? 0) - death;
        // Its last answer may still have been under way.
        assert.ok(after > 400 && after <= 600 + LATENCY, `${after} ms`);
      }),
    );
  });

  test("is believed to the millisecond about its stamp while it is silent", () => {
    const { log } = play({ peers: { b: (now) => (now < 2000 ? 2200 - now : undefined) }, until: 2400 });
    assert.deepEqual(
      log.map(({ what }) => what),
      ["b abandoned"],
    );
    // 2200 by its own clock; the answer's way back may count for nothing, so half a round trip later.
    assert.ok(Math.abs((log[0]?.at ?? 0) - (2200 + LATENCY)) < 0.01, `${log[0]?.at}`);
  });

  test("that answers is asked every 150 ms, not in step, and one that is gone no more often", () => {
    const { asked } = play({ peers: { b: always, c: never }, until: 60_000 });
    for (const name of ["b", "c"]) {
      const times = asked[name]?.slice(30) ?? [];
      const pauses = times.slice(1).map((at, index) => at - (times[index] ?? 0));
      assert.ok(pauses.length > 300);
      assert.ok(
        pauses.every((pause) => pause > 134 && pause < 166),
        `${Math.min(...pauses)} to ${Math.max(...pauses)}`,
      );
      assert.ok(new Set(pauses.map(Math.round)).size > 20, "always the same pause");
    }
  });

  test("among hundreds is asked together with those who are due in a moment", () => {
    const random = seededRandom(7);
    const names = Array.from({ length: 200 }, (_, index) => `n${index}`);
    let [state] = step(initialState(DEFAULT_TIMING, instant(0)), peersEvent(names), instant(0), random);
    const [wakes, sent] = [new Set<number>(), new Map<bigint, number[]>()];
    for (let now = deadline(state); now !== undefined && now < 10_000; now = deadline(state)) {
      wakes.add(now);
      const [next, effects] = step(state, { type: "clock" }, now, random);
      state = next;
      for (const effect of effects) {
        if (effect.type !== "send") continue;
        sent.set(effect.probe.nonce, [...(sent.get(effect.probe.nonce) ?? []), now]);
        const probe: Probe = { ...effect.probe, type: "answer", remainingMilliseconds: 60_000 };
        [state] = step(state, { type: "received", probe }, now, random);
      }
    }
    // Each by itself would be 13,000.
    assert.ok(wakes.size <= 2010, `${wakes.size} wakes in ten seconds`);
    for (const times of sent.values())
      for (const [index, at] of times.slice(1).entries()) {
        const pause = at - (times[index] ?? 0);
        assert.ok(pause >= 130 && pause <= 165, `asked after ${pause} ms`);
      }
    assert.equal(sent.size, names.length);
  });

  test("that is silent is asked often before it is judged", () => {
    const { asked, log } = play({ peers: { b: until(3000), c: always }, until: 4000 });
    const goneAt = log[0]?.at ?? 0;
    const inWindow = asked["b"]?.filter((at) => at > goneAt - 600 && at < goneAt).length ?? 0;
    assert.ok(inWindow >= 17, `${inWindow} probes`);
  });
});

describe("a node that hears nobody", () => {
  const stories: { name: string; scene: Scene; story: readonly string[] }[] = [
    {
      name: "is isolated and changes nothing when two fell silent at once",
      scene: { peers: { b: until(3000), c: until(3000) }, until: HOUR / 20 },
      story: ["isolated"],
    },
    {
      name: "is isolated when five fell silent at once",
      scene: { peers: { b: until(3000), c: until(3000), d: until(3000), e: until(3000), f: until(3000) }, until: 9000 },
      story: ["isolated"],
    },
    {
      name: "is not isolated when they fell silent one after the other",
      scene: { peers: { b: until(3000), c: until(5000) }, until: 9000 },
      story: ["b gone", "c gone"],
    },
    {
      name: "is not isolated by one death soon after another",
      scene: { peers: { b: until(3000), c: until(3700) }, until: 9000 },
      story: ["b gone", "c gone"],
    },
    {
      name: "is not isolated by the only peer it ever heard",
      scene: { peers: { b: until(3000), c: never }, until: 9000 },
      story: ["c gone", "b gone"],
    },
    {
      name: "is not isolated when it never heard anybody",
      scene: { peers: { b: never, c: never }, until: 9000 },
      story: ["b gone", "c gone"],
    },
    {
      name: "is not isolated while a third one answers",
      scene: { peers: { b: until(3000), c: until(3200), d: always }, until: 9000 },
      story: ["b gone", "c gone"],
    },
    {
      name: "keeps a peer's state over its stamp's end",
      scene: { peers: { b: (now) => (now < 3000 ? 5000 : undefined), c: until(3000) }, until: 30_000 },
      story: ["isolated"],
    },
    {
      name: "is back with the first answer, and gives the others a window",
      scene: { peers: { b: except(3000, 20_000), c: until(3000) }, until: 30_000 },
      story: ["isolated", "reunited", "c gone"],
    },
    {
      name: "is back with both, and nothing has changed",
      scene: { peers: { b: except(3000, 20_000), c: except(3000, 20_000) }, until: 30_000 },
      story: ["isolated", "reunited"],
    },
    {
      name: "can be isolated again",
      scene: {
        peers: {
          b: (now) => (now % 10_000 < 5000 ? 60_000 : undefined),
          c: (now) => (now % 10_000 < 5000 ? 60_000 : undefined),
        },
        until: 29_000,
      },
      story: ["isolated", "reunited", "isolated", "reunited", "isolated"],
    },
  ];
  for (const row of stories) test(row.name, () => assert.deepEqual(story(row.scene), row.story));

  test("is isolated whenever the cut comes, and no peer is lost", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 3000 }),
        fc.nat(),
        fc.integer({ min: 2, max: 6 }),
        (cut, seed, count) => {
          const peers = Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, until(cut)]));
          assert.deepEqual(story({ peers, until: cut + 5000, seed }), ["isolated"]);
        },
      ),
    );
  });
});

describe("a process that does not run for a while", () => {
  for (const first of ["timer", "answers"] as const) {
    for (const length of [30, 100, 250, 700, 5000, 100_000]) {
      test(`of ${length} ms loses no peer that lives (${first} first)`, () => {
        fc.assert(
          fc.property(fc.integer({ min: 1000, max: 1500 }), fc.nat(), (from, seed) => {
            assert.deepEqual(
              story({
                peers: { b: always, c: always, d: always },
                until: from + length + 3000,
                stall: { from, to: from + length, first },
                seed,
              }),
              [],
            );
            assert.deepEqual(
              story({
                peers: { b: always },
                until: from + length + 3000,
                stall: { from, to: from + length, first },
                seed,
              }),
              [],
            );
          }),
          { numRuns: 20 },
        );
      });
    }

    test(`gives a peer behind a lossy line a whole window afterwards (${first} first)`, () => {
      const lossy =
        (random: () => number): Script =>
        () =>
          random() < 0.5 ? 60_000 : undefined;
      fc.assert(
        fc.property(fc.nat(), (seed) => {
          const peers = { b: lossy(seededRandom(seed)), c: always };
          assert.deepEqual(story({ peers, until: 3000, stall: { from: 1000, to: 1700, first }, seed }), []);
        }),
        { numRuns: 60, seed: 7 },
      );
    });

    test(`finds out who died meanwhile, a window later at most (${first} first)`, () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1000, max: 1500 }),
          fc.integer({ min: 30, max: 2000 }),
          fc.nat(),
          (from, length, seed) => {
            const { log } = play({
              peers: { b: until(from + 10), c: always },
              until: from + length + 3000,
              stall: { from, to: from + length, first },
              seed,
            });
            assert.deepEqual(
              log.map(({ what }) => what),
              ["b gone"],
            );
            assert.ok(
              (log[0]?.at ?? 0) <= from + length + 600 + 25,
              `${(log[0]?.at ?? 0) - from - length} ms after the stall`,
            );
          },
        ),
        { numRuns: 50 },
      );
    });
  }
});

describe("a datagram", () => {
  const settled = play({ peers: { b: always, c: always }, until: 1000 }).state;
  const sent = settled.peers.map(({ outstanding, sequence, nonce }) => ({
    nonce,
    sequence: outstanding.at(-1)?.sequence ?? sequence,
  }));
  const [b, c] = sent;
  assert.ok(b !== undefined && c !== undefined);
  const answer = (change: Partial<Probe>): Probe => ({
    type: "answer",
    nonce: b.nonce,
    sequence: b.sequence,
    remainingMilliseconds: 0,
    ...change,
  });
  const ignored: { name: string; probe: Probe }[] = [
    { name: "a request", probe: answer({ type: "request" }) },
    { name: "an answer with a nonce of nobody", probe: answer({ nonce: 99n }) },
    { name: "an answer from the future", probe: answer({ sequence: b.sequence + 1 }) },
    { name: "an answer that was already given", probe: answer({ sequence: b.sequence }) },
    { name: "an answer to sequence 0", probe: answer({ sequence: 0 }) },
    { name: "an answer to the first question", probe: answer({ sequence: 1 }) },
  ];
  for (const row of ignored) {
    test(`that is ${row.name} changes nothing`, () => {
      const [after, effects] = step(settled, { type: "received", probe: row.probe }, later(settled.at, 1), () => 0.5);
      assert.deepEqual([{ ...after, at: settled.at }, effects], [settled, []]);
    });
  }

  const [waiting, effects] = step(settled, { type: "clock" }, deadline(settled) ?? settled.at, () => 0.5);
  const question = effects.find((effect) => effect.type === "send")?.probe;
  assert.ok(question !== undefined);
  const late = { type: "received", probe: { ...question, type: "answer", remainingMilliseconds: 0 } } as const;

  test("that answers within the window is believed", () => {
    const [after] = step(waiting, late, later(waiting.at, DEFAULT_TIMING.windowMilliseconds), () => 0.5);
    assert.equal(
      after.peers.some(({ state }) => state === "abandoned"),
      true,
    );
  });

  test("that answers later is history", () => {
    const [after] = step(waiting, late, later(waiting.at, DEFAULT_TIMING.windowMilliseconds + 1), () => 0.5);
    assert.deepEqual({ ...after, at: waiting.at }, waiting);
  });
});

describe("the list of peers", () => {
  const state = play({ peers: { b: always, c: never }, until: 2000 }).state;
  const now = later(state.at, 1);
  const set = (peers: readonly { name: string; address: Address; nonce: bigint }[]) =>
    step(state, { type: "peers", peers }, now, () => 0.5);
  const b = { name: "b", address: addressOf(0), nonce: 77n };

  test("keeps what is known of those who stay", () => {
    const [after, effects] = set([b, { name: "c", address: addressOf(1), nonce: 78n }]);
    assert.deepEqual([after.peers, effects], [state.peers, []]);
  });

  test("starts anew with one whose address changed", () => {
    const [after, effects] = set([
      { ...b, address: address("10.0.9.9") },
      { name: "c", address: addressOf(1), nonce: 78n },
    ]);
    assert.deepEqual(
      [after.peers[0]?.nonce, after.peers[0]?.state, after.peers[0]?.lastAnswerAt],
      [77n, "alive", undefined],
    );
    assert.deepEqual(effects, [{ type: "publish" }]);
  });

  test("forgets those who are not in it", () => {
    const [after, effects] = set([b]);
    assert.deepEqual([after.peers.map(({ name }) => name), effects], [["b"], [{ type: "publish" }]]);
  });

  test("may be empty: then there is nothing to wait for", () => {
    const [after] = set([]);
    assert.equal(deadline(after), undefined);
    const [still, effects] = step(after, { type: "clock" }, later(now, HOUR), () => 0.5);
    assert.deepEqual([still.peers, still.isolated, effects], [[], false, []]);
  });

  test("asks somebody new at once", () => {
    const [after] = set([b, { name: "d", address: address("fd00::4"), nonce: 79n }]);
    const [, effects] = step(after, { type: "clock" }, now, () => 0.5);
    assert.deepEqual(effects, [
      {
        type: "send",
        to: address("fd00::4"),
        probe: { type: "request", sequence: 1, remainingMilliseconds: 0, nonce: 79n },
      },
    ]);
  });
});

test("a stamp counts as renewed when its end has moved, not when whole milliseconds of what is left were rounded otherwise", () => {
  const endsAt = 100_000.9;
  const renewedAfter = (moved: number): boolean => {
    let { state } = play({ peers: { b: never }, until: 0 });
    for (const [round, end] of [endsAt, endsAt, endsAt + moved].entries()) {
      // The second question leaves where the fraction that is cut off is smallest.
      const now = instant(Math.ceil(deadline(state) ?? state.at) + 1 + (round === 0 ? 0 : 0.9));
      const [asked, effects] = step(state, { type: "clock" }, now, () => 0.5);
      const probe = effects.find((effect) => effect.type === "send")?.probe;
      assert.ok(probe !== undefined);
      const answer = { ...probe, type: "answer", remainingMilliseconds: Math.floor(end - now) } as const;
      [state] = step(asked, { type: "received", probe: answer }, later(now, 0.05), () => 0.5);
    }
    return state.peers[0]?.renewedAt !== undefined;
  };
  assert.deepEqual([renewedAfter(0), renewedAfter(200)], [false, true]);
});

test("sequences start over after 2^32 and go on being answered", () => {
  const before = play({ peers: { b: always }, until: 1000 }).state;
  let state: State = { ...before, peers: before.peers.map((peer) => ({ ...peer, sequence: 0xffff_fffd })) };
  const seen: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    const now = deadline(state) ?? state.at;
    const [asked, effects] = step(state, { type: "clock" }, now, () => 0.5);
    const probe = effects.find((effect) => effect.type === "send")?.probe;
    assert.ok(probe !== undefined);
    seen.push(probe.sequence);
    [state] = step(
      asked,
      { type: "received", probe: { ...probe, type: "answer", remainingMilliseconds: 5000 } },
      later(now, 1),
      () => 0.5,
    );
    assert.equal(state.peers[0]?.lastAnswerAt, now + 1);
  }
  assert.deepEqual(seen, [0xffff_fffe, 0xffff_ffff, 0, 1, 2, 3]);
});
