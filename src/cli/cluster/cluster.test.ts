/** `kubectl fairlead`: the commands over a cluster, against an API server that carries requests to agents. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ENDED_TRAILER, type ApiDocuments, type MonitorEvent } from "../../observe/status.ts";
import { fairlead, type Run, type Surroundings } from "../agent.fixture.ts";
import { documents, troubledStatus } from "../documents.fixture.ts";
import { startCluster, type FakeAgent, type FakeCluster } from "./cluster.fixture.ts";

function kubectl(cluster: FakeCluster, line: string, around: Surroundings = {}): Promise<Run> {
  const env = { KUBECONFIG: cluster.kubeconfig, ...around.env };
  return fairlead(line, { ...around, cluster: true, env, answerTimeoutMilliseconds: 5000 });
}

function agent(node: string, changed: Partial<ApiDocuments> = {}): FakeAgent {
  const status = { ...documents["/v1/status"], node };
  return { node, documents: { ...documents, "/v1/status": status, ...changed } };
}

const healthy = (): readonly FakeAgent[] => ["worker2", "worker1"].map((node) => agent(node));

test("status is a row for each node, in the order of their names", async () => {
  await using cluster = await startCluster(healthy());
  const { code, stdout, stderr } = await kubectl(cluster, "status");
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  const lines = stdout.split("\n");
  assert.match(lines[0] ?? "", /^NODE +AGENT +STATE/);
  assert.match(lines[1] ?? "", /^worker1 +0\.1\.0 +ready +3m12s +2 +2 +1 +eth0: native/);
  assert.match(lines[3] ?? "", /^worker2 +0\.1\.0 +ready/);
});

test("what is wrong is told once with the nodes that say so, and makes the exit status 1", async () => {
  const troubled = (node: string): FakeAgent => agent(node, { "/v1/status": { ...troubledStatus, node } });
  await using cluster = await startCluster([troubled("worker1"), troubled("worker2"), agent("worker3")]);
  const { code, stdout } = await kubectl(cluster, "status");
  assert.equal(code, 1);
  assert.equal(stdout.match(/ends before it starts \(worker1, worker2\)/g)?.length, 1);
  assert.match(stdout, /shop\/cart: no address: no pool has a free address \(worker1, worker2\)/);
  assert.match(stdout, /ReversePathFilter eth1: clients .*; sysctl .* \(worker1, worker2\)/);
  assert.match(stdout, /GenericXDP \(advice\) eth0: it is slower/);
  assert.match(stdout, /worker1 +0\.1\.0 +not ready, isolated, stamp run out/);
});

test("a problem of any node is told before the advice of another", async () => {
  const hazards = [{ check: "MTU", level: "advice", subject: "eth0", message: "narrow", todo: "More." }] as const;
  const status = { ...documents["/v1/status"], node: "worker1", hazards };
  const troubled = agent("worker2", { "/v1/status": { ...troubledStatus, node: "worker2" } });
  await using cluster = await startCluster([agent("worker1", { "/v1/status": status }), troubled]);
  const { stdout } = await kubectl(cluster, "status");
  assert.match(stdout, /Hazards of nodes\n +ReversePathFilter [^]*\n +MTU \(advice\) eth0: narrow/);
});

test("an agent that does not answer is named, and the others are shown", async () => {
  const silent: FakeAgent = { node: "worker2", pod: { phase: "Pending" } };
  await using cluster = await startCluster([agent("worker1"), silent]);
  for (const line of ["status", "nodes", "services", "bpf lb list", "bgp peers"]) {
    const { code, stdout, stderr } = await kubectl(cluster, line);
    assert.equal(code, 3, line);
    assert.match(stdout, /worker1|default\/web/, line);
    assert.equal(stderr, "Cannot reach the agent on worker2: its pod agent-worker2 is Pending\n", line);
  }
});

test("when nobody answers, nothing is printed but why", async () => {
  await using cluster = await startCluster([{ node: "worker1", pod: { ports: [] } }]);
  const { code, stdout, stderr } = await kubectl(cluster, "status");
  assert.deepEqual({ code, stdout }, { code: 3, stdout: "" });
  assert.match(stderr, /pod agent-worker1 has no port "api": start it with --api-listen/);
});

test("lists have the node in front, in tables and in json", async () => {
  await using cluster = await startCluster(healthy());
  const { stdout } = await kubectl(cluster, "bpf announced list");
  assert.match(stdout, /^NODE +ADDRESS.*\nworker1 .*\nworker2 /);
  const rows = JSON.parse((await kubectl(cluster, "bpf drops list -o json")).stdout) as { readonly node: string }[];
  assert.deepEqual(new Set(rows.map(({ node }) => node)), new Set(["worker1", "worker2"]));
  const peers = JSON.parse((await kubectl(cluster, "bgp peers -o json")).stdout) as { readonly node: string }[];
  assert.ok(peers.length > 0 && peers.length % 2 === 0);
  assert.equal(peers[0]?.node, "worker1");
});

test("--node asks one agent, and prints what it would print itself", async () => {
  await using cluster = await startCluster(healthy());
  const { stdout } = await kubectl(cluster, "bpf ct list --node worker2 --limit 7");
  assert.match(stdout, /^PROTOCOL/);
  assert.deepEqual(
    cluster.asked.filter((each) => each.includes("/proxy/")),
    ["GET /api/v1/namespaces/metallb-system/pods/https:agent-worker2:7959/proxy/v1/bpf/ct?limit=7"],
  );
  assert.match((await kubectl(cluster, "status --node worker2")).stdout, /^Node +worker2\n/);
});

test("a node without an agent is a usage error that names those with one", async () => {
  await using cluster = await startCluster(healthy());
  const { code, stderr } = await kubectl(cluster, "status --node worker9");
  assert.equal(code, 2);
  assert.equal(stderr, 'No agent runs on a node called "worker9"; there are: worker1, worker2\n');
});

test("services are one list: the announcer's word counts, and who sees it otherwise is named", async () => {
  const [web, ...others] = documents["/v1/services"];
  assert.ok(web !== undefined);
  const without = { ...web, announceReason: "noInterface" };
  const { announcer: _, ...unannounced } = web;
  await using cluster = await startCluster([
    agent("worker1"),
    agent("worker2", { "/v1/services": [{ ...without, bgpPeers: ["router"] }, ...others] }),
    agent("worker3", { "/v1/services": [{ ...unannounced }, ...others] }),
    agent("worker4", { "/v1/services": others }),
  ]);
  const { stdout } = await kubectl(cluster, "services -o json");
  const rows = JSON.parse(stdout) as readonly Readonly<Record<string, unknown>>[];
  assert.equal(rows.length, documents["/v1/services"].length);
  const row = rows.find(({ name }) => name === "web");
  assert.equal(row?.["announceReason"], "noInterface");
  assert.deepEqual(row?.["bgp"], [{ node: "worker2", peers: ["router"] }]);
  const views = row?.["differently"] as readonly { readonly node: string; readonly sees: string }[];
  assert.deepEqual(
    views.map(({ node, sees }) => `${node}: ${sees}`),
    ["worker3: 192.168.10.0, fc00:f853:ccd:e799::f0; announced by nobody; 6 backends", "worker4: no such Service"],
  );
  assert.match((await kubectl(cluster, "services")).stdout, /worker4 sees: no such Service/);
});

test("nodes say who does not hear whom", async () => {
  const row = (name: string, state: "self" | "alive" | "gone"): ApiDocuments["/v1/nodes"][number] => ({ name, state });
  await using cluster = await startCluster([
    agent("a", { "/v1/nodes": [row("a", "self"), row("b", "gone"), row("c", "gone")] }),
    agent("b", { "/v1/nodes": [row("a", "alive"), row("b", "self"), row("c", "gone")] }),
  ]);
  const { stdout } = await kubectl(cluster, "nodes");
  const lines = stdout.split("\n").map((line) => line.split(/ {3,}/));
  assert.deepEqual(
    lines.slice(1, 4).map((cells) => [cells[0], cells[2], cells[3], cells[4]]),
    [
      ["a", "answers", "alive 1", "-"],
      ["b", "answers", "gone 1", "a"],
      ["c", "no answer", "gone 2", "a, b"],
    ],
  );
});

const step = (name: string, more: object): ApiDocuments["/v1/explain"]["steps"][number] => ({
  step: name,
  result: "ok",
  found: name,
  details: [],
  ...more,
});

test("explain asks the node that knows, and fails where that fails", async () => {
  const here = [step("pool", {}), step("answers", { result: "elsewhere", ask: "worker2", todo: "Ask there" })];
  const there = [
    step("pool", {}),
    step("answers", { result: "failed", found: "the stamp has run out" }),
    step("node", { result: "warning", found: "MTU eth0: too small" }),
  ];
  await using cluster = await startCluster([
    agent("worker1", {
      "/v1/explain": { service: "shop/web", node: "worker1", reachable: true, steps: here, ask: "worker2" },
    }),
    agent("worker2", { "/v1/explain": { service: "shop/web", node: "worker2", reachable: false, steps: there } }),
  ]);
  const { code, stdout } = await kubectl(cluster, "explain svc/web");
  assert.equal(code, 1);
  assert.match(stdout, /FAILED +answers +the stamp has run out\n +as worker2 sees it/);
  assert.match(stdout, /warning +node +worker2: MTU eth0: too small/);
  assert.match(stdout, /Not reachable: it fails at the step "answers"/);
  // The context's namespace, as kubectl's own commands have it.
  assert.ok(cluster.asked.some((each) => each.endsWith("/v1/explain?service=shop%2Fweb")));
  await kubectl(cluster, "explain svc/web -n other");
  assert.ok(cluster.asked.some((each) => each.endsWith("/v1/explain?service=other%2Fweb")));
});

test("explain leaves a step open whose node does not answer, and says so", async () => {
  const steps = [step("answers", { result: "elsewhere", ask: "worker2" })];
  await using cluster = await startCluster([
    agent("worker1", {
      "/v1/explain": { service: "shop/web", node: "worker1", reachable: true, steps, ask: "worker2" },
    }),
    { node: "worker2", pod: { phase: "Failed" } },
  ]);
  const { code, stdout } = await kubectl(cluster, "explain svc/web");
  assert.equal(code, 0);
  assert.match(stdout, /\? +answers.*\n +Cannot reach the agent on worker2: its pod agent-worker2 is Failed/);
  assert.match(stdout, /the agent on worker2 knows the rest/);
});

const DRAIN: ApiDocuments["/v1/drain"] = {
  node: "worker2",
  draining: true,
  bgp: "gone",
  sessions: 1,
  routes: 0,
  pending: 0,
  layer2Addresses: 3,
};

test("node drain asks the node's agent with an operator's ticket, once", async () => {
  await using cluster = await startCluster([agent("worker1"), agent("worker2", { "/v1/drain": DRAIN })]);
  const { code, stdout, stderr } = await kubectl(cluster, "node drain worker2");
  assert.deepEqual({ code, stderr }, { code: 0, stderr: "" });
  assert.match(stdout, /^worker2 is drained/);
  assert.deepEqual(cluster.asked.slice(1), [
    "POST /api/v1/namespaces/metallb-system/serviceaccounts/fairlead-operator/token",
    "POST /api/v1/namespaces/metallb-system/pods/https:agent-worker2:7959/proxy/v1/drain",
  ]);
});

test("node drain without a name drains nobody where there are several", async () => {
  await using cluster = await startCluster(healthy());
  const { code, stderr } = await kubectl(cluster, "node drain");
  assert.deepEqual([code, stderr], [2, "Choose a node with --node: worker1, worker2\n"]);
  assert.ok(!cluster.asked.some((each) => each.includes("/proxy/")));
});

/** A stream that ends with its ticket, as often as there are pieces; the last goes on. */
function endingStream(pieces: readonly (string | Buffer)[]): (response: ServerResponse) => void {
  const left = [...pieces];
  return (response) => {
    response.setHeader("trailer", ENDED_TRAILER);
    response.write(left.shift() ?? "");
    if (left.length === 0) return;
    response.addTrailers({ [ENDED_TRAILER]: "the ticket has expired" });
    response.end();
  };
}

