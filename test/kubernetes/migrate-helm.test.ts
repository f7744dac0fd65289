/**
 * The whole way out of MetalLB in a real cluster: installed by its own chart, and handed over by typing what `fairlead migrate next` says, line by
 * line, until it says that nothing is left. Under a transfer and requests all the time; kubelets, kube-proxy and Helm do what they do.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { installMetallb, METALLB_RELEASE, metallbImages } from "../../lab/kubernetes/metallb/install.ts";
import { kubectl, startCluster } from "../../lab/kubernetes/nodes.ts";
import { waitForServiceRules } from "../../lab/kubernetes/service-rules.ts";
import { startObjects } from "../../lab/kubernetes/start.ts";
import { nodesOf } from "../../lab/kubernetes/metallb/start.ts";
import { bringUp, takeDown } from "../../lab/lab.ts";
import { waitForAddresses } from "../../lab/observe.ts";
import { waitForNextHops } from "../../lab/routes.ts";
import { waitFor } from "../../lab/wait.ts";
import { loadScene, TestLab, uniqueName } from "../lab/harness.ts";
import { startTransfer, type Transfer } from "../lab/transfers.ts";
import {
  addressesOf,
  announcersOfMetallb,
  nextStep,
  slowest,
  steady,
  typed,
  verdict,
  waitForStage,
  type Mark,
} from "./migration.ts";

const WAY = [
  /scale deployment metallb-controller --replicas=0/,
  /helm install fairlead/,
  /node kind-control-plane fairlead.io\/handover=active/,
  /node worker1 fairlead.io\/handover=active/,
  /delete daemonset metallb-speaker/,
  /helm upgrade fairlead .*speaker.handover=false/,
] as const;
const BGP_PORT = 18081;
const TRANSFERS = [1, 2, 3, 4];
const SESSION = { milliseconds: 60_000 };
const SYSTEM = ["--namespace", "metallb-system"];

const BGP_WAY = [
  /scale deployment metallb-controller --replicas=0/,
  /helm install fairlead/,
  /patch daemonset metallb-speaker/,
  /node master1 fairlead.io\/handover=bgp fairlead.io\/speaker=gone/,
  /node worker1 fairlead.io\/handover=bgp fairlead.io\/speaker=gone/,
  /node master1 fairlead.io\/handover=active/,
  /node worker1 fairlead.io\/handover=active/,
  /delete daemonset metallb-speaker/,
  /helm upgrade fairlead .*speaker.handover=false/,
] as const;

test("what `fairlead migrate next` says, typed line by line, takes a cluster from MetalLB's chart to ours, and nothing is lost", () =>
  withMetallbsChart("kubernetes", handOver));

test("with BGP as well: transfers go on, and what is lost began while a session was exchanged", () =>
  withMetallbsChart("kubernetesbgp", handOverBgp));

async function withMetallbsChart(scene: string, body: (lab: TestLab) => Promise<void>): Promise<void> {
  const up = await bringUp({
    name: uniqueName(),
    scene: await loadScene(scene),
    agents: false,
    owner: "self",
    report: () => undefined,
  });
  const lab = new TestLab(up);
  try {
    await serveByMetallb(lab)
      .then(() => body(lab))
      .catch((error: unknown) => lab.explain(error));
  } finally {
    await takeDown(up.name);
  }
}

async function serveByMetallb({ lab }: TestLab): Promise<void> {
  await startCluster(lab, () => undefined, metallbImages());
  await installMetallb(lab);
  for (const folder of lab.scene.manifests)
    // Its webhook answers a moment after its pod is ready.
    await waitFor(
      `${folder} to be applied`,
      () =>
        kubectl(lab, ["apply", "--filename", folder]).then(
          () => true as const,
          () => undefined,
        ),
      { milliseconds: 30_000 },
    );
  await kubectl(lab, ["wait", "--for=condition=Available", "deployment", "--all", "--timeout=120s"]);
  await startObjects(lab);
  await waitForServiceRules(lab, await waitForAddresses(lab, { milliseconds: 60_000 }));
}

/** Of the speakers that Helm has installed, by node. */
async function speakerLogs({ lab }: TestLab): Promise<ReadonlyMap<string, string>> {
  const row = '{.metadata.name} {.spec.nodeName}{"\\n"}';
  const selector = `app.kubernetes.io/instance=${METALLB_RELEASE},app.kubernetes.io/component=speaker`;
  const output = `--output=jsonpath={range .items[*]}${row}{end}`;
  const pods = (await kubectl(lab, ["get", "pods", ...SYSTEM, `--selector=${selector}`, output])).trim().split("\n");
  const logs = pods.map(async (each): Promise<[string, string]> => {
    const [pod = "", node = ""] = each.split(" ");
    return [node, await kubectl(lab, ["logs", pod, ...SYSTEM, "--container=speaker", "--tail=-1"])];
  });
  return new Map(await Promise.all(logs));
}

