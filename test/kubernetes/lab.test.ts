/** Real packets, with the objects in a real API server: two controllers, roles as installed, kubectl. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { requireProgram } from "../../lab/kubernetes/control-plane.ts";
import { kubeconfigOf, startKubeApiserver } from "../../lab/kubernetes/start.ts";
import { waitForAgents } from "../../lab/observe.ts";
import { forgetProgram, listPrograms, signalProgram, waitForEnd, type Program } from "../../lab/programs.ts";
import { waitFor } from "../../lab/wait.ts";
import type { ApiDocuments } from "../../src/observe/status.ts";
import { labSuite, type TestLab } from "../lab/harness.ts";

const ROLES = join(import.meta.dirname, "../../deploy/kustomize/rbac.yaml");
const CONTROL_PLANE = "kind-control-plane";

async function kubectl(lab: TestLab, ...words: readonly string[]): Promise<string> {
  const command = [requireProgram("kubectl"), "--kubeconfig", kubeconfigOf(lab.lab, "admin"), ...words];
  const { status, stdout, stderr } = await lab.exec(CONTROL_PLANE, ...command);
  assert.equal(status, 0, `kubectl ${words.join(" ")}: ${stderr}`);
  return stdout;
}

async function apply(lab: TestLab, object: object): Promise<void> {
  const kubeconfig = kubeconfigOf(lab.lab, "admin");
  const line = `echo '${JSON.stringify(object)}' | ${requireProgram("kubectl")} --kubeconfig ${kubeconfig} apply -f -`;
  const { status, stderr } = await lab.exec(CONTROL_PLANE, "sh", "-c", line);
  assert.equal(status, 0, stderr);
}

async function programOf(lab: TestLab, name: string): Promise<Program> {
  const found = (await listPrograms(lab.lab.paths.programs)).find(({ program }) => program === name);
  assert.ok(found !== undefined, `no program ${name}`);
  return found;
}

async function kill(lab: TestLab, name: string): Promise<void> {
  const program = await programOf(lab, name);
  await signalProgram(program, "SIGKILL");
  await waitForEnd(program, 5000);
  // Or it would count as ended without anybody's wish.
  await forgetProgram(lab.lab.paths.programs, program);
}

/** A Service made as a person makes one; the address it gets. */
async function expose(lab: TestLab, name: string): Promise<string> {
  const words = ["--tcp=80:8080", "--dry-run=client", "-o", "name"];
  await kubectl(lab, "create", "service", "loadbalancer", name, ...words);
  await kubectl(lab, "create", "service", "loadbalancer", name, "--tcp=80:8080");
  await kubectl(lab, "set", "selector", "service", name, "app=metallb-cluster");
  return waitFor(`an address for ${name}`, async () => {
    const text = await kubectl(lab, "get", "service", name, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}");
    return text === "" ? undefined : text;
  });
}

const steady = (address: string): Parameters<TestLab["start"]>[0] => ({
  protocol: "HTTP",
  address,
  port: 80,
  count: 0,
  everyMilliseconds: 20,
  timeoutMilliseconds: 1000,
});

