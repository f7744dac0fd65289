import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, endpoint } from "./words.ts";

const DURATIONS: readonly (readonly [seconds: number, text: string])[] = [
  [-5, "0s"],
  [0, "0s"],
  [0.99, "0s"],
  [59.9, "59s"],
  [60, "1m0s"],
  [3599, "59m59s"],
  [3600, "1h0m"],
  [86_399, "23h59m"],
  [86_400, "1d0h"],
  [1_000_000, "11d13h"],
];

for (const [seconds, text] of DURATIONS) {
  test(`${seconds} seconds are written ${text}`, () => assert.equal(duration(seconds), text));
}

test("an IPv6 address with a port is bracketed, an IPv4 address is not", () => {
  assert.equal(endpoint("::1", 80), "[::1]:80");
  assert.equal(endpoint("192.0.2.1", 80), "192.0.2.1:80");
});