async function handOver(lab: TestLab): Promise<void> {
  const address = await lab.address("dual-stack");
  const plan = { protocol: "HTTP", address, port: 80 } as const;
  await lab.askUntil("an answer through MetalLB and kube-proxy", plan, ({ ok }) => ok, 60_000);
  const before = await addressesOf(lab);
  const announcers = await announcersOfMetallb(lab, () => speakerLogs(lab));
  const announcer = await lab.announcer(address, 80);
  assert.equal(announcers.get(address), announcer);
  assert.match(await typed(lab, "kubectl fairlead migrate check"), /MetalLB 0\.16\.1, mode native/);

  const requests = steady(lab, [address, await lab.address("dual-stack", "IPv6")], 80);
  const transfer = startTransfer(lab, { address, port: 80, bytes: 4e9, bytesPerSecond: 2e6 });
  await transfer.started;
  const marks: Mark[] = [];
  const done = (when: string): void => void marks.push({ at: Date.now(), when });
  await changeOfMind(lab);
  done("the first step, taken back");

  for (const expected of WAY) {
    const { title, commands, undo } = await nextStep(lab);
    assert.match(commands.join("\n"), expected);
    if (expected === WAY.at(-2)) await whoHasMet(lab, undo);
    if (expected === WAY.at(-1)) {
      assert.ok((await verdict(lab, announcer, "left_to_stack")) > 100, "the transfer was kube-proxy's");
      assert.ok(transfer.isRunning(), "the transfer that began with MetalLB has ended");
      await transfer.stop();
    }
    for (const line of commands) await typed(lab, line);
    const node = /label --overwrite node (\S+)/.exec(commands[0] ?? "")?.[1];
    if (node !== undefined) await waitForStage(lab, node, "active");
    done(title);
  }
  assert.equal(await typed(lab, "fairlead migrate next"), "Nothing is left to do.\n");
  assert.equal(await lab.announcer(address, 80), announcer);
  const results = (await Promise.all(requests.map((each) => each.stop()))).flat();
  assert.deepEqual(
    results.filter(({ ok }) => !ok),
    [],
  );
  assert.deepEqual(await addressesOf(lab), before);
  await nothingIsLeft(lab);
  process.stdout.write(`# by Helm: ${results.length} requests, none lost, the slowest ${slowest(results, marks)}\n`);
}

