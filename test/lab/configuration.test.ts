/** What each program says about the configuration in its ConfigurationState: MetalLB's own end-to-end cases, with real agents. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { waitFor } from "../../lab/wait.ts";
import { labSuite, type TestLab } from "./harness.ts";

const NODES = ["kind-control-plane", "worker1", "worker2"];
const stateSchema = z.object({ status: z.object({ result: z.string(), errorSummary: z.string() }) });

/** On worker2 alone, with its password in a Secret. */
const PEER = `apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: guarded, namespace: metallb-system}
spec:
  myASN: 64512
  peerASN: 64513
  peerAddress: 192.168.10.9
  passwordSecret: {name: key}
  nodeSelectors: [{matchLabels: {kubernetes.io/hostname: worker2}}]
`;
const secret = (type: string): string =>
  `---\napiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: metallb-system}\ntype: ${type}\nstringData: {password: x}\n`;
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

labSuite("the ConfigurationState", "l2", { capture: false }, (it) => {
  it("all valid: everybody says so", async (lab) => {
    await eventually(lab, { controller: "Valid", ...each("Valid") });
  });

  it("wrong Secret type on one node: only its agent is Invalid, and recovers", async (lab) => {
    await lab.write("guarded.yaml", PEER + secret("Opaque"));
    const states = await eventually(lab, { controller: "Valid", ...each("Valid"), "speaker-worker2": "Invalid" });
    const summary = states["speaker-worker2"]?.errorSummary ?? "";
    assert.match(summary, /^configuration error: BGPPeer metallb-system\/guarded: .*secret type mismatch/);
    await lab.write("guarded.yaml", PEER + secret("kubernetes.io/basic-auth"));
    await eventually(lab, { controller: "Valid", ...each("Valid") });
    await lab.remove("guarded.yaml");
  });

  it("missing community: all agents are Invalid, the controller is not, and all recover", async (lab) => {
    await lab.write("tagged.yaml", ADVERTISEMENT);
    await eventually(lab, { controller: "Valid", ...each("Invalid") });
    await lab.write("tagged.yaml", ADVERTISEMENT + COMMUNITY);
    await eventually(lab, { controller: "Valid", ...each("Valid") });
    await lab.remove("tagged.yaml");
  });

  it("a pool that overlaps another: the controller is Invalid too, and all addresses stay", async (lab) => {
    const before = await lab.services();
    const pool =
      "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: zz, namespace: metallb-system}\nspec: {addresses: [192.168.10.0/28]}\n";
    await lab.write("zz.yaml", pool);
    await eventually(lab, { controller: "Invalid", ...each("Invalid") });
    assert.deepEqual(await lab.services(), before);
    await lab.remove("zz.yaml");
    await eventually(lab, { controller: "Valid", ...each("Valid") });
  });
});

type States = Readonly<Record<string, z.infer<typeof stateSchema>["status"] | undefined>>;

function each(result: string): Readonly<Record<string, string>> {
  return Object.fromEntries(NODES.map((node) => [`speaker-${node}`, result]));
}

/** Waits until everybody says what is expected. */
async function eventually(lab: TestLab, results: Readonly<Record<string, string>>): Promise<States> {
  let found: States = {};
  return waitFor(
    `the ConfigurationStates ${JSON.stringify(results)}`,
    async () => {
      found = await statesOf(lab);
      return Object.entries(results).every(([name, result]) => found[name]?.result === result) ? found : undefined;
    },
    { milliseconds: 20_000, explain: () => JSON.stringify(found) },
  );
}

async function statesOf(lab: TestLab): Promise<States> {
  const { state, nodeState } = lab.lab.paths;
  const names = ["controller", ...NODES.map((node) => `speaker-${node}`)];
  const read = async (name: string): Promise<readonly [string, States[string]]> => {
    const path = join(name === "controller" ? state : nodeState, "configurationstates", `${name}.json`);
    const text = await readFile(path, "utf8").catch(() => undefined);
    return [name, text === undefined ? undefined : stateSchema.parse(JSON.parse(text)).status];
  };
  return Object.fromEntries(await Promise.all(names.map(read)));
}
