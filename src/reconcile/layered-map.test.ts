import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { atOnce } from "../time/slices.ts";
import { changing, differing, sameEntries, withChanges } from "./layered-map.ts";

interface Thing {
  readonly name: string;
}

const A: Thing = { name: "a" };
const B: Thing = { name: "b" };
const C: Thing = { name: "c" };

test("a map with changes holds what a copy with the same changes would hold, in the same order", () => {
  const map = withChanges(new Map([["a", A], ["b", B], ["c", C]]), new Map([["b", undefined], ["d", A], ["c", A]])); // prettier-ignore
  assert.deepEqual([...map], [["a", A], ["c", A], ["d", A]]); // prettier-ignore
  assert.deepEqual([...map.keys()], ["a", "c", "d"]);
  assert.deepEqual([...map.values()], [A, A, A]);
  assert.equal(map.size, 3);
  assert.deepEqual([map.has("b"), map.get("b"), map.has("d"), map.get("d")], [false, undefined, true, A]);
  const seen: unknown[] = [];
  map.forEach((value, key, whole) => seen.push([key, value, whole === map]));
  assert.deepEqual(seen, [["a", A, true], ["c", A, true], ["d", A, true]]); // prettier-ignore
});

test("the map that was changed stays as it was, and so does every version between", () => {
  const first = new Map([["a", A]]);
  const second = withChanges(first, new Map([["b", B]]));
  const third = withChanges(second, new Map([["a", undefined]]));
  assert.deepEqual([[...first.keys()], [...second.keys()], [...third.keys()]], [["a"], ["a", "b"], ["b"]]);
});

test("no changes make no other map", () => {
  const map = new Map([["a", A]]);
  assert.equal(withChanges(map, new Map()), map);
});

const key = fc.constantFrom("a", "b", "c", "d", "e");
const changes = fc.array(fc.tuple(key, fc.option(fc.constantFrom(A, B, C), { nil: undefined })), { maxLength: 4 });

test("any changes one after the other are those of a plain map, and the difference of two versions is what differs", () => {
  fc.assert(
    fc.property(fc.array(changes, { maxLength: 6 }), (rounds) => {
      const plain = new Map<string, Thing>();
      let map: ReadonlyMap<string, Thing> = new Map<string, Thing>();
      const versions = [map];
      for (const round of rounds) {
        map = withChanges(map, new Map(round));
        for (const [k, value] of new Map(round)) {
          if (value === undefined) plain.delete(k);
          else plain.set(k, value);
        }
        assert.deepEqual(new Map(map), plain);
        assert.equal(map.size, plain.size);
        versions.push(map);
      }
      for (const a of versions) for (const b of versions) expectDifference(a, b);
    }),
  );
});

function expectDifference(a: ReadonlyMap<string, Thing>, b: ReadonlyMap<string, Thing>): void {
  const all = [...new Set([...a.keys(), ...b.keys()])];
  const expected = all.filter((k) => a.get(k) !== b.get(k)).toSorted();
  assert.deepEqual(atOnce(differing(a, b)).toSorted(), expected);
  assert.equal(sameEntries(a, b), expected.length === 0);
}

test("thousands of changes later it is one map again, and what differs is still found", () => {
  let map: ReadonlyMap<string, Thing> = new Map([["a", A]]);
  for (let i = 0; i < 5000; i += 1) map = withChanges(map, new Map([[`key-${i}`, B]]));
  assert.equal(map.size, 5001);
  const later = withChanges(map, new Map([["key-4999", undefined], ["key-7", A]])); // prettier-ignore
  assert.deepEqual(atOnce(differing(map, later)).toSorted(), ["key-4999", "key-7"]);
});

test("neither folding nor comparing a hundred thousand keys is done in one go", () => {
  const large = new Map(Array.from({ length: 100_000 }, (_, i) => [`key-${i}`, A]));
  const news = new Map(Array.from({ length: 20_000 }, (_, i) => [`key-${i}`, B]));
  const folding = changing(large, news);
  assert.ok(stepsOf(folding) > 100);
  const folded = withChanges(large, news);
  assert.ok(folded instanceof Map);
  assert.ok(stepsOf(differing(large, folded)) > 100);
});

function stepsOf(work: Iterable<undefined>): number {
  return [...work].length;
}
