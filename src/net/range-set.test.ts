import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, type Address } from "./address.ts";
import { formatRange, parseRange, type Range } from "./range.ts";
import { intersectRanges, joinRanges, rangesOfAddresses, subtractRanges } from "./range-set.ts";

function range(text: string): Range {
  const parsed = parseRange(text);
  assert.ok(parsed.ok, text);
  return parsed.range;
}

const set = (...texts: readonly string[]): readonly Range[] => joinRanges(texts.map(range));
const text = (ranges: readonly Range[]): readonly string[] => ranges.map(formatRange);

test("ranges that touch or overlap are joined, families and gaps are not", () => {
  assert.deepEqual(
    text(set("fc00::/127", "10.0.0.4/31", "10.0.0.0/31", "10.0.0.2/31", "10.0.0.1-10.0.0.2", "10.0.0.9/32")),
    ["10.0.0.0-10.0.0.5", "10.0.0.9/32", "fc00::/127"],
  );
});

test("addresses become as few ranges as there are stretches", () => {
  const addresses = [3n, 1n, 2n, 7n, 2n].map((value): Address => ({ family: "IPv4", value }));
  assert.deepEqual(text(rangesOfAddresses(addresses)), ["0.0.0.1-0.0.0.3", "0.0.0.7/32"]);
});

const subtractions = [
  { name: "nothing", from: ["10.0.0.0/30"], what: [], left: ["10.0.0.0/30"] },
  { name: "all", from: ["10.0.0.0/30"], what: ["10.0.0.0/24"], left: [] },
  { name: "the first", from: ["10.0.0.0/30"], what: ["10.0.0.0/32"], left: ["10.0.0.1-10.0.0.3"] },
  { name: "the last", from: ["10.0.0.0/30"], what: ["10.0.0.3/32"], left: ["10.0.0.0-10.0.0.2"] },
  { name: "the middle", from: ["10.0.0.0/30"], what: ["10.0.0.1-10.0.0.2"], left: ["10.0.0.0/32", "10.0.0.3/32"] },
  {
    name: "a hole over two ranges",
    from: ["10.0.0.0/30", "10.0.1.0/30"],
    what: ["10.0.0.3-10.0.1.0"],
    left: ["10.0.0.0-10.0.0.2", "10.0.1.1-10.0.1.3"],
  },
  { name: "another family", from: ["10.0.0.0/30", "fc00::/127"], what: ["::/0"], left: ["10.0.0.0/30"] },
];

for (const row of subtractions)
  test(`subtracting ${row.name}`, () => {
    assert.deepEqual(text(subtractRanges(set(...row.from), set(...row.what))), row.left);
  });

test("sets of ranges behave as sets of addresses", () => {
  const small = fc
    .array(fc.tuple(fc.constantFrom("IPv4", "IPv6"), fc.nat(40), fc.nat(6)), { maxLength: 8 })
    .map((list) =>
      joinRanges(
        list.map(([family, first, size]): Range => ({ family, first: BigInt(first), last: BigInt(first + size) })),
      ),
    );
  const members = (ranges: readonly Range[]): Set<string> => {
    const found = new Set<string>();
    for (const { family, first, last } of ranges)
      for (let value = first; value <= last; value += 1n) found.add(formatAddress({ family, value }));
    return found;
  };
  fc.assert(
    fc.property(small, small, (a, b) => {
      assert.deepEqual(members(subtractRanges(a, b)), members(a).difference(members(b)));
      assert.deepEqual(members(intersectRanges(a, b)), members(a).intersection(members(b)));
      assert.deepEqual(joinRanges(subtractRanges(a, b)), subtractRanges(a, b));
    }),
  );
});