const ticketsAsked = (cluster: FakeCluster): number => cluster.asked.filter((each) => each.includes("/token")).length;

test("monitor goes on with another ticket when one has ended, and nobody notices", async () => {
  const line = (device: string): string => `${JSON.stringify({ verdict: "forwarded", device })}\n`;
  const answer = endingStream([line("eth1"), line("eth2"), line("eth3")]);
  await using cluster = await startCluster([{ node: "worker1", answer }]);
  const { code, stdout, stderr } = await kubectl(cluster, "monitor --count 3 -o json");
  const devices = stdout
    .trim()
    .split("\n")
    .map((text) => (JSON.parse(text) as { device: string }).device);
  assert.deepEqual([code, devices, stderr], [0, ["eth1", "eth2", "eth3"], ""]);
  assert.equal(ticketsAsked(cluster), 3);
});

test("monitor logs in anew for another ticket where the token it began with has ended", async (t) => {
  const answer = endingStream(['{"verdict":"forwarded"}\n', '{"verdict":"forwarded"}\n', '{"verdict":"forwarded"}\n']);
  await using cluster = await startCluster([{ node: "worker1", answer }]);
  const folder = mkdtempSync(join(tmpdir(), "fl-login-"));
  t.after(() => rmSync(folder, { recursive: true }));
  // A token that is over as soon as it was given; each is another.
  const script = `echo x >> ${folder}/logins; echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"expirationTimestamp":"2020-01-01T00:00:00Z","token":"login-'$(wc -l < ${folder}/logins)'"}}'`;
  const config = JSON.parse(readFileSync(cluster.kubeconfig, "utf8")) as { users: { name: string; user: unknown }[] };
  const exec = {
    apiVersion: "client.authentication.k8s.io/v1",
    command: "sh",
    args: ["-c", script],
    interactiveMode: "Never",
  };
  config.users = config.users.map(({ name }) => ({ name, user: { exec } }));
  writeFileSync(cluster.kubeconfig, JSON.stringify(config));
  const { code, stderr } = await kubectl(cluster, "monitor --count 3 -o json");
  assert.deepEqual([code, stderr], [0, ""]);
  const shown = cluster.headers.map(({ authorization }) => authorization);
  // A list of pods, then a ticket and a stream three times.
  assert.deepEqual(
    shown,
    ["1", "2", "3", "4", "5", "6", "7"].map((n) => `Bearer login-${n}`),
  );
});

