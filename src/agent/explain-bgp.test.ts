/** What is explained of BGP. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { desiredBgp } from "../announce/bgp/desired.ts";
import type { ExplainDocument } from "../observe/status.ts";
import type { AgentState } from "./state.ts";

import { EXCLUDED, explained, unready, type Case } from "./explain.fixture.ts";

describe("explain by BGP", () => {
  const bgpSteps = ({ steps }: ExplainDocument): readonly string[] =>
    steps.filter(({ protocol }) => protocol === "bgp").map(({ step, result }) => `${step} ${result}`);
  const one = { ads: [{}], peers: [{}] };
  const onNode = (name: string): object => ({ nodeSelectors: [{ matchLabels: { name } }] });
  const named = ["me", "peer"].map((name) => ({ metadata: { name, labels: { name } } }));

  test("has no steps where no object is about it", async () => assert.deepEqual(bgpSteps(await explained({})), []));

  test("is well where a session is established, and layer 2 is passed over where it does not advertise", async () => {
    const document = await explained({ ads: [], bgp: one });
    assert.deepEqual(bgpSteps(document), ["advertisement ok", "nodes ok", "peers ok", "routes ok"]);
    assert.equal(document.steps.find(({ step }) => step === "routes")?.found, "192.168.10.2/32, told");
    assert.equal(document.steps.find(({ step }) => step === "advertisement")?.result, "skipped");
    assert.equal(document.reachable, true);
  });

  test("shows the sessions of the peers that are told of it, and no others", async () => {
    const document = await explained({ ads: [], bgp: { ads: [{ peers: ["tor1"] }], peers: [{}, {}] } });
    assert.deepEqual(document.steps.find(({ step }) => step === "peers")?.details, ["tor1 (tor1): established"]);
  });

  test("names a node to ask where this one does not announce", async () => {
    const document = await explained({ ads: [], nodes: named, bgp: { ads: [onNode("peer")], peers: [{}] } });
    assert.deepEqual(bgpSteps(document), ["advertisement ok", "nodes ok", "peers elsewhere", "routes elsewhere"]);
    assert.deepEqual([document.reachable, document.ask], [true, "peer"]);
  });

  test("does not take a node at its objects' word that says nothing of the Service itself", async () => {
    const quiet = (state: AgentState): void => void (state.silentAbout = async (_service, nodes) => nodes);
    const document = await explained({ ads: [], nodes: named, bgp: one, spoil: quiet });
    const nodes = document.steps.find(({ step, protocol }) => step === "nodes" && protocol === "bgp");
    assert.equal(nodes?.found, "me");
    assert.match(nodes.details.join("; "), /me: announces; peer: should, and has no ServiceBGPStatus: it is drained/);
    const alone = await explained({ ads: [], nodes: named, bgp: { ads: [onNode("peer")], peers: [{}] }, spoil: quiet });
    assert.deepEqual(bgpSteps(alone), ["advertisement ok", "nodes failed", "peers skipped", "routes skipped"]);
    const refused = (state: AgentState): void => void (state.silentAbout = () => Promise.reject(new Error("no")));
    const unknown = await explained({ ads: [], nodes: named, bgp: one, spoil: refused });
    assert.equal(unknown.steps.find(({ step, protocol }) => step === "nodes" && protocol === "bgp")?.found, "me, peer");
  });

  const failures: readonly (Case & { name: string; fails: string; found: RegExp })[] = [
    {
      name: "no BGPAdvertisement for the pool",
      bgp: { ads: [{ ipAddressPools: ["gold"] }], peers: [{}] },
      fails: "advertisement",
      found: /no BGPAdvertisement covers its pool/,
    },
    {
      name: "service selectors",
      bgp: { ads: [{ serviceSelectors: [{ matchLabels: { app: "x" } }] }], peers: [{}] },
      fails: "advertisement",
      found: /selects the Service/,
    },
    {
      name: "every node excluded",
      nodes: ["me", "peer"].map((name) => ({ metadata: { name, labels: EXCLUDED } })),
      bgp: one,
      fails: "nodes",
      found: /no node announces it/,
      spoil: (state) => void (state.bgp = excludedBgp(state)),
    },
    { name: "no BGPPeer", bgp: { ads: [{}], peers: [] }, fails: "peers", found: /no BGPPeer is told of it/ },
    {
      name: "a session that is down",
      bgp: { ...one, session: { state: "idle", lastReason: "connection refused" } },
      fails: "peers",
      found: /none of 1 session of me is established; peer should announce it too/,
    },
    {
      name: "no ready endpoint",
      endpoints: [unready("me")],
      bgp: one,
      fails: "endpoints",
      found: /none of 1 endpoint is ready/,
    },
  ];
  for (const { name, fails, found, ...given } of failures)
    test(`fails for ${name}: ${fails}`, async () => {
      const document = await explained({ ads: [], ...given });
      const own = document.steps.find(({ result, protocol }) => result === "failed" && protocol !== "layer2");
      assert.equal(own?.step, fails, JSON.stringify(document.steps, undefined, 1));
      assert.match(own.found, found);
      assert.equal(document.reachable, false);
    });

  test("is a warning where layer 2 answers and no session is established", async () => {
    const document = await explained({ bgp: { ...one, session: { state: "idle" } } });
    assert.deepEqual(bgpSteps(document).slice(2), ["peers warning", "routes skipped"]);
    assert.equal(document.reachable, true);
  });
});

/** As if the pause of a node on its way out were over. */
function excludedBgp({ bgp, world }: AgentState): AgentState["bgp"] {
  if (bgp === undefined || world === undefined) return undefined;
  return { ...bgp, desired: desiredBgp(world.snapshot, { name: "me" }) };
}
