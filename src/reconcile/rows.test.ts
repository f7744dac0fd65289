import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { concatenate, planRows, type Row } from "./rows.ts";

function row(key: number, value: number): Row {
  return { key: Uint8Array.of(key, 0), value: Uint8Array.of(value) };
}

describe("planRows", () => {
  const cases = [
    { name: "nothing wanted, nothing found: no work", desired: [], actual: [], puts: [], removes: [] },
    { name: "a row that is there stays", desired: [row(1, 1)], actual: [row(1, 1)], puts: [], removes: [] },
    { name: "a missing row is put", desired: [row(1, 1)], actual: [], puts: [row(1, 1)], removes: [] },
    {
      name: "a row with another value is put",
      desired: [row(1, 2)],
      actual: [row(1, 1)],
      puts: [row(1, 2)],
      removes: [],
    },
    { name: "a row nobody wants is removed", desired: [], actual: [row(1, 1)], puts: [], removes: [row(1, 1).key] },
    {
      name: "a row wanted twice is put once, as wanted last",
      desired: [row(1, 1), row(1, 2)],
      actual: [],
      puts: [row(1, 2)],
      removes: [],
    },
  ];
  for (const { name, desired, actual, puts, removes } of cases) {
    test(name, () => assert.deepEqual(planRows(desired, actual), { puts, removes }));
  }

  test("a value whose difference does not count stays", () => {
    assert.deepEqual(
      planRows([row(1, 0)], [row(1, 9)], () => true),
      { puts: [], removes: [] },
    );
  });

  test("carried out, makes the rows found the rows wanted", () => {
    const rows = fc.uniqueArray(fc.record({ key: fc.nat({ max: 9 }), value: fc.nat({ max: 3 }) }), {
      selector: ({ key }) => key,
    });
    const asMap = (list: readonly Row[]): Map<string, string> =>
      new Map(list.map(({ key, value }) => [key.join(), value.join()]));
    fc.assert(
      fc.property(rows, rows, (a, b) => {
        const desired = a.map(({ key, value }) => row(key, value));
        const actual = b.map(({ key, value }) => row(key, value));
        const { puts, removes } = planRows(desired, actual);
        const result = asMap([...actual, ...puts]);
        for (const key of removes) result.delete(key.join());
        assert.deepEqual(result, asMap(desired));
        assert.deepEqual(planRows(desired, desired), { puts: [], removes: [] });
      }),
    );
  });
});

test("concatenate lays byte strings one behind the other", () => {
  assert.deepEqual(concatenate([Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)]), Uint8Array.of(1, 2, 3));
  assert.deepEqual(concatenate([]), new Uint8Array(0));
});
