import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { BadRequest } from "../observe/api.ts";
import type { LogEvent } from "../observe/log.ts";
import { changeDrain, recallDrain, type DrainParts } from "./drain.ts";
import { initialState } from "./state.ts";
import { memoryMaps } from "./world.fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "fl-drain-"));
after(() => rmSync(folder, { recursive: true }));

let parts: DrainParts;
let logged: LogEvent[];
let passes: number;
let counter = 0;

beforeEach(() => {
  counter += 1;
  logged = [];
  passes = 0;
  parts = {
    state: initialState({ node: "me", version: "0", maps: memoryMaps() }),
    socket: join(folder, `${counter}.sock`),
    log: (event) => void logged.push(event),
    soon: () => void (passes += 1),
  };
});

test("a drain is kept for the next agent until it is ended; asking twice changes nothing", () => {
  assert.equal(recallDrain(parts.socket), undefined);
  const { draining, since, bgp } = changeDrain(parts, { draining: true });
  assert.deepEqual([draining, bgp, typeof since], [true, "starting", "string"]);
  assert.equal(changeDrain(parts, { draining: true }).since, since);
  assert.ok(recallDrain(parts.socket) instanceof Date);
  assert.equal(existsSync(`${parts.socket}.drain.new`), false);
  assert.equal(changeDrain(parts, { draining: false }).draining, false);
  assert.equal(recallDrain(parts.socket), undefined);
  assert.deepEqual([logged, passes], [["drained", "undrained"], 2]);
});

test("a body that says something else changes nothing", () => {
  for (const body of [null, "true", {}, { draining: "true" }, [true], 1])
    assert.throws(() => changeDrain(parts, body), BadRequest);
  assert.deepEqual([logged, passes, recallDrain(parts.socket)], [[], 0, undefined]);
});

test("a drain that cannot be kept is none", () => {
  const elsewhere = { ...parts, socket: join(folder, "missing", "a.sock") };
  assert.throws(() => changeDrain(elsewhere, { draining: true }), /ENOENT/);
  assert.equal(parts.state.drainedSince, undefined);
});
