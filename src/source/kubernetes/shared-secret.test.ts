import assert from "node:assert/strict";
import { test } from "node:test";
import type { Request, Response } from "./connection.ts";
import { ensureSharedSecret } from "./shared-secret.ts";

const rows: readonly {
  readonly what: string;
  /** Of GET, then of POST. */
  readonly answers: readonly number[];
  readonly found: "found" | "made" | RegExp;
}[] = [
  { what: "that is there stays as it is", answers: [200], found: "found" },
  { what: "that is not there is made", answers: [404, 201], found: "made" },
  { what: "that another replica made meanwhile is that one's", answers: [404, 409], found: "found" },
  { what: "that may not be read is a failure", answers: [403], found: /403/ },
  { what: "that may not be made is a failure", answers: [404, 403], found: /403/ },
];

for (const { what, answers, found } of rows) {
  test(`a shared Secret ${what}`, async () => {
    const asked: Request[] = [];
    const request = async (one: Request): Promise<Response> => {
      asked.push(one);
      return { status: answers[asked.length - 1] ?? assert.fail(), retryAfterSeconds: undefined, body: {} };
    };
    const make = (): Uint8Array => Buffer.from("key");
    const ensured = ensureSharedSecret({ connection: { request }, namespace: "lb", name: "s", key: "k", make });
    if (found instanceof RegExp) await assert.rejects(ensured, found);
    else assert.equal(await ensured, found);
    assert.equal(asked.length, answers.length);
    assert.equal(asked[0]?.path, "/api/v1/namespaces/lb/secrets/s");
    if (asked[1] === undefined) return;
    const { data } = asked[1].body as { readonly data: Readonly<Record<string, string>> };
    assert.deepEqual([asked[1].method, data], ["POST", { k: Buffer.from("key").toString("base64") }]);
  });
}
