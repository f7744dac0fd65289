/** `fairlead lab …` as somebody types it. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { takeDown } from "../../lab/lab.ts";
import type { LabStatus } from "../../lab/observe.ts";
import { listPrograms, sameProcess } from "../../lab/programs.ts";
import { pathsOf } from "../../lab/run-directory.ts";
import { waitFor } from "../../lab/wait.ts";
import { traces, uniqueName } from "./harness.ts";

const FAIRLEAD = join(import.meta.dirname, "../../bin/fairlead");

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function lab(...words: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(FAIRLEAD, ["lab", ...words], (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe("fairlead lab up in the foreground", () => {
  const names: string[] = [];
  after(async () => {
    for (const name of names) await takeDown(name);
  });

  /** Runs until its table is there. */
  async function run(): Promise<{
    readonly child: ChildProcess;
    readonly name: string;
    readonly output: () => string;
    readonly ended: Promise<number | null>;
  }> {
    const name = uniqueName();
    names.push(name);
    const child = spawn(FAIRLEAD, ["lab", "up", "--without-agents", "--name", name], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    await waitFor("the live table", () => (/^NODE +STATE/m.test(text) ? true : undefined));
    return { child, name, output: () => text, ended };
  }

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`draws the scene, says what it does, and removes everything on ${signal}`, async () => {
      const { child, name, output, ended } = await run();
      assert.match(output(), /├── worker1 +eth0 +192\.168\.10\.202\/24/);
      assert.match(output(), /Starting 6 pods/);
      assert.ok(!output().includes("\x1b"), "escape sequences although it is not a terminal");
      assert.ok((await traces(name)).length > 11);
      child.kill(signal);
      assert.equal(await ended, 0);
      assert.deepEqual(await traces(name), []);
    });
  }

  test("ends when somebody takes its lab down", async () => {
    const { name, ended } = await run();
    const down = await lab("down", "--name", name);
    assert.deepEqual(down, { status: 0, stdout: `Lab "${name}" is down\n`, stderr: "" });
    assert.equal(await ended, 0);
    assert.deepEqual(await traces(name), []);
  });

  test("that was killed leaves what the next start removes, whatever that starts", async () => {
    const killed = await run();
    const programs = await listPrograms(pathsOf(killed.name).programs);
    assert.ok(programs.length >= 7);
    killed.child.kill("SIGKILL");
    await killed.ended;
    assert.ok((await traces(killed.name)).length > 11);
    const next = await run();
    assert.match(next.output(), new RegExp(`Removed what a killed run of lab "${killed.name}" left`));
    assert.deepEqual(await traces(killed.name), []);
    for (const program of programs) assert.equal(await sameProcess(program), false, program.program);
    next.child.kill("SIGTERM");
    await next.ended;
  });
});

