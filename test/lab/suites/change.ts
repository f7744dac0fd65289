/** Objects that change under way: what is edited takes effect, what is broken changes nothing, and who is connected is not forgotten. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { memberPlan } from "../../../lab/lab.ts";
import { enterNamespace } from "../../../lab/programs.ts";
import { answersPerPod } from "../../../lab/requests.ts";
import type { RequestResult } from "../../../lab/requester.ts";
import { waitFor } from "../../../lab/wait.ts";
import type { WorkingPod } from "../access.ts";
import type { DefineTest, TestLab } from "../harness.ts";

function serviceManifest(name: string, port: number): string {
  return `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec:
  type: LoadBalancer
  allocateLoadBalancerNodePorts: false
  ports: [{ port: ${port}, targetPort: 8080 }]
  selector: { app: metallb-cluster }
`;
}

export function testChanges(it: DefineTest): void {
  it("a Service that is written gets an address and answers; removed, it is refused or silent", async (lab) => {
    await lab.write("added.yaml", serviceManifest("added", 8000));
    const { addresses } = await waitFor("an address", async () =>
      (await lab.services()).find((each) => each.name === "added" && each.addresses.length > 0),
    );
    const plan = { protocol: "HTTP", address: addresses[0] ?? "", port: 8000 } as const;
    await lab.askUntil("an answer", plan, (result) => result.ok);
    await lab.remove("added.yaml");
    await lab.askUntil("no answer", plan, (result) => !result.ok);
    const rows = await lab.agent("worker1", "/v1/bpf/lb");
    assert.ok(rows !== undefined && rows.length > 0 && !rows.some((row) => row.service.endsWith("/added")));
  });

  it("an edit of a port takes effect", async (lab) => {
    await lab.write("edited.yaml", serviceManifest("edited", 8000));
    const { addresses } = await waitFor("an address", async () =>
      (await lab.services()).find((each) => each.name === "edited" && each.addresses.length > 0),
    );
    const address = addresses[0] ?? "";
    await lab.askUntil("an answer on the first port", { protocol: "HTTP", address, port: 8000 }, (result) => result.ok);
    await lab.write("edited.yaml", serviceManifest("edited", 8001));
    await lab.askUntil(
      "an answer on the second port",
      { protocol: "HTTP", address, port: 8001 },
      (result) => result.ok,
    );
    await lab.askUntil(
      "a refusal on the first port",
      { protocol: "HTTP", address, port: 8000 },
      (result) => result.error === "ECONNREFUSED",
    );
    await lab.remove("edited.yaml");
  });

  it("a broken manifest keeps what was good, and is reported with file and reason", async (lab) => {
    await lab.write("broken.yaml", serviceManifest("fragile", 8000));
    const { addresses } = await waitFor("an address", async () =>
      (await lab.services()).find((each) => each.name === "fragile" && each.addresses.length > 0),
    );
    const plan = { protocol: "HTTP", address: addresses[0] ?? "", port: 8000 } as const;
    await lab.askUntil("an answer", plan, (result) => result.ok);
    await lab.write("broken.yaml", `${serviceManifest("fragile", 8000)}  ports: [{ port: nonsense`);
    await waitFor("the problem in every agent's status", async () => {
      const all = await Promise.all(lab.nodes.map((node) => lab.agent(node, "/v1/status")));
      return all.every((status) =>
        status?.problems.some((each) => `${each.subject} ${each.message}`.includes("broken.yaml")),
      )
        ? true
        : undefined;
    });
    await sleep(500);
    const results = await lab.requests({ ...plan, count: 50, concurrency: 5 });
    assert.deepEqual(
      results.filter((each) => !each.ok),
      [],
    );
    await lab.write("broken.yaml", serviceManifest("fragile", 8000));
    await waitFor("the problem to go", async () =>
      (await lab.agent("worker1", "/v1/status"))?.problems.some((each) => each.subject.includes("broken.yaml")) ===
      false
        ? true
        : undefined,
    );
    await lab.remove("broken.yaml");
  });

  for (const condition of ["notReady", "terminating"] as const) {
    it(`a pod that is ${condition} gets no new connection and keeps those it has`, async (lab) => {
      const address = await lab.address("dual-stack");
      const pods = await lab.pods();
      const held = await holdConnection(lab, address, 9000);
      assert.equal(await held.echo("before"), "before");
      await lab.conditions({ pods: { [held.pod]: condition } });
      await othersAnswer(lab, address, pods, held.pod);
      assert.equal(await held.echo("after"), "after");
      held.close();
      await lab.conditions({});
      await allAnswer(lab, address, pods.length);
    });
  }

  it("a pod that is removed while a client is connected: new connections go to others at once, the old one ends", async (lab) => {
    const address = await lab.address("dual-stack");
    const pods = await lab.pods();
    const held = await holdConnection(lab, address, 9000);
    assert.equal(await held.echo("before"), "before");
    await lab.conditions({ pods: { [held.pod]: "removed" } });
    await othersAnswer(lab, address, pods, held.pod);
    assert.equal(await held.echo("after"), "ended");
    held.close();
    await lab.conditions({});
    await allAnswer(lab, address, pods.length);
  });

  it("a node that is down and removed from the cluster is forgotten, and its addresses stay where they went", async (lab) => {
    const address = await lab.address("dual-stack");
    const pods = await lab.pods();
    const announcer = await lab.announcer(address, 80);
    await lab.fault(announcer, "node-down");
    await lab.conditions({ removedNodes: [announcer] });
    const others = lab.nodes.filter((node) => node !== announcer);
    await waitFor("the other agents to forget it", async () => {
      const all = await Promise.all(others.map((node) => lab.agent(node, "/v1/nodes")));
      return all.every(
        (rows) => rows !== undefined && rows.length === others.length && !rows.some((row) => row.name === announcer),
      )
        ? true
        : undefined;
    });
    const results = await lab.requests({ protocol: "HTTP", address, port: 80, count: 50, concurrency: 5 });
    assert.deepEqual(
      results.filter((each) => !each.ok),
      [],
    );
    assert.ok(!results.some((each) => each.host_name === announcer));
    assert.ok(others.includes(await lab.announcer(address, 80)));
    await lab.fault(announcer, "node-up");
    await lab.conditions({});
    await allAnswer(lab, address, pods.length);
  });
}

interface HeldConnection {
  readonly pod: string;
  /** What came back within two seconds, or `ended` when the connection did. */
  echo(text: string): Promise<string>;
  close(): void;
}