async function handOverBgp(lab: TestLab): Promise<void> {
  const address = await lab.address("web");
  const plan = { protocol: "HTTP", address, port: BGP_PORT } as const;
  await lab.askUntil("an answer through MetalLB and kube-proxy", plan, ({ ok }) => ok, 60_000);
  const before = await addressesOf(lab);
  const nodes = nodesOf(lab.lab).map(({ name }) => name);
  const requests = steady(lab, [address, address], BGP_PORT);
  const exchanges: [number, number][] = [];
  let transfers: readonly Transfer[] = [];
  for (const expected of BGP_WAY) {
    const { commands, onEveryNode = [] } = await nextStep(lab);
    assert.match(commands.join("\n"), expected);
    if (expected === BGP_WAY.at(-1)) {
      assert.ok(
        transfers.every((each) => each.isRunning()),
        "a transfer that began with MetalLB has ended",
      );
      await Promise.all(transfers.map((each) => each.stop()));
    }
    for (const line of onEveryNode) for (const node of nodes) await lab.exec(node, "sh", "-ec", line);
    const from = Date.now();
    for (const line of commands) await typed(lab, line);
    const [, node, stage] = /node (\S+) fairlead\.io\/handover=(\S+)/.exec(commands[0] ?? "") ?? [];
    if (node !== undefined) await waitForStage(lab, node, stage === "bgp" ? "bgp" : "active");
    if (stage === "bgp") {
      await waitFor(`the session of ${node}`, () => hasSession(lab, node ?? ""), SESSION);
      await waitForNextHops(lab.lab, "router", [address], nodes, SESSION);
      exchanges.push([from, Date.now()]);
    }
    if (commands[0]?.includes("patch daemonset") === true) {
      transfers = TRANSFERS.map(() => startTransfer(lab, { address, port: BGP_PORT, bytes: 4e9, bytesPerSecond: 1e6 }));
      await Promise.all(transfers.map(({ started }) => started));
    }
  }
  assert.equal(await typed(lab, "fairlead migrate next"), "Nothing is left to do.\n");
  const results = (await Promise.all(requests.map((each) => each.stop()))).flat();
  const lost = results.filter(({ ok }) => !ok).map(({ sentAt }) => sentAt);
  assert.deepEqual(
    lost.filter((at) => !exchanges.some(([from, to]) => at >= from && at <= to)),
    [],
  );
  assert.deepEqual(await addressesOf(lab), before);
  await nothingIsLeft(lab);
  process.stdout.write(`# by Helm, BGP: ${results.length} requests, ${lost.length} lost\n`);
}

/** What would be looked at on the way back says so of speakers that have. */
async function whoHasMet(lab: TestLab, undo: readonly string[]): Promise<void> {
  const [look = ""] = undo.filter((line) => line.includes("NodeJoin"));
  const nodes = nodesOf(lab.lab).length;
  const rows = (await typed(lab, look)).trimEnd().split("\n");
  assert.equal(rows.length, nodes, rows.join("\n"));
  for (const row of rows) assert.match(row, new RegExp(`^ *${nodes} \\[pod/metallb-speaker-[^ ]+/speaker\\]$`));
}

async function hasSession(lab: TestLab, node: string): Promise<true | undefined> {
  return (await lab.agent(node, "/v1/bgp/peers"))?.[0]?.state === "established" ? true : undefined;
}

/** The first step and back: what Helm has installed is there again. */
async function changeOfMind(lab: TestLab): Promise<void> {
  const { commands, undo } = await nextStep(lab);
  for (const line of [...commands, ...undo]) await typed(lab, line);
  await kubectl(lab.lab, ["rollout", "status", ...SYSTEM, "deployment/metallb-controller", "--timeout=60s"]);
  const webhooks = await kubectl(lab.lab, ["get", "validatingwebhookconfigurations", "--output=name"]);
  assert.match(webhooks, /metallb-webhook-configuration/);
}

/** Of MetalLB's programs; its objects are all there. */
async function nothingIsLeft(lab: TestLab): Promise<void> {
  const pods = await kubectl(lab.lab, [
    "get",
    "pods",
    ...SYSTEM,
    "--output=jsonpath={.items[*].spec.containers[*].image}",
  ]);
  assert.doesNotMatch(pods, /metallb/);
  const releases = await typed(lab, "helm list --all-namespaces --short");
  assert.deepEqual(releases.trim().split("\n"), ["fairlead"], `${METALLB_RELEASE} is still a release`);
  const pools = await kubectl(lab.lab, ["get", "ipaddresspools", ...SYSTEM, "--output=name"]);
  assert.notEqual(pools.trim(), "");
}
