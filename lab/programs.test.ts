import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import {
  listPrograms,
  ownIdentity,
  readStartTime,
  sameProcess,
  signalProgram,
  startProgram,
  waitForEnd,
} from "./programs.ts";

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "fl-programs-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

describe("a process is recognized by pid and start time", () => {
  test("this one is the same as itself", async () => {
    assert.equal(await sameProcess(await ownIdentity()), true);
  });
  test("a pid that was given to somebody else is not the same process, and gets no signal", async (t) => {
    const child = spawn("sleep", ["60"]);
    t.after(() => child.kill("SIGKILL"));
    const startTime = await readStartTime(child.pid ?? 0);
    assert.ok(startTime !== undefined);
    const earlier = { pid: child.pid ?? 0, startTime: String(Number(startTime) - 1) };
    assert.equal(await sameProcess(earlier), false);
    assert.equal(await signalProgram(earlier, "SIGKILL"), "gone");
    assert.equal(await sameProcess({ ...earlier, startTime }), true);
  });
  test("a process that has ended but is not collected yet has ended", async (t) => {
    // The shell's child becomes a zombie: the shell that would collect it was replaced by a sleep.
    const child = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
    t.after(() => child.kill("SIGKILL"));
    const pid = await new Promise<number>((resolve) =>
      child.stdout.once("data", (data: Buffer) => resolve(Number(data.toString()))),
    );
    const deadline = performance.now() + 5000;
    while ((await readStartTime(pid)) !== undefined)
      assert.ok(performance.now() < deadline, "the zombie still counts as a process");
  });
  test("a pid that nobody has is not a process", async () => {
    assert.equal(await readStartTime(2 ** 22 + 1), undefined);
  });
});

describe("a program of a lab", () => {
  test("is remembered, writes its log, and ends with a signal", async (t) => {
    const folder = await temporaryFolder(t);
    const started = await startProgram(folder, {
      host: "h",
      program: "p",
      namespace: undefined,
      command: ["sleep", "60"],
      log: join(folder, "../fl-test.log"),
    });
    t.after(() => rm(join(folder, "../fl-test.log"), { force: true }));
    assert.deepEqual(await listPrograms(folder), [started]);
    assert.equal(await signalProgram(started, "SIGTERM"), "sent");
    assert.equal(await waitForEnd(started, 5000), "ended");
    assert.equal(await signalProgram(started, "SIGTERM"), "gone");
  });
  test("that cannot be started says why", async (t) => {
    const folder = await temporaryFolder(t);
    await assert.rejects(
      startProgram(folder, {
        host: "h",
        program: "p",
        namespace: undefined,
        command: ["/no/such/program"],
        log: join(folder, "log"),
      }),
      /ENOENT/,
    );
  });
  test("whose record was cut off in the middle is left out", async (t) => {
    const folder = await temporaryFolder(t);
    await writeFile(join(folder, "h.p"), '{"host":"h","pro');
    await writeFile(join(folder, "h.q"), '{"host":"h","program":"q","pid":0,"startTime":"1"}');
    assert.deepEqual(await listPrograms(folder), []);
  });
});
