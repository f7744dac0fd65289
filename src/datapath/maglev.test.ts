import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MAGLEV_BACKENDS_MAX, MAGLEV_SIZES, maglevSize, maglevTable, type MaglevBackend } from "./maglev.ts";

const SEED = 0x5eedf1ad;

function backends(count: number): MaglevBackend[] {
  return Array.from({ length: count }, (_, i) => ({ text: `10.244.${i >> 8}.${i & 255}:8080/TCP` }));
}

/** Which text each entry belongs to: comparable between tables of different argument order. */
function owners(list: readonly MaglevBackend[], size: number, seed = SEED): string[] {
  return Array.from(maglevTable({ seed, size, backends: list }), (i) => (list[i] as MaglevBackend).text);
}

function shares(list: readonly MaglevBackend[], size: number): Map<string, number> {
  const counts = new Map<string, number>(list.map((backend) => [backend.text, 0]));
  for (const text of owners(list, size)) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}

describe("maglevSize", () => {
  const rows = [
    { name: "one backend gets the smallest table", backends: 1, current: 0, size: 101 },
    { name: "no backend is answered with the smallest table", backends: 0, current: 0, size: 101 },
    { name: "ten backends get a hundred entries each", backends: 10, current: 0, size: 1009 },
    { name: "the boundary belongs to the smaller table", backends: 20, current: 0, size: 2003 },
    { name: "one more than the boundary needs the next", backends: 21, current: 0, size: 5003 },
    { name: "a table that became too small grows at once", backends: 11, current: 1009, size: 2003 },
    { name: "a table one size too large stays", backends: 10, current: 2003, size: 2003 },
    { name: "a table two sizes too large shrinks", backends: 5, current: 2003, size: 503 },
    { name: "a current size that is not in the list is forgotten", backends: 10, current: 1013, size: 1009 },
    {
      name: "more backends than the largest table was made for get the largest",
      backends: 60_000,
      current: 0,
      size: 500_009,
    },
  ];
  for (const row of rows) test(row.name, () => assert.equal(maglevSize(row.backends, row.current), row.size));

  test("every size is a prime, or a walk could miss entries", () => {
    for (const size of MAGLEV_SIZES) {
      const divisor = Array.from({ length: Math.floor(Math.sqrt(size)) - 1 }, (_, i) => i + 2).find(
        (n) => size % n === 0,
      );
      assert.equal(divisor, undefined, `${size} is divisible by ${divisor}`);
    }
  });
});

describe("maglevTable", () => {
  test("a frozen table: a change of the algorithm would remap every client of every node", () => {
    const list = [{ text: "10.244.1.2:8080/TCP" }, { text: "10.244.2.2:8080/TCP" }, { text: "[fd00::3]:8080/TCP" }];
    const table = maglevTable({ seed: SEED, size: 503, backends: list });
    assert.equal(Array.from(table.subarray(0, 24)).join(""), "002200022211222000002201");
  });

  test("gives every backend its share within one entry of another", () => {
    for (const [count, size] of [
      [1, 101],
      [3, 503],
      [10, 1009],
      [7, 101],
      [150, 20011],
    ] as const) {
      const counts = [...shares(backends(count), size).values()];
      assert.equal(counts.length, count);
      assert.ok(
        Math.max(...counts) - Math.min(...counts) <= 1,
        `${count} in ${size}: ${Math.min(...counts)}..${Math.max(...counts)}`,
      );
    }
  });

  test("gives shares by weight", () => {
    const list = [
      { text: "a", weight: 1 },
      { text: "b", weight: 2 },
      { text: "c", weight: 5 },
      { text: "d", weight: 0 },
    ];
    const counts = shares(list, 5003);
    for (const { text, weight } of list) {
      const expected = (5003 * weight) / 8;
      assert.ok(
        Math.abs((counts.get(text) ?? -1) - expected) <= 2,
        `${text}: ${counts.get(text)} instead of ${expected}`,
      );
    }
  });

  test("equal weights give the table of no weights", () => {
    const list = backends(9);
    assert.deepEqual(
      owners(
        list.map((backend) => ({ ...backend, weight: 7 })),
        1009,
      ),
      owners(list, 1009),
    );
  });

  test("does not depend on the order of the backends, weighted or not", () => {
    const shuffled = fc.tuple(
      fc.uniqueArray(fc.nat({ max: 60 }), { minLength: 1, maxLength: 12 }),
      fc.infiniteStream(fc.nat()),
    );
    fc.assert(
      fc.property(shuffled, fc.boolean(), ([numbers, keys], weighted) => {
        const list = numbers.map((n) => ({ text: `10.0.0.${n}:80/TCP`, weight: weighted ? (n % 3) + 1 : 1 }));
        const other = list.map((backend) => ({ backend, key: keys.next().value as number }));
        other.sort((x, y) => x.key - y.key);
        assert.deepEqual(
          owners(
            other.map(({ backend }) => backend),
            1009,
          ),
          owners(list, 1009),
        );
      }),
      { numRuns: 40 },
    );
  });

  test("removing one of ten moves few entries that were not its own", () => {
    const list = backends(10);
    const before = owners(list, 10007);
    for (const gone of list) {
      const after = owners(
        list.filter((backend) => backend !== gone),
        10007,
      );
      const moved = before.filter((text, i) => text !== gone.text && after[i] !== text).length;
      assert.ok(moved < 10007 * 0.1, `${gone.text} gone: ${moved} of 10007 moved needlessly`);
    }
  });

  test("another seed gives another table", () => {
    const list = backends(10);
    const same = owners(list, 1009, 1).filter((text, i) => text === owners(list, 1009, 2)[i]);
    assert.ok(same.length < 1009 / 4);
  });

  test("calls do not disturb each other's results", () => {
    const list = backends(3);
    const first = maglevTable({ seed: SEED, size: 503, backends: list });
    const copy = Uint16Array.from(first);
    maglevTable({ seed: SEED, size: 5003, backends: backends(40) });
    assert.deepEqual(first, copy);
  });

  const refused = [
    { name: "no backends", size: 101, count: 0 },
    { name: "more backends than an entry can name", size: 500_009, count: MAGLEV_BACKENDS_MAX + 1 },
    { name: "a size that is not in the list", size: 1000, count: 3 },
    { name: "size zero", size: 0, count: 3 },
  ];
  for (const row of refused) {
    test(`refuses ${row.name}`, () => {
      assert.throws(() => maglevTable({ seed: SEED, size: row.size, backends: backends(row.count) }), RangeError);
    });
  }
});
