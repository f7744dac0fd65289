import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "../../time/instant.ts";
import { forgotten } from "./dynamic.ts";

const MINUTE = 60_000;
const NOW = instant(60 * MINUTE);
const away = (minutes: number): { readonly connections: []; readonly since: typeof NOW } => ({
  connections: [],
  since: instant(NOW - minutes * MINUTE),
});

test("peers of a prefix are forgotten after ten minutes, and the one away longest at once where its place is wanted", () => {
  const siblings = [["p/a", away(1)], ["p/b", away(11)], ["p/c", away(3)]] as const; // prettier-ignore
  assert.deepEqual(forgotten(siblings, 100, NOW), ["p/b"]);
  assert.deepEqual(forgotten(siblings, 3, NOW), ["p/b"]);
  assert.deepEqual(forgotten(siblings, 2, NOW), ["p/b", "p/c"]);
  assert.deepEqual(forgotten([], 0, NOW), []);
});
