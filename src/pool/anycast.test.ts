import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "../net/address.ts";
import { parseRange } from "../net/range.ts";
import { anycastIn, anycastOf, anycastWarning } from "./anycast.ts";

const RANGES: readonly (readonly [range: string, found: string | undefined])[] = [
  ["2001:db8:1::/64", "2001:db8:1::"],
  ["2001:db8:1::/124", "2001:db8:1::"],
  ["2001:db8:1::-2001:db8:1::9", "2001:db8:1::"],
  ["2001:db8::5-2001:db8:0:2::9", "2001:db8:0:1::"],
  ["2001:db8:1::1-2001:db8:1::9", undefined],
  ["2001:db8:1::10/124", undefined],
  ["2001:db8:1:0:8000::/65", undefined],
  ["ffff:ffff:ffff:ffff::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", undefined],
  ["192.0.2.0/24", undefined],
];
for (const [text, expected] of RANGES)
  test(`the first address of a /64 in ${text}: ${expected ?? "none"}`, () => {
    const parsed = parseRange(text);
    assert.ok(parsed.ok);
    const found = anycastIn(parsed.range);
    assert.equal(found && formatAddress(found), expected);
  });

const DEVICES: readonly (readonly [address: string, found: string | undefined])[] = [
  ["2001:db8::201/64", "2001:db8::"],
  ["2001:db8::201/120", "2001:db8::200"],
  ["2001:db8::/64", "2001:db8::"],
  ["2001:db8::201/126", "2001:db8::200"],
  ["2001:db8::201/127", undefined],
  ["2001:db8::201/128", undefined],
  ["192.0.2.1/24", undefined],
  ["nonsense", undefined],
];
for (const [text, expected] of DEVICES)
  test(`the routers' address of the network of ${text}: ${expected ?? "none"}`, () =>
    assert.equal(anycastOf(text), expected));

test("what is said of a pool names the address, and one to begin with", () => {
  const parsed = parseRange("2001:db8:1::/124");
  assert.ok(parsed.ok);
  assert.match(anycastWarning([parsed.range]) ?? "", /^2001:db8:1:: is the subnet-router .* begin with 2001:db8:1::1,/);
  assert.equal(anycastWarning([]), undefined);
});
