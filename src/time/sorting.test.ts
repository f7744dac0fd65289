import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { atOnce, type Sliced } from "./slices.ts";
import { sorting } from "./sorting.ts";

interface Card {
  readonly rank: number;
  /** Where it was before. */
  readonly index: number;
}

const byRank = (a: Card, b: Card): number => a.rank - b.rank;
const cards = (ranks: readonly number[]): Card[] => ranks.map((rank, index) => ({ rank, index }));

function pausesOf(work: Sliced<unknown>): number {
  let pauses = 0;
  while (work.next().done !== true) pauses += 1;
  return pauses;
}

test("sorting in slices gives what sorting at once gives, equal values in the order they had", () => {
  // Longer than a run, in few ranks, so that runs are merged and many are equal.
  const ranks = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 0, maxLength: 3000, size: "max" });
  fc.assert(
    fc.property(ranks, (list) => {
      const given = cards(list);
      assert.deepEqual(atOnce(sorting(given, byRank)), given.toSorted(byRank));
      assert.deepEqual(given, cards(list));
    }),
    { numRuns: 50 },
  );
});

test("sorting in slices gives a list of its own, also of one that is in order", () => {
  const given = cards([1, 2, 3]);
  const sorted = atOnce(sorting(given, byRank));
  assert.deepEqual(sorted, given);
  assert.notEqual(sorted, given);
});

test("sorting many values has many pauses, few have none", () => {
  const many = cards(Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 10_007));
  assert.ok(pausesOf(sorting(many, byRank)) > 50);
  assert.ok(pausesOf(sorting(many.toSorted(byRank), byRank)) > 10);
  assert.equal(pausesOf(sorting(cards([3, 1, 2]), byRank)), 1);
});
