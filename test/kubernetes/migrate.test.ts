/**
 * A cluster that MetalLB's own programs serve is handed over to Fairlead node by node, and back, as docs/migrate.md tells: under a transfer
 * that began before, and requests all the time. No connection breaks, no request fails, no address changes.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  applyMetallb,
  kubectl,
  nodesOf,
  startKubeProxy,
  startMetallbController,
  startSpeaker,
} from "../../lab/kubernetes/metallb/start.ts";
import { kubeconfigOf, startApiServer } from "../../lab/kubernetes/start.ts";
import { bringUp, startAgent, startController, takeDown } from "../../lab/lab.ts";
import { waitForAddresses, waitForAgents } from "../../lab/observe.ts";
import { forgetProgram, listPrograms, signalProgram, waitForEnd } from "../../lab/programs.ts";
import type { Requests } from "../../lab/requests.ts";
import type { RequestResult } from "../../lab/requester.ts";
import { waitFor } from "../../lab/wait.ts";
import { loadScene, TestLab, uniqueName } from "../lab/harness.ts";
import { startTransfer } from "../lab/transfers.ts";

const FAIRLEAD = join(import.meta.dirname, "../../bin/fairlead");
const SETTLED_MS = 1500;
/** Not slow any more: it will not go on. */
const HANGS_MS = 5000;

test("MetalLB's cluster is handed over node by node and back: nothing breaks", async () => {
  const scene = await loadScene("apiserver");
  const up = await bringUp({
    name: uniqueName(),
    scene,
    agents: false,
    agentArguments: ["--handover"],
    owner: "self",
    report: () => undefined,
  });
  const lab = new TestLab(up);
  try {
    await handOverAndBack(lab).catch((error: unknown) => lab.explain(error));
  } finally {
    await takeDown(up.name);
  }
});

async function handOverAndBack(lab: TestLab): Promise<void> {
  const nodes = nodesOf(lab.lab).map(({ name }) => name);
  await startMetallb(lab, nodes);
  const address = await lab.address("dual-stack");
  await lab.askUntil(
    "an answer through MetalLB and kube-proxy",
    { protocol: "HTTP", address, port: 80 },
    ({ ok }) => ok,
    30_000,
  );
  const before = await addressesOf(lab);
  const announcer = await lab.announcer(address, 80);
  await waitFor("speakers to say what they announce", async () => {
    const text = await kubectl(lab.lab, ["-n", "metallb-system", "get", "servicel2statuses", "-o", "name"]);
    return text.trim().split("\n").length >= before.size ? true : undefined;
  });
  await checkIsClean(lab);

  const requests = steady(lab, [address, await lab.address("dual-stack", "IPv6")]);
  const old = startTransfer(lab, { address, port: 80, bytes: 4e9, bytesPerSecond: 10e6 });
  await old.started;
  const failed = (): readonly RequestResult[] => requests.flatMap(({ results }) => results.filter(({ ok }) => !ok));
  const marks: { readonly at: number; readonly when: string }[] = [];
  const isWell = async (when: string): Promise<void> => {
    marks.push({ at: Date.now(), when });
    await sleep(SETTLED_MS);
    assert.deepEqual(failed().slice(0, 3), [], when);
    assert.ok(old.isRunning(), `${when}: the transfer that began before has ended`);
    assert.deepEqual(await addressesOf(lab), before, when);
    assert.equal(await lab.announcer(address, 80), announcer, when);
  };

  assert.match(await fairlead(lab, "next"), /scale deployment controller --replicas=0/);
  await kubectl(lab.lab, ["-n", "metallb-system", "scale", "deployment", "controller", "--replicas=0"]);
  await end(lab, "metallb-controller");
  await startFairlead(lab, nodes);
  await isWell("agents stand by");
  // Half way, and back: nobody has to go on.
  const [hesitant = ""] = nodes;
  await label(lab, hesitant, "active");
  await isWell(`${hesitant} tried`);
  await label(lab, hesitant, undefined);
  await isWell(`${hesitant} taken back`);
  for (const node of nodes) {
    await label(lab, node, "active");
    await isWell(`${node} handed over`);
  }
  await end(lab, "metallb-speaker");
  await isWell("speakers gone");
  // Those that went last thought the addresses theirs, and said so.
  const silenced = await Promise.all(nodes.map((node) => verdict(lab, node, "silenced")));
  assert.ok(Math.max(...silenced) > 0, "no speaker took over when another left: nothing was shown");
  const left = await verdict(lab, announcer, "left_to_stack");
  assert.ok(left > 100, `the transfer is kube-proxy's: ${left} packets left to the stack`);

  // And back: what has begun since is ours, and stays with the datapath.
  const ours = startTransfer(lab, { address, port: 80, bytes: 4e9, bytesPerSecond: 10e6 });
  await ours.started;
  for (const node of nodes) await startSpeaker(lab.lab, node);
  await isWell("speakers are back");
  for (const node of nodes) {
    await label(lab, node, undefined);
    await isWell(`${node} handed back`);
  }
  assert.ok(ours.isRunning(), "the transfer that began with Fairlead has ended");
  const results = (await Promise.all(requests.map((each) => each.stop()))).flat();
  assert.deepEqual(
    results.filter(({ ok }) => !ok),
    [],
  );
  assert.ok(results.length > 500, `${results.length} requests`);
  const stalls = [(await old.stop()).longestStallMilliseconds, (await ours.stop()).longestStallMilliseconds];
  for (const stall of stalls) assert.ok(stall < HANGS_MS, `a transfer stood still for ${stall} ms`);
  process.stdout.write(
    `# handover and back: ${results.length} requests, none lost, the slowest ${slowest(results, marks)}; transfers stood still for at most ${stalls.map((each) => each.toFixed(0)).join(" ms (kube-proxy's) and ")} ms (ours)\n`,
  );
}

