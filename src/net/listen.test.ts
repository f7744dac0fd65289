import assert from "node:assert/strict";
import { test } from "node:test";
import { parseListen } from "./listen.ts";

const READ = [
  { text: "127.0.0.1:7957", host: "127.0.0.1", port: 7957 },
  { text: "[::1]:7957", host: "::1", port: 7957 },
  { text: "localhost:1", host: "localhost", port: 1 },
  { text: ":65535", host: "::", port: 65535 },
  { text: "127.0.0.1:0", host: "127.0.0.1", port: 0 },
];

for (const { text, ...expected } of READ) {
  test(`${text} is read`, () => assert.deepEqual(parseListen(text), expected));
}

const REFUSED = [
  "",
  "7957",
  "127.0.0.1",
  "host:",
  "host:65536",
  "host:123456",
  "host:12x",
  "::1:7957",
  "[::1]",
  "[]:1",
  "[x]:1",
  "a]:1",
  "a:b",
];

for (const text of REFUSED) {
  test(`${JSON.stringify(text)} is refused`, () => assert.equal(parseListen(text), undefined));
}
