import assert from "node:assert/strict";
import { test } from "node:test";
import type { Response } from "../source/kubernetes/connection.ts";
import { isRemoved } from "./removal.ts";

const rows: readonly {
  readonly what: string;
  readonly answer: Partial<Response> | Error;
  readonly removed: boolean;
}[] = [
  { what: "whose DaemonSet is there comes back", answer: { status: 200, body: { metadata: {} } }, removed: false },
  {
    what: "whose DaemonSet is being deleted does not",
    answer: { status: 200, body: { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } } },
    removed: true,
  },
  { what: "whose DaemonSet is gone does not", answer: { status: 404, body: {} }, removed: true },
  { what: "that may not ask comes back", answer: { status: 403, body: { message: "forbidden" } }, removed: false },
  { what: "that gets garbage for an answer comes back", answer: { status: 200, body: "nonsense" }, removed: false },
  { what: "without an API server comes back", answer: new Error("connect ECONNREFUSED"), removed: false },
];

for (const { what, answer, removed } of rows) {
  test(`a stopped agent ${what}`, async () => {
    const asked: string[] = [];
    const connection = {
      request: async ({ method, path }: { readonly method: string; readonly path: string }): Promise<Response> => {
        asked.push(`${method} ${path}`);
        if (answer instanceof Error) throw answer;
        return { retryAfterSeconds: undefined, status: 0, body: undefined, ...answer };
      },
      watch: () => assert.fail(),
      close: () => {},
    };
    const logged: unknown[] = [];
    const found = await isRemoved({ connection, namespace: "lb" }, "agents", (event) => void logged.push(event));
    assert.equal(found, removed);
    assert.deepEqual(asked, ["GET /apis/apps/v1/namespaces/lb/daemonsets/agents"]);
    const nobodyKnows = answer instanceof Error || answer.status === 403 || typeof answer.body === "string";
    assert.deepEqual(logged, nobodyKnows ? ["problem"] : []);
  });
}

test("a stopped agent that is of no DaemonSet comes back, and asks nobody", async () => {
  const connection = { request: () => assert.fail(), watch: () => assert.fail(), close: () => {} };
  assert.equal(await isRemoved({ connection, namespace: "lb" }, undefined, () => {}), false);
  assert.equal(await isRemoved(undefined, "agents", () => {}), false);
});