/** A TCP connection from the client's namespace that stays open; the pod says its name on the first line and sends the others back. */
async function holdConnection(lab: TestLab, address: string, port: number): Promise<HeldConnection> {
  const program = `const s=require("node:net").connect(${port},"${address}");s.pipe(process.stdout);process.stdin.pipe(s);s.on("error",()=>process.exit());s.on("close",()=>process.exit())`;
  const [file = "", ...rest] = enterNamespace(memberPlan(lab.lab, lab.client).namespace, [
    process.execPath,
    "-e",
    program,
  ]);
  const child = spawn(file, rest, { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.on("error", () => undefined);
  const lines: string[] = [];
  let ended = false;
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  child.once("close", () => (ended = true));
  const next = (): Promise<string> =>
    waitFor("a line from the pod", () => lines.shift() ?? (ended ? "ended" : undefined), { milliseconds: 5000 });
  const identity = JSON.parse(await next()) as RequestResult;
  return {
    pod: identity.pod_name ?? "",
    echo: (text) => {
      child.stdin.write(`${text}\n`);
      return next();
    },
    close: () => void child.kill("SIGKILL"),
  };
}

/** Not this pod, and each of the others that were there. */
async function othersAnswer(lab: TestLab, address: string, pods: readonly WorkingPod[], pod: string): Promise<void> {
  const plan = { protocol: "HTTP", address, port: 80, concurrency: 10 } as const;
  await waitFor(`${pod} to get no new connection`, async () => {
    const results = await lab.requests({ ...plan, count: 100 });
    return answersPerPod(results).has(pod) ? undefined : true;
  });
  const results = await lab.requests({ ...plan, count: 100 });
  assert.deepEqual(
    results.filter((each) => !each.ok),
    [],
  );
  const answering = answersPerPod(results);
  const silent = pods.filter(({ name }) => !answering.has(name)).map(({ name }) => name);
  assert.deepEqual(silent, [pod]);
}

/** As many as there were before. */
async function allAnswer(lab: TestLab, address: string, count: number): Promise<void> {
  await waitFor(
    `${count} pods to answer`,
    async () => {
      const results = await lab.requests({ protocol: "HTTP", address, port: 80, count: 100, concurrency: 10 });
      return answersPerPod(results).size === count ? true : undefined;
    },
    { milliseconds: 20_000 },
  );
}