async function startMetallb(lab: TestLab, nodes: readonly string[]): Promise<void> {
  await startApiServer(lab.lab);
  await applyMetallb(lab.lab);
  await startMetallbController(lab.lab);
  for (const node of nodes) {
    await startKubeProxy(lab.lab, node);
    await startSpeaker(lab.lab, node);
  }
  await waitForAddresses(lab.lab, { milliseconds: 60_000 });
}

/** What `helm install` would start. */
async function startFairlead(lab: TestLab, nodes: readonly string[]): Promise<void> {
  const host = lab.lab.scene.hosts.find(({ name }) => name === lab.lab.scene.apiServer);
  assert.ok(host !== undefined);
  for (const program of ["controller", "controller-2"]) await startController(lab.lab, host, program);
  for (const each of nodesOf(lab.lab)) if (nodes.includes(each.name)) await startAgent(lab.lab, each);
  await waitForAgents(lab.lab);
}

async function fairlead(lab: TestLab, ...words: readonly string[]): Promise<string> {
  const command = [FAIRLEAD, "migrate", ...words, "--kubeconfig", kubeconfigOf(lab.lab, "admin")];
  const { status, stdout, stderr } = await lab.exec(lab.lab.scene.apiServer ?? "", ...command);
  assert.equal(status, 0, `fairlead migrate ${words.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

/** The check of a real cluster of MetalLB: every address, and every announcer that its speakers name. */
async function checkIsClean(lab: TestLab): Promise<void> {
  const text = await fairlead(lab, "check");
  assert.match(text, /MetalLB 0\.16\.1, mode native/);
  assert.match(text, /same +\d+ addresses +stay where they are/);
  assert.match(text, /same +\d+ layer 2 announcements +by the same nodes/);
  process.stdout.write(text.replaceAll(/^/gm, "# "));
}

async function label(lab: TestLab, node: string, value: string | undefined): Promise<void> {
  const word = value === undefined ? "fairlead.io/handover-" : `fairlead.io/handover=${value}`;
  await kubectl(lab.lab, ["label", "node", node, word]);
  await waitFor(`the agent of ${node} to follow`, async () => {
    const status = await lab.agent(node, "/v1/status");
    const standsBy = status?.problems.some(({ message }) => message.startsWith("stands by")) ?? true;
    return standsBy === (value === undefined) ? true : undefined;
  });
}

async function verdict(lab: TestLab, node: string, name: string): Promise<number> {
  return (await lab.agent(node, "/v1/status"))?.verdicts[name] ?? 0;
}

async function end(lab: TestLab, name: string): Promise<void> {
  const programs = (await listPrograms(lab.lab.paths.programs)).filter(({ program }) => program === name);
  assert.ok(programs.length > 0, `no ${name} runs`);
  for (const each of programs) {
    await signalProgram(each, "SIGTERM");
    assert.equal(await waitForEnd(each, 10_000), "ended");
    await forgetProgram(lab.lab.paths.programs, each);
  }
}

async function addressesOf(lab: TestLab): Promise<ReadonlyMap<string, readonly string[]>> {
  return new Map((await lab.services()).map(({ name, addresses }) => [name, addresses]));
}

function steady(lab: TestLab, addresses: readonly string[]): readonly Requests[] {
  const all = addresses.map((address) =>
    lab.start({ protocol: "HTTP", address, port: 80, count: 0, everyMilliseconds: 20, timeoutMilliseconds: 2000 }),
  );
  // When the test fails, why it did is what counts, not that they were ended with the lab.
  for (const { done } of all) done.catch(() => undefined);
  return all;
}

/** How long it took, and which step it was in. */
function slowest(
  results: readonly RequestResult[],
  marks: readonly { readonly at: number; readonly when: string }[],
): string {
  const took = ({ sentAt, doneAt }: RequestResult): number => doneAt - sentAt;
  const worst = results.reduce((most, each) => (took(each) > took(most) ? each : most));
  const step = marks.find(({ at }) => at >= worst.sentAt)?.when ?? "the end";
  return `${took(worst).toFixed(0)} ms (before or in "${step}")`;
}
