/** A Service whose objects are all right and which serves nobody, or not everybody: explained, and left to others where it is not ours to serve. */
import assert from "node:assert/strict";
import { waitFor } from "../../../lab/wait.ts";
import { fairlead } from "../../../src/cli/agent.fixture.ts";
import type { ExplainDocument, ExplainStep } from "../../../src/observe/status.ts";
import { firewall } from "../firewall.ts";
import type { DefineTest, TestLab } from "../harness.ts";

const FILE = "trouble.yaml";
const POD_PORT = 8080;

const trouble = (spec: string): string => `apiVersion: v1
kind: Service
metadata: {name: trouble, namespace: default}
spec: {type: LoadBalancer, selector: {app: metallb-cluster}, ${spec}}
`;

export function testTroubles(it: DefineTest): void {
  it("pods that listen on another port are named, with what to compare", async (lab) => {
    await lab.write(FILE, trouble("ports: [{port: 80, targetPort: 7777}]"));
    const step = await endpointsStep(lab, ({ result }) => result === "failed");
    const { length } = await lab.pods();
    assert.match(step.found, new RegExp(`^${length} of ${length} backends took no connection from here: refused`));
    assert.match(step.todo ?? "", /targetPort/);
    const { ok } = (await request(lab))[0] ?? {};
    assert.equal(ok, false, "and so it is for a client");
  });

  it("pods that answer are tried, and no step fails", async (lab) => {
    await lab.write(FILE, trouble(`ports: [{port: 80, targetPort: ${POD_PORT}}]`));
    const step = await endpointsStep(lab, ({ result }) => result === "ok");
    assert.match(step.found, new RegExp(`; ${(await lab.pods()).length} connections tried, all accepted`));
    assert.equal((await request(lab))[0]?.ok, true);
  });

  it("pods that drop what comes in are named as silent, one of them as a warning", async (lab) => {
    const [first = "", ...others] = (await lab.pods()).map(({ name }) => name);
    await using stack = new AsyncDisposableStack();
    stack.use(await firewall(lab, first, "input", `tcp dport ${POD_PORT} drop`));
    const one = await endpointsStep(lab, ({ result }) => result === "warning");
    assert.match(one.found, /^1 of 6 backends took no connection from here: no answer/);
    for (const pod of others) stack.use(await firewall(lab, pod, "input", `tcp dport ${POD_PORT} drop`));
    const all = await endpointsStep(lab, ({ result }) => result === "failed");
    assert.match(all.found, /^6 of 6 backends took no connection from here: no answer/);
    assert.match(all.todo ?? "", /NetworkPolicy/);
  });

  it("source ranges let nobody in by our datapath, and kube-proxy's rules let in who may", async (lab) => {
    await lab.write(
      FILE,
      trouble(`ports: [{port: 80, targetPort: ${POD_PORT}}], loadBalancerSourceRanges: [10.9.9.0/24]`),
    );
    await waitFor("the Service to be left to the node", async () => {
      const steps = await explained(lab);
      return steps.find(({ step }) => step === "datapath")?.found.includes("left to the node's stack") === true
        ? true
        : undefined;
    });
    assert.equal((await request(lab))[0]?.ok, false);
    const address = await lab.address("trouble");
    const announcer = await lab.announcer(address, 80);
    const pod = (await lab.pods()).find(({ node }) => node === announcer);
    const to = pod?.addresses.find((each) => !each.includes(":")) ?? "";
    await using _ = await firewall(
      lab,
      announcer,
      "prerouting",
      `ip daddr ${address} tcp dport 80 ip saddr ${lab.hostAddress(lab.client, "IPv4")} dnat ip to ${to}:${POD_PORT}`,
    );
    const result = await lab.askUntil("an answer", { protocol: "HTTP", address, port: 80 }, ({ ok }) => ok);
    assert.deepEqual([result.pod_name, result.client_ip], [pod?.name, lab.hostAddress(lab.client, "IPv4")]);
  });

  it("without source ranges it is everybody's again", async (lab) => {
    await lab.write(FILE, trouble(`ports: [{port: 80, targetPort: ${POD_PORT}}]`));
    const address = await lab.address("trouble");
    await lab.askUntil("an answer", { protocol: "HTTP", address, port: 80 }, ({ ok }) => ok);
    await lab.remove(FILE);
  });
}

/** As the announcer sees it. */
async function explained(lab: TestLab): Promise<readonly ExplainStep[]> {
  const address = await waitFor("an address", () => lab.address("trouble").catch(() => undefined));
  const announcer = await lab.announcer(address, 80);
  const line = `explain svc/trouble -o json --socket ${lab.lab.paths.socket(announcer)}`;
  const { stdout } = await fairlead(line, { answerTimeoutMilliseconds: 5000 });
  return (JSON.parse(stdout) as ExplainDocument).steps;
}

async function endpointsStep(lab: TestLab, wanted: (step: ExplainStep) => boolean): Promise<ExplainStep> {
  let last: ExplainStep | undefined;
  return waitFor(
    "the step endpoints",
    async () => {
      last = (await explained(lab)).find(({ step }) => step === "endpoints");
      return last !== undefined && wanted(last) ? last : undefined;
    },
    { explain: () => JSON.stringify(last) },
  );
}

async function request(lab: TestLab): ReturnType<TestLab["requests"]> {
  const address = await lab.address("trouble");
  return lab.requests({ protocol: "HTTP", address, port: 80, count: 1, timeoutMilliseconds: 500 });
}
