/** A cluster that MetalLB's own programs serve, and the steps out of it: what tests of handovers share. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import {
  applyMetallb,
  kubectl,
  nodesOf,
  startFrrK8s,
  startKubeProxy,
  startMetallbController,
  startSpeaker,
} from "../../lab/kubernetes/metallb/start.ts";
import type { Mode } from "../../lab/kubernetes/metallb/frr.ts";
import { waitForSpeakers, type ReadLogs } from "../../lab/kubernetes/metallb/speakers.ts";
import { BIN } from "../../lab/kubernetes/control-plane.ts";
import { kubeconfigOf, startApiServer } from "../../lab/kubernetes/start.ts";
import { waitForServiceRules } from "../../lab/kubernetes/service-rules.ts";
import { bringUp, memberPlan, startAgent, startController, takeDown } from "../../lab/lab.ts";
import { waitForAddresses, waitForAgents } from "../../lab/observe.ts";
import { runIn } from "../../lab/network.ts";
import { forgetProgram, listPrograms, signalProgram, waitForEnd } from "../../lab/programs.ts";
import type { Requests } from "../../lab/requests.ts";
import type { RequestResult } from "../../lab/requester.ts";
import { waitFor } from "../../lab/wait.ts";
import { HANDOVER_LABEL, type Step } from "../../src/observe/migration/step.ts";
import { loadScene, TestLab, uniqueName } from "../lab/harness.ts";

const ROOT = join(import.meta.dirname, "../..");
const TYPED_MILLISECONDS = 180_000;

interface Metallb {
  readonly mode: Mode;
  /** What its BGPPeers have more. */
  readonly peers?: { readonly enableGracefulRestart?: true; readonly bfdProfile?: string };
}

/** A scene with an API server, its agents not started, for one body. */
export async function withMetallb(
  scene: string,
  body: (lab: TestLab, nodes: readonly string[]) => Promise<void>,
  how: Metallb = { mode: "native" },
): Promise<void> {
  const up = await bringUp({
    name: uniqueName(),
    scene: await loadScene(scene),
    agents: false,
    agentArguments: ["--handover"],
    owner: "self",
    report: () => undefined,
  });
  const lab = new TestLab(up);
  try {
    const nodes = nodesOf(up).map(({ name }) => name);
    await startMetallb(lab, nodes, how)
      .then(() => body(lab, nodes))
      .catch((error: unknown) => lab.explain(error));
  } finally {
    await takeDown(up.name);
  }
}

/** MetalLB and kube-proxy serve; every Service has its addresses, and each node carries them. */
async function startMetallb(lab: TestLab, nodes: readonly string[], { mode, peers }: Metallb): Promise<void> {
  await startApiServer(lab.lab);
  await applyMetallb(lab.lab, mode);
  if (peers !== undefined) await changePeers(lab, peers);
  await startMetallbController(lab.lab);
  for (const node of nodes) {
    await startKubeProxy(lab.lab, node);
    await startSpeaker(lab.lab, node, mode);
    if (mode === "frr-k8s") await startFrrK8s(lab.lab, node);
  }
  await waitForServiceRules(lab.lab, await waitForAddresses(lab.lab, { milliseconds: 60_000 }));
}

/** By layer 2, when every speaker knows all others; ServiceL2Statuses say the same. By address the node that announces it. */
export async function announcersOfMetallb(lab: TestLab, logs?: ReadLogs): Promise<ReadonlyMap<string, string>> {
  const services = await lab.services();
  const announcers = await waitForSpeakers(
    lab.lab,
    services.flatMap(({ addresses }) => addresses),
    logs,
  );
  const expected = services
    .map(({ namespace, name, addresses }) => `${namespace}/${name} ${announcers.get(addresses[0] ?? "") ?? ""}`)
    .toSorted();
  const row = "{.status.serviceNamespace}/{.status.serviceName} {.status.node}";
  const listed = [
    "get",
    "servicel2statuses",
    "--all-namespaces",
    "--output",
    `jsonpath={range .items[*]}${row}{"\\n"}{end}`,
  ];
  let said: readonly string[] = [];
  await waitFor(
    "ServiceL2Statuses to say who announces",
    async () => {
      said = (await kubectl(lab.lab, listed)).trim().split("\n").toSorted();
      return isDeepStrictEqual(said, expected) ? true : undefined;
    },
    {
      milliseconds: 60_000,
      every: 200,
      explain: () => `they say: ${said.join(", ")}; expected: ${expected.join(", ")}`,
    },
  );
  return announcers;
}

/** Before the first session: MetalLB lets nobody change graceful restart afterwards. */
async function changePeers({ lab }: TestLab, spec: NonNullable<Metallb["peers"]>): Promise<void> {
  const inNamespace = ["--namespace", "metallb-system"];
  const peers = await kubectl(lab, ["get", "bgppeers", ...inNamespace, "--output=name"]);
  for (const peer of peers.trim().split("\n"))
    await kubectl(lab, ["patch", peer, ...inNamespace, "--type=merge", "-p", JSON.stringify({ spec })]);
}

