/**
 * Our CRDs beside those of MetalLB, as its module has them: group, names, scope, versions, printer columns, fields, types and
 * defaults. What differs stands here by name with its reason; anything else fails, on either side.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { installDefinitions, makeNamespace, type Manifest } from "../../lab/kubernetes/objects.ts";
import type { Connection } from "../../src/source/kubernetes/connection.ts";
import { SYSTEM_NAMESPACE } from "../../src/source/contract.fixture.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Where lab/kubernetes/metallb/build.sh leaves them. */
const METALLB = join(ROOT, ".cache/kubernetes/metallb/crds");
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: object;
}

/** Where a path of a CRD may differ, and why. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/x-kubernetes-validations/, "rules that MetalLB has in its webhook hold here without one as well"],
  [/\.conditions\.items\./, "conditions are written by the programs, not by people"],
  [/^ipaddresspools .*\.status\.properties\.(coolDown|conditions)/, "more is known of a pool"],
  [
    /\.(matchExpressions)\..*(enum|minItems|minLength|x-kubernetes-list-type)/,
    "what no selector can mean is refused at once",
  ],
  [/\.matchExpressions\.x-kubernetes-list-type$/, "only matters to who applies parts of one selector"],
  [
    /(Selectors\.items|\.preference|\.passwordSecret)\.x-kubernetes-map-type$/,
    "only matters to who applies parts of it",
  ],
  [/^ipaddresspools .*\.addresses\.minItems$/, "a pool without addresses is refused at once"],
  [/^ipaddresspools .*\.priority\.format$/, "says how large a number may be"],
  [/\.(peerPort|asPathPrepend)\.format$/, "says how large a number may be"],
  [/^bgppeers .*openAPIV3Schema\.required$/, "a peer without a spec is refused at once"],
  [/\.(ebgpMultiHop|echoMode|passiveMode)\.default$/, "what an absent field means is written down"],
  [/^bgpadvertisements .*\.localPref\.(format|minimum|maximum)$/, "LOCAL_PREF is an unsigned number of 32 bits"],
  [/^service(l2|bgp)statuses .*\.spec\.properties$/, "an empty object either way"],
];

function read(path: string): Definition {
  return parse(readFileSync(path, "utf8")) as Definition;
}

/** Everything but descriptions as `path → value`; what has a name is found by it, and the order of required fields is none. */
function flatten(value: unknown, path: string, into: Map<string, string>): void {
  if (Array.isArray(value) && path.endsWith(".required")) {
    into.set(path, value.map(String).toSorted(compareTexts).join());
    return;
  }
  if (typeof value !== "object" || value === null) {
    into.set(path, JSON.stringify(value));
    return;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) into.set(path, "{}");
  for (const [key, child] of entries) {
    if (key === "description" && typeof child === "string") continue;
    flatten(child, `${path}.${Array.isArray(value) ? nameOf(child, key) : key}`, into);
  }
}

