import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { systemClock, virtualClock } from "./clock.ts";
import { earliest, fromNanoseconds, instant, later, nanoseconds } from "./instant.ts";
import { jittered, seededRandom } from "./jitter.ts";

describe("an instant", () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    test(`is not ${value}`, () => assert.throws(() => instant(value), RangeError));
  }

  test("becomes the kernel's nanoseconds and back, to the microsecond after years of uptime", () => {
    for (const milliseconds of [0, 0.001, 1, 1234.567, 1e9 + 0.001, 3e11 + 0.001]) {
      assert.ok(Math.abs(fromNanoseconds(nanoseconds(instant(milliseconds))) - milliseconds) < 0.001);
    }
  });

  test("before the start of the machine is the kernel's zero, not a huge unsigned number", () => {
    assert.equal(nanoseconds(later(instant(0), -5)), 0n);
  });

  test("is the earliest of those that are set", () => {
    assert.equal(earliest([]), undefined);
    assert.equal(earliest([undefined, undefined]), undefined);
    assert.equal(earliest([undefined, instant(5), instant(3), undefined, instant(4)]), 3);
  });
});

describe("a virtual clock", () => {
  test("calls what is due in the order of time, then of asking", () => {
    const clock = virtualClock(100);
    const calls: string[] = [];
    const note = (name: string) => (): void => void calls.push(`${name}@${clock.now()}`);
    clock.at(instant(130), note("c"));
    clock.at(instant(110), note("a"));
    clock.at(instant(130), note("d"));
    clock.at(instant(120), note("b"));
    clock.at(instant(131), note("never"));
    clock.advance(30);
    assert.deepEqual(calls, ["a@110", "b@120", "c@130", "d@130"]);
    assert.equal(clock.now(), 130);
  });

  test("calls what is scheduled on the way, never inside the call that schedules it", () => {
    const clock = virtualClock();
    const calls: number[] = [];
    const again = (): void => {
      calls.push(clock.now());
      if (calls.length < 4) clock.at(later(clock.now(), 10), again);
    };
    clock.at(instant(0), again);
    assert.deepEqual(calls, []);
    clock.advance(25);
    assert.deepEqual(calls, [0, 10, 20]);
  });

  test("does not call what was called off", () => {
    const clock = virtualClock();
    const cancel = clock.at(instant(5), () => assert.fail("called off, and called all the same"));
    cancel();
    cancel();
    clock.advance(100);
    assert.equal(clock.now(), 100);
  });

  test("that stalls calls late, at the time it has become", () => {
    const clock = virtualClock();
    const calls: number[] = [];
    clock.at(instant(10), () => calls.push(clock.now()));
    clock.stall(250);
    assert.deepEqual(calls, []);
    clock.advance(0);
    assert.deepEqual(calls, [250]);
  });
});

describe("the system clock", () => {
  test("is the kernel's monotonic clock and runs forwards", () => {
    const before = fromNanoseconds(process.hrtime.bigint());
    const now = systemClock.now();
    assert.ok(before <= now && now <= fromNanoseconds(process.hrtime.bigint()));
  });

  test("calls back at or after the moment, also for a moment that has passed", async () => {
    for (const delay of [-1000, 0, 5]) {
      const moment = later(systemClock.now(), delay);
      const at = await new Promise<number>((resolve) => void systemClock.at(moment, () => resolve(systemClock.now())));
      // Timers of Node count whole milliseconds and may be one early.
      assert.ok(at >= moment - 1, `${delay}: ${at} < ${moment}`);
    }
  });

  test("does not call what was called off, and does not take weeks for no time", async () => {
    const fail = (): void => assert.fail("called off, and called all the same");
    systemClock.at(systemClock.now(), fail)();
    systemClock.at(later(systemClock.now(), 2 ** 33), fail)();
    const tooLong = systemClock.at(later(systemClock.now(), 2 ** 33), fail);
    await new Promise<void>((resolve) => void systemClock.at(later(systemClock.now(), 5), resolve));
    tooLong();
  });
});

describe("jitter", () => {
  test("stays within its fraction and uses all of it", () => {
    assert.equal(
      jittered(100, 0.1, () => 0),
      90,
    );
    assert.equal(
      jittered(100, 0.1, () => 0.5),
      100,
    );
    fc.assert(fc.property(fc.nat(), (seed) => Math.abs(jittered(100, 0.1, seededRandom(seed)) - 100) <= 10));
  });

  test("from a seed is the same every time, another from another, and even", () => {
    const take = (seed: number): number[] => Array.from({ length: 4000 }, seededRandom(seed));
    assert.deepEqual(take(7), take(7));
    assert.notDeepEqual(take(7).slice(0, 3), take(8).slice(0, 3));
    const tenths = Map.groupBy(take(7), (value) => Math.floor(value * 10));
    assert.deepEqual(
      [...tenths.keys()].toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    for (const values of tenths.values())
      assert.ok(values.length > 320 && values.length < 480, `${values.length} of 4000 in a tenth`);
  });
});
