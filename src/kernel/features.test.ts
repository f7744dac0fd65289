import assert from "node:assert/strict";
import { test } from "node:test";
import { missingFeatures, versionAtLeast } from "./features.ts";

for (const { release, enough } of [
  { release: "6.7.0", enough: true },
  { release: "6.18.44-fc", enough: true },
  { release: "6.70", enough: true },
  { release: "7.0.0-rc1", enough: true },
  { release: "6.6.99", enough: false },
  { release: "6.1.0-18-amd64", enough: false },
  { release: "5.19.0", enough: false },
  { release: "Linux", enough: false },
  { release: "", enough: false },
]) {
  test(`a kernel that calls itself "${release}" is ${enough ? "new enough" : "too old"}`, () => {
    assert.equal(versionAtLeast(release, [6, 7]), enough);
  });
}

test("the kernel that runs these tests lacks nothing", () => {
  assert.deepEqual(missingFeatures(), []);
});
