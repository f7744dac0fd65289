/**
 * Who announces an address, and where, as L2Advertisements, labels and conditions change: what the client's ARP table says, what the nodes
 * say about themselves, and what `explain` says where nobody does. The names of the tests are those of MetalLB's own where it has one.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { readAnnouncers, waitForAgents } from "../../lab/observe.ts";
import { waitFor } from "../../lab/wait.ts";
import { fairlead } from "../../src/cli/agent.fixture.ts";
import type { ExplainDocument } from "../../src/observe/status.ts";
import { labSuite, type TestLab } from "./harness.ts";

const NODES = ["node1", "node2", "node3"];
const SERVICE = "web";
/** Every node may announce it, and this one comes first: sha256 of `node3#192.168.10.29`. */
const ADDRESS = "192.168.10.29";
const NATURAL = "node3";
const SECOND = "node1";
const EXCLUDED = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };
const SCENE = join(import.meta.dirname, "scenes/selection.yaml");

const onNode = (...names: readonly string[]): object => ({
  nodeSelectors: names.map((name) => ({ matchLabels: { "kubernetes.io/hostname": name } })),
});
const preferring = (weight: number, matchLabels: object): object => ({
  preferredNodeSelectors: [{ weight, preference: { matchLabels } }],
});

labSuite("an L2Advertisement", SCENE, { capture: false }, (it) => {
  it("announces from one node, which says so in its ServiceL2Status, its event and its metric", async (lab) => {
    await service(lab);
    await advertise(lab, {});
    await announcedBy(lab, NATURAL);
    await lab.ask({ protocol: "HTTP", address: ADDRESS, port: 80 });
    // So far the client may have learned it from the gratuitous announcement alone.
    assert.deepEqual(await answererOn(lab, "eth0"), [NATURAL, "eth0"]);
    await statusSays(lab, NATURAL, []);
    assert.match(await eventsOf(lab, NATURAL), /nodeAssigned announcing from node "node3" with protocol "layer2" ×1/);
    const metrics = await metricsOf(lab, NATURAL);
    assert.match(
      metrics,
      /^metallb_speaker_announced\{service="default\/web",protocol="layer2",node="node3",ip="192\.168\.10\.29"\} 1$/m,
    );
    for (const name of ["requests_received", "responses_sent", "gratuitous_sent"])
      assert.match(metrics, new RegExp(`^metallb_layer2_${name}\\{ip="192\\.168\\.10\\.29"\\} [1-9]`, "m"));
    assert.doesNotMatch(await metricsOf(lab, SECOND), /metallb_speaker_announced\{service="default\/web"/);
  });

  it("node selector: should work selecting one node, each in turn", async (lab) => {
    for (const node of NODES) {
      await advertise(lab, onNode(node));
      await announcedBy(lab, node);
      await statusSays(lab, node, []);
    }
  });

  it("node selector: should work with multiple node selectors", async (lab) => {
    await advertise(lab, onNode("node1", "node2"), onNode("node3"));
    await announcedBy(lab, NATURAL);
    await advertise(lab, onNode("node1", "node2"));
    await announcedBy(lab, SECOND);
  });

  it("node selector: should work when adding nodes; until then explain says that none is selected", async (lab) => {
    await advertise(lab, { nodeSelectors: [{ matchLabels: { zone: "new" } }] });
    await nobodyAnswers(lab);
    const { code, document } = await explain(lab, NATURAL);
    assert.deepEqual([code, firstFailure(document)?.step], [1, "nodes"]);
    await lab.conditions({ nodes: { node2: { labels: { zone: "new" } } } });
    await announcedBy(lab, "node2");
    await lab.conditions({});
    await nobodyAnswers(lab);
    await advertise(lab, {});
    await announcedBy(lab, NATURAL);
  });

  for (const { name, change } of [
    {
      name: "should not be announced from a node with a NetworkUnavailable condition",
      change: { networkUnavailable: true },
    },
    { name: "adding the exclusion label to a node", change: { labels: EXCLUDED } },
  ])
    it(`${name}: the address moves, and returns with it`, async (lab) => {
      await lab.conditions({ nodes: { [NATURAL]: change } });
      await announcedBy(lab, SECOND);
      await lab.conditions({});
      await announcedBy(lab, NATURAL);
    });

  it("preferred: labelled node preferred; falls back when excluded, reclaims, falls back when the label is removed", async (lab) => {
    await advertise(lab, preferring(100, { fast: "yes" }));
    await announcedBy(lab, NATURAL);
    await lab.conditions({ nodes: { node2: { labels: { fast: "yes" } } } });
    await announcedBy(lab, "node2");
    await lab.conditions({ nodes: { node2: { labels: { fast: "yes", ...EXCLUDED } } } });
    await announcedBy(lab, NATURAL);
    await lab.conditions({ nodes: { node2: { labels: { fast: "yes" } } } });
    await announcedBy(lab, "node2");
    await lab.conditions({});
    await announcedBy(lab, NATURAL);
  });

  it("preferred: two L2Advertisements adding up beat one heavier, and a preference for other Services counts nothing", async (lab) => {
    const other = {
      ...preferring(100, { "kubernetes.io/hostname": "node2" }),
      serviceSelectors: [{ matchLabels: { app: "other" } }],
    };
    await advertise(
      lab,
      preferring(40, { edge: "yes" }),
      preferring(40, { edge: "yes" }),
      preferring(70, { "kubernetes.io/hostname": "node2" }),
      other,
    );
    await announcedBy(lab, "node1");
  });

  it("interface: modify L2 interface: answers stop on the old one and start on the new, with its MAC", async (lab) => {
    await advertise(lab, { interfaces: ["eth1"] });
    await waitFor("an answer on the side", async () =>
      (await answererOn(lab, "eth1"))?.join() === `${NATURAL},eth1` ? true : undefined,
    );
    await nobodyAnswers(lab);
    await statusSays(lab, NATURAL, ["eth1"]);
    await advertise(lab, { interfaces: ["eth1"] }, { interfaces: ["eth0", "eth9"] });
    await announcedBy(lab, NATURAL);
    assert.deepEqual(await answererOn(lab, "eth1"), [NATURAL, "eth1"]);
    await statusSays(lab, NATURAL, ["eth0", "eth1"]);
  });

  it("interface: specify not existing interfaces: nobody answers, announceFailed, and every view says so", async (lab) => {
    await advertise(lab, { interfaces: ["eth7"] });
    await nobodyAnswers(lab);
    await waitFor("the event", async () =>
      /announceFailed the interfaces specified by LB IP "192\.168\.10\.29" doesn't exist in assigned node "node3" with protocol "layer2" ×1/.test(
        await eventsOf(lab, NATURAL),
      )
        ? true
        : undefined,
    );
    await statusSays(lab, undefined, []);
    assert.doesNotMatch(await metricsOf(lab, NATURAL), /metallb_speaker_announced\{service="default\/web"/);
    const rows = await lab.agent(NATURAL, "/v1/services");
    assert.equal(rows?.find(({ name }) => name === SERVICE)?.announceReason, "noInterface");
    const here = await explain(lab, NATURAL);
    assert.deepEqual([here.code, firstFailure(here.document)?.step], [1, "interface"]);
    const elsewhere = await explain(lab, SECOND);
    assert.deepEqual([elsewhere.code, elsewhere.document.ask], [0, NATURAL]);
    await advertise(lab, {});
    await announcedBy(lab, NATURAL);
  });

  it("service selector: follows label changes of the Service both ways", async (lab) => {
    await advertise(lab, {
      serviceSelectors: [{ matchLabels: { tier: "gold" } }, { matchLabels: { tier: "silver" } }],
    });
    await nobodyAnswers(lab);
    await service(lab, { tier: "silver" });
    await announcedBy(lab, NATURAL);
    await service(lab, { tier: "bronze" });
    await nobodyAnswers(lab);
    assert.equal(firstFailure((await explain(lab, NATURAL)).document)?.step, "advertisement");
    await advertise(lab, {});
    await announcedBy(lab, NATURAL);
  });

  it("different services sharing the same ip should advertise from the same node", async (lab) => {
    const shared = await lab.address("share-a");
    assert.equal(await lab.address("share-b"), shared);
    const nodes = (await readAnnouncers(lab.lab)).get(shared);
    assert.equal(nodes?.length, 1);
    for (const port of [80, 81]) {
      const { host_name } = await lab.ask({ protocol: "HTTP", address: shared, port });
      assert.equal(host_name, nodes[0], "policy Local: the announcer's own pod");
    }
    for (const name of ["share-a", "share-b"]) await statusSays(lab, nodes[0], [], name);
  });

  it("explain: every step is well on the announcer, by name and by address", async (lab) => {
    for (const wanted of [`svc/${SERVICE}`, ADDRESS]) {
      const { code, document } = await explain(lab, NATURAL, wanted);
      assert.deepEqual(
        document.steps.filter(({ result }) => result !== "ok"),
        [],
      );
      assert.equal(code, 0);
    }
    assert.deepEqual(await answererOn(lab, "eth0"), [NATURAL, "eth0"]);
    const { document } = await explain(lab, NATURAL);
    const answers = document.steps.find(({ step }) => step === "answers");
    assert.match(answers?.details.join() ?? "", /192\.168\.10\.29 on eth0: [1-9]\d* questions?, [1-9]\d* answers?/);
  });

  it("explain: no ready endpoint, a backend without a route, no advertisement", async (lab) => {
    const pods = { "web-1": "notReady", "web-2": "notReady", "web-3": "notReady" } as const;
    await lab.conditions({ pods });
    await failsAt(lab, "endpoints");
    await lab.conditions({});
    await announcedBy(lab, NATURAL);
    await lab.exec(NATURAL, "ip", "route", "del", "10.244.1.0/24");
    await waitFor("a warning", async () => {
      const { document } = await explain(lab, NATURAL);
      const endpoints = document.steps.find(({ step }) => step === "endpoints");
      return endpoints?.result === "warning" && endpoints.details.join().includes("unreachable") ? true : undefined;
    });
    await lab.exec(NATURAL, "ip", "route", "add", "10.244.1.0/24", "via", "192.168.10.201");
    await lab.remove("advertisements.yaml");
    await failsAt(lab, "advertisement");
  });

  it("announces on over a restart of the agent: the status stays, and no event is repeated", async (lab) => {
    const begun = Date.now();
    await advertise(lab, {});
    await announcedBy(lab, NATURAL);
    await statusSays(lab, NATURAL, []);
    await waitFor("the event of this announcement, which is written a moment later", async () =>
      (await readEvents(lab, NATURAL)).some(({ lastTimestamp }) => Date.parse(lastTimestamp) >= begun)
        ? true
        : undefined,
    );
    const before = await eventsOf(lab, NATURAL);
    await lab.fault(NATURAL, "agent-stop");
    await statusSays(lab, NATURAL, []);
    await lab.fault(NATURAL, "agent-start");
    await waitForAgents(lab.lab);
    await announcedBy(lab, NATURAL);
    // A status that changes is written within the same moment as the announcement; this one must not.
    await lab.conditions({ nodes: { node2: { labels: { touched: "yes" } } } });
    await announcedBy(lab, NATURAL);
    assert.equal(await eventsOf(lab, NATURAL), before);
    await statusSays(lab, NATURAL, []);
  });

  it("is forgotten with its Service: the status goes, and the metric", async (lab) => {
    await lab.remove("service.yaml");
    await statusSays(lab, undefined, []);
    assert.doesNotMatch(await metricsOf(lab, NATURAL), /metallb_speaker_announced\{service="default\/web"/);
    assert.equal(firstFailure((await explain(lab, NATURAL)).document)?.step, "service");
  });
});

async function service(lab: TestLab, labels: object = {}): Promise<void> {
  const object = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: SERVICE, labels, annotations: { "metallb.io/loadBalancerIPs": ADDRESS } },
    spec: { type: "LoadBalancer", ports: [{ port: 80, targetPort: 8080 }], selector: { app: "web" } },
  };
  await lab.write("service.yaml", JSON.stringify(object));
}

