/** `kubectl fairlead` by the real kubectl, through a real API server, to real agents, with the roles as installed. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { AGENT_API_PORT } from "../../lab/cluster-objects.ts";
import { requireProgram } from "../../lab/kubernetes/control-plane.ts";
import { memberPlan } from "../../lab/lab.ts";
import { runIn } from "../../lab/network.ts";
import { kubeconfigOf } from "../../lab/kubernetes/start.ts";
import { waitFor } from "../../lab/wait.ts";
import { TICKET_HEADER } from "../../src/observe/remote-api.ts";
import type { ApiDocuments, StatusDocument } from "../../src/observe/status.ts";
import { labSuite, type TestLab } from "../lab/harness.ts";

const CONTROL_PLANE = "kind-control-plane";
const BIN = join(import.meta.dirname, "../../bin");
const NODES = [CONTROL_PLANE, "worker1", "worker2"];

type User = "admin" | "viewer" | "operator" | "stranger";

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** As a person types it: `kubectl …`. */
function kubectl(lab: TestLab, user: User, ...words: readonly string[]): Promise<Ran> {
  return kubectlFor(30_000, lab, user, words);
}

/** `milliseconds`: how long it may run. */
function kubectlFor(milliseconds: number, lab: TestLab, user: User, words: readonly string[]): Promise<Ran> {
  const path = `${BIN}:${dirname(requireProgram("kubectl"))}:${process.env["PATH"] ?? ""}`;
  const environment = [`PATH=${path}`, `KUBECONFIG=${kubeconfigOf(lab.lab, user)}`];
  const { namespace } = memberPlan(lab.lab, CONTROL_PLANE);
  return runIn(namespace, ["env", ...environment, "kubectl", ...words], { timeoutMilliseconds: milliseconds });
}

async function well(lab: TestLab, user: User, ...words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await kubectl(lab, user, ...words);
  assert.equal(status, 0, `kubectl ${words.join(" ")}: ${stderr}`);
  return stdout;
}

async function refused(lab: TestLab, user: User, ...words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await kubectl(lab, user, ...words);
  assert.equal(status, 1, `kubectl ${words.join(" ")}: ${stdout}${stderr}`);
  return stderr;
}

const JANE = ["-n", "metallb-system", "create", "rolebinding", "jane", "--role=fairlead-viewer", "--user=jane"];
const OLGA = ["-n", "metallb-system", "create", "rolebinding", "olga", "--role=fairlead-operator", "--user=olga"];
const DRAIN = ["fairlead", "node", "drain", "worker1"];

/** A token as `kubectl create token` makes them. */
function ticket(lab: TestLab, account: string, audience: string): Promise<string> {
  const words = ["-n", "metallb-system", "create", "token", account, `--audience=${audience}`];
  return well(lab, "admin", ...words).then((text) => text.trim());
}

async function askAgent(lab: TestLab, node: string, method: string, token: string | undefined): Promise<string> {
  const [{ address = "" } = {}] =
    (await lab.agent(CONTROL_PLANE, "/v1/nodes"))?.filter(({ name }) => name === node) ?? [];
  const header = token === undefined ? [] : ["-H", `${TICKET_HEADER}: ${token}`];
  const url = `https://${address}:${AGENT_API_PORT}/v1/drain`;
  const command = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-X", method, "-d", '{"draining":true}'];
  return (await lab.exec("client", ...command, ...header, url)).stdout;
}

