import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatDuration, parseDuration } from "./duration.ts";

const accepted = [
  { text: "90s", milliseconds: 90_000 },
  { text: "1m30s", milliseconds: 90_000 },
  { text: "1.5h", milliseconds: 5_400_000 },
  { text: "1h0m0s", milliseconds: 3_600_000 },
  { text: "500ms", milliseconds: 500 },
  { text: ".5s", milliseconds: 500 },
  { text: "5.s", milliseconds: 5000 },
  { text: "250us", milliseconds: 0.25 },
  { text: "250\u00b5s", milliseconds: 0.25 },
  { text: "1000000ns", milliseconds: 1 },
  { text: "0", milliseconds: 0 },
  { text: "0s", milliseconds: 0 },
  { text: "-3s", milliseconds: -3000 },
  { text: "+3s", milliseconds: 3000 },
];

for (const row of accepted) {
  test(`duration ${row.text} is ${row.milliseconds} ms`, () => {
    assert.equal(parseDuration(row.text), row.milliseconds);
  });
}

const refused = [
  "",
  "90",
  "s",
  "1 s",
  "1d",
  "1s ",
  "-",
  ".s",
  "1e3s",
  "0x1s",
  "1m30",
  "NaNs",
  "9999999999h",
  "1s".repeat(40),
];

for (const text of refused) {
  test(`duration ${JSON.stringify(text)} is refused`, () => {
    assert.equal(parseDuration(text), undefined);
  });
}

test("duration printed is read back as what it was", () => {
  fc.assert(
    fc.property(fc.integer({ min: -1e12, max: 1e12 }), (milliseconds) => {
      assert.equal(parseDuration(formatDuration(milliseconds)), milliseconds);
    }),
  );
});

test("durations print as Go prints them", () => {
  assert.deepEqual([0, 90, 1500, 90_000, 3_600_000, -3000].map(formatDuration), [
    "0s",
    "90ms",
    "1.5s",
    "1m30s",
    "1h0m0s",
    "-3s",
  ]);
});
