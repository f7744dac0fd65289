import assert from "node:assert/strict";
import { test } from "node:test";
import { formatMac, parseMac } from "./mac.ts";

test("parseMac reads what ip prints, in either case", () => {
  assert.deepEqual(parseMac("02:00:5e:10:00:Ff"), Uint8Array.of(2, 0, 0x5e, 0x10, 0, 0xff));
});

for (const text of [
  "",
  "02:00:5e:10:00",
  "02:00:5e:10:00:01:02",
  "2:0:5e:10:0:1",
  "02-00-5e-10-00-01",
  "02:00:5e:10:00:0g",
  " 02:00:5e:10:00:01",
]) {
  test(`parseMac refuses ${JSON.stringify(text)}`, () => assert.equal(parseMac(text), undefined));
}

test("formatMac is the reverse", () =>
  assert.equal(formatMac(Uint8Array.of(2, 0, 0x5e, 0x10, 0, 0xff)), "02:00:5e:10:00:ff"));
