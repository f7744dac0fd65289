import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RequestResult } from "./requester.ts";
import { answersPerPod, gapAround } from "./requests.ts";

const ok = (sentAt: number, took = 1, pod_name = "p"): RequestResult => ({
  sentAt,
  doneAt: sentAt + took,
  ok: true,
  pod_name,
});
const failed = (sentAt: number, took = 500): RequestResult => ({
  sentAt,
  doneAt: sentAt + took,
  ok: false,
  error: "timeout",
});

describe("the gap around a moment", () => {
  test("is from the last answer before it to the first one after the failures", () => {
    const gap = gapAround([ok(980), ok(990), failed(1000), failed(1100), ok(1300, 5), ok(1310)], 995);
    assert.equal(gap?.milliseconds, 1305 - 991);
    assert.equal(gap?.lost, 2);
    assert.deepEqual(
      gap?.after.map((each) => each.sentAt),
      [1300, 1310],
    );
  });
  test("is not over because of an answer that was under way when it began", () => {
    const gap = gapAround([ok(980), ok(996), failed(1000), ok(1300)], 995);
    assert.equal(gap?.after[0]?.sentAt, 1300);
  });
  test("ends with the first answer in time, not with the first request that was answered late", () => {
    const gap = gapAround([ok(980), failed(1000), ok(1010, 1000), ok(1300, 2)], 995);
    assert.equal(gap?.milliseconds, 1302 - 981);
  });
  test("is the longest, not the first short one while the lights go out", () => {
    const gap = gapAround([ok(980), failed(1000), ok(1010), failed(1020), failed(1030), ok(1600), ok(1610)], 995);
    assert.equal(gap?.milliseconds, 1601 - 1011);
    assert.deepEqual(
      gap?.after.map((each) => each.sentAt),
      [1600, 1610],
    );
  });
  test("shows failures after its end", () => {
    const gap = gapAround([ok(980), failed(1000), ok(1300), failed(1310), ok(1320)], 995);
    assert.deepEqual(
      gap?.after.map((each) => each.ok),
      [true, false, true],
    );
  });
  test("is small when nothing failed", () => {
    assert.deepEqual(gapAround([ok(980), ok(1000)], 995)?.lost, 0);
  });
  test("is unknown while nothing was answered after the moment", () => {
    assert.equal(gapAround([ok(980), failed(1000)], 995), undefined);
  });
  test("is unknown when nothing was answered before", () => {
    assert.equal(gapAround([failed(980), ok(1000)], 995), undefined);
    assert.equal(gapAround([], 995), undefined);
  });
});

test("answers are counted by pod, failures by none", () => {
  assert.deepEqual(
    [...answersPerPod([ok(1, 1, "a"), ok(2, 1, "b"), ok(3, 1, "a"), failed(4)])],
    [
      ["a", 2],
      ["b", 1],
    ],
  );
});
