import assert from "node:assert/strict";
import { test } from "node:test";
import { clipped, dated } from "./conditions.ts";

const NOW = new Date("2026-01-01T00:00:00Z");

test("a message that quotes a huge annotation is cut, one that is as long as may be is not", () => {
  const condition = { type: "fairlead.io/Valid", status: "False", reason: "X", message: "x".repeat(250_000) } as const;
  assert.equal(dated(condition, [], NOW).message.length, 1024);
  assert.ok(dated(condition, [], NOW).message.endsWith("x…"));
  assert.equal(clipped("x".repeat(1024)), "x".repeat(1024));
  assert.equal(clipped("x".repeat(1025)).length, 1024);
});