labSuite("objects in an API server", "apiserver", {}, (it) => {
  it("serve a Service of both families over all pods, as from folders", async (lab) => {
    for (const family of ["IPv4", "IPv6"] as const) {
      const address = await lab.address("dual-stack", family);
      const results = await lab.requests({ protocol: "HTTP", address, port: 80, count: 60 });
      assert.equal(results.filter(({ ok }) => !ok).length, 0);
      assert.equal(new Set(results.map(({ pod_name }) => pod_name)).size, 6);
    }
  });

  it("serve what kubectl makes, say who announces it, and end with it", async (lab) => {
    const address = await expose(lab, "made");
    await lab.ask({ protocol: "HTTP", address, port: 80 });
    const announcer = await lab.announcer(address, 80);
    const jsonpath = "jsonpath={.items[?(@.status.serviceName=='made')].status.node}";
    await waitFor("the ServiceL2Status", async () => {
      const node = await kubectl(lab, "-n", "metallb-system", "get", "servicel2statuses", "-o", jsonpath);
      return node === announcer ? true : undefined;
    });
    const events = await kubectl(lab, "get", "events", "--field-selector", "involvedObject.name=made");
    assert.match(events, /IPAllocated/);
    assert.match(events, /nodeAssigned.*announcing from node/);
    await kubectl(lab, "delete", "service", "made");
    await waitFor("nobody to announce it", async () => {
      const { ok } = (await lab.requests({ protocol: "HTTP", address, port: 80, timeoutMilliseconds: 300 }))[0] ?? {};
      return ok === false ? true : undefined;
    });
    await waitFor("its ServiceL2Status to go", async () => {
      const node = await kubectl(lab, "-n", "metallb-system", "get", "servicel2statuses", "-o", jsonpath);
      return node === "" ? true : undefined;
    });
  });

  it("leave a Service of another class alone, whatever address it has, until it was taken on", async (lab) => {
    const address = await expose(lab, "before");
    await kubectl(lab, "delete", "service", "before");
    const of = { selector: { app: "metallb-cluster" }, ports: [{ port: 80, targetPort: 8080 }] };
    const spec = { type: "LoadBalancer", loadBalancerClass: "example.com/other", ...of };
    await apply(lab, { apiVersion: "v1", kind: "Service", metadata: { name: "foreign" }, spec });
    const status = JSON.stringify({ status: { loadBalancer: { ingress: [{ ip: address }] } } });
    await kubectl(lab, "patch", "service", "foreign", "--subresource=status", "--type=merge", "-p", status);
    await waitFor("an agent to pass it over", async () => {
      const from = ["--unix-socket", lab.lab.paths.socket(CONTROL_PLANE), "http://fairlead/v1/services"];
      const { stdout } = await lab.exec(CONTROL_PLANE, "curl", "-s", ...from);
      return stdout.includes("otherClass") ? true : undefined;
    });
    const plan = { protocol: "HTTP", address, port: 80, timeoutMilliseconds: 300 } as const;
    assert.equal((await lab.requests(plan))[0]?.ok, false);
    // As a MetalLB that served this class has left it.
    await kubectl(lab, "annotate", "service", "foreign", "metallb.io/ip-allocated-from-pool=any");
    await lab.askUntil("an answer", plan, ({ ok }) => ok);
    await kubectl(lab, "delete", "service", "foreign");
  });

  it("outlive the controller that acts: the other gives addresses, and none changes", async (lab) => {
    const before = await lab.services();
    const lease = [
      "-n",
      "metallb-system",
      "get",
      "lease",
      "fairlead-controller",
      "-o",
      "jsonpath={.spec.holderIdentity}",
    ];
    const holder = await kubectl(lab, ...lease);
    await kill(lab, holder);
    await expose(lab, "after-takeover");
    assert.notEqual(await kubectl(lab, ...lease), holder);
    const after = new Map((await lab.services()).map(({ name, addresses }) => [name, addresses]));
    for (const { name, addresses } of before) assert.deepEqual(after.get(name), addresses);
  });

  it("say once that their API server is away, and once that it is back, and change nothing for it", async (lab) => {
    const nodes = [CONTROL_PLANE, "worker1", "worker2"];
    const controllers = (await listPrograms(lab.lab.paths.programs)).filter(({ program }) =>
      program.startsWith("controller"),
    );
    const logs = [
      ...nodes.map((node) => lab.lab.paths.log(node, "agent")),
      ...controllers.map(({ host, program }) => lab.lab.paths.log(host, program)),
    ];
    const lengths = await Promise.all(logs.map(async (file) => (await readFile(file, "utf8")).length));
    const ofAgents = ["configurationstates", "-l", "metallb.io/component-type=speaker"];
    const verdicts = (): Promise<string> =>
      kubectl(lab, "-n", "metallb-system", "get", ...ofAgents, "-o", "jsonpath={.items[*].status}");
    const before = await verdicts();
    const problems = async (): Promise<string> =>
      JSON.stringify(await Promise.all(nodes.map(async (node) => (await lab.agent(node, "/v1/status"))?.problems)));

    await kill(lab, "kube-apiserver");
    const explain = { milliseconds: 60_000, explain: problems };
    await waitFor(
      "all agents to say so",
      async () => ((await problems()).split("cannot be reached").length > nodes.length ? true : undefined),
      explain,
    );
    // Every watch tries again a few times.
    await sleep(3000);
    await startKubeApiserver(lab.lab);
    await waitFor("no problems", async () => ((await problems()) === "[[],[],[]]" ? true : undefined), explain);
    for (const [index, file] of logs.entries()) {
      const news = await waitFor(`the end of it in ${file}`, async () => {
        const lines = await readingNews(file, lengths[index] ?? 0);
        return lines.some((line) => line.includes('"problemSolved"')) ? lines : undefined;
      });
      const away = news.filter((line) => line.includes("cannot be reached"));
      assert.equal(away.length, 2, `${file}:\n${news.join("\n")}`);
      assert.match(away[0] ?? "", /ECONNREFUSED [\d.:]+ \(does it run.*what was last read stays in force/);
    }
    assert.equal(await verdicts(), before, "what was judged of the configuration");
  });
});

/** What a program's log says of reading from the API server, from here on. */
async function readingNews(file: string, from: number): Promise<readonly string[]> {
  const lines = (await readFile(file, "utf8")).slice(from).split("\n");
  return lines.filter((line) => /"event":"problem(Solved)?"/.test(line) && line.includes('"Kubernetes'));
}

/** In the order of their election: worker1, worker2, kind-control-plane. */
const WATCHED = "192.168.10.20";

labSuite("without their API server", "apiserver", {}, (it) => {
  it("agents forward, fail over and restart, and learn what changed when it is back", async (lab) => {
    const spec = {
      type: "LoadBalancer",
      selector: { app: "metallb-cluster" },
      ports: [{ port: 80, targetPort: 8080 }],
    };
    const annotations = { "metallb.io/loadBalancerIPs": WATCHED };
    await apply(lab, { apiVersion: "v1", kind: "Service", metadata: { name: "watched", annotations }, spec });
    const plan = steady(WATCHED);
    await lab.askUntil("the watched Service", plan, ({ ok }) => ok);
    assert.equal(await lab.announcer(WATCHED, 80), "worker1");
    await kill(lab, "kube-apiserver");
    const requests = lab.start(plan);
    await waitFor("requests", () => (requests.results.length > 20 ? true : undefined));

    await lab.fault("worker2", "agent-kill");
    await lab.fault("worker2", "agent-start");
    // It knows nothing but what is in the kernel, keeps that as it is, and says that it waits.
    assert.equal((await waitsFor(lab, "worker2")).ready, false);
    assert.deepEqual(failures(await requests.stop()), [], "an agent's restart without an API server");

    // Next in turn is who knows nothing of it: it is passed over.
    await lab.fault("worker1", "node-down");
    await lab.askUntil("an answer from another node", plan, ({ ok }) => ok);
    assert.equal(await lab.announcer(WATCHED, 80), CONTROL_PLANE);
    // Who is back knows nothing either, and takes nothing back.
    await lab.fault("worker1", "node-up");
    await waitsFor(lab, "worker1");
    const since = lab.start(plan);
    await waitFor("requests", () => (since.results.length > 100 ? true : undefined));
    assert.deepEqual(failures(await since.stop()), [], "a node that is back without an API server");
    assert.equal(await lab.announcer(WATCHED, 80), CONTROL_PLANE);

    await startKubeApiserver(lab.lab);
    await waitForAgents(lab.lab);
    const made = await expose(lab, "after-the-outage");
    await lab.askUntil("the new Service", steady(made), ({ ok }) => ok);
    await waitFor("worker1 to have its address again", async () =>
      (await lab.announcer(WATCHED, 80)) === "worker1" ? true : undefined,
    );
  });
});

/** The status of an agent that is there, and has not read anything. */
async function waitsFor(lab: TestLab, node: string): Promise<ApiDocuments["/v1/status"]> {
  return waitFor(
    `the next agent of ${node}`,
    async () => {
      const status = await lab.agent(node, "/v1/status");
      return status?.problems.some(({ message }) => message.includes("nothing is taken away until it was read"))
        ? status
        : undefined;
    },
    { milliseconds: 30_000 },
  );
}

labSuite("without their rights", "apiserver", { capture: false }, (it) => {
  const bindings = [
    ["clusterrolebinding", "fairlead-agent"],
    ["-n", "metallb-system", "rolebinding", "fairlead-agent"],
  ];

  it("agents forward, say so in status, metric and log, and go on when they have them back", async (lab) => {
    const address = await lab.address("dual-stack");
    const node = await lab.announcer(address, 80);
    const socket = lab.lab.paths.socket(node);
    const problems = async (): Promise<string> =>
      JSON.stringify((await lab.agent(node, "/v1/status"))?.problems ?? "no answer");
    const requests = lab.start(steady(address));

    for (const words of bindings) await kubectl(lab, "delete", ...words);
    // Watches that are open go on: who we are is asked when they begin.
    await kill(lab, "kube-apiserver");
    await startKubeApiserver(lab.lab);
    await waitFor("the problem in the status", async () => (/\(403\)/.test(await problems()) ? true : undefined), {
      milliseconds: 30_000,
      explain: problems,
    });
    const { stdout: metrics } = await lab.exec(node, "curl", "-s", "--unix-socket", socket, "http://fairlead/metrics");
    assert.match(metrics, /^fairlead_problems [1-9]/m);
    const log = await readFile(lab.lab.paths.log(node, "agent"), "utf8");
    assert.match(
      log,
      /"event":"problem","subject":"Kubernetes[^"]*","message":"[^\n]*\(403\); give this program the role/,
    );

    await kubectl(lab, "apply", "-f", ROLES);
    const made = await expose(lab, "after-the-rights");
    await lab.askUntil("the new Service", steady(made), ({ ok }) => ok, 30_000);
    await waitFor("the end of all problems", async () => ((await problems()) === "[]" ? true : undefined), {
      milliseconds: 30_000,
      explain: problems,
    });
    assert.deepEqual(failures(await requests.stop()), [], "requests meanwhile");
  });
});

function failures(results: Awaited<ReturnType<TestLab["requests"]>>): readonly unknown[] {
  return results.filter(({ ok }) => !ok).map(({ sentAt, error }) => ({ sentAt, error }));
}
