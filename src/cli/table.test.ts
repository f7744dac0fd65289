import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters, styleText } from "node:util";
import { paintFor, renderTable, type Column } from "./table.ts";
import type { World } from "./world.ts";

const plain = (_: unknown, text: string): string => text;

test("columns are as wide as the widest of forty thousand rows, wherever it stands", () => {
  const rows = Array.from({ length: 40_000 }, (_, number) => number);
  const last = "the widest of all";
  const columns: readonly Column<number>[] = [
    { title: "NAME", cell: (row) => (row === rows.length - 1 ? last : `row-${row}`) },
    { title: "NUMBER", align: "right", cell: String },
    { title: "TEXT", cell: () => "x" },
  ];
  const lines = renderTable(columns, rows, plain).split("\n");
  assert.equal(lines.length, rows.length + 2);
  assert.equal(lines.pop(), "");
  const ends = new Set(lines.slice(1).map((line) => line.length));
  assert.deepEqual([...ends], [`${last}   NUMBER   x`.length]);
  assert.equal(lines[0], "NAME                NUMBER   TEXT");
  assert.equal(lines[1], "row-0                    0   x");
  assert.equal(lines.at(-1), "the widest of all    39999   x");
});

const CELLS: readonly { readonly what: string; readonly cells: readonly string[]; readonly table: string }[] = [
  { what: "a wide character takes two places", cells: ["宽", "b"], table: "A    B\n宽   b\n" },
  { what: "a combining mark takes none", cells: ["e\u0301", "b"], table: "A   B\ne\u0301   b\n" },
  { what: "an empty cell is a dash", cells: ["", "b"], table: "A   B\n-   b\n" },
  {
    what: "a line of a cell may be empty",
    cells: ["one\n\nthree", "1\n2\n3\n4"],
    table: "A       B\none     1\n        2\nthree   3\n        4\n",
  },
];

for (const { what, cells, table } of CELLS) {
  test(`in a table ${what}`, () => {
    const columns = ["A", "B"].map((title, index) => ({ title, cell: () => cells[index] ?? "" }));
    assert.equal(renderTable(columns, [0], plain), table);
  });
}

test("a colour ends with each line of a cell, and begins anew in the next", () => {
  const paint = paintFor({ stdout: { isTTY: true }, env: {} } as unknown as World);
  const columns: readonly Column<number>[] = [
    { title: "A", cell: (_, how) => how("red", "first\nsecond") },
    { title: "B", cell: () => "plain\nplain" },
  ];
  const drawn = renderTable(columns, [0], paint);
  const red = (text: string): string => styleText("red", text, { validateStream: false });
  assert.equal(drawn, `A        B\n${red("first")}    plain\n${red("second")}   plain\n`);
  assert.equal(stripVTControlCharacters(drawn), "A        B\nfirst    plain\nsecond   plain\n");
});