function nameOf(item: unknown, otherwise: string): string {
  return typeof item === "object" && item !== null && "name" in item ? String(item.name) : otherwise;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

interface Difference {
  readonly path: string;
  readonly theirs: string | undefined;
  readonly ours: string | undefined;
}

function differences(): readonly Difference[] {
  return readdirSync(join(METALLB, "bases")).flatMap((file) => {
    const plural = basename(file, ".yaml").replace("metallb.io_", "");
    const [theirs, ours] = [new Map<string, string>(), new Map<string, string>()];
    flatten(read(join(METALLB, "bases", file)).spec, "", theirs);
    flatten(read(join(ROOT, "deploy/crds", `${plural}.yaml`)).spec, "", ours);
    const paths = new Set([...theirs.keys(), ...ours.keys()]);
    return [...paths]
      .map((path) => ({ path: `${plural} ${path}`, theirs: theirs.get(path), ours: ours.get(path) }))
      .filter((each) => each.theirs !== each.ours);
  });
}

describe("our CRDs and MetalLB's", () => {
  it("are the same kinds", () => {
    const theirs = readdirSync(join(METALLB, "bases")).map((file) => file.replace("metallb.io_", ""));
    const ours = readdirSync(join(ROOT, "deploy/crds")).filter((file) => file !== "kustomization.yaml");
    assert.deepEqual(ours.toSorted(), theirs.toSorted());
    assert.equal(theirs.length, 9);
  });

  it("differ in nothing but what stands here with its reason", () => {
    const unexplained = differences().filter(({ path }) => !REASONS.some(([pattern]) => pattern.test(path)));
    assert.deepEqual(unexplained, []);
  });

  it("have no field of MetalLB's that ours has not", () => {
    const lost = differences().filter(({ path, ours }) => ours === undefined && /\.properties\.\w+\.type$/.test(path));
    assert.deepEqual(lost, []);
  });

  it("differ for every reason that is given: none is left over from an earlier version", () => {
    const found = differences();
    const unused = REASONS.filter(([pattern]) => !found.some(({ path }) => pattern.test(path)));
    assert.deepEqual(
      unused.map(([pattern]) => pattern.source),
      [],
    );
  });
});

/** One of each kind that people write, with every field that MetalLB's schema has a hard time with. */
const OBJECTS: readonly (Manifest & { readonly spec: object })[] = [
  {
    kind: "IPAddressPool",
    spec: {
      addresses: ["192.0.2.0/24"],
      avoidBuggyIPs: true,
      serviceAllocation: { priority: 50, namespaceSelectors: [{ matchLabels: { a: "b" } }] },
    },
  },
  { kind: "L2Advertisement", spec: { ipAddressPools: ["kept"], interfaces: ["eth0"] } },
  {
    kind: "BGPAdvertisement",
    spec: { asPathPrepend: 3, communities: ["64512:1"], localPref: 100, peers: ["kept"] },
  },
  { kind: "BFDProfile", spec: { receiveInterval: 300, echoMode: true } },
  { kind: "Community", spec: { communities: [{ name: "here", value: "64512:1" }] } },
  {
    kind: "BGPPeer",
    apiVersion: "metallb.io/v1beta2",
    spec: { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.1", holdTime: "90s", bfdProfile: "kept" },
  },
].map((each) => ({ apiVersion: "metallb.io/v1beta1", ...each, metadata: { name: "kept" } }));

describe("our CRDs applied over MetalLB's", () => {
  let server: TestApiServer;
  before(async () => {
    server = await startApiServer([]);
  });
  after(() => server.stop());

  it("keep every object, field by field", async () => {
    const { admin } = server;
    await installMetallb(admin);
    await makeNamespace(admin, SYSTEM_NAMESPACE);
    for (const object of OBJECTS) await expectStatus(admin, "POST", collectionOf(object), 201, object);
    const before = await readAll(admin);
    await installDefinitions(admin);
    await expectStatus(admin, "PATCH", `${CRDS}/bgppeers.metallb.io`, 200, [
      { op: "replace", path: "/spec/conversion", value: { strategy: "None" } },
    ]);
    // Defaults of ours may have come to it, nothing has gone.
    assert.partialDeepStrictEqual(await readAll(admin), before);
    // And they can still be written: a change goes through our schema as a whole.
    for (const object of OBJECTS) {
      const labelled = { metadata: { labels: { touched: "yes" } } };
      await expectStatus(admin, "PATCH", `${collectionOf(object)}/kept`, 200, labelled);
    }
    const specs = (objects: readonly Stored[]): unknown => objects.map(({ spec }) => spec);
    assert.partialDeepStrictEqual(specs(await readAll(admin)), specs(before));
  });
});

/** As MetalLB's manifests have them: BGPPeer converted by a webhook that its controller serves. */
async function installMetallb(admin: Connection): Promise<void> {
  const conversion = read(join(METALLB, "patches/crd-conversion-patch-bgppeers.yaml"));
  for (const file of readdirSync(join(METALLB, "bases"))) {
    const definition = read(join(METALLB, "bases", file));
    const spec =
      definition.metadata.name === conversion.metadata.name
        ? { ...definition.spec, ...conversion.spec }
        : definition.spec;
    await expectStatus(admin, "POST", CRDS, 201, { ...definition, spec });
  }
  const giveUpAt = performance.now() + 30_000;
  for (const object of OBJECTS)
    while ((await admin.request({ method: "GET", path: collectionOf(object) })).status !== 200)
      assert.ok(performance.now() < giveUpAt, `${object.kind} is not served`);
}

interface Stored {
  readonly metadata: { readonly uid: string };
  readonly spec: unknown;
}

async function readAll(admin: Connection): Promise<readonly Stored[]> {
  const objects: Stored[] = [];
  for (const object of OBJECTS) {
    const { metadata, spec } = await expectStatus(admin, "GET", `${collectionOf(object)}/kept`, 200);
    objects.push({ metadata: { uid: metadata.uid }, spec });
  }
  return objects;
}

async function expectStatus(
  admin: Connection,
  method: "GET" | "PATCH" | "POST",
  path: string,
  wanted: number,
  body?: unknown,
): Promise<Stored> {
  const patch = Array.isArray(body) ? "application/json-patch+json" : "application/merge-patch+json";
  const contentType = method === "PATCH" ? { contentType: patch } : {};
  const answer = await admin.request({ method, path, ...contentType, ...(body === undefined ? {} : { body }) });
  assert.equal(answer.status, wanted, `${method} ${path}: ${JSON.stringify(answer.body)}`);
  return answer.body as Stored;
}

function collectionOf({ apiVersion, kind }: Manifest): string {
  const plural = kind === "Community" ? "communities" : `${kind.toLowerCase()}s`;
  return `/apis/${apiVersion ?? ""}/namespaces/${SYSTEM_NAMESPACE}/${plural}`;
}
