import assert from "node:assert/strict";
import { link, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { documents } from "./documents.fixture.ts";
import { fairlead, serve, serveDocuments } from "./agent.fixture.ts";

test("a socket that does not exist is named, with what to do", async () => {
  const { code, stdout, stderr } = await fairlead("status --socket /nonexistent/agent.sock");
  assert.equal(code, 3);
  assert.equal(stdout, "");
  assert.equal(
    stderr,
    "Cannot reach the agent at /nonexistent/agent.sock: there is no such socket. " +
      "Is the agent running? Start it, or give another --socket\n",
  );
});

test("a socket that an ended agent left behind is told apart from a missing one", async () => {
  await using folder = await temporaryFolder();
  const socket = join(folder.path, "left.sock");
  await leaveSocketBehind(socket);
  const { code, stderr } = await fairlead(`nodes --socket ${socket}`);
  assert.equal(code, 3);
  assert.match(stderr, /left\.sock: nobody listens there\. The agent that made this socket has ended/);
});

test("a file that is no socket is not reachable", async () => {
  await using folder = await temporaryFolder();
  const socket = join(folder.path, "file.sock");
  await writeFile(socket, "");
  const { code, stderr } = await fairlead(`nodes --socket ${socket}`);
  assert.equal(code, 3);
  assert.match(stderr, /^Cannot reach the agent at .*file\.sock: /);
});

test("an agent that never answers is given up", async () => {
  await using agent = await serve(() => undefined);
  const { code, stderr } = await fairlead(`pools --socket ${agent.socket}`);
  assert.equal(code, 3);
  assert.match(stderr, /no answer within 200 ms/);
});

test("an agent that hangs up in the middle of its answer is not taken for an empty list", async () => {
  await using agent = await serve((_, response) => {
    response.writeHead(200, { "content-length": "1000" });
    response.write("[", () => response.destroy());
  });
  const { code, stdout, stderr } = await fairlead(`pools --socket ${agent.socket}`);
  assert.equal(code, 3);
  assert.equal(stdout, "");
  assert.match(stderr, /^Cannot reach the agent at /);
});

test("an error of the agent is shown with what was asked", async () => {
  await using agent = await serveDocuments({});
  const { code, stderr } = await fairlead(`bpf drops list --socket ${agent.socket}`);
  assert.equal(code, 1);
  assert.match(stderr, /answered \/v1\/bpf\/drops with 404: Nothing at/);
});

test("an answer that is not JSON is a failure, whatever its status", async () => {
  await using agent = await serve((_, response) => response.end("<html>"));
  const { code, stdout, stderr } = await fairlead(`nodes --socket ${agent.socket} -o json`);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /Cannot read \/v1\/nodes .* not JSON/);
});

test("the limit of connections is the agent's to keep", async () => {
  await using agent = await serveDocuments(documents);
  await fairlead(`bpf ct list --socket ${agent.socket}`);
  await fairlead(`bpf ct list --socket ${agent.socket} --limit 0`);
  assert.deepEqual(agent.asked, ["/v1/bpf/ct?limit=1000", "/v1/bpf/ct?limit=0"]);
});

interface Folder extends AsyncDisposable {
  readonly path: string;
}

async function temporaryFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), "fl-cli-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** As SIGKILL leaves it: node removes the file only on an orderly close, so the name is given to a second one first. */
async function leaveSocketBehind(path: string): Promise<void> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${path}.first`, resolve));
  await link(`${path}.first`, path);
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

test("what a peer or a manifest says does not steer the terminal", async () => {
  const message = "the router says: \u001b[2Jall is well\u0007";
  const status = { ...documents["/v1/status"], problems: [{ subject: "BGPPeer a/b", message }] };
  await using agent = await serveDocuments({ ...documents, "/v1/status": status });
  const shown = await fairlead(`status --socket ${agent.socket}`);
  assert.ok(shown.stdout.includes("the router says: \\x1b[2Jall is well\\x07"), shown.stdout);
  for (const format of ["json", "yaml"]) {
    const { stdout } = await fairlead(`status --socket ${agent.socket} -o ${format}`);
    assert.doesNotMatch(stdout, /(?!\n)\p{Cc}/u);
  }
  await using refusing = await serve((_, response) => {
    response.statusCode = 500;
    response.end("\u001b[2J");
  });
  assert.match((await fairlead(`status --socket ${refusing.socket}`)).stderr, /500: \\x1b\[2J/);
});
