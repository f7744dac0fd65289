import assert from "node:assert/strict";
import { test } from "node:test";
import { median, quantile, ratio, spread } from "./statistics.ts";

for (const { values, expected } of [
  { values: [3], expected: 3 },
  { values: [9, 1, 5], expected: 5 },
  { values: [10, 2, 4, 8], expected: 6 },
  { values: [1, 1, 1000], expected: 1 },
]) {
  test(`the median of ${values.join(", ")} is ${expected}`, () => assert.equal(median(values), expected));
}

test("values are not reordered in place", () => {
  const values = [3, 1, 2];
  median(values);
  quantile(values, 0.5);
  assert.deepEqual(values, [3, 1, 2]);
});

test("a quantile is a value that was measured", () => {
  const values = Array.from({ length: 100 }, (_, i) => i);
  assert.equal(quantile(values, 0.99), 99);
  assert.equal(quantile(values, 1), 99);
  assert.equal(quantile(values, 0), 0);
});

test("nothing has neither median nor quantile", () => {
  assert.throws(() => median([]), RangeError);
  assert.throws(() => quantile([], 0.5), RangeError);
});

test("spreads and ratios read as a person writes them", () => {
  assert.equal(spread([1.26, 3, 2], 1), "2.0 (1.3-3.0)");
  assert.equal(ratio(3, 2), "1.50×");
  assert.equal(ratio(3, undefined), "–");
});