test("monitor ends where the next ticket is refused, and says by whom and why", async () => {
  const answer = endingStream([`${JSON.stringify({ verdict: "forwarded", device: "eth1" })}\n`, "", ""]);
  await using cluster = await startCluster([{ node: "worker1", answer }]);
  cluster.refuse = (_, path) => {
    if (!path.includes("/token") || ticketsAsked(cluster) < 2) return undefined;
    return {
      status: 403,
      body: { kind: "Status", message: 'User "jane" cannot create resource "serviceaccounts/token"' },
    };
  };
  const { code, stderr } = await kubectl(cluster, "monitor -o json --node worker1");
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^Cannot get a ticket of fairlead-viewer for worker1: User "jane" cannot create .*; ask for the role/,
  );
});

test("monitor does not go on with an agent that has stopped", async () => {
  const answer = (response: ServerResponse): void => void response.end('{"verdict":"forwarded"}\n');
  await using cluster = await startCluster([{ node: "worker1", answer }]);
  const { code, stderr } = await kubectl(cluster, "monitor -o json --node worker1");
  assert.deepEqual([code, stderr], [3, "The agent on worker1 ended the stream: it has probably stopped\n"]);
});

test("bgp pcap goes on in the same file when its ticket has ended, whose header is there once", async () => {
  const header = Buffer.alloc(24, 7);
  const answer = endingStream([
    Buffer.concat([header, Buffer.from("one")]),
    Buffer.concat([header, Buffer.from("two")]),
    Buffer.concat([header, Buffer.from("three")]),
  ]);
  await using cluster = await startCluster([{ node: "worker1", answer }]);
  const { code, stdout } = await kubectl(cluster, "bgp pcap - --seconds 1");
  assert.deepEqual([code, stdout], [0, `${header.toString("latin1")}onetwothree`]);
});

