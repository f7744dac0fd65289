import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { refusalOf } from "./writer.ts";

describe("what an API server refuses to write is told", () => {
  const rows: readonly { name: string; status: number; body: unknown; says: RegExp }[] = [
    {
      name: "a kind that it does not have",
      status: 404,
      body: "404 page not found\n",
      says: /^the API server does not know this kind \(404\); install/,
    },
    {
      name: "a kind that it does not have in this version",
      status: 404,
      body: { message: "the server could not find the requested resource" },
      says: /^the API server does not know this kind \(404\); install/,
    },
    {
      name: "an object that is gone",
      status: 404,
      body: { message: 'services "web" not found' },
      says: /^it is gone \(404 services "web" not found\)$/,
    },
    { name: "a role that is missing", status: 403, body: { message: "forbidden" }, says: /^forbidden \(403\); give/ },
    { name: "a conflict", status: 409, body: { message: "m" }, says: /decided about again \(409 m\)$/ },
    { name: "anything else", status: 500, body: undefined, says: /^the API server answers 500: $/ },
  ];
  for (const { name, status, body, says } of rows)
    test(name, () => assert.match(refusalOf({ status, body } as Parameters<typeof refusalOf>[0]), says));
});
