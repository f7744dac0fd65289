import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { changedKeys, emptyMap, PersistentMap, persistentMap } from "./persistent-map.ts";
import { withChanges } from "./layered-map.ts";

const key = fc.nat({ max: 40 }).map((number) => `team-${number % 7}/service-${number}`);
/** Undefined: the key is removed. */
const edits = fc.array(fc.tuple(key, fc.option(fc.nat({ max: 3 }), { nil: undefined })), { maxLength: 60 });
type Edits = readonly (readonly [string, number | undefined])[];

function edited(map: PersistentMap<number>, changes: Edits): PersistentMap<number> {
  const draft = map.draft();
  for (const [name, value] of changes) {
    if (value === undefined) draft.delete(name);
    else draft.set(name, value);
    assert.equal(draft.get(name), value);
  }
  return draft.finish();
}

function editedPlain(map: ReadonlyMap<string, number>, changes: Edits): ReadonlyMap<string, number> {
  const copy = new Map(map);
  for (const [name, value] of changes) {
    if (value === undefined) copy.delete(name);
    else copy.set(name, value);
  }
  return copy;
}

describe("PersistentMap", () => {
  it("holds what a Map holds after the same changes, and earlier ones hold what they held", () => {
    fc.assert(
      fc.property(fc.array(edits, { maxLength: 6 }), (rounds) => {
        let [map, plain]: [PersistentMap<number>, ReadonlyMap<string, number>] = [emptyMap(), new Map()];
        const versions: (readonly [PersistentMap<number>, ReadonlyMap<string, number>])[] = [];
        for (const round of rounds) {
          [map, plain] = [edited(map, round), editedPlain(plain, round)];
          versions.push([map, plain]);
        }
        for (const [one, other] of versions) {
          assert.deepEqual(new Map(one), other);
          assert.deepEqual(new Map([...one.keys()].map((name) => [name, one.get(name)])), other);
          const ascending = (a: number, b: number): number => a - b;
          assert.deepEqual([...one.values()].toSorted(ascending), [...other.values()].toSorted(ascending));
          assert.equal(one.size, other.size);
          const seen = new Map<string, number>();
          one.forEach((value, name) => seen.set(name, value));
          assert.deepEqual(seen, other);
        }
      }),
    );
  });

  it("is the same map when nothing became different", () => {
    const map = persistentMap([["a/b", 1]]);
    assert.equal(
      edited(map, [
        ["a/b", 1],
        ["a/c", undefined],
      ]),
      map,
    );
  });

  it("knows what it does not have from what it has undefined of", () => {
    const map = persistentMap<number | undefined>([["a/b", undefined]]);
    assert.deepEqual([map.has("a/b"), map.has("a/c"), map.size], [true, false, 1]);
  });

  it("shares all buckets but those of what changed", () => {
    const names = Array.from({ length: 10_000 }, (_, number) => `bench/service-${number}`);
    const before = persistentMap(names.map((name) => [name, 0]));
    const after = edited(before, [["bench/service-7", 1]]);
    const unshared = PersistentMap.unshared(before, after);
    assert.equal(unshared.length, 1);
    assert.ok((unshared[0]?.[0].size ?? 0) < 60, "keys are spread over the buckets");
  });
});

describe("changedKeys", () => {
  it("finds the same between maps that share, maps that do not, layered ones and plain Maps", () => {
    const values = [{ a: 0 }, { a: 1 }, { a: 2 }, { a: 3 }];
    const objects = (map: PersistentMap<number>): ReadonlyMap<string, object> =>
      new Map([...map].map(([name, number]) => [name, values[number] ?? {}]));
    fc.assert(
      fc.property(edits, edits, (first, second) => {
        const [before, after] = [edited(emptyMap(), first), edited(edited(emptyMap(), first), second)];
        const [old, now] = [objects(before), objects(after)];
        const changed = [...old.keys()].filter((name) => now.get(name) !== old.get(name));
        const expected = [...changed, ...[...now.keys()].filter((name) => !old.has(name))].toSorted();
        const base = persistentMap(old);
        const draft = base.draft();
        for (const [name] of second) {
          const value = now.get(name);
          if (value === undefined) draft.delete(name);
          else draft.set(name, value);
        }
        const layered = withChanges(old, new Map(second.map(([name]) => [name, now.get(name)])));
        for (const [one, other] of [
          [base, draft.finish()],
          [base, persistentMap(now)],
          [old, base.size === 0 ? now : persistentMap(now)],
          [old, now],
          [old, layered],
        ] as const)
          assert.deepEqual(changedKeys(one, other).toSorted(), expected);
      }),
    );
  });
});