/** What `helm install` would start. */
export async function startFairlead(lab: TestLab): Promise<void> {
  const host = lab.lab.scene.hosts.find(({ name }) => name === lab.lab.scene.apiServer);
  assert.ok(host !== undefined);
  for (const program of ["controller", "controller-2"]) await startController(lab.lab, host, program);
  for (const each of nodesOf(lab.lab)) await startAgent(lab.lab, each);
  await waitForAgents(lab.lab, { milliseconds: 60_000 });
}

/** A line as it is typed where kubectl, its plug-in and helm are installed and the kubeconfig is found: in a checkout, on the API server's host. */
export async function typed(lab: TestLab, line: string): Promise<string> {
  const { namespace } = memberPlan(lab.lab, lab.lab.scene.apiServer ?? "");
  const environment = {
    PATH: `${join(ROOT, "bin")}:${BIN}:${process.env["PATH"] ?? ""}`,
    KUBECONFIG: kubeconfigOf(lab.lab, "admin"),
  };
  const command = ["sh", "-c", `cd '${ROOT}' && ${line}`];
  const { status, stdout, stderr } = await runIn(namespace, command, {
    environment,
    timeoutMilliseconds: TYPED_MILLISECONDS,
  });
  assert.equal(status, 0, `${line}: ${stdout}${stderr}`);
  return stdout;
}

/** What `fairlead migrate next` says is to be typed. */
export async function nextStep(lab: TestLab): Promise<Step> {
  return JSON.parse(await typed(lab, "fairlead migrate next -o json")) as Step;
}

type Stage = "active" | "bgp" | undefined;

/** Sets a node's label, or takes it away, and waits until its agent follows. */
export async function label(lab: TestLab, node: string, stage: Stage): Promise<void> {
  const word = stage === undefined ? `${HANDOVER_LABEL}-` : `${HANDOVER_LABEL}=${stage}`;
  await kubectl(lab.lab, ["label", "--overwrite", "node", node, word]);
  await waitForStage(lab, node, stage);
}

/** Until the agent says that it has seen the label. */
export async function waitForStage(lab: TestLab, node: string, stage: Stage): Promise<void> {
  const expected = { active: undefined, bgp: "it answers for no address", none: "it announces nothing" }[
    stage ?? "none"
  ];
  await waitFor(`the agent of ${node} to follow`, async () => {
    const status = await lab.agent(node, "/v1/status");
    const message = status?.problems.find((each) => each.message.startsWith("stands by"))?.message;
    if (status === undefined) return undefined;
    return (expected === undefined ? message === undefined : message?.includes(expected) === true) ? true : undefined;
  });
}

export async function verdict(lab: TestLab, node: string, name: string): Promise<number> {
  return (await lab.agent(node, "/v1/status"))?.verdicts[name] ?? 0;
}

/** Ends a program on one host, or on all. */
export async function end(lab: TestLab, name: string, host?: string): Promise<void> {
  const programs = (await listPrograms(lab.lab.paths.programs)).filter(
    (each) => each.program === name && (host === undefined || each.host === host),
  );
  assert.ok(programs.length > 0, `no ${name} runs`);
  for (const each of programs) {
    await signalProgram(each, "SIGTERM");
    assert.equal(await waitForEnd(each, 10_000), "ended");
    await forgetProgram(lab.lab.paths.programs, each);
  }
}

export async function addressesOf(lab: TestLab): Promise<ReadonlyMap<string, readonly string[]>> {
  return new Map((await lab.services()).map(({ name, addresses }) => [name, addresses]));
}

/** A request every 20 ms to each address, until they are stopped. */
export function steady(lab: TestLab, addresses: readonly string[], port: number): readonly Requests[] {
  const all = addresses.map((address) =>
    lab.start({ protocol: "HTTP", address, port, count: 0, everyMilliseconds: 20, timeoutMilliseconds: 2000 }),
  );
  // When the test fails, why it did is what counts, not that they were ended with the lab.
  for (const { done } of all) done.catch(() => undefined);
  return all;
}

export interface Mark {
  /** Milliseconds since 1970: when the step was done. */
  readonly at: number;
  readonly when: string;
}

/** How long it took, and which step it was in. */
export function slowest(results: readonly RequestResult[], marks: readonly Mark[]): string {
  const took = ({ sentAt, doneAt }: RequestResult): number => doneAt - sentAt;
  const worst = results.reduce((most, each) => (took(each) > took(most) ? each : most));
  return `${took(worst).toFixed(0)} ms (before or in "${stepOf(worst, marks)}")`;
}

export function stepOf({ sentAt }: RequestResult, marks: readonly Mark[]): string {
  return marks.find(({ at }) => at >= sentAt)?.when ?? "the end";
}
