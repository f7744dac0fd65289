/**
 * Who announces an address, and where, as L2Advertisements, labels and conditions change: what the client's ARP table says, what the nodes
 * say about themselves, and what `explain` says where nobody does. The names of the tests are those of MetalLB's own where it has one.
 */
import assert from "node:assert/strict";
import { readAnnouncers, waitForAgents } from "../../../lab/observe.ts";
import { waitFor } from "../../../lab/wait.ts";
import type { DefineTest, TestLab } from "../harness.ts";
import {
  announcedBy,
  answererOn,
  cast,
  eventsOf,
  explain,
  failsAt,
  firstFailure,
  metricsOf,
  nobodyAnswers,
  readEvents,
  statusSays,
} from "./selection-facts.ts";
import { ADDRESS, advertise, manifestOfPools, SERVICE, writeService } from "./selection-objects.ts";

const EXCLUDED = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };

const onNode = (...names: readonly string[]): object => ({
  nodeSelectors: [...new Set(names)].map((name) => ({ matchLabels: { "kubernetes.io/hostname": name } })),
});
const preferring = (weight: number, matchLabels: object): object => ({
  preferredNodeSelectors: [{ weight, preference: { matchLabels } }],
});

/** Of a Service whose pods answer to this selector. Brings its pools, and Services that share an address. */
export function testSelection(it: DefineTest, selector: object): void {
  const service = (lab: TestLab, labels: object = {}): Promise<void> => writeService(lab, selector, labels);

  it("has a pool of its own", async (lab) => {
    await lab.write("pools.yaml", manifestOfPools(selector));
    await lab.settle();
  });

  it("announces from one node, which says so in its ServiceL2Status, its event and its metric", async (lab) => {
    const { natural, second } = cast(lab);
    await service(lab);
    await advertise(lab, {});
    await announcedBy(lab, natural);
    await lab.ask({ protocol: "HTTP", address: ADDRESS, port: 80 });
    // So far the client may have learned it from the gratuitous announcement alone.
    assert.deepEqual(await answererOn(lab, "eth0"), [natural, "eth0"]);
    await statusSays(lab, natural, []);
    assert.match(
      await eventsOf(lab, natural),
      new RegExp(`nodeAssigned announcing from node "${natural}" with protocol "layer2" ×1`),
    );
    const metrics = await metricsOf(lab, natural);
    const labels = `service="default/web",protocol="layer2",node="${natural}",ip="${ADDRESS}"`;
    assert.ok(
      metrics.includes(`
metallb_speaker_announced{${labels}} 1
`),
      metrics,
    );
    for (const name of ["requests_received", "responses_sent", "gratuitous_sent"])
      assert.match(metrics, new RegExp(`^metallb_layer2_${name}\\{ip="192\\.168\\.11\\.29"\\} [1-9]`, "m"));
    assert.doesNotMatch(await metricsOf(lab, second), /metallb_speaker_announced\{service="default\/web"/);
  });

  it("node selector: should work selecting one node, each in turn", async (lab) => {
    for (const node of lab.nodes) {
      await advertise(lab, onNode(node));
      await announcedBy(lab, node);
      await statusSays(lab, node, []);
    }
  });

  it("node selector: should work with multiple node selectors", async (lab) => {
    const { natural, second, other } = cast(lab);
    await advertise(lab, onNode(second, other), onNode(natural));
    await announcedBy(lab, natural);
    await advertise(lab, onNode(second, other));
    await announcedBy(lab, second);
  });

  it("node selector: should work when adding nodes; until then explain says that none is selected", async (lab) => {
    const { natural, other } = cast(lab);
    await advertise(lab, { nodeSelectors: [{ matchLabels: { zone: "new" } }] });
    await nobodyAnswers(lab);
    const { code, document } = await explain(lab, natural);
    assert.deepEqual([code, firstFailure(document)?.step], [1, "nodes"]);
    await lab.conditions({ nodes: { [other]: { labels: { zone: "new" } } } });
    await announcedBy(lab, other);
    await lab.conditions({});
    await nobodyAnswers(lab);
    await advertise(lab, {});
    await announcedBy(lab, natural);
  });

  for (const { name, change } of [
    {
      name: "should not be announced from a node with a NetworkUnavailable condition",
      change: { networkUnavailable: true },
    },
    { name: "adding the exclusion label to a node", change: { labels: EXCLUDED } },
  ])
    it(`${name}: the address moves, and returns with it`, async (lab) => {
      const { natural, second } = cast(lab);
      await lab.conditions({ nodes: { [natural]: change } });
      await announcedBy(lab, second);
      await lab.conditions({});
      await announcedBy(lab, natural);
    });

  it("preferred: labelled node preferred; falls back when excluded, reclaims, falls back when the label is removed", async (lab) => {
    const { natural, other } = cast(lab);
    await advertise(lab, preferring(100, { fast: "yes" }));
    await announcedBy(lab, natural);
    await lab.conditions({ nodes: { [other]: { labels: { fast: "yes" } } } });
    await announcedBy(lab, other);
    await lab.conditions({ nodes: { [other]: { labels: { fast: "yes", ...EXCLUDED } } } });
    await announcedBy(lab, natural);
    await lab.conditions({ nodes: { [other]: { labels: { fast: "yes" } } } });
    await announcedBy(lab, other);
    await lab.conditions({});
    await announcedBy(lab, natural);
  });

  it("preferred: two L2Advertisements adding up beat one heavier, and a preference for other Services counts nothing", async (lab) => {
    const { natural, second } = cast(lab);
    const other = {
      ...preferring(100, { "kubernetes.io/hostname": natural }),
      serviceSelectors: [{ matchLabels: { app: "other" } }],
    };
    await advertise(
      lab,
      preferring(40, { edge: "yes" }),
      preferring(40, { edge: "yes" }),
      preferring(70, { "kubernetes.io/hostname": natural }),
      other,
    );
    await lab.conditions({ nodes: { [second]: { labels: { edge: "yes" } } } });
    await announcedBy(lab, second);
    await lab.conditions({});
    await advertise(lab, {});
    await announcedBy(lab, natural);
  });

  it("interface: modify L2 interface: answers stop on the old one and start on the new, with its MAC", async (lab) => {
    const { natural } = cast(lab);
    await advertise(lab, { interfaces: ["eth1"] });
    await waitFor("an answer on the side", async () =>
      (await answererOn(lab, "eth1"))?.join() === `${natural},eth1` ? true : undefined,
    );
    await nobodyAnswers(lab);
    await statusSays(lab, natural, ["eth1"]);
    await advertise(lab, { interfaces: ["eth1"] }, { interfaces: ["eth0", "eth9"] });
    await announcedBy(lab, natural);
    assert.deepEqual(await answererOn(lab, "eth1"), [natural, "eth1"]);
    await statusSays(lab, natural, ["eth0", "eth1"]);
  });

  it("interface: specify not existing interfaces: nobody answers, announceFailed, and every view says so", async (lab) => {
    const { natural, second } = cast(lab);
    await advertise(lab, { interfaces: ["eth7"] });
    await nobodyAnswers(lab);
    await waitFor("the event", async () =>
      (await eventsOf(lab, natural)).includes(
        `announceFailed the interfaces specified by LB IP "${ADDRESS}" doesn't exist in assigned node "${natural}" with protocol "layer2" ×1`,
      )
        ? true
        : undefined,
    );
    await statusSays(lab, undefined, []);
    assert.doesNotMatch(await metricsOf(lab, natural), /metallb_speaker_announced\{service="default\/web"/);
    const rows = await lab.agent(natural, "/v1/services");
    assert.equal(rows?.find(({ name }) => name === SERVICE)?.announceReason, "noInterface");
    const here = await explain(lab, natural);
    assert.deepEqual([here.code, firstFailure(here.document)?.step], [1, "interface"]);
    const elsewhere = await explain(lab, second);
    assert.deepEqual([elsewhere.code, elsewhere.document.ask], [0, natural]);
    await advertise(lab, {});
    await announcedBy(lab, natural);
  });

  it("service selector: follows label changes of the Service both ways", async (lab) => {
    const { natural } = cast(lab);
    await advertise(lab, {
      serviceSelectors: [{ matchLabels: { tier: "gold" } }, { matchLabels: { tier: "silver" } }],
    });
    await nobodyAnswers(lab);
    await service(lab, { tier: "silver" });
    await announcedBy(lab, natural);
    await service(lab, { tier: "bronze" });
    await nobodyAnswers(lab);
    assert.equal(firstFailure((await explain(lab, natural)).document)?.step, "advertisement");
    await advertise(lab, {});
    await announcedBy(lab, natural);
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
    const { natural } = cast(lab);
    for (const wanted of [`svc/${SERVICE}`, ADDRESS]) {
      const { code, document } = await explain(lab, natural, wanted);
      assert.deepEqual(
        document.steps.filter(({ result }) => result !== "ok"),
        [],
      );
      assert.equal(code, 0);
    }
    assert.deepEqual(await answererOn(lab, "eth0"), [natural, "eth0"]);
    const { document } = await explain(lab, natural);
    const answers = document.steps.find(({ step }) => step === "answers");
    assert.match(answers?.details.join() ?? "", /192\.168\.11\.29 on eth0: [1-9]\d* questions?, [1-9]\d* answers?/);
  });

  it("explain: no ready endpoint, no advertisement", async (lab) => {
    const { natural } = cast(lab);
    const pods = (await lab.pods()).map(({ name }) => [name, "notReady"] as const);
    await lab.conditions({ pods: Object.fromEntries(pods) });
    await failsAt(lab, "endpoints");
    await lab.conditions({});
    await announcedBy(lab, natural);
    await lab.remove("advertisements.yaml");
    await failsAt(lab, "advertisement");
  });

  it("explain: a backend without a route", async (lab) => {
    const { natural } = cast(lab);
    await advertise(lab, {});
    await announcedBy(lab, natural);
    const away = lab.lab.scene.hosts.find(({ name, podNetwork }) => podNetwork !== undefined && name !== natural);
    const cidr = away?.podNetwork?.cidrs[0]?.text ?? "";
    // It hides the default route, where there is one.
    const made = await lab.exec(natural, "ip", "route", "replace", "unreachable", cidr);
    assert.equal(made.status, 0, made.stderr);
    await waitFor("a warning", async () => {
      const { document } = await explain(lab, natural);
      const endpoints = document.steps.find(({ step }) => step === "endpoints");
      return endpoints?.result === "warning" && endpoints.details.join().includes("No route to host")
        ? true
        : undefined;
    });
    await lab.exec(natural, "ip", "route", "del", "unreachable", cidr);
    await lab.exec(natural, "ip", "route", "replace", cidr, "via", lab.hostAddress(away?.name ?? "", "IPv4"));
  });

  it("announces on over a restart of the agent: the status stays, and no event is repeated", async (lab) => {
    const { natural, other } = cast(lab);
    await advertise(lab, { nodeSelectors: [{ matchLabels: { zone: "nowhere" } }] });
    await nobodyAnswers(lab);
    const begun = Date.now();
    await advertise(lab, {});
    await announcedBy(lab, natural);
    await statusSays(lab, natural, []);
    await waitFor("the event of this announcement, which is written a moment later", async () =>
      (await readEvents(lab, natural)).some(({ lastSeenAt }) => lastSeenAt >= begun) ? true : undefined,
    );
    const before = await eventsOf(lab, natural);
    await lab.fault(natural, "agent-stop");
    await statusSays(lab, natural, []);
    await lab.fault(natural, "agent-start");
    await waitForAgents(lab.lab);
    await announcedBy(lab, natural);
    // A status that changes is written within the same moment as the announcement; this one must not.
    await lab.conditions({ nodes: { [other]: { labels: { touched: "yes" } } } });
    await announcedBy(lab, natural);
    assert.equal(await eventsOf(lab, natural), before);
    await statusSays(lab, natural, []);
  });

  it("is forgotten with its Service: the status goes, and the metric", async (lab) => {
    const { natural } = cast(lab);
    // Whatever the tests before have left.
    await advertise(lab, {});
    await announcedBy(lab, natural);
    await lab.remove("service.yaml");
    await statusSays(lab, undefined, []);
    assert.doesNotMatch(await metricsOf(lab, natural), /metallb_speaker_announced\{service="default\/web"/);
    assert.equal(firstFailure((await explain(lab, natural)).document)?.step, "service");
    await lab.remove("advertisements.yaml");
    await lab.remove("pools.yaml");
  });
}