labSuite("kubectl fairlead", "apiserver", { capture: false }, (it) => {
  it("shows every node to an administrator, in a table and in json", async (lab) => {
    const text = await well(lab, "admin", "fairlead", "status");
    for (const node of NODES) assert.match(text, new RegExp(`^${node} .* ready `, "m"));
    const all = JSON.parse(await well(lab, "admin", "fairlead", "status", "-o", "json")) as readonly StatusDocument[];
    assert.deepEqual(
      all.map(({ node }) => node),
      NODES,
    );
  });

  it("says the same of a Service as every agent does", async (lab) => {
    const rows = JSON.parse(
      await well(lab, "admin", "fairlead", "services", "-o", "json"),
    ) as ApiDocuments["/v1/services"];
    const own = await lab.agent("worker2", "/v1/services");
    assert.ok(own !== undefined && own.length > 3);
    assert.deepEqual(
      rows.map(({ name, addresses, announcer }) => ({ name, addresses, announcer })),
      own.map(({ name, addresses, announcer }) => ({ name, addresses, announcer })),
    );
  });

  it("explains a Service to its end, whoever announces it", async (lab) => {
    for (const name of ["dual-stack", "at-random"]) {
      const text = await well(lab, "admin", "fairlead", "explain", `svc/${name}`);
      assert.match(text, /^ok +answers .*\n +as (worker|kind)/m);
      assert.match(text, /Reachable: every step is well/);
    }
  });

  it("streams what happens on a node", async (lab) => {
    const words = [
      "fairlead",
      "monitor",
      "--node",
      "worker2",
      "--flows",
      "1",
      "--probes",
      "--count",
      "2",
      "-o",
      "json",
    ];
    const lines = (await well(lab, "admin", ...words)).trim().split("\n");
    assert.equal(lines.length, 2);
    for (const line of lines) assert.equal((JSON.parse(line) as { readonly device: string }).device, "eth0");
  });

  it("reads the maps of a node", async (lab) => {
    const text = await well(lab, "admin", "fairlead", "bpf", "lb", "list", "--node", "worker1", "-o", "json");
    const rows: unknown = JSON.parse(text);
    assert.deepEqual(rows, await lab.agent("worker1", "/v1/bpf/lb"));
  });

  it("refuses everybody who was given no role", async (lab) => {
    assert.match(await refused(lab, "stranger", "fairlead", "status"), /User "sam" cannot list resource "pods"/);
    assert.match(await refused(lab, "viewer", "fairlead", "status"), /User "jane" cannot list/);
  });

  it("lets a viewer read everything and change nothing", async (lab) => {
    await well(lab, "admin", ...JANE);
    for (const words of [
      "status",
      "services",
      "nodes",
      "pools",
      "bgp peers",
      "bpf drops list",
      "explain svc/dual-stack",
    ])
      await well(lab, "viewer", "fairlead", ...words.split(" "));
    assert.match(await refused(lab, "viewer", ...DRAIN), /cannot create resource "serviceaccounts\/token"/);
    // Past the plug-in: by the proxy, with the ticket that a viewer gets.
    const pod = "/api/v1/namespaces/metallb-system/pods/https:fairlead-agent-worker1:7959/proxy/v1/drain";
    assert.match(await refused(lab, "viewer", "create", "--raw", pod, "-f", "/dev/null"), /forbidden/i);
    assert.equal((await lab.agent("worker1", "/v1/drain"))?.draining, false);
    // Roles for this, and nothing beside.
    for (const [verb, what] of [
      ["get", "secrets"],
      ["create", "pods/exec"],
      ["get", "pods/log"],
      ["patch", "services/status"],
      ["create", "serviceaccounts/token"],
    ] as const)
      assert.equal(
        (await kubectl(lab, "viewer", "-n", "metallb-system", "auth", "can-i", verb, what)).stdout.trim(),
        "no",
      );
  });

  it("lets an operator drain a node, and the agent log it", async (lab) => {
    await well(lab, "admin", ...OLGA);
    assert.match(await well(lab, "operator", ...DRAIN), /^worker1 is drained/);
    assert.equal((await lab.agent("worker1", "/v1/drain"))?.draining, true);
    assert.equal((await lab.agent("worker2", "/v1/drain"))?.draining, false);
    assert.match(await well(lab, "viewer", "fairlead", "nodes"), /worker1 .*draining/);
    await well(lab, "operator", "fairlead", "node", "undrain", "worker1");
    assert.equal((await lab.agent("worker1", "/v1/drain"))?.draining, false);
  });

  it("is refused by agents without a ticket, with one for others, and with one for less, whoever reaches their port", async (lab) => {
    assert.equal(await askAgent(lab, "worker1", "GET", undefined), "401");
    const viewer = await ticket(lab, "fairlead-viewer", "fairlead-agent/worker1");
    assert.equal(await askAgent(lab, "worker1", "GET", viewer), "200");
    assert.equal(await askAgent(lab, "worker1", "POST", viewer), "403");
    assert.equal(await askAgent(lab, "worker2", "GET", viewer), "401");
    const ofServer = await ticket(lab, "fairlead-viewer", "https://kubernetes.default.svc");
    assert.equal(await askAgent(lab, "worker1", "GET", ofServer), "401");
    const ofAnother = await ticket(lab, "fairlead-controller", "fairlead-agent/worker1");
    assert.equal(await askAgent(lab, "worker1", "GET", ofAnother), "403");
    const forged = `${viewer.slice(0, viewer.lastIndexOf("."))}.${"A".repeat(342)}`;
    assert.equal(await askAgent(lab, "worker1", "GET", forged), "401");
    assert.equal((await lab.agent("worker1", "/v1/drain"))?.draining, false);
  });

  it("shows the others while an agent is away, and says who is missing", async (lab) => {
    await lab.fault("worker2", "agent-kill");
    const { status, stdout, stderr } = await kubectl(lab, "viewer", "fairlead", "status");
    assert.equal(status, 3);
    assert.match(stdout, /^worker1 .* ready .*\nworker2 +- +no answer/m);
    assert.match(stderr, /^Cannot reach the agent on worker2: the API server says: .*connection refused/m);
    await lab.fault("worker2", "agent-start");
    await waitFor(
      "all agents",
      async () => ((await kubectl(lab, "viewer", "fairlead", "status")).status === 0 ? true : undefined),
      { milliseconds: 60_000 },
    );
  });

  it("names what is wrong with a node, and kubectl has it as an event of the Node", async (lab) => {
    const address = await lab.address("at-random");
    const services = await lab.agent("worker1", "/v1/services");
    const announcer = services?.find(({ name }) => name === "at-random")?.announcer ?? "";
    // As keepalived would.
    const made = await lab.exec(announcer, "ip", "address", "add", `${address}/32`, "dev", "eth0");
    assert.equal(made.status, 0, made.stderr);
    const text = await waitFor(
      "the hazard",
      async () => {
        const { stdout } = await kubectl(lab, "admin", "fairlead", "status");
        return stdout.includes("AddressHeld") ? stdout : undefined;
      },
      { milliseconds: 90_000 },
    );
    assert.match(text, new RegExp(`Hazards of nodes\\n +AddressHeld eth0: .*\\(${announcer}\\)`));
    assert.match(
      await well(lab, "admin", "fairlead", "explain", "svc/at-random"),
      /^warning +node +(\S+: )?AddressHeld eth0/m,
    );
    await waitFor("the event", async () => {
      const events = await well(lab, "admin", "get", "events", "-A", "--field-selector", "involvedObject.kind=Node");
      return events.split("\n").some((line) => line.includes("AddressHeld") && line.includes(`node/${announcer}`))
        ? true
        : undefined;
    });
    await lab.exec(announcer, "ip", "address", "del", `${address}/32`, "dev", "eth0");
  });

  it("forgets a role that was taken away", async (lab) => {
    await well(lab, "admin", "-n", "metallb-system", "delete", "rolebinding", "jane");
    assert.match(await refused(lab, "viewer", "fairlead", "nodes"), /User "jane" cannot list/);
  });

  it("ends a stream when the right to it is taken away, by way of the API server, and says who refuses", async (lab) => {
    const words = ["fairlead", "monitor", "--node", "worker2", "--flows", "1", "--probes", "-o", "json"];
    // A yes is remembered for half a minute, and asked about every ten seconds.
    const streaming = kubectlFor(120_000, lab, "admin", words);
    // Another, begun later, has ended: the agent has admitted the first as well.
    await well(lab, "admin", ...words, "--count", "20");
    await well(lab, "admin", "-n", "metallb-system", "delete", "rolebinding", "fairlead-api-viewer");
    const { status, stdout, stderr } = await streaming;
    assert.ok(stdout.split("\n").length > 20);
    assert.equal(status, 1, stderr);
    assert.match(
      stderr,
      /worker2 answered \/v1\/monitor\S* with 403: system:serviceaccount:metallb-system:fairlead-viewer may not get/,
    );
  });
});
