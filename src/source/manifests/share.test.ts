import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { share } from "./share.ts";

test("equal parts of two values become one, and stay equal to what they were", () => {
  const make = (
    name: string,
  ): { name: string; ports: { port: number }[]; labels: Record<string, string>; empty: [] } => ({
    name: `${name}-with-a-long-name`,
    ports: [{ port: 80 }],
    labels: { app: "web" },
    empty: [],
  });
  const [a, b] = [share(make("a")), share(make("b"))];
  assert.deepEqual(a, make("a"));
  assert.deepEqual(b, make("b"));
  assert.equal(a.ports, b.ports);
  assert.equal(a.labels, b.labels);
  assert.equal(a.empty, b.empty);
  assert.notEqual(a, b);
});

test("what is shared cannot be changed by one of those who hold it", () => {
  const { list } = share({ list: [1, 2] });
  assert.throws(() => list.push(3), TypeError);
});

const different = [
  { name: "a number and its text", a: [1], b: ["1"] },
  { name: "true and its text", a: [true], b: ["true"] },
  { name: "null and its text", a: [null], b: ["null"] },
  { name: "an empty list and an empty object", a: [], b: {} },
  { name: "texts joined otherwise", a: ["a,s1:b"], b: ["a", "b"] },
  { name: "a field and a field with another name", a: { ab: "c" }, b: { a: "bc" } },
  { name: "two maps", a: new Map([[1, 2]]), b: new Map([[3, 4]]) },
  { name: "a number and a bigint", a: [1], b: [1n] },
  { name: "a list in a list", a: [[1]], b: [1] },
];
for (const { name, a, b } of different)
  test(`${name} are not one`, () => {
    const [first, second] = [share(structuredClone(a)), share(structuredClone(b))];
    assert.deepEqual(first, a);
    assert.deepEqual(second, b);
  });

test("any value stays what it was, however many others were shared before", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      assert.deepEqual(share(structuredClone(value)), value);
      assert.deepEqual(share(share(structuredClone(value))), value);
    }),
    { numRuns: 500 },
  );
  for (let i = 0; i < 20_000; i += 1) assert.deepEqual(share({ list: [i, `a-text-long-enough-${i}`] }).list[0], i);
});