/** The advertisements of the pool, one for each spec. */
async function advertise(lab: TestLab, ...specs: readonly object[]): Promise<void> {
  const objects = specs.map((spec, index) => ({
    apiVersion: "metallb.io/v1beta1",
    kind: "L2Advertisement",
    metadata: { name: `ad${index}`, namespace: "metallb-system" },
    spec: { ipAddressPoolSelectors: [{ matchLabels: { zone: "a" } }], ...spec },
  }));
  await lab.write("advertisements.yaml", objects.map((each) => JSON.stringify(each)).join("\n---\n"));
}

/** The client hears this node on the first segment, and no other node has the address in its kernel, once all have read the change. */
async function announcedBy(lab: TestLab, node: string): Promise<void> {
  let heard: readonly string[] | undefined;
  let announcing: readonly string[] = [];
  await waitFor(
    `${node} alone to answer for ${ADDRESS}`,
    async () => {
      announcing = (await readAnnouncers(lab.lab)).get(ADDRESS) ?? [];
      heard = await answererOn(lab, "eth0");
      return heard?.join() === `${node},eth0` && announcing.join() === node ? true : undefined;
    },
    { explain: () => `${heard?.join(" on ") ?? "nobody"} answers, ${announcing.join(" and ")} would` },
  );
}

