/** BFD's thread and the priority that the kernel gives it: without CAP_SYS_NICE it runs all the same, and says what it is. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const DRIVER = new URL("../../src/protocol/bfd/driver.ts", import.meta.url).href;
/** Starts the worker and prints its priority once it has told. */
const CODE = `
  import(${JSON.stringify(DRIVER)}).then(async ({ startBfd }) => {
    const bfd = startBfd();
    while (bfd.view().priority === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    process.stdout.write(bfd.view().priority);
    await bfd.stop({ type: "silent" });
  });
`;

for (const [what, words, expected] of [
  ["with every capability", [], "realTime"],
  ["without CAP_SYS_NICE", ["--bounding-set=-sys_nice", "--inh-caps=-sys_nice"], "ordinary"],
] as const)
  test(`BFD ${what} runs, and its thread is ${expected}`, () => {
    const command = [...words, process.execPath, "--disable-warning=ExperimentalWarning", "--eval", CODE];
    assert.equal(execFileSync("setpriv", command, { encoding: "utf8" }), expected);
  });
