/** The chart as Helm renders it: with its own values, with those that people bring from MetalLB, and with mistakes in them. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { requireProgram } from "../../lab/kubernetes/control-plane.ts";
import { FOLDER, kustomizeFiles, renderChart } from "../../tools/generate-kustomize.ts";
import { ROOT } from "../../tools/tree.ts";

const CHART = join(ROOT, "deploy/helm/fairlead");

interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
}

function objectsOf(text: string): readonly Rendered[] {
  const documents = parseAllDocuments(text);
  assert.ok(Array.isArray(documents));
  return documents
    .map((document) => {
      assert.deepEqual(document.errors, []);
      return document.toJS() as Rendered | null;
    })
    .filter((object) => object !== null);
}

const render = (...set: readonly string[]): readonly Rendered[] =>
  objectsOf(renderChart(set.flatMap((value) => ["--set", value])));

function find(objects: readonly Rendered[], kind: string, name: string): Rendered {
  return (
    objects.find((object) => object.kind === kind && object.metadata.name === name) ?? assert.fail(`${kind} ${name}`)
  );
}

function containerOf(objects: readonly Rendered[], kind: "Deployment" | "DaemonSet"): Container {
  const { spec } = objects.find((object) => object.kind === kind) ?? assert.fail(kind);
  const { template } = spec as { readonly template: { readonly spec: { readonly containers: readonly Container[] } } };
  return template.spec.containers[0] ?? assert.fail("no container");
}

const argsOf = (set: readonly string[], kind: "Deployment" | "DaemonSet"): readonly string[] =>
  containerOf(render(...set), kind).args;

/** Everything that is optional, at once. */
const EVERYTHING = [
  "prometheus.podMonitor.enabled=true",
  "prometheus.prometheusRule.enabled=true",
  "prometheus.serviceAccount=prometheus",
  "prometheus.namespace=monitoring",
  "grafana.dashboard.enabled=true",
  "networkpolicies.enabled=true",
  "networkpolicies.defaultDeny=true",
  "webhook.certManager.enabled=true",
];

describe("the chart", () => {
  it("passes helm lint, bare and with everything switched on", () => {
    for (const values of [[], EVERYTHING.flatMap((value) => ["--set", value])]) {
      const words = ["lint", "--strict", CHART, ...values];
      const { status, stdout, stderr } = spawnSync(requireProgram("helm"), words, { encoding: "utf8" });
      assert.equal(status, 0, stdout + stderr);
    }
  });

  it("is of the version that package.json has, and so is its image", () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
    const chart = parse(readFileSync(join(CHART, "Chart.yaml"), "utf8")) as Readonly<Record<string, string>>;
    assert.equal(chart["appVersion"], version);
    const objects = render();
    for (const kind of ["Deployment", "DaemonSet"] as const)
      assert.equal(containerOf(objects, kind).image, `fairlead:${version}`);
  });

  it("names what selects nothing else, whatever the release is called", () => {
    const objects = objectsOf(renderChart([], { release: "lb", namespace: "elsewhere" }));
    assert.ok(objects.length > 20);
    find(objects, "DaemonSet", "lb-fairlead-agent");
    for (const { kind, metadata } of objects) {
      assert.ok([undefined, "elsewhere"].includes(metadata.namespace), `${kind} ${metadata.name}`);
      assert.equal(metadata.labels?.["app.kubernetes.io/instance"] ?? "lb", "lb");
    }
  });

  it("keeps the CRDs when it is uninstalled, and every object of the configuration with them", () => {
    const definitions = render().filter(({ kind }) => kind === "CustomResourceDefinition");
    assert.equal(definitions.length, 9);
    for (const { metadata } of definitions) assert.equal(metadata.annotations?.["helm.sh/resource-policy"], "keep");
  });

  it("gives the programs no option that they do not have", () => {
    const everything = render(...EVERYTHING, ...AGENT_VALUES.map(([value]) => value), "loadBalancerClass=a/b");
    for (const kind of ["Deployment", "DaemonSet"] as const) {
      const [program = "", ...options] = containerOf(everything, kind).args;
      const help = execFileSync(join(ROOT, "bin/fairlead"), [program, "--help"], { encoding: "utf8" });
      const known = new Set(help.match(/--[a-z-]+/g));
      const given = options.filter((option) => option.startsWith("--")).map((option) => option.split("=")[0] ?? "");
      assert.ok(given.length > 8);
      assert.deepEqual(
        given.filter((option) => !known.has(option)),
        [],
      );
    }
  });
});

