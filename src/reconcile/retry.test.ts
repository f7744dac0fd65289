import assert from "node:assert/strict";
import { test } from "node:test";
import { failed, RETRY, type Convergence } from "./retry.ts";

const limits = { firstMs: 100, longestMs: 1000 };

function failTimes(count: number, random: number): number[] {
  let state: Convergence = { state: "pending" };
  return Array.from({ length: count }, () => {
    const next = failed(state, "Cannot write", { now: 5000, random, limits });
    state = next;
    return next.retryAt - 5000;
  });
}

test("pauses double from the first to the longest", () => {
  assert.deepEqual(failTimes(6, 0.5), [100, 200, 400, 800, 1000, 1000]);
});

test("jitter spreads a pause by a quarter to both sides", () => {
  assert.deepEqual(failTimes(1, 0), [75]);
  assert.deepEqual(failTimes(1, 0.999), [125]);
});

test("a success starts the count again", () => {
  assert.equal(failed({ state: "done" }, "Cannot write", { now: 0, random: 0 }).attempts, 1);
});

test("a thousand failures in a row do not overflow the pause", () => {
  const state: Convergence = { state: "failed", message: "", attempts: 5000, retryAt: 0 };
  assert.equal(failed(state, "Cannot write", { now: 0, random: 0.5 }).retryAt, RETRY.longestMs);
});

test("even the shortest first pause outlasts the quarantine of freed rows", () => {
  assert.ok(failed({ state: "done" }, "Cannot write", { now: 0, random: 0 }).retryAt >= 1000);
});
