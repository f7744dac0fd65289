/**
 * Every object of the chart, with everything switched on, against a real API server that refuses what its schemas do not know: Kubernetes'
 * own kinds, and those of the Prometheus operator and cert-manager by the definitions that these projects publish.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { requireDefinitions } from "../../lab/kubernetes/control-plane.ts";
import { installDefinitions, makeNamespace } from "../../lab/kubernetes/objects.ts";
import { waitFor } from "../../lab/wait.ts";
import type { Response } from "../../src/source/kubernetes/connection.ts";
import { renderChart } from "../../tools/generate-kustomize.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

const NAMESPACE = "metallb-system";
const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

interface Item {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Each field of these objects that a value of the chart fills. */
const MONITOR = {
  enabled: true,
  additionalLabels: { release: "kube-prometheus-stack" },
  annotations: { "example.com/a": "b" },
  interval: "15s",
  metricRelabelings: [{ sourceLabels: ["__name__"], regex: "nodejs_.*", action: "drop" }],
  relabelings: [{ sourceLabels: ["__meta_kubernetes_pod_node_name"], targetLabel: "node" }],
};
const RULE = {
  enabled: true,
  additionalLabels: { release: "kube-prometheus-stack" },
  extraAlerts: [{ alert: "Mine", expr: "vector(1)", for: "5m", labels: { severity: "none" } }],
};
const COMMON = {
  "prometheus.serviceAccount": "prometheus",
  "prometheus.namespace": "monitoring",
  "prometheus.prometheusRule": RULE,
  "grafana.dashboard.enabled": true,
  "networkpolicies.enabled": true,
  "networkpolicies.defaultDeny": true,
  "webhook.certManager.enabled": true,
  "speaker.handover": true,
  "speaker.readableSecrets": { all: false, names: ["tor"] },
};
const ISSUER = { name: "ours", kind: "ClusterIssuer", group: "cert-manager.io" };

const RELEASES: readonly (readonly [name: string, values: Readonly<Record<string, unknown>>])[] = [
  ["with a PodMonitor", { ...COMMON, "prometheus.podMonitor": MONITOR }],
  [
    "with a ServiceMonitor and an issuer of others",
    { ...COMMON, "prometheus.serviceMonitor": MONITOR, "webhook.certManager.issuerRef": ISSUER },
  ],
];

let server: TestApiServer;

before(async () => {
  server = await startApiServer([]);
  await installDefinitions(server.admin);
  await makeNamespace(server.admin, NAMESPACE);
  const folder = requireDefinitions();
  for (const file of readdirSync(folder)) {
    const body = parse(readFileSync(join(folder, file), "utf8")) as Item;
    const { status } = await server.admin.request({ method: "POST", path: CRDS, body });
    assert.equal(status, 201, file);
  }
});
after(() => server.stop());

/** Paths of an API group's kinds, as the server itself tells; a definition is served a moment after it was made. */
async function collectionOf({ apiVersion, kind, metadata: { namespace = NAMESPACE } }: Item): Promise<string> {
  const root = `${apiVersion.includes("/") ? "/apis" : "/api"}/${apiVersion}`;
  return waitFor(`${apiVersion} ${kind} to be served`, async () => {
    const { body } = await server.admin.request({ method: "GET", path: root });
    const { resources = [] } = body as { readonly resources?: readonly Served[] };
    const found = resources.find((each) => each.kind === kind && !each.name.includes("/"));
    if (found === undefined) return undefined;
    return found.namespaced ? `${root}/namespaces/${namespace}/${found.name}` : `${root}/${found.name}`;
  });
}

interface Served {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

async function create(item: Item): Promise<Response> {
  const path = await collectionOf(item);
  const query = { fieldValidation: "Strict", dryRun: "All" };
  return server.admin.request({ method: "POST", path, query, body: item });
}

/** Everything that was asked for is there; a server adds defaults. Returns where it is not. */
function lost(asked: unknown, found: unknown, path = ""): readonly string[] {
  if (typeof asked !== "object" || asked === null) return isDeepStrictEqual(asked, found) ? [] : [path];
  if (typeof found !== "object" || found === null) return [path];
  return Object.entries(asked).flatMap(([name, value]) => lost(value, Reflect.get(found, name), `${path}.${name}`));
}

function itemsOf(values: Readonly<Record<string, unknown>>): readonly Item[] {
  const set = Object.entries(values).flatMap(([name, value]) => ["--set-json", `${name}=${JSON.stringify(value)}`]);
  const documents = parseAllDocuments(renderChart(set));
  assert.ok(Array.isArray(documents));
  return documents
    .map((document) => document.toJS() as Item | null)
    .filter((item) => item !== null)
    .filter(({ kind }) => kind !== "CustomResourceDefinition");
}

describe("every object of the chart", () => {
  for (const [name, values] of RELEASES)
    it(`${name}: is taken as it is by the API server`, async () => {
      const items = itemsOf(values);
      const kinds = new Set(items.map(({ kind }) => kind));
      const expected = ["PrometheusRule", "Certificate", "DaemonSet", "Deployment", "NetworkPolicy", "ConfigMap"];
      for (const kind of expected) assert.ok(kinds.has(kind), kind);
      assert.equal(kinds.has("PodMonitor"), name.includes("PodMonitor"));
      assert.equal(kinds.has("ServiceMonitor"), name.includes("ServiceMonitor"));
      assert.equal(kinds.has("Issuer"), !name.includes("issuer"));
      for (const item of items) {
        const { status, body } = await create(item);
        assert.equal(status, 201, `${item.kind} ${item.metadata.name}: ${JSON.stringify(body).slice(0, 500)}`);
        // What needs rewriting by the server itself: quantities, and ports that are names or numbers.
        if (item.apiVersion.includes(".com") || item.apiVersion.includes("cert-manager"))
          assert.deepEqual(lost(item, body), [], `${item.kind} ${item.metadata.name}`);
      }
    });

  it("would be refused with a field that its kind does not have", async () => {
    const items = itemsOf({ ...COMMON, "prometheus.podMonitor": MONITOR });
    for (const kind of ["PodMonitor", "PrometheusRule", "Certificate", "DaemonSet"]) {
      const item = items.find((each) => each.kind === kind) as (Item & { readonly spec: object }) | undefined;
      assert.ok(item !== undefined, kind);
      const { status, body } = await create({ ...item, spec: { ...item.spec, intervall: "1s" } } as Item);
      assert.equal(status, 400, kind);
      assert.match(JSON.stringify(body), /unknown field \\"spec\.intervall\\"/, kind);
    }
  });
});