async function nobodyAnswers(lab: TestLab): Promise<void> {
  await waitFor(`nobody to answer for ${ADDRESS}`, async () =>
    (await answererOn(lab, "eth0")) === undefined ? true : undefined,
  );
  assert.equal(await answererOn(lab, "eth0"), undefined, "and nobody does so afterwards");
}

interface Neighbor {
  readonly lladdr?: string;
}

/** Host and device whose MAC the client learns when it asks anew on this device; undefined: a third of a second passes in silence. */
async function answererOn(lab: TestLab, device: string): Promise<readonly [host: string, device: string] | undefined> {
  const ask = `ip route replace ${ADDRESS}/32 dev ${device}; ip neigh flush to ${ADDRESS}; echo >/dev/udp/${ADDRESS}/9`;
  await lab.exec(lab.client, "bash", "-c", ask);
  for (let look = 0; look < 10; look += 1) {
    const { stdout } = await lab.exec(lab.client, "ip", "-j", "neigh", "show", "to", ADDRESS, "dev", device);
    const [neighbor] = JSON.parse(stdout === "" ? "[]" : stdout) as readonly Neighbor[];
    const end = lab.lab.plan.cables.flatMap(({ near, far }) => [near, far]).find(({ mac }) => mac === neighbor?.lladdr);
    if (end !== undefined) return [end.member, end.device];
    await sleep(30);
  }
  return undefined;
}

