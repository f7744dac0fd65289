import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "../../time/instant.ts";
import { LEAVING_MILLISECONDS, stepLeaving, type Leaving } from "./leaving.ts";

/** What becomes of a node that is or is not excluded at these moments. */
function walk(...steps: readonly (readonly [atMilliseconds: number, excluded: boolean])[]): readonly string[] {
  let now: Leaving | undefined;
  return steps.map(([at, excluded]) => (now = stepLeaving(now, excluded, instant(at))).state);
}

test("a node that becomes excluded leaves for a while and is gone then, however often it is looked at", () => {
  assert.deepEqual(walk([0, false], [10, true], [LEAVING_MILLISECONDS, true], [LEAVING_MILLISECONDS + 10, true]), [
    "announcing",
    "leaving",
    "leaving",
    "gone",
  ]);
});
test("a node that is excluded from the start has nothing to leave", () => {
  assert.deepEqual(walk([0, true], [10, true]), ["gone", "gone"]);
});
test("a node that is not excluded any more announces at once, and leaves anew the next time", () => {
  assert.deepEqual(
    walk([0, false], [10, true], [20, false], [9000, true], [9010, true], [99_000, true], [99_001, false]),
    ["announcing", "leaving", "announcing", "leaving", "leaving", "gone", "announcing"],
  );
});
