/** A release of the chart in a real cluster: upgraded under load, uninstalled, installed again. */
import assert from "node:assert/strict";
import { helm, SYSTEM_NAMESPACE } from "../../lab/kubernetes/install.ts";
import { kubectl, onNode } from "../../lab/kubernetes/nodes.ts";
import { kubeletHosts } from "../../lab/kubernetes/start.ts";
import { waitForAgents } from "../../lab/observe.ts";
import { waitFor } from "../../lab/wait.ts";
import { labSuite, type TestLab } from "../lab/harness.ts";

const CHART = "deploy/helm/fairlead";
const release = (...words: readonly string[]): readonly string[] => [...words, "--namespace", SYSTEM_NAMESPACE];

/** What is pinned on a node, and which programs are on its device. */
async function datapathOf({ lab }: TestLab, node: string): Promise<{ readonly pins: string; readonly links: string }> {
  const pins = await onNode(lab, node, ["find", "/sys/fs/bpf/fairlead", "-type", "f"]).catch(() => "");
  const links = await onNode(lab, node, ["ip", "-details", "link", "show", "dev", "eth0"]);
  return { pins, links: links.match(/xdp\S*|prog\/\S+/g)?.join(" ") ?? "" };
}

const steady = (address: string): Parameters<TestLab["start"]>[0] => ({
  protocol: "HTTP",
  address,
  port: 80,
  count: 0,
  everyMilliseconds: 20,
  timeoutMilliseconds: 2000,
});

labSuite("a release in a real cluster", "kubernetes", {}, (it) => {
  it("runs with the runtime's seccomp profile, its six capabilities and no more", async ({ lab }) => {
    const words = ["-n", SYSTEM_NAMESPACE, "exec", "daemonset/fairlead-agent", "--", "cat", "/proc/1/status"];
    const status = await kubectl(lab, words);
    // BPF 39, PERFMON 38, SYS_NICE 23, NET_RAW 13, NET_ADMIN 12, NET_BIND_SERVICE 10.
    const expected = [39, 38, 23, 13, 12, 10].reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
    assert.equal(BigInt(`0x${/^CapEff:\s+(\S+)/m.exec(status)?.[1] ?? ""}`), expected);
    assert.match(status, /^Seccomp:\s+2$/m);
    assert.match(status, /^NoNewPrivs:\s+1$/m);
  });

  it("is upgraded without losing a request: agents are exchanged, their datapath stays", async (lab) => {
    const address = await lab.address("dual-stack");
    const agents = ["-n", SYSTEM_NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/component=agent", "-o", "name"];
    const before = await kubectl(lab.lab, agents);
    const requests = lab.start(steady(address));
    await waitFor("requests", () => (requests.results.length > 20 ? true : undefined));
    const values = ["--set", "speaker.podAnnotations.changed=yes,controller.podAnnotations.changed=yes"];
    await helm(lab.lab, release("upgrade", "fairlead", CHART, "--reuse-values", ...values, "--wait", "--timeout=170s"));
    const results = await requests.stop();
    const failures = results.filter(({ ok }) => !ok).map(({ sentAt, error }) => ({ sentAt, error }));
    assert.ok(results.length > 100, String(results.length));
    assert.deepEqual(failures, []);
    const after = (await kubectl(lab.lab, agents)).trim().split("\n");
    assert.deepEqual(
      after.filter((pod) => before.includes(pod)),
      [],
    );
    assert.equal(after.length, kubeletHosts(lab.lab).length);
  });

  it("leaves nothing on the nodes when it is uninstalled, and nobody answers for its addresses", async (lab) => {
    const address = await lab.address("dual-stack");
    const nodes = kubeletHosts(lab.lab).map(({ name }) => name);
    for (const node of nodes) {
      const { pins, links } = await datapathOf(lab, node);
      assert.match(pins, /maps\/runtime/);
      assert.notEqual(links, "");
    }
    await helm(lab.lab, release("uninstall", "fairlead", "--wait"));
    for (const node of nodes) assert.deepEqual(await datapathOf(lab, node), { pins: "", links: "" }, node);
    // Whom the client has asked before it would go on asking: kube-proxy forwards there, as on every node.
    await lab.exec("client", "ip", "neighbor", "flush", "all");
    const [asked] = await lab.requests({ protocol: "HTTP", address, port: 80, timeoutMilliseconds: 500 });
    assert.equal(asked?.ok, false);
    // Helm waits for what it made; the Deployment's pods end after that.
    let left = "";
    await waitFor(
      "the namespace to be empty",
      async () => {
        left = await kubectl(lab.lab, ["-n", SYSTEM_NAMESPACE, "get", "all,roles,rolebindings", "-o", "name"]);
        return left === "" ? true : undefined;
      },
      { milliseconds: 60_000, explain: () => left },
    );
    assert.match(
      await kubectl(lab.lab, ["-n", SYSTEM_NAMESPACE, "get", "ipaddresspools", "-o", "name"]),
      /ipaddresspool/,
    );
  });

  it("gives every Service its address back when it is installed again", async (lab) => {
    const addresses = async (): Promise<string> =>
      kubectl(lab.lab, [
        "get",
        "services",
        "-o",
        "jsonpath={range .items[*]}{.metadata.name}{.status.loadBalancer}{end}",
      ]);
    const before = await addresses();
    await helm(lab.lab, release("install", "fairlead", CHART, "--wait", "--timeout=170s"));
    await waitForAgents(lab.lab);
    const address = await lab.address("dual-stack");
    await lab.askUntil("an answer", steady(address), ({ ok }) => ok);
    assert.equal(await addresses(), before);
  });
});
