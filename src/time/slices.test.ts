import assert from "node:assert/strict";
import { test } from "node:test";
import { atOnce, inSlices, type Pace, type Sliced } from "./slices.ts";

/** A clock that moves by one with every piece of work, and counts what is done between two pauses. */
function paceOf(sliceMilliseconds: number): Pace & { readonly slices: number[]; readonly work: () => void } {
  let now = 0;
  let pieces = 0;
  const slices: number[] = [];
  return {
    sliceMilliseconds,
    slices,
    now: () => now,
    pause: async () => {
      slices.push(pieces);
      pieces = 0;
    },
    work: () => {
      now += 1;
      pieces += 1;
    },
  };
}

function* count(to: number, work: () => void): Sliced<number> {
  for (let i = 0; i < to; i += 1) {
    work();
    yield;
  }
  return to;
}

test("work is paused whenever its slice is used up, and not before", async () => {
  const pace = paceOf(3);
  assert.equal(await inSlices(count(10, pace.work), pace), 10);
  assert.deepEqual(pace.slices, [3, 3, 3]);
});

test("work that is short is not paused at all", async () => {
  const pace = paceOf(3);
  assert.equal(await inSlices(count(2, pace.work), pace), 2);
  assert.deepEqual(pace.slices, []);
});

test("others have their turn between two slices", async () => {
  const order: string[] = [];
  let now = 0;
  const pace: Pace = {
    sliceMilliseconds: 1,
    now: () => now,
    pause: () => new Promise((resolve) => setImmediate(resolve)),
  };
  setImmediate(() => order.push("other"));
  const work = function* (): Sliced<void> {
    for (const piece of ["first", "second"]) {
      order.push(piece);
      now += 1;
      yield;
    }
  };
  await inSlices(work(), pace);
  assert.deepEqual(order, ["first", "other", "second"]);
});

test("what the work throws is what the promise rejects with", async () => {
  const work = function* (): Sliced<void> {
    yield;
    throw new Error("broken");
  };
  await assert.rejects(inSlices(work()), /broken/);
  assert.throws(() => atOnce(work()), /broken/);
});
