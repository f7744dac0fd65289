import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fairlead } from "./agent.fixture.ts";

const BIN = join(import.meta.dirname, "../../bin");

async function offered(line: string): Promise<readonly string[]> {
  const { code, stdout, stderr } = await fairlead(`__complete -- ${line}`, {});
  assert.deepEqual([code, stderr], [0, ""]);
  return stdout
    .split("\n")
    .filter((text) => text !== "")
    .map((text) => text.split("\t")[0] ?? "");
}

// The last word is the one that is being typed; the fixture cuts at blanks, so an empty one is tried through the shell below.
const ROWS: readonly (readonly [line: string, offered: readonly string[]])[] = [
  ["st", ["status"]],
  ["n", ["nodes", "node"]],
  ["frobnicate", []],
  ["bgp pe", ["peers"]],
  ["bpf lb li", ["list"]],
  ["node d", ["drain"]],
  ["services --outp", ["--output"]],
  ["services -o y", ["yaml"]],
  ["services --output j", ["json"]],
  ["services --output=json --so", ["--socket"]],
  ["services --socket st", []],
  ["lab exec client -- st", []],
  ["status services", []],
];
for (const [line, expected] of ROWS)
  test(`after "${line}" comes ${expected.join(", ") || "nothing of ours"}`, async () =>
    assert.deepEqual(await offered(line), expected));

test("what is offered is told in a line", async () => {
  const { stdout } = await fairlead("__complete -- mon");
  assert.equal(stdout, "monitor\tdrops and sampled packets, live\n");
});

test("a cluster offers what it has: no lab, no agent", async () => {
  const { stdout } = await fairlead("__complete -- a", { cluster: true });
  assert.equal(stdout, "");
  assert.match((await fairlead("__complete -- e", { cluster: true })).stdout, /^explain\t/);
});

test("completion of a shell that is none is refused with those there are", async () => {
  const { code, stderr } = await fairlead("completion tcsh");
  assert.deepEqual([code, stderr], [2, 'No completion for "tcsh": there is one for bash, zsh, fish\n']);
});

/** As bash calls it when Tab is pressed; the last word may be empty. */
function inBash(...words: readonly string[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), "fl-completion-"));
  try {
    writeFileSync(join(folder, "complete"), execFileSync(join(BIN, "fairlead"), ["completion", "bash"]));
    symlinkSync(join(BIN, "fairlead"), join(folder, "fairlead"));
    const script = `source ${folder}/complete; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fairlead; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { ...process.env, PATH: `${folder}:${process.env["PATH"] ?? ""}` };
    const text = execFileSync("bash", ["-c", script, "-", ...words], { encoding: "utf8", env });
    return text.split("\n").filter((line) => line !== "");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("bash gets the commands, those below one, and nothing where a file may be meant", () => {
  assert.ok(inBash("fairlead", "").includes("status"));
  assert.deepEqual(inBash("fairlead", "bpf", ""), ["lb", "ct", "backends", "announced", "drops", "help"]);
  assert.deepEqual(inBash("fairlead", "config", "check", "/et"), []);
});

test("kubectl's own completion gets the plug-in's words, and that there are no files among them", () => {
  const text = execFileSync(join(BIN, "kubectl_complete-fairlead"), ["bgp", "rou"], { encoding: "utf8" });
  assert.match(text, /^routes\t[^\n]+\n:4\n$/);
});
