/**
 * A real cluster: kubelets, containers, kube-proxy and the bridge plug-in, Fairlead installed by its Helm chart with the chart's service
 * accounts only. What only a cluster has: rollouts, and `kubectl fairlead` by way of kubelets. scene-l2.test.ts has the rest.
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { requireProgram } from "../../lab/kubernetes/control-plane.ts";
import { agentProcess, kubectl } from "../../lab/kubernetes/nodes.ts";
import { kubeconfigOf, placeOf } from "../../lab/kubernetes/start.ts";
import { readAgent } from "../../lab/observe.ts";
import { gapAround } from "../../lab/requests.ts";
import type { RequestPlan } from "../../lab/requester.ts";
import { waitFor } from "../../lab/wait.ts";
import { labSuite, type TestLab } from "../lab/harness.ts";

const BIN = join(import.meta.dirname, "../../bin");
const SYSTEM = ["--namespace", "metallb-system"];

const steady = (address: string, port: number): RequestPlan => ({
  protocol: "HTTP",
  address,
  port,
  count: 0,
  everyMilliseconds: 20,
  timeoutMilliseconds: 1000,
});

/** `kubectl fairlead …` as an administrator types it, by the plug-in. Rejects with what it said. */
async function fairlead(lab: TestLab, ...words: readonly string[]): Promise<string> {
  const { host } = placeOf(lab.lab);
  const path = `${BIN}:${dirname(requireProgram("kubectl"))}:${process.env["PATH"] ?? ""}`;
  const environment = [`PATH=${path}`, `KUBECONFIG=${kubeconfigOf(lab.lab, "admin")}`];
  const { status, stdout, stderr } = await lab.exec(host.name, "env", ...environment, "kubectl", "fairlead", ...words);
  if (status !== 0) throw new Error(`kubectl fairlead ${words.join(" ")} ended with ${status}: ${stderr}${stdout}`);
  return stdout;
}

/** Asks the whole time while something is done; how many answers came, and what failed. */
async function during(lab: TestLab, plan: RequestPlan, act: () => Promise<void>): Promise<void> {
  const requests = lab.start(plan);
  try {
    await waitFor("answers before", () => (requests.results.length >= 20 ? true : undefined));
    await act();
    const before = requests.results.length;
    await waitFor("answers after", () => (requests.results.length >= before + 50 ? true : undefined));
  } finally {
    await requests.stop();
  }
  const failed = requests.results.filter(({ ok }) => !ok);
  assert.deepEqual(failed, [], `${failed.length} of ${requests.results.length} requests failed`);
}

