/** What each program says about the configuration in its ConfigurationState: MetalLB's own end-to-end cases, with real agents. */
import assert from "node:assert/strict";
import { waitFor } from "../../../lab/wait.ts";
import type { DefineTest, TestLab } from "../harness.ts";

/** On one node alone, with its password in a Secret. */
const peer = (node: string): string => `apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: guarded, namespace: metallb-system}
spec:
  myASN: 64512
  peerASN: 64513
  peerAddress: 192.168.10.9
  passwordSecret: {name: key}
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: ${node}}}]
`;
const secret = (type: string): string =>
  `apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: metallb-system}\ntype: ${type}\nstringData: {password: x}\n`;
const ADVERTISEMENT = `apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: tagged, namespace: metallb-system}
spec: {communities: [vip]}
`;
const COMMUNITY = `---
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: names, namespace: metallb-system}
spec: {communities: [{name: vip, value: "64512:1"}]}
`;

const profiled = (address: string): string => `apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: profiled, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64513, peerAddress: ${address}, bfdProfile: quick}
`;
const PROFILE = `apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: quick, namespace: metallb-system}
spec: {}
`;
/** A peer of the nodes with the label. */
const sided = (side: string, address: string): string => `apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: ${side}, namespace: metallb-system}
spec:
  myASN: 64512
  peerASN: 64513
  peerAddress: ${address}
  nodeSelectors: [{matchLabels: {${side}: "yes"}}]
`;

export function testConfigurationStates(it: DefineTest): void {
  it("all valid: everybody says so", async (lab) => {
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid") });
  });

  it("wrong Secret type on one node: only its agent is Invalid, and recovers", async (lab) => {
    const node = lab.nodes.at(-1) ?? "";
    await lab.write("key.yaml", secret("Opaque"));
    await lab.write("guarded.yaml", peer(node));
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid"), [`speaker-${node}`]: "Invalid" });
    const mismatch = /^configuration error: BGPPeer metallb-system\/guarded: .*secret type mismatch/;
    await waitFor("the type in its state", async () => {
      const states = await lab.cluster.configurationStates();
      return mismatch.test(states.get(`speaker-${node}`)?.errorSummary ?? "") ? true : undefined;
    });
    // The type of a Secret cannot be changed.
    await lab.remove("key.yaml");
    await lab.write("key.yaml", secret("kubernetes.io/basic-auth"));
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid") });
    await lab.remove("guarded.yaml");
    await lab.remove("key.yaml");
  });

  it("missing community: all agents are Invalid, the controller is not, and all recover", async (lab) => {
    await lab.write("tagged.yaml", ADVERTISEMENT);
    await eventually(lab, { controller: "Valid", ...each(lab, "Invalid") });
    await lab.write("tagged.yaml", ADVERTISEMENT + COMMUNITY);
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid") });
    await lab.remove("tagged.yaml");
  });

  it("BFD profile missing at run time: all agents are Invalid, the controller is not, and all recover", async (lab) => {
    await lab.write("profiled.yaml", profiled("192.168.10.9"));
    await eventually(lab, { controller: "Valid", ...each(lab, "Invalid") });
    await lab.write("quick.yaml", PROFILE);
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid") });
    await lab.remove("profiled.yaml");
    await lab.remove("quick.yaml");
  });

  it("one error after the other: each is told while it lasts, and the end of all of them", async (lab) => {
    await lab.write("tagged.yaml", ADVERTISEMENT);
    await eventually(lab, { controller: "Valid", ...each(lab, "Invalid") });
    assert.match(await summary(lab), /BGPAdvertisement metallb-system\/tagged/);
    await lab.write("profiled.yaml", profiled("192.168.10.9"));
    await waitFor("both errors", async () => (/profiled/.test(await summary(lab)) ? true : undefined));
    await lab.write("tagged.yaml", ADVERTISEMENT + COMMUNITY);
    await waitFor("one error", async () => (/tagged/.test(await summary(lab)) ? undefined : true));
    assert.match(await summary(lab), /BGPPeer metallb-system\/profiled/);
    await lab.remove("profiled.yaml");
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid") });
    await lab.remove("tagged.yaml");
  });

  it("a node that is labelled so that two peers meet on it: only its agent is Invalid, and recovers", async (lab) => {
    const node = lab.nodes.at(-1) ?? "";
    await lab.write("pair.yaml", ["left", "right"].map((side) => sided(side, "192.168.10.9")).join("---\n"));
    await lab.conditions({ nodes: { [node]: { labels: { left: "yes" } } } });
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid") });
    await lab.conditions({ nodes: { [node]: { labels: { left: "yes", right: "yes" } } } });
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid"), [`speaker-${node}`]: "Invalid" });
    await lab.conditions({ nodes: { [node]: { labels: { left: "yes" } } } });
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid") });
    await lab.conditions({});
    await lab.remove("pair.yaml");
  });

  it("a pool that overlaps another: the controller is Invalid too, and all addresses stay", async (lab) => {
    const before = await lab.services();
    const pool =
      "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: zz, namespace: metallb-system}\nspec: {addresses: [192.168.10.0/28]}\n";
    await lab.write("zz.yaml", pool);
    await eventually(lab, { controller: "Invalid", ...each(lab, "Invalid") });
    assert.deepEqual(await lab.services(), before);
    await lab.remove("zz.yaml");
    await eventually(lab, { controller: "Valid", ...each(lab, "Valid") });
  });
}

type States = Awaited<ReturnType<TestLab["cluster"]["configurationStates"]>>;

function each(lab: TestLab, result: string): Readonly<Record<string, string>> {
  return Object.fromEntries(lab.nodes.map((node) => [`speaker-${node}`, result]));
}

/** What the first node's agent says is wrong. */
async function summary(lab: TestLab): Promise<string> {
  const states = await lab.cluster.configurationStates();
  return states.get(`speaker-${lab.nodes[0] ?? ""}`)?.errorSummary ?? "";
}

/** Waits until everybody says what is expected. */
async function eventually(lab: TestLab, results: Readonly<Record<string, string>>): Promise<States> {
  let found: States = new Map();
  return waitFor(
    `the ConfigurationStates ${JSON.stringify(results)}`,
    async () => {
      found = await lab.cluster.configurationStates();
      return Object.entries(results).every(([name, result]) => found.get(name)?.result === result) ? found : undefined;
    },
    { milliseconds: 20_000, explain: () => JSON.stringify([...found]) },
  );
}