describe("a detached lab", () => {
  const name = uniqueName();
  const named = ["--name", name];
  before(async () => {
    const up = await lab("up", "l2", "--without-agents", "--detach", ...named);
    assert.equal(up.status, 0, up.stderr);
    assert.match(up.stdout, new RegExp(`Lab "${name}" is up`));
  });
  after(() => takeDown(name));

  test("has a status for people and one for programs", async () => {
    const text = await lab("status", ...named);
    assert.match(text.stdout, /^web-1 +pod +up +10\.244\.0\.2\/32 fd00:10:244::2\/128 +server \d+$/m);
    const document = JSON.parse((await lab("status", "-o", "json", ...named)).stdout) as LabStatus;
    assert.equal(document.name, name);
    assert.equal(document.detached, true);
    assert.deepEqual(document.services.map((each) => each.name).toSorted(), [
      "at-random",
      "datagrams",
      "dual-stack",
      "local-only",
      "metallb1-cluster",
    ]);
    assert.ok(document.hosts.every((each) => each.programs.every((program) => program.state === "running")));
  });

  test("runs commands on its hosts, with their output and their exit status", async () => {
    const answer = await lab("exec", ...named, "client", "--", "curl", "-s", "http://10.244.1.2:8080/");
    assert.equal((JSON.parse(answer.stdout) as { pod_name: string }).pod_name, "web-3");
    assert.equal((await lab("exec", ...named, "web-1", "--", "sh", "-c", "exit 7")).status, 7);
    const socket = await lab("exec", ...named, "worker1", "--", "sh", "-c", "echo $FAIRLEAD_SOCKET");
    assert.equal(socket.stdout, `${pathsOf(name).socket("worker1")}\n`);
  });

  test("captures packets as pcap", async () => {
    const child = spawn(
      "sh",
      ["-c", `${FAIRLEAD} lab capture ${named.join(" ")} lan br0 tcp port 8080 | tcpdump -n -l -r - -c 1`],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    const closed = new Promise((resolve) => child.once("close", resolve));
    let [packets, messages] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (packets += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (messages += chunk));
    await waitFor("the capture to listen", () => (messages.includes("listening on br0") ? true : undefined));
    await lab("exec", ...named, "client", "--", "curl", "-s", "http://10.244.1.2:8080/");
    await waitFor("a packet", () => (packets.includes("192.168.10.250") ? true : undefined));
    assert.match(packets, /IP 192\.168\.10\.250\.\d+ > 10\.244\.1\.2\.8080: Flags \[S\]/);
    await lab("exec", ...named, "client", "--", "curl", "-s", "http://10.244.1.2:8080/"); // The reader is gone: the capture notices at its next packet.
    await closed;
  });

  test("shows a node that was switched off", async () => {
    assert.equal((await lab("fault", ...named, "worker1", "node-down")).stdout, "worker1: node-down\n");
    const document = JSON.parse((await lab("status", "-o", "json", ...named)).stdout) as LabStatus;
    assert.deepEqual(
      document.hosts.filter((each) => each.state === "down").map((each) => each.name),
      ["worker1", "web-3", "web-4"],
    );
    assert.equal((await lab("fault", ...named, "worker1", "node-up")).status, 0);
  });

  const mistakes = [
    {
      name: "a second lab of the same name",
      words: ["up", "l2", "--without-agents", "--detach", ...named],
      says: /already up: "fairlead lab down --name/,
    },
    {
      name: "a host that is not there",
      words: ["exec", ...named, "worker9", "--", "true"],
      says: /has no host "worker9" \(there are: lan, client,/,
    },
    {
      name: "a fault that is not one",
      words: ["fault", ...named, "worker1", "explode"],
      says: /Expected one of agent-kill, agent-stop/,
    },
    {
      name: "a device that is not there",
      words: ["capture", ...named, "worker1", "eth7"],
      says: /worker1 has no device "eth7" \(there are: eth0,/,
    },
    {
      name: "a scene that is not there",
      words: ["up", "l3"],
      says: /l3: No built-in scene has this name \(there are: .*\bl2\b/,
    },
    {
      name: "a lab that is not up",
      words: ["status", "--name", "nosuchlab"],
      says: /No lab "nosuchlab" is up: "fairlead lab up" brings one up/,
    },
    {
      name: "a lab name with a dash",
      words: ["up", "--name", "my-lab"],
      says: /up to 20 lower-case letters and digits, without dashes/,
    },
  ] as const;
  for (const { name: title, words, says } of mistakes) {
    test(`${title}: says what is wrong, without a stack trace`, async () => {
      const outcome = await lab(...words);
      assert.notEqual(outcome.status, 0);
      assert.match(outcome.stderr, says);
      assert.ok(!/^\s+at /m.test(outcome.stderr), outcome.stderr);
    });
  }

  test("a scene file of one's own works by its path, and its mistakes are shown with their path in it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "fl-scene-"));
    const file = join(folder, "mine.yaml");
    await writeFile(
      file,
      "name: mine\nsegments: [lan]\nhosts:\n  - { name: a, role: clinet, interfaces: [{ on: lam }] }\n",
    );
    const outcome = await lab("up", file);
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /mine\.yaml: hosts\[0\]\.role: /);
    await rm(folder, { recursive: true });
  });
});
