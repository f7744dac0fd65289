import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { RestartMemory } from "./driver.ts";

const folder = mkdtempSync(join(tmpdir(), "fl-memory-"));
after(() => rmSync(folder, { recursive: true }));

test("the next run knows whose peers keep routes, of all runs before, until the speaker leaves", () => {
  const file = join(folder, "bgp.json");
  const first = new RestartMemory(file);
  assert.deepEqual([...first.restarting], []);
  first.remember("b");
  assert.deepEqual([...first.restarting], [], "this run began without them");
  new RestartMemory(file).remember("a");
  assert.deepEqual([...new RestartMemory(file).restarting], ["a", "b"]);
  new RestartMemory(file).forget();
  assert.deepEqual([...new RestartMemory(file).restarting], []);
});

test("a file that says something else is a first start; one that cannot be written is a problem, not an end", () => {
  const file = join(folder, "odd.json");
  for (const text of ["", "[]", '{"sessions": 5}', "null"]) {
    writeFileSync(file, text);
    assert.deepEqual([...new RestartMemory(file).restarting], []);
  }
  const memory = new RestartMemory(join(folder, "nowhere/bgp.json"));
  memory.remember("a");
  assert.match(memory.problem ?? "", /Cannot remember the session for a restart: ENOENT/);
});
