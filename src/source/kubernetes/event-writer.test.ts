import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventWrite } from "../source.ts";
import type { Request, Response } from "./connection.ts";
import { EventWriter } from "./event-writer.ts";

function event(name: string): EventWrite {
  const regarding = { kind: "Service", namespace: "default", name };
  return { regarding, type: "Normal", reason: "IPAllocated", message: "Assigned IP" };
}

test("of thousands of events a few are under way at a time, in their order, and one that fails takes none with it", async () => {
  const asked: string[] = [];
  let underWay = 0;
  let most = 0;
  const request = async ({ body }: Request): Promise<Response> => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
    const { name } = (body as { regarding: { name: string } }).regarding;
    asked.push(name);
    const answer = name === "s3" ? { status: 403, body: { message: "not yours" } } : { status: 201, body: {} };
    return { ...answer, retryAfterSeconds: undefined };
  };
  const writer = new EventWriter({ request }, "fairlead-controller", "test");
  const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
  const outcomes = await Promise.allSettled(names.map((name) => writer.write(event(name), 0)));
  assert.deepEqual(asked, names);
  assert.equal(most, 2);
  const failed = outcomes.flatMap((outcome, i) => (outcome.status === "rejected" ? [[names[i], String(outcome.reason)]] : [])); // prettier-ignore
  assert.deepEqual(failed, [["s3", "Error: not yours (403); give this program the role that is made for it"]]);
});