test("monitor shows what happens on all nodes, each line with its node, until there were enough", async () => {
  const event = (device: string): MonitorEvent => ({
    time: "2026-01-01T00:00:00.000Z",
    verdict: "forwarded",
    hook: "xdp",
    device,
    protocol: "TCP",
    source: "192.0.2.1",
    sourcePort: 1,
    destination: "192.0.2.2",
    destinationPort: 2,
    length: 60,
    packet: "00",
  });
  await using cluster = await startCluster([
    { node: "worker1", events: [event("eth1")] },
    { node: "worker2", events: [event("eth2")] },
  ]);
  const { code, stdout } = await kubectl(cluster, "monitor --count 2 -o json");
  assert.equal(code, 0);
  const seen = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { node: string; device: string });
  assert.deepEqual(seen.map(({ node, device }) => `${node} ${device}`).toSorted(), ["worker1 eth1", "worker2 eth2"]);
});

const REFUSALS: readonly {
  readonly name: string;
  readonly refuse: FakeCluster["refuse"];
  readonly code: number;
  readonly says: RegExp;
}[] = [
  {
    name: "who may not list pods",
    refuse: (_, path) =>
      path.includes("/pods?") ? { status: 403, body: { kind: "Status", message: "pods is forbidden" } } : undefined,
    code: 1,
    says: /^Cannot list the agents in metallb-system: pods is forbidden; ask for the role fairlead-viewer/,
  },
  {
    name: "who may not get a ticket",
    refuse: (_, path) =>
      path.endsWith("/token") ? { status: 403, body: { kind: "Status", message: "no token for you" } } : undefined,
    code: 1,
    says: /^Cannot get a ticket of fairlead-viewer for worker1: no token for you; ask for the role/,
  },
  {
    name: "whom the proxy does not let through",
    refuse: (_, path) =>
      path.includes("/proxy/")
        ? { status: 403, body: { kind: "Status", message: "pods/proxy is forbidden" } }
        : undefined,
    code: 1,
    says: /^Cannot ask the agent on worker1: pods\/proxy is forbidden; ask for the role/,
  },
  {
    name: "whose login has expired",
    refuse: () => ({ status: 401, body: { kind: "Status", message: "Unauthorized" } }),
    code: 1,
    says: /Unauthorized; log in again/,
  },
  {
    name: "whose agent is away",
    refuse: (_, path) =>
      path.includes("/proxy/")
        ? { status: 503, body: { kind: "Status", message: "dial tcp: connection refused" } }
        : undefined,
    code: 3,
    says: /^Cannot reach the agent on worker1: the API server says: dial tcp: connection refused/,
  },
  {
    name: "whose ticket the agent refuses",
    refuse: (_, path) =>
      path.includes("/proxy/") ? { status: 403, body: { error: "viewer may not get" } } : undefined,
    code: 1,
    says: /^The agent on worker1 answered \/v1\/status with 403: viewer may not get/,
  },
  {
    name: "who meets a proxy's error page",
    refuse: () => ({ status: 502, body: "<html>bad gateway" }),
    code: 1,
    says: /it answers 502/,
  },
  {
    name: "whose API server answers with something else",
    refuse: () => ({ status: 200, body: {} }),
    code: 1,
    says: /no list/,
  },
];

