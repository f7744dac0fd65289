import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address } from "./address.ts";
import { formatPrefix } from "./prefix.ts";
import {
  formatRange,
  parseRange,
  prefixesOfRange,
  rangeContains,
  rangeOfPrefix,
  rangeSize,
  rangesOverlap,
  type Range,
} from "./range.ts";

function range(text: string): Range {
  const parsed = parseRange(text);
  assert.ok(parsed.ok, text);
  return parsed.range;
}

const accepted = [
  { text: "192.168.10.0/24", size: 256n, canonical: "192.168.10.0/24" },
  { text: "192.168.10.77/24", size: 256n, canonical: "192.168.10.0/24" },
  { text: "192.168.9.1-192.168.9.5", size: 5n, canonical: "192.168.9.1-192.168.9.5" },
  { text: "  192.168.9.1 -\t192.168.9.5 ", size: 5n, canonical: "192.168.9.1-192.168.9.5" },
  { text: "10.0.0.0-10.0.0.255", size: 256n, canonical: "10.0.0.0/24" },
  { text: "10.0.0.1-10.0.0.1", size: 1n, canonical: "10.0.0.1/32" },
  { text: "fc00:f853:0ccd:e799::/124", size: 16n, canonical: "fc00:f853:ccd:e799::/124" },
  { text: "fc00::1-fc00::1:0", size: 65536n, canonical: "fc00::1-fc00::1:0" },
  { text: "::ffff:10.0.0.1-10.0.0.2", size: 2n, canonical: "10.0.0.1-10.0.0.2" },
  { text: "::/0", size: 1n << 128n, canonical: "::/0" },
  { text: "0.0.0.0-255.255.255.255", size: 1n << 32n, canonical: "0.0.0.0/0" },
];

for (const row of accepted) {
  test(`range ${JSON.stringify(row.text)} holds ${row.size} addresses`, () => {
    assert.equal(rangeSize(range(row.text)), row.size);
    assert.equal(formatRange(range(row.text)), row.canonical);
  });
}

const refused = [
  { text: "", fault: '"" is neither a CIDR nor a range start-end' },
  { text: "10.0.0.1", fault: '"10.0.0.1" is neither a CIDR nor a range start-end; for one address write 10.0.0.1/32' },
  { text: "fc00::1", fault: '"fc00::1" is neither a CIDR nor a range start-end; for one address write fc00::1/128' },
  { text: " 10.0.0.0/24", fault: '" 10.0.0.0/24" is neither a CIDR nor a range start-end' },
  { text: "10.0.0.0/33", fault: '"10.0.0.0/33" is neither a CIDR nor a range start-end' },
  { text: "10.0.0.9-10.0.0.1", fault: "range 10.0.0.9-10.0.0.1 ends before it starts" },
  { text: "fc00::9-fc00::1", fault: "range fc00::9-fc00::1 ends before it starts" },
  { text: "10.0.0.1-fc00::1", fault: "range 10.0.0.1-fc00::1 starts in IPv4 and ends in IPv6" },
  { text: "::1-10.0.0.1", fault: "range ::1-10.0.0.1 starts in IPv6 and ends in IPv4" },
  { text: "-", fault: 'range start "" is not an IP address' },
  { text: "10.0.0.1-", fault: 'range end "" is not an IP address' },
  { text: "-10.0.0.1", fault: 'range start "" is not an IP address' },
  { text: "10.0.0.1-10.0.0.2-10.0.0.3", fault: 'range end "10.0.0.2-10.0.0.3" is not an IP address' },
  { text: "10.0.0.0/24-10.0.1.0/24", fault: 'range start "10.0.0.0/24" is not an IP address' },
  { text: "10.0.0.1-20", fault: 'range end "20" is not an IP address' },
  { text: "demo", fault: '"demo" is neither a CIDR nor a range start-end' },
  { text: "x".repeat(1000), fault: `"${"x".repeat(80)}…" is neither a CIDR nor a range start-end` },
];

for (const row of refused) {
  test(`range ${JSON.stringify(row.text.slice(0, 40))} is refused with its reason`, () => {
    assert.deepEqual(parseRange(row.text), { ok: false, fault: row.fault });
  });
}

test("range 3.3.3.2-3.3.3.254 is the thirteen prefixes MetalLB makes of it", () => {
  const lengths = prefixesOfRange(range("3.3.3.2-3.3.3.254")).map((p) => p.length);
  assert.deepEqual(lengths, [31, 30, 29, 28, 27, 26, 26, 27, 28, 29, 30, 31, 32]);
});

test("range contains its ends and nothing of the other family", () => {
  const r = range("0.0.0.5-0.0.0.9");
  for (const inside of ["0.0.0.5", "0.0.0.9"]) assert.equal(rangeContains(r, address(inside)), true);
  for (const outside of ["0.0.0.4", "0.0.0.10", "::5"]) assert.equal(rangeContains(r, address(outside)), false);
});

const pairs = [
  { a: "10.0.0.0/24", b: "10.0.0.255-10.0.1.3", overlap: true },
  { a: "10.0.0.0/8", b: "10.9.0.0/16", overlap: true },
  { a: "10.0.0.0/24", b: "10.0.0.0/24", overlap: true },
  { a: "10.0.0.0/24", b: "10.0.1.0/24", overlap: false },
  { a: "0.0.0.0/0", b: "::/0", overlap: false },
];

for (const row of pairs) {
  test(`ranges ${row.a} and ${row.b} ${row.overlap ? "overlap" : "are apart"}, whichever comes first`, () => {
    assert.equal(rangesOverlap(range(row.a), range(row.b)), row.overlap);
    assert.equal(rangesOverlap(range(row.b), range(row.a)), row.overlap);
  });
}

test("prefixes of a range cover it without gap or overlap", () => {
  const value = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), fc.bigInt({ min: 0n, max: 300n }));
  fc.assert(
    fc.property(value, value, (a, b) => {
      const r: Range = { family: "IPv6", first: a < b ? a : b, last: a < b ? b : a };
      let next = r.first;
      for (const prefix of prefixesOfRange(r)) {
        const part = rangeOfPrefix(prefix);
        assert.equal(part.first, next, formatPrefix(prefix));
        next = part.last + 1n;
      }
      assert.equal(next, r.last + 1n);
    }),
  );
});

test("range from any text is a range or a fault, never an exception", () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0123456789abcdef:./- ") }));
  fc.assert(
    fc.property(text, (t) => {
      const parsed = parseRange(t);
      if (parsed.ok) assert.ok(parsed.range.first <= parsed.range.last);
      else assert.notEqual(parsed.fault, "");
    }),
  );
});
