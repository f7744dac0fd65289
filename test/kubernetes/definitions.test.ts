/** The CRDs that we ship, judged by a real API server: what people have is taken, what MetalLB refuses is refused, in its words. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { installDefinitions, makeNamespace, type Manifest } from "../../lab/kubernetes/objects.ts";
import { REFUSED_BY_SCHEMA } from "../../src/announce/bgp/objects.fixture.ts";
import { SYSTEM_NAMESPACE } from "../../src/source/contract.fixture.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

const EXAMPLES = join(import.meta.dirname, "../../examples");
const PLURALS: Readonly<Record<string, string>> = {
  IPAddressPool: "ipaddresspools",
  L2Advertisement: "l2advertisements",
  BGPAdvertisement: "bgpadvertisements",
  BGPPeer: "bgppeers",
  BFDProfile: "bfdprofiles",
  Community: "communities",
};

let server: TestApiServer;

before(async () => {
  server = await startApiServer([]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, SYSTEM_NAMESPACE);
});
after(() => server.stop());

interface Answer {
  readonly status: number;
  readonly message: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Asks what the API server would do with a new object; nothing is stored. */
async function tryCreate({ apiVersion, kind, ...object }: Manifest & { readonly spec?: unknown }): Promise<Answer> {
  const path = `/apis/${apiVersion ?? ""}/namespaces/${SYSTEM_NAMESPACE}/${PLURALS[kind] ?? ""}`;
  const body = { apiVersion, kind, metadata: { name: "x" }, spec: object.spec };
  return answerOf(await server.admin.request({ method: "POST", path, query: { dryRun: "All" }, body }));
}

function answerOf({ status, body }: { readonly status: number; readonly body: unknown }): Answer {
  const { message = "", spec = {} } = body as { readonly message?: string; readonly spec?: Answer["spec"] };
  return { status, message, spec };
}

describe("the API server with our CRDs takes", () => {
  for (const folder of readdirSync(EXAMPLES))
    for (const file of readdirSync(join(EXAMPLES, folder)).filter((name) => name.endsWith(".yaml")))
      it(`examples/${folder}/${file}`, async () => {
        const documents = parseAllDocuments(readFileSync(join(EXAMPLES, folder, file), "utf8"));
        assert.ok(Array.isArray(documents));
        for (const manifest of documents.map((document) => document.toJS() as Manifest))
          if (manifest.apiVersion?.startsWith("metallb.io/") === true) {
            const { status, message } = await tryCreate(manifest);
            assert.equal(status, 201, message);
          }
      });

  it("a BGPAdvertisement without lengths, and fills in MetalLB's", async () => {
    const { spec } = await tryCreate({ apiVersion: "metallb.io/v1beta1", kind: "BGPAdvertisement", spec: {} });
    assert.equal(spec["aggregationLength"], 32);
    assert.equal(spec["aggregationLengthV6"], 128);
  });
});

describe("the API server with our CRDs refuses", () => {
  for (const { kind, name, spec, path } of REFUSED_BY_SCHEMA) {
    // A duration is text for the schema; that it is one is for the webhook and the programs to say.
    if (path.endsWith("Time") && typeof spec[path.slice("spec.".length)] === "string") continue;
    it(`${kind}: ${name}`, async () => {
      const [word = "", version = kind === "BGPPeer" ? "v1beta2" : "v1beta1"] = kind.split(" ");
      const { status, message } = await tryCreate({ apiVersion: `metallb.io/${version}`, kind: word, spec });
      assert.equal(status, 422, message);
      assert.match(message, new RegExp(path.replaceAll(/\.(\d+)/g, "\\[$1\\]").replaceAll(".", "\\.")));
    });
  }

  const peer = { myASN: 64512, peerASN: 64513, peerAddress: "10.0.0.1" };
  const rules: readonly (readonly [string, string, object, string])[] = [
    ["BGPPeer", "no local ASN", { ...peer, myASN: 0 }, "missing local ASN"],
    ["BGPPeer", "no ASN of the peer", { myASN: 1, peerAddress: "10.0.0.1" }, "missing peer ASN and dynamicASN"],
    ["BGPPeer", "two ASNs of the peer", { ...peer, dynamicASN: "external" }, "both peer ASN and dynamicASN specified"],
    ["BGPPeer", "two places", { ...peer, interface: "eth0" }, "peer has both Address and Interface specified"],
    [
      "BGPPeer",
      "multihop within an AS",
      { ...peer, peerASN: 64512, ebgpMultiHop: true },
      "invalid ebgp-multihop parameter set for an ibgp peer",
    ],
    [
      "BGPPeer",
      "connectTime of 0 s",
      { ...peer, connectTime: "0s" },
      "connect time should be between 1 seconds to 65535",
    ],
    [
      "BGPPeer",
      "connectTime with a fraction",
      { ...peer, connectTime: "1500ms" },
      "connect time should contain a whole number of seconds",
    ],
    [
      "BGPAdvertisement",
      "selectors with an aggregate",
      { aggregationLength: 24, serviceSelectors: [{ matchLabels: { a: "b" } }] },
      "aggregationLength and aggregationLengthV6 must be 32 and 128 when serviceSelectors is set",
    ],
  ];
  for (const [kind, name, spec, words] of rules)
    it(`${kind}: ${name}, in MetalLB's words`, async () => {
      const apiVersion = `metallb.io/${kind === "BGPPeer" ? "v1beta2" : "v1beta1"}`;
      const { status, message } = await tryCreate({ apiVersion, kind, spec });
      assert.equal(status, 422, message);
      assert.ok(message.includes(words), message);
    });

  it("that graceful restart is switched after creation", async () => {
    const path = `/apis/metallb.io/v1beta2/namespaces/${SYSTEM_NAMESPACE}/bgppeers`;
    const spec = { ...peer, enableGracefulRestart: true };
    const body = { apiVersion: "metallb.io/v1beta2", kind: "BGPPeer", metadata: { name: "fixed" }, spec };
    assert.equal((await server.admin.request({ method: "POST", path, body })).status, 201);
    const change = { spec: { enableGracefulRestart: false } };
    const contentType = "application/merge-patch+json";
    const answer = await server.admin.request({ method: "PATCH", path: `${path}/fixed`, contentType, body: change });
    const { status, message } = answerOf(answer);
    assert.equal(status, 422);
    assert.match(message, /EnableGracefulRestart cannot be changed after creation/);
  });
});