/** A value, and what becomes of it on the agent's command line. */
const AGENT_VALUES: readonly (readonly [value: string, option: string])[] = [
  ["speaker.logLevel=all", "--log-level=trace"],
  ["speaker.ignoreExcludeLB=true", "--ignore-exclude-lb"],
  ["speaker.memberlist.mlBindPort=7000", "--membership-port=7000"],
  ["speaker.graceSeconds=5", "--grace-seconds=5"],
  ["speaker.flowsMax=2097152", "--flows-max=2097152"],
  ["speaker.bmp=collector:11019", "--bmp=collector:11019"],
  ["speaker.devices={eth0,eth1}", "eth1"],
  ["speaker.excludeInterfaces.enabled=false", "--interfaces-exclude=^lo$"],
  ["prometheus.metricsPort=9999", "--metrics-listen=:9999"],
];

const CONTROLLER_VALUES: readonly (readonly [value: string, option: string])[] = [
  ["loadBalancerClass=example.com/lb", "--lb-class=example.com/lb"],
  ["controller.logLevel=none", "--log-level=silent"],
  ["controller.webhookPort=8443", "--webhook-listen=:8443"],
  ["controller.leaseDurationSeconds=9", "--lease-duration-seconds=9"],
  ["webhook.certManager.enabled=true", "--webhook-cert-dir=/etc/fairlead/webhook"],
];

describe("a value", () => {
  for (const [kind, values] of [
    ["DaemonSet", AGENT_VALUES],
    ["Deployment", CONTROLLER_VALUES],
  ] as const)
    for (const [value, option] of values)
      it(`${value} becomes ${option}`, () => {
        assert.ok(!argsOf([], kind).includes(option), "it is there anyway");
        assert.ok(argsOf([value], kind).includes(option));
      });

  it("that names a Secret for the probes keeps the controllers from making one", () => {
    assert.ok(argsOf([], "Deployment").includes("--membership-secret=fairlead-membership"));
    const named = argsOf(["speaker.secretName=mine"], "Deployment");
    assert.deepEqual(
      named.filter((option) => option.startsWith("--membership-secret")),
      [],
    );
  });

  it("that switches the webhook off leaves no configuration that asks nobody", () => {
    const kinds = render("controller.webhookMode=disabled").map(({ kind }) => kind);
    assert.ok(kinds.includes("Deployment") && !kinds.includes("ValidatingWebhookConfiguration"));
  });

  const refused: readonly (readonly [value: string, words: RegExp])[] = [
    ["speaker.logLevl=info", /speaker.*logLevl/s],
    ["controller.replicas=many", /replicas.*integer/s],
    ["controller.logLevel=loud", /logLevel/],
    ["crds.validationFailurePolicy=Maybe", /validationFailurePolicy/],
    ["controller.webhookMode=onlywebhook", /webhookMode/],
    ["speaker.image.repository=quay.io/metallb/speaker", /speaker\.image .*MetalLB's.*image\.repository/s],
    ["controller.image.tag=v0.16.1", /controller\.image .*MetalLB's.*image\.repository/s],
    ["prometheus.podMonitor.enabled=true", /prometheus\.serviceAccount/],
  ];
  for (const [value, words] of refused)
    it(`${value} is refused, by name`, () => {
      const run = spawnSync(
        requireProgram("helm"),
        ["template", "fairlead", CHART, "--kube-version", "1.36.0", "--set", value],
        { encoding: "utf8" },
      );
      assert.notEqual(run.status, 0);
      assert.match(run.stderr, words);
    });
});

describe("deploy/kustomize", () => {
  it("is what the chart says: node tools/generate-kustomize.ts", () => {
    for (const [name, text] of kustomizeFiles())
      assert.equal(readFileSync(join(ROOT, FOLDER, name), "utf8"), text, `${name} is not what the chart says`);
  });

  it("gives a cluster the same objects as the chart, and the namespace besides", () => {
    const kubectl = execFileSync(requireProgram("kubectl"), ["kustomize", join(ROOT, FOLDER)], { encoding: "utf8" });
    const comparable = (objects: readonly Rendered[]): readonly unknown[] =>
      objects
        .map(({ metadata: { name, namespace }, ...rest }) => ({ ...rest, name, namespace }))
        .filter(({ kind }) => kind !== "Namespace")
        .toSorted((a, b) => `${a.kind} ${a.name}`.localeCompare(`${b.kind} ${b.name}`));
    // Without what runs when a release of Helm ends.
    const ofChart = render().filter(({ metadata }) => metadata.annotations?.["helm.sh/hook"] === undefined);
    assert.deepEqual(comparable(objectsOf(kubectl)), comparable(ofChart));
    assert.ok(objectsOf(kubectl).some(({ kind }) => kind === "Namespace"));
  });
});
