import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, parseAddress } from "./address.ts";
import { formatPrefix, lastOfPrefix, parsePrefix, prefixContains, prefixOf } from "./prefix.ts";

const accepted = [
  { text: "192.168.10.0/24", canonical: "192.168.10.0/24" },
  { text: "192.168.10.100/24", canonical: "192.168.10.0/24" },
  { text: "0.0.0.0/0", canonical: "0.0.0.0/0" },
  { text: "1.2.3.4/32", canonical: "1.2.3.4/32" },
  { text: "fc00:f853:0ccd:e799::/124", canonical: "fc00:f853:ccd:e799::/124" },
  { text: "fc00::f/124", canonical: "fc00::/124" },
  { text: "::/0", canonical: "::/0" },
];

for (const row of accepted) {
  test(`prefix ${row.text} is read as ${row.canonical}`, () => {
    const prefix = parsePrefix(row.text);
    assert.ok(prefix);
    assert.equal(formatPrefix(prefix), row.canonical);
  });
}

const refused = [
  { name: "a bare address", text: "1.2.3.4" },
  { name: "a bare IPv6 address", text: "fc00::1" },
  { name: "a leading blank", text: " 1.2.3.0/24" },
  { name: "a trailing blank", text: "1.2.3.0/24 " },
  { name: "a blank before the length", text: "1.2.3.0/ 24" },
  { name: "no length", text: "1.2.3.0/" },
  { name: "a negative length", text: "1.2.3.0/-1" },
  { name: "IPv4 longer than 32", text: "1.2.3.0/33" },
  { name: "IPv6 longer than 128", text: "fc00::/129" },
  { name: "two lengths", text: "1.2.3.0/24/24" },
  { name: "three parts", text: "1.2.3/24" },
  { name: "a leading zero in a part", text: "1.02.3.0/24" },
  { name: "a part above 255", text: "1.2.256.0/24" },
  { name: "an IPv4-mapped address", text: "::ffff:1.2.3.0/24" },
  { name: "a zone", text: "fe80::1%eth0/64" },
  { name: "a netmask", text: "1.2.3.0/255.255.255.0" },
  { name: "nothing", text: "" },
];

for (const row of refused) {
  test(`prefix with ${row.name} is refused`, () => assert.equal(parsePrefix(row.text), undefined));
}

test("prefix knows its last address and what it contains", () => {
  const prefix = prefixOf(address("10.1.2.3"), 23);
  assert.equal(formatPrefix(prefix), "10.1.2.0/23");
  assert.deepEqual(lastOfPrefix(prefix), address("10.1.3.255"));
  assert.equal(prefixContains(prefix, address("10.1.3.255")), true);
  assert.equal(prefixContains(prefix, address("10.1.4.0")), false);
  assert.equal(prefixContains(prefix, address("::a01:203")), false);
});

test("prefix of a length the family does not have throws", () => {
  assert.throws(() => prefixOf(address("10.0.0.1"), 33), RangeError);
  assert.throws(() => prefixOf(address("10.0.0.1"), -1), RangeError);
});

test("prefix text is read back as the same prefix", () => {
  const prefixes = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
  );
  fc.assert(
    fc.property(prefixes, ([text, length]) => {
      const parsed = parseAddress(text);
      assert.ok(parsed);
      fc.pre(parsed.family === "IPv6" || length <= 32);
      const prefix = prefixOf(parsed, length);
      // ::ffff:0:0/96 and what is inside print as IPv6 but are read as IPv4: refused on purpose.
      fc.pre(!formatPrefix(prefix).startsWith("::ffff:"));
      assert.deepEqual(parsePrefix(formatPrefix(prefix)), prefix);
      assert.equal(prefixContains(prefix, parsed), true);
    }),
  );
});
