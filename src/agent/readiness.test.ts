import assert from "node:assert/strict";
import { test } from "node:test";
import { waitingFor } from "./readiness.ts";

const failed = { state: "failed", message: "Cannot write the map", attempts: 1, retryAt: 0 } as const;

const rows = [
  {
    what: "that has read nothing waits for its objects",
    objectsRead: false,
    convergence: { state: "done" },
    found: "the objects have not been read yet",
  },
  {
    what: "that does not know its peers yet is not settled",
    objectsRead: true,
    convergence: { state: "pending" },
    found: "the datapath is not settled yet",
  },
  { what: "whose last pass failed says why", objectsRead: true, convergence: failed, found: "Cannot write the map" },
  { what: "that has done a pass is ready", objectsRead: true, convergence: { state: "done" }, found: undefined },
] as const;

for (const { what, objectsRead, convergence, found } of rows) {
  test(`an agent ${what}`, () => assert.equal(waitingFor({ objectsRead, convergence }), found));
}
