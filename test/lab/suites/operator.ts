/** What the operator's commands say about a running lab is what its clients see; and what the local API answers to anything else. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { waitFor } from "../../../lab/wait.ts";
import { fairlead, type Run } from "../../../src/cli/agent.fixture.ts";
import type { FlowRow, MonitorEvent, ServiceRow, StatusDocument } from "../../../src/observe/status.ts";
import type { DefineTest, TestLab } from "../harness.ts";

const NODE = "worker1";

interface Numbers {
  readonly pods: number;
  /** On the node that is asked. */
  readonly here: number;
  readonly services: number;
  readonly dualStack: number;
  readonly other: string;
}

const COMMANDS: readonly { readonly line: string; readonly shows: RegExp | ((numbers: Numbers) => RegExp) }[] = [
  {
    line: "services",
    shows: ({ pods, here }) =>
      new RegExp(
        `^default/metallb1-cluster +192\\.168\\.10\\.\\d+ +18081/TCP → 8080 +Cluster +maglev +${pods} \\(${here} here\\)`,
        "m",
      ),
  },
  { line: "nodes", shows: ({ other }) => new RegExp(`^${other} +192\\.168\\.10\\.20\\d +alive +\\d+s +\\d+ms$`, "m") },
  {
    line: "pools",
    shows: ({ services, dualStack }) =>
      new RegExp(
        `^metallb-system/demo-pool +192\\.168\\.10\\.0/24 +yes +no +${services} of 261 +${dualStack} of 16$`,
        "m",
      ),
  },
  {
    line: "bpf lb list",
    shows: /^default\/metallb1-cluster +\d+ +192\.168\.10\.\d+:18081\/TCP +\d+ +- +\d+: 10\.244\./m,
  },
  { line: "bpf backends list", shows: /^ *\d+ +10\.244\.1\.\d+:8080 +- +active +yes +\d+$/m },
  { line: "version", shows: /^agent +\d+\.\d+\.\d+ on worker1$/m },
];