/** Exactly this node has a ServiceL2Status of the Service; undefined: none has. */
async function statusSays(
  lab: TestLab,
  node: string | undefined,
  interfaces: readonly string[],
  name = SERVICE,
): Promise<void> {
  const folder = join(lab.lab.paths.nodeState, "servicel2statuses");
  const wanted = node === undefined ? "" : `${node} ${interfaces.join()}`;
  let found = "";
  await waitFor(
    `a ServiceL2Status ${wanted}`,
    async () => {
      const files = (await readdir(folder)).filter(
        (file) => file.endsWith(`_default_${name}.json`) && !file.startsWith("."),
      );
      const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8").catch(() => "{}")));
      found = texts.map(statusLine).toSorted().join("; ");
      return found === wanted ? true : undefined;
    },
    { explain: () => `found: ${found}` },
  );
}

function statusLine(text: string): string {
  const { status } = JSON.parse(text) as { status?: { node: string; interfaces: readonly { name: string }[] } };
  return status === undefined ? "gone" : `${status.node} ${status.interfaces.map(({ name }) => name).join()}`;
}

interface Event {
  readonly reason: string;
  readonly message: string;
  readonly count: number;
  readonly lastTimestamp: string;
  readonly involvedObject: { readonly name: string };
}

/** The node's about the Service. */
async function readEvents(lab: TestLab, node: string): Promise<readonly Event[]> {
  const text = await waitFor("events", () =>
    readFile(join(lab.lab.paths.nodeState, `events-${node}.json`), "utf8").catch(() => undefined),
  );
  const { items } = JSON.parse(text) as { readonly items: readonly Event[] };
  return items.filter(({ involvedObject }) => involvedObject.name === SERVICE);
}

/** One a line. */
async function eventsOf(lab: TestLab, node: string): Promise<string> {
  const events = await readEvents(lab, node);
  return events.map(({ reason, message, count }) => `${reason} ${message} ×${count}`).join("\n");
}

async function metricsOf(lab: TestLab, node: string): Promise<string> {
  const socket = lab.lab.paths.socket(node);
  return (await lab.exec(node, "curl", "-s", "--unix-socket", socket, "http://fairlead/metrics")).stdout;
}

async function explain(
  lab: TestLab,
  node: string,
  wanted = `svc/${SERVICE}`,
): Promise<{ readonly code: number; readonly document: ExplainDocument }> {
  const { code, stdout, stderr } = await fairlead(`explain ${wanted} -o json --socket ${lab.lab.paths.socket(node)}`, {
    answerTimeoutMilliseconds: 5000,
  });
  assert.equal(stderr, "");
  return { code, document: JSON.parse(stdout) as ExplainDocument };
}

function firstFailure({ steps }: ExplainDocument): ExplainDocument["steps"][number] | undefined {
  return steps.find(({ result }) => result === "failed");
}

async function failsAt(lab: TestLab, step: string): Promise<void> {
  await waitFor(`explain to fail at ${step}`, async () => {
    const { code, document } = await explain(lab, NATURAL);
    return code === 1 && firstFailure(document)?.step === step ? true : undefined;
  });
}