for (const { name, refuse, code, says } of REFUSALS)
  test(`${name} is told so, and what to do`, async () => {
    await using cluster = await startCluster([agent("worker1")]);
    cluster.refuse = refuse;
    const run = await kubectl(cluster, "status");
    assert.deepEqual({ code: run.code, stdout: run.stdout }, { code, stdout: "" });
    assert.match(run.stderr, says);
  });

test("of two pods on a node, the one that stays is asked", async () => {
  const leaving: FakeAgent = { ...agent("worker1"), pod: { name: "old", deleted: true } };
  await using cluster = await startCluster([leaving, { ...agent("worker1"), pod: { name: "new" } }]);
  const { stdout } = await kubectl(cluster, "status -o json");
  assert.equal((JSON.parse(stdout) as unknown[]).length, 1);
  assert.match(cluster.asked.at(-1) ?? "", /https:new:7959/);
});

test("kubectl's flags choose the context, the user and whom to impersonate; a token of the user never reaches an agent", async () => {
  await using cluster = await startCluster([agent("worker1")]);
  const bearer = (): unknown => cluster.headers[0]?.authorization;
  await kubectl(cluster, "pools --context there --as root --as-group a --as-group b");
  assert.equal(bearer(), "Bearer olgas-token");
  assert.equal(cluster.headers[0]?.["impersonate-user"], "root");
  assert.equal(cluster.headers[0]?.["impersonate-group"], "a, b");
  const listed = await kubectl(cluster, "pools --user olga", {
    env: { KUBECONFIG: `/nonexistent:${cluster.kubeconfig}` },
  });
  assert.equal(listed.code, 0);
  assert.equal(cluster.headers.at(-2)?.authorization, "Bearer olgas-token");
  assert.ok(!cluster.headers.some((each) => String(each["fairlead-ticket"]).includes("-token")));
  const none = await kubectl(cluster, "pools", { env: { KUBECONFIG: "/nonexistent" } });
  assert.deepEqual([none.code, none.stderr], [2, "KUBECONFIG names no file that is there: /nonexistent\n"]);
});

