import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { documents } from "./documents.fixture.ts";
import { fairlead, serveDocuments } from "./agent.fixture.ts";

test("the only socket in the run folder is the agent's", async () => {
  await using agent = await serveDocuments(documents);
  const { code } = await fairlead("nodes", { runFolder: agent.folder });
  assert.equal(code, 0);
  assert.deepEqual(agent.asked, ["/v1/nodes"]);
});

test("--socket goes before FAIRLEAD_SOCKET, and that before the run folder", async () => {
  await using byOption = await serveDocuments(documents);
  await using byEnvironment = await serveDocuments(documents);
  await using byFolder = await serveDocuments(documents);
  const around = { env: { FAIRLEAD_SOCKET: byEnvironment.socket }, runFolder: byFolder.folder };
  await fairlead(`nodes --socket ${byOption.socket}`, around);
  await fairlead("pools", around);
  await fairlead("services", { ...around, env: { FAIRLEAD_SOCKET: "" } });
  assert.deepEqual(
    [byOption.asked, byEnvironment.asked, byFolder.asked],
    [["/v1/nodes"], ["/v1/pools"], ["/v1/services"]],
  );
});

test("no socket anywhere is an agent that is not reachable", async () => {
  const { code, stderr } = await fairlead("nodes", { runFolder: "/nonexistent/run" });
  assert.equal(code, 3);
  assert.match(stderr, /^Cannot find an agent: no socket in \/nonexistent\/run\. Start one with `fairlead agent`/);
});

test("of several sockets none is guessed: all are listed", async () => {
  await using run = await runFolderWith(["worker2.sock", "worker1.sock", "notes.txt"]);
  const { code, stderr } = await fairlead("nodes", { runFolder: run.path });
  assert.equal(code, 2);
  assert.equal(
    stderr,
    `Several agents run here, choose one with --socket:\n  ${run.path}/worker1.sock\n  ${run.path}/worker2.sock\n`,
  );
});

test("a lab's agents are offered, not chosen", async () => {
  await using run = await runFolderWith(["lab/l2/worker1.sock"]);
  const { code, stderr } = await fairlead("nodes", { runFolder: run.path });
  assert.equal(code, 2);
  assert.match(stderr, /Only a lab's agents run here.*\n {2}.*\/lab\/l2\/worker1\.sock\n$/);
});

interface Folder extends AsyncDisposable {
  readonly path: string;
}

async function runFolderWith(names: readonly string[]): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "fl-run-"));
  for (const name of names) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), "");
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