labSuite("Fairlead in a real cluster, from its Helm chart", "kubernetes", {}, (it) => {
  it("nodes are what their kubelets say, and nothing has crashed", async (lab) => {
    const nodes = await kubectl(lab.lab, [
      "get",
      "nodes",
      "--output=jsonpath={.items[*].status.nodeInfo.kubeletVersion}",
    ]);
    assert.match(nodes, /^v1\.36\.\d+ v1\.36\.\d+$/);
    const path = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    assert.match(await kubectl(lab.lab, ["get", "pods", "--all-namespaces", `--output=${path}`]), /^0( 0)+$/);
  });

  it("explain, run in an agent's pod, finds every step well", async (lab) => {
    const command = ["--", "/opt/fairlead/bin/fairlead", "explain", "svc/metallb1-cluster", "--namespace", "default"];
    const said = await kubectl(lab.lab, ["exec", ...SYSTEM, "daemonset/fairlead-agent", ...command]);
    assert.match(said, /192\.168\.10\.\d+/);
  });

  it("kubectl fairlead: an administrator sees every node, a Service explained to its end, and a node's maps", async (lab) => {
    const status = await fairlead(lab, "status");
    for (const node of lab.nodes) assert.match(status, new RegExp(`^${node} .* ready `, "m"));
    assert.match(await fairlead(lab, "explain", "svc/dual-stack"), /Reachable: every step is well/);
    const [node = ""] = lab.nodes;
    const rows: unknown = JSON.parse(await fairlead(lab, "bpf", "lb", "list", "--node", node, "-o", "json"));
    assert.deepEqual(rows, await lab.agent(node, "/v1/bpf/lb"));
    const events = await fairlead(lab, ...`monitor --node ${node} --flows 1 --probes --count 2 -o json`.split(" "));
    assert.equal(events.trim().split("\n").length, 2);
  });

  it("a Service with source ranges is left to kube-proxy, which serves it, lets in who may, and nobody else", async (lab) => {
    const ranged = (range: string): string => `apiVersion: v1
kind: Service
metadata: {name: ranged, namespace: default}
spec:
  type: LoadBalancer
  loadBalancerSourceRanges: [${range}]
  selector: {app: metallb-cluster}
  ports: [{port: 80, targetPort: 8080}]
`;
    await lab.write("ranged.yaml", ranged(`${lab.hostAddress(lab.client, "IPv4")}/32`));
    const address = await waitFor("an address", () => lab.address("ranged").catch(() => undefined));
    const plan: RequestPlan = { protocol: "HTTP", address, port: 80 };
    await lab.askUntil("an answer through kube-proxy", plan, ({ ok }) => ok, 20_000);
    assert.match(await fairlead(lab, "explain", "svc/ranged"), /nothing of it is balanced here/);
    await lab.write("ranged.yaml", ranged("10.9.9.0/24"));
    await lab.askUntil("a refusal by kube-proxy", plan, ({ ok }) => !ok, 20_000);
    const [last] = await lab.requests({ ...plan, count: 1, timeoutMilliseconds: 500 });
    assert.equal(last?.ok, false);
    await lab.remove("ranged.yaml");
  });

  it("kubectl fairlead: who has no role is refused, a viewer may look, and only an operator drain", async (lab) => {
    const [node = ""] = lab.nodes;
    const drain = (user: string): Promise<string> => fairlead(lab, "node", "drain", node, "--as", user);
    await assert.rejects(fairlead(lab, "status", "--as=jane"), /User "jane" cannot list/);
    for (const [user, role] of [
      ["jane", "fairlead-viewer"],
      ["olga", "fairlead-operator"],
    ] as const)
      await kubectl(lab.lab, ["create", "rolebinding", user, ...SYSTEM, `--role=${role}`, `--user=${user}`]);
    assert.match(await fairlead(lab, "status", "--as=jane"), new RegExp(`^${node} .* ready `, "m"));
    await assert.rejects(drain("jane"), /cannot create resource "serviceaccounts\/token"/);
    assert.equal((await lab.agent(node, "/v1/drain"))?.draining, false);
    assert.match(await drain("olga"), new RegExp(`^${node} is drained`));
    assert.equal((await lab.agent(node, "/v1/drain"))?.draining, true);
    await fairlead(lab, "node", "undrain", node, "--as=olga");
    assert.equal((await lab.agent(node, "/v1/drain"))?.draining, false);
    await lab.settle();
  });

  it("an agent that is killed is started again by its kubelet, and no request fails", async (lab) => {
    const address = await lab.address("dual-stack", "IPv4");
    const announcer = await lab.announcer(address, 80);
    const before = await agentProcess(lab.lab, announcer);
    await during(lab, steady(address, 80), async () => {
      await lab.fault(announcer, "agent-kill");
      await waitFor(
        "the next agent",
        async () => {
          const now = await agentProcess(lab.lab, announcer);
          const ready = (await readAgent(lab.lab, announcer, "/v1/status"))?.ready === true;
          return ready && now !== undefined && now.pid !== before?.pid ? true : undefined;
        },
        { milliseconds: 60_000 },
      );
    });
  });

  it("a rollout of the agents exchanges all of them, and no request fails", async (lab) => {
    const address = await lab.address("dual-stack", "IPv6");
    await during(lab, steady(address, 80), async () => {
      await kubectl(lab.lab, ["rollout", "restart", ...SYSTEM, "daemonset/fairlead-agent"]);
      await kubectl(lab.lab, ["rollout", "status", ...SYSTEM, "daemonset/fairlead-agent", "--timeout=120s"]);
    });
  });

  it("a rollout of the controllers changes no address", async (lab) => {
    const before = await lab.services();
    await kubectl(lab.lab, ["rollout", "restart", ...SYSTEM, "deployment/fairlead-controller"]);
    await kubectl(lab.lab, ["rollout", "status", ...SYSTEM, "deployment/fairlead-controller", "--timeout=120s"]);
    assert.deepEqual(await lab.services(), before);
  });

  it("a node that loses its power loses its addresses to another, and of the first 100 requests after that none fails", async (lab) => {
    const address = await lab.address("dual-stack", "IPv4");
    const announcer = await lab.announcer(address, 80);
    // Too short for a client's second attempt to hide that the first was lost.
    const requests = lab.start({ ...steady(address, 80), everyMilliseconds: 10, timeoutMilliseconds: 900 });
    try {
      await waitFor("answers before the fault", () =>
        requests.results.filter(({ ok }) => ok).length >= 50 ? true : undefined,
      );
      const moment = Date.now();
      await lab.fault(announcer, "node-down");
      const gap = await waitFor(
        "answers after the fault",
        () => {
          const found = gapAround(requests.results, moment);
          return found !== undefined && found.after.length >= 100 ? found : undefined;
        },
        { milliseconds: 30_000 },
      );
      assert.deepEqual(
        gap.after.slice(0, 100).filter(({ ok }) => !ok),
        [],
      );
    } finally {
      await requests.stop();
    }
    assert.notEqual(await lab.announcer(address, 80), announcer);
    await lab.fault(announcer, "node-up");
    await kubectl(lab.lab, ["wait", "--for=condition=Ready", `node/${announcer}`, "--timeout=120s"]);
    await kubectl(lab.lab, ["rollout", "status", ...SYSTEM, "daemonset/fairlead-agent", "--timeout=120s"]);
    await waitFor(
      "its agent",
      async () => ((await readAgent(lab.lab, announcer, "/v1/status"))?.ready === true ? true : undefined),
      {
        milliseconds: 60_000,
      },
    );
  });
});