const MISTAKES: readonly { readonly name: string; readonly line: string; readonly says: RegExp }[] = [
  {
    name: "a context that is not there",
    line: "status --context x",
    says: /has no context "x"; there are: here, there/,
  },
  { name: "a user that is not there", line: "status --user x", says: /has no user "x"; there are: jane, olga/ },
  { name: "a cluster that is not there", line: "status --cluster x", says: /has no cluster "x"; there are: test/ },
  {
    name: "a kubeconfig that is not there",
    line: "status --kubeconfig /nonexistent",
    says: /Cannot read the kubeconfig \/nonexistent/,
  },
  {
    name: "a migration out of a context that is not there",
    line: "migrate next --context x",
    says: /Cannot read the cluster: The kubeconfig has no context "x"; there are: here, there/,
  },
  {
    name: "a removal of agents from a context that is not there",
    line: "remove-agents --context x",
    says: /has no context "x"/,
  },
  { name: "a socket", line: "status --socket /x", says: /unknown option '--socket'/ },
  { name: "a program that runs on a machine", line: "agent", says: /unknown command 'agent'/ },
];

for (const { name, line, says } of MISTAKES)
  test(`${name} is a usage error`, async () => {
    await using cluster = await startCluster([agent("worker1")]);
    const { code, stderr } = await kubectl(cluster, line);
    assert.equal(code, 2);
    assert.match(stderr, says);
    assert.deepEqual(cluster.asked, []);
  });

test("an API server that is not there ends the command with status 3", async () => {
  await using cluster = await startCluster([]);
  const file = `${cluster.kubeconfig}-elsewhere`;
  await writeFile(
    file,
    JSON.stringify({
      clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1" } }],
      contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
      users: [{ name: "u", user: {} }],
      "current-context": "x",
    }),
  );
  const { code, stderr } = await kubectl(cluster, `status --kubeconfig ${file}`);
  assert.equal(code, 3);
  assert.match(stderr, /^Cannot reach the API server at https:\/\/127\.0\.0\.1:1: /);
});

test("a cluster without agents says where it looked", async () => {
  await using cluster = await startCluster([]);
  const { code, stderr } = await kubectl(cluster, "status");
  assert.equal(code, 3);
  assert.match(stderr, /No agents in namespace metallb-system: .*--install-namespace/);
  await kubectl(cluster, "status", { env: { FAIRLEAD_NAMESPACE: "lb" } });
  assert.match(cluster.asked.at(-1) ?? "", /namespaces\/lb\/pods/);
});