export function testCommands(it: DefineTest): void {
  for (const { line, shows } of COMMANDS) {
    it(`${line}: a table for people, the same in JSON for programs`, async (lab) => {
      const drawn = await ask(lab, line);
      assert.deepEqual({ code: drawn.code, stderr: drawn.stderr }, { code: 0, stderr: "" });
      assert.match(drawn.stdout, shows instanceof RegExp ? shows : shows(await numbersOf(lab)));
      const json = await ask(lab, `${line} -o json`);
      assert.ok(JSON.stringify(JSON.parse(json.stdout)).length > 50, json.stdout);
    });
  }

  it("status: the node is well, its device runs XDP in the driver, and the exit status says so", async (lab) => {
    const { code, stdout } = await ask(lab, "status");
    assert.match(stdout, /^Node +worker1\nAgent +\S+, up \S+, ready\nPeers +[1-9]\n/);
    assert.match(stdout, /^ {2}eth0 +\S+ +native +yes +192\.168\.10\.202/m);
    assert.equal(code, 0);
  });

  it("services: the announcer it names is the node that answers the client", async (lab) => {
    const address = await lab.address("metallb1-cluster");
    // Nodes that have just started wait for each other before they announce.
    await waitFor("the command and the client to agree", async () => {
      const rows = await parsed<readonly ServiceRow[]>(lab, "services -o json");
      const said = rows.find((each) => each.name === "metallb1-cluster")?.announcer;
      return said !== undefined && said === (await lab.announcer(address, 18081)) ? said : undefined;
    });
  });

  it("bpf announced list: the address lies on exactly the announcer, and its answers are counted", async (lab) => {
    const address = await lab.address("metallb1-cluster");
    const announcer = await lab.announcer(address, 18081);
    for (const node of lab.nodes) {
      const { stdout } = await ask(lab, "bpf announced list", node);
      assert.equal(
        new RegExp(`^${address} +eth0 +[1-9]\\d* +[1-9]\\d*$`, "m").test(stdout),
        node === announcer,
        stdout,
      );
    }
  });

  it("bpf ct list: a connection has two rows, which lead to the pod that answered and back to the client", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    const result = await lab.ask({ protocol: "HTTP", address, port: 80 });
    const client = lab.hostAddress(lab.client, "IPv4");
    const flows = await parsed<readonly FlowRow[]>(lab, "bpf ct list --limit 0 -o json", announcer);
    const there = flows.filter((flow) => flow.source === client && flow.toDestination === result.pod_ip);
    const back = flows.filter((flow) => flow.source === result.pod_ip && flow.toDestination === client);
    assert.ok(there.some((flow) => flow.destination === address && flow.service === "default/dual-stack"));
    assert.ok(back.some((flow) => flow.toSource === address && flow.toSourcePort === 80));
  });

  it("monitor and bpf drops list: a refused connection is seen as it happens, and counted", async (lab) => {
    const address = await lab.address("dual-stack");
    const announcer = await lab.announcer(address, 80);
    let seen: Run | undefined;
    void ask(lab, "monitor --flows 0 --count 1 -o json", announcer).then((run) => (seen = run));
    const { stdout } = await waitFor("the refusal in the monitor", async () => {
      await lab.requests({ protocol: "TCP", address, port: 81, count: 1, timeoutMilliseconds: 300 });
      return seen;
    });
    const event = JSON.parse(stdout) as MonitorEvent;
    assert.equal(event.verdict, "rejected_unknown_port");
    assert.deepEqual(
      [event.source, event.destination, event.destinationPort],
      [lab.hostAddress(lab.client, "IPv4"), address, 81],
    );
    const drops = await ask(lab, "bpf drops list", announcer);
    assert.equal(drops.stderr, "");
    assert.match(drops.stdout, /^rejected_unknown_port +default\/dual-stack +[1-9]/m);
  });

  it("/metrics has every metric of the agent that docs/metrics.md lists", async (lab) => {
    const { stdout } = await curl(lab, "/metrics");
    const text = await readFile(new URL("../../../docs/metrics.md", import.meta.url), "utf8");
    const agents = text.slice(text.indexOf("## Agent"), text.indexOf("## Controller"));
    const names = [...agents.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1] ?? "");
    assert.ok(names.length > 10, agents);
    assert.deepEqual(
      names.filter((name) => !stdout.includes(`\n# TYPE ${name} `)),
      [],
    );
    assert.match(stdout, /^fairlead_packets_total\{verdict="answered_probe"\} [1-9]/m);
  });

  const REQUESTS = [
    {
      name: "a path that does not exist",
      request: "GET /v2/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
      answer: /^HTTP\/1\.1 404 .*\{"error":"nothing at \/v2\/status/s,
    },
    {
      name: "a method that would write",
      request: "DELETE /v1/services HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
      answer: /^HTTP\/1\.1 405 .*\{"error":"DELETE is not allowed/s,
    },
    {
      name: "a name that every object has",
      request: "GET constructor HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
      answer: /^HTTP\/1\.1 40[04] /,
    },
    {
      name: "a sampling that is no number",
      request: "GET /v1/monitor?flows=-1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
      answer: /^HTTP\/1\.1 400 .*whole numbers/s,
    },
    {
      name: "a limit that is no number",
      request: "GET /v1/bpf/ct?limit=many HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
      answer: /^HTTP\/1\.1 (200|400) /,
    },
    { name: "bytes that are no HTTP", request: "\x00\xff\x16\x03\x01 what\r\n\r\n", answer: /^HTTP\/1\.1 400 / },
    {
      name: "a header without end",
      request: `GET /v1/status HTTP/1.1\r\nx: ${"y".repeat(100_000)}`,
      answer: /^HTTP\/1\.1 431 /,
    },
  ] as const;

  for (const { name, request, answer } of REQUESTS) {
    it(`the API: ${name} has a defined answer, and the agent goes on`, async (lab) => {
      assert.match(await send(lab.lab.paths.socket(NODE), request), answer);
      const { node, ready } = await parsed<StatusDocument>(lab, "status -o json");
      assert.deepEqual({ node, ready }, { node: NODE, ready: true });
    });
  }

  it("an agent that was killed is not reachable, and is again when it is back", async (lab) => {
    await lab.cluster.keepAgentAway(NODE);
    await lab.fault(NODE, "agent-kill");
    const dead = await waitFor("the socket to be closed", async () => {
      const run = await ask(lab, "status");
      return run.stderr.includes("worker1.sock: nobody listens there. The agent that made this socket has ended")
        ? run
        : undefined;
    });
    assert.equal(dead.code, 3);
    await lab.fault(NODE, "agent-start");
    await lab.settle();
    assert.equal((await ask(lab, "status")).code, 0);
  });
}

export function testCleanup(it: DefineTest): void {
  it("cleanup refuses while the agent runs, and takes programs and maps away when it has stopped", async (lab) => {
    const refused = await lab.cluster.cleanup(NODE);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /its agent runs\. Stop it first/);
    assert.match(await device(lab), /prog\/xdp/);

    assert.equal((await ask(lab, "node drain")).code, 0);
    assert.equal(await lab.cluster.hasLeft(NODE, "drain"), true);
    await lab.fault(NODE, "agent-stop");
    assert.match(await device(lab), /prog\/xdp/, "the datapath outlives the agent");
    for (const again of ["at first", "and once more"]) {
      const { code, stdout } = await lab.cluster.cleanup(NODE);
      assert.equal(code, 0, again);
      assert.match(stdout, /^Nothing of the datapath of worker1 is left/, again);
    }
    assert.doesNotMatch(await device(lab), /prog\/xdp/);
    assert.equal(await lab.cluster.hasLeft(NODE, "maps"), false);
    assert.equal(await lab.cluster.hasLeft(NODE, "drain"), false, "what agents remembered is forgotten");
    await lab.fault(NODE, "agent-start");
    await lab.settle();
  });
}

