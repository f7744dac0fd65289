import assert from "node:assert/strict";
import { test } from "node:test";
import type { Request, Response } from "../source/kubernetes/connection.ts";
import { keepMembershipSecret } from "./membership-secret.ts";

const log = { info: () => {} };

async function madeKey(): Promise<string> {
  let key = "";
  const request = async ({ method, body }: Request): Promise<Response> => {
    if (method === "GET") return { status: 404, retryAfterSeconds: undefined, body: {} };
    key = (body as { readonly data: { readonly secretkey: string } }).data.secretkey;
    return { status: 201, retryAfterSeconds: undefined, body: {} };
  };
  const options = { connection: { request }, namespace: "lb", name: "s", log, onProblem: () => {} };
  await keepMembershipSecret(options, new AbortController().signal);
  return Buffer.from(key, "base64").toString("utf8");
}

test("the agents' key is text, long, and never the same twice", async () => {
  const key = await madeKey();
  assert.match(key, /^[A-Za-z0-9+/]{128}$/);
  assert.notEqual(await madeKey(), key);
});

test("a key that cannot be made ends with the controller, and is told of", async () => {
  const stop = new AbortController();
  const told: string[] = [];
  const request = async (): Promise<Response> => ({ status: 403, retryAfterSeconds: undefined, body: {} });
  const onProblem = (message: string | undefined): void => {
    told.push(message ?? "");
    stop.abort();
  };
  await keepMembershipSecret({ connection: { request }, namespace: "lb", name: "s", log, onProblem }, stop.signal);
  assert.match(told.join(), /^Cannot make the agents' key, Secret s: .*403/);
});
