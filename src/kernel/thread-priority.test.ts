import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

/** Field 41 of /proc/PID/stat (proc(5)): 0 ordinary, 2 SCHED_RR. */
function policies(): readonly number[] {
  return readdirSync("/proc/self/task").map((thread) => {
    const text = readFileSync(`/proc/self/task/${thread}/stat`, "utf8");
    return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[38]);
  });
}

test("a thread of a process without CAP_SYS_NICE goes on as it was, and says so", () => {
  const url = new URL("thread-priority.ts", import.meta.url).href;
  const code = `import(${JSON.stringify(url)}).then((m) => process.stdout.write(m.runThreadBeforeOthers()))`;
  const words = ["--bounding-set=-sys_nice", "--inh-caps=-sys_nice", process.execPath, "--eval", code];
  assert.equal(execFileSync("setpriv", words, { encoding: "utf8" }), "ordinary");
});

test("a thread that runs before others is the one that asked, and no other", async () => {
  assert.ok(policies().every((policy) => policy === 0));
  const url = new URL("thread-priority.ts", import.meta.url).href;
  const code = `
    const { parentPort } = require("node:worker_threads");
    import(${JSON.stringify(url)}).then(({ runThreadBeforeOthers }) => {
      parentPort.postMessage(runThreadBeforeOthers());
      parentPort.once("message", () => parentPort.close());
    });`;
  const worker = new Worker(code, { eval: true });
  const [answer] = await new Promise<unknown[]>((resolve) => worker.once("message", (...all) => resolve(all)));
  assert.equal(answer, "realTime");
  assert.deepEqual(
    policies().filter((policy) => policy !== 0),
    [2],
  );
  worker.postMessage("done");
  await new Promise((resolve) => worker.once("exit", resolve));
});