async function numbersOf(lab: TestLab): Promise<Numbers> {
  const pods = await lab.pods();
  const addresses = (await lab.services()).flatMap((service) => service.addresses);
  const fromPool = addresses.filter((address) => /^192\.168\.(9|10)\./.test(address));
  return {
    pods: pods.length,
    here: pods.filter(({ node }) => node === NODE).length,
    services: fromPool.length,
    dualStack: addresses.filter((address) => address.includes(":")).length,
    other: lab.nodes.find((node) => node !== NODE) ?? "",
  };
}

async function device(lab: TestLab): Promise<string> {
  return (await lab.exec(NODE, "ip", "-details", "link", "show", "dev", "eth0")).stdout;
}

/** One command about a node of the lab. */
function ask(lab: TestLab, line: string, node = NODE): Promise<Run> {
  return fairlead(`${line} --socket ${lab.lab.paths.socket(node)}`, { answerTimeoutMilliseconds: 5000 });
}

async function parsed<T>(lab: TestLab, line: string, node = NODE): Promise<T> {
  const { code, stdout, stderr } = await fairlead(`${line} --socket ${lab.lab.paths.socket(node)}`, {
    answerTimeoutMilliseconds: 5000,
  });
  assert.equal(stderr, "", `${line}: ${code}`);
  return JSON.parse(stdout) as T;
}

function curl(lab: TestLab, path: string): Promise<{ readonly stdout: string }> {
  return lab.exec(NODE, "curl", "-s", "--unix-socket", lab.lab.paths.socket(NODE), `http://fairlead${path}`);
}

/** Everything that comes back until the other side hangs up. */
async function send(path: string, request: string): Promise<string> {
  const socket = createConnection({ path });
  socket.write(Buffer.from(request, "latin1"));
  let answer = "";
  try {
    for await (const chunk of socket.setEncoding("utf8") as AsyncIterable<string>) answer += chunk;
  } catch (error) {
    // Hanging up on a request that is still being written is a reset; what was answered before it counts.
    if (answer === "") throw error;
  }
  return answer;
}
