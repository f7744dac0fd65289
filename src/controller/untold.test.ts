import assert from "node:assert/strict";
import { test } from "node:test";
import { UntoldEvents } from "./untold.ts";

const event = (reason: string): Parameters<UntoldEvents["add"]>[0] => {
  const regarding = { kind: "Service", namespace: "default", name: "web" };
  return { type: "event", write: { regarding, type: "Normal", reason, message: "" } };
};
const reasons = (operations: readonly { readonly write: { readonly reason: string } }[]): readonly string[] =>
  operations.map(({ write }) => write.reason);

test("events that could not be told are tried again, in their order, and not twice", () => {
  const untold = new UntoldEvents();
  untold.add(event("A"), "no right", 0);
  untold.add(event("B"), "no way", 1);
  assert.equal(untold.failure, "no way");
  assert.deepEqual(reasons(untold.take(2)), ["A", "B"]);
  assert.deepEqual([untold.failure, untold.take(3)], [undefined, []]);
});

test("an event that fails again and again is forgotten ten minutes after it happened", () => {
  const untold = new UntoldEvents();
  untold.add(event("A"), "no right", 0);
  for (const now of [200_000, 400_000, 599_999])
    for (const operation of untold.take(now)) untold.add(operation, "no right", now);
  assert.equal(untold.failure, "no right");
  assert.deepEqual(untold.take(600_000), []);
});

test("of too many events that could not be told the oldest are forgotten", () => {
  const untold = new UntoldEvents();
  for (let n = 0; n < 250; n += 1) untold.add(event(String(n)), "no right", n);
  const kept = reasons(untold.take(250));
  assert.deepEqual([kept.length, kept[0], kept.at(-1)], [200, "50", "249"]);
});
