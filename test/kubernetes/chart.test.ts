/** The chart as Helm renders it: with its own values, with those that people bring from MetalLB, and with mistakes in them. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
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
  ["speaker.handover=true", "--handover"],
  ["speaker.memberlist.mlBindPort=7000", "--membership-port=7000"],
  ["speaker.graceSeconds=5", "--grace-seconds=5"],
  ["speaker.checkSeconds=300", "--check-seconds=300"],
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

  it("that leaves SYS_NICE out leaves nothing else out", () => {
    const capabilities = (...set: readonly string[]): readonly string[] => {
      const { securityContext } = containerOf(render(...set), "DaemonSet") as Container & {
        readonly securityContext: { readonly capabilities: { readonly add: readonly string[] } };
      };
      return securityContext.capabilities.add;
    };
    const expected = ["BPF", "NET_ADMIN", "NET_BIND_SERVICE", "NET_RAW", "PERFMON"];
    assert.deepEqual(capabilities(), [...expected, "SYS_NICE"]);
    assert.deepEqual(capabilities("speaker.realTime=false"), expected);
    assert.deepEqual(capabilities("speaker.realTime=false", "speaker.handover=true"), [...expected, "SYS_ADMIN"]);
  });

  const secretsRule = (...set: readonly string[]): unknown => {
    const { rules } = find(render(...set), "Role", "fairlead-agent");
    return (rules as readonly { readonly resources: readonly string[] }[]).find(({ resources }) =>
      resources.includes("secrets"),
    );
  };
  it("that leaves certificates to cert-manager takes the rights to keep them from the controllers", () => {
    const rightsWith = (...set: readonly string[]): string =>
      JSON.stringify(
        [
          find(render(...set), "ClusterRole", "fairlead-controller"),
          find(render(...set), "Role", "fairlead-controller"),
        ].map(({ rules }) => rules),
      );
    const own = /validatingwebhookconfigurations|fairlead-webhook-cert/;
    assert.match(rightsWith(), own);
    for (const value of ["webhook.certManager.enabled=true", "controller.webhookMode=disabled"])
      assert.doesNotMatch(rightsWith(value), own);
  });

  it("that lets Prometheus in keeps the labels that the programs give, above those of the place", () => {
    const scraped = ["prometheus.serviceAccount=prometheus", "prometheus.namespace=monitoring"];
    for (const [kind, value, endpoints] of [
      ["PodMonitor", "podMonitor", "podMetricsEndpoints"],
      ["ServiceMonitor", "serviceMonitor", "endpoints"],
    ] as const) {
      const { spec } = find(render(...scraped, `prometheus.${value}.enabled=true`), kind, "fairlead");
      const [endpoint] =
        (spec as Readonly<Record<string, readonly { readonly honorLabels?: boolean }[]>>)[endpoints] ?? [];
      assert.equal(endpoint?.honorLabels, true, kind);
    }
  });

  it("that names the Secrets an agent may read is what its role says; by default it may read those of the namespace", () => {
    const rule = { apiGroups: [""], resources: ["secrets"], verbs: ["list", "watch"] };
    assert.deepEqual(secretsRule(), rule);
    const named = ["speaker.readableSecrets.all=false", "speaker.readableSecrets.names={tor,spine}"];
    assert.deepEqual(secretsRule(...named), { ...rule, resourceNames: ["tor", "spine"] });
    assert.equal(secretsRule("speaker.readableSecrets.all=false"), undefined);
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

describe("alerts and dashboard", () => {
  const folder = mkdtempSync(join(tmpdir(), "fl-alerts-"));
  after(() => rmSync(folder, { recursive: true }));

  const write = (name: string, content: unknown): string => {
    writeFileSync(join(folder, name), stringify(content));
    return join(folder, name);
  };
  const promtool = (...words: readonly string[]): { readonly status: number | null; readonly said: string } => {
    const { status, stdout, stderr } = spawnSync("promtool", words, { encoding: "utf8", cwd: folder });
    return { status, said: `${stdout}${stderr}` };
  };
  const rules = (...set: readonly string[]): string => {
    const rule = find(render("prometheus.prometheusRule.enabled=true", ...set), "PrometheusRule", "fairlead");
    return write("rules.yaml", rule["spec"]);
  };

  it("are rules that Prometheus takes", () => {
    const { status, said } = promtool("check", "rules", rules());
    assert.equal(status, 0, said);
    assert.match(said, /2\d rules found/);
    const { status: excluding, said: words } = promtool(
      "check",
      "rules",
      rules("prometheus.prometheusRule.addressPoolExhausted.excludePools=spare|test.*"),
    );
    assert.equal(excluding, 0, words);
  });

  it("are switched off one by one", () => {
    const off = ["addressPoolUsage", "noLeader"].map((name) => `prometheus.prometheusRule.${name}.enabled=false`);
    const text = readFileSync(rules(...off), "utf8");
    assert.doesNotMatch(text, /NoLeader|Usage75/);
    assert.match(text, /TwoLeaders/);
  });

  it("fire when they should, with two controllers and one that only stands by", () => {
    rules();
    const { status, said } = promtool("test", "rules", write("test.yaml", ALERT_TESTS));
    assert.equal(status, 0, said);
  });

  it("ask nothing in the dashboard that is not PromQL", () => {
    const text = readFileSync(join(CHART, "files/dashboard.json"), "utf8");
    const { panels } = JSON.parse(text) as {
      readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
    };
    const expressions = panels.flatMap(({ targets = [] }) =>
      targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "5m")),
    );
    const recorded = expressions.map((expr, index) => ({ record: `panel:${index}`, expr }));
    const { status, said } = promtool(
      "check",
      "rules",
      write("panels.yaml", { groups: [{ name: "panels", rules: recorded }] }),
    );
    assert.equal(status, 0, said);
  });
});

const fires = (alertname: string, ...alerts: readonly object[]): object => ({
  eval_time: "10m",
  alertname,
  exp_alerts: alerts,
});
const ALERT_TESTS = {
  rule_files: ["rules.yaml"],
  evaluation_interval: "30s",
  tests: [
    {
      interval: "30s",
      input_series: [
        { series: 'fairlead_controller_leading{instance="a"}', values: "1x30" },
        { series: 'fairlead_controller_leading{instance="b"}', values: "0x30" },
        { series: 'metallb_k8s_client_config_loaded_bool{instance="a"}', values: "1x30" },
        { series: 'metallb_k8s_client_config_loaded_bool{instance="b"}', values: "1x30" },
        { series: 'metallb_allocator_addresses_total{instance="a",pool="p"}', values: "4x30" },
        { series: 'metallb_allocator_addresses_in_use_total{instance="a",pool="p"}', values: "4x30" },
        // It has acted before, and says what was then.
        { series: 'metallb_allocator_addresses_total{instance="b",pool="p"}', values: "4x30" },
        { series: 'metallb_allocator_addresses_in_use_total{instance="b",pool="p"}', values: "1x30" },
        { series: "fairlead_webhook_certificate_expiry_timestamp_seconds", values: "86400x30" },
      ],
      alert_rule_test: [
        fires("FairleadNoLeader"),
        fires("FairleadTwoLeaders"),
        fires("FairleadConfigNotLoaded"),
        fires("FairleadAddressPoolExhausted", {
          exp_labels: { severity: "critical", instance: "a", pool: "p" },
          exp_annotations: {
            summary: "Pool p has no address left",
            description: "All addresses of the pool are in use. Enlarge it, or delete Services that nobody needs.",
          },
        }),
        fires("FairleadAddressPoolUsage95Percent", {
          exp_labels: { severity: "critical", instance: "a", pool: "p" },
          exp_annotations: { summary: "More than 95 % of a pool is in use", description: "Pool p: 100 %." },
        }),
        fires("FairleadWebhookCertificateExpires", {
          exp_labels: { severity: "critical" },
          exp_annotations: {
            summary: "The webhook's certificate expires soon",
            description:
              "In 23h 50m 0s no object of the configuration can be written any more. The controllers' log says why it is not renewed.",
          },
        }),
      ],
    },
    {
      interval: "30s",
      input_series: [
        { series: 'fairlead_controller_leading{instance="a"}', values: "0x30" },
        { series: 'metallb_bgp_session_up{instance="n",peer="r"}', values: "0x30" },
        { series: 'fairlead_bgp_established_total{instance="n",peer="r"}', values: "0+1x30" },
        { series: 'fairlead_stamp_seconds{instance="n"}', values: "5x30" },
        { series: 'fairlead_stamp_seconds{instance="m"}', values: "55x30" },
      ],
      alert_rule_test: [
        fires("FairleadNoLeader", {
          exp_labels: { severity: "critical" },
          exp_annotations: {
            summary: "No controller acts",
            description:
              "New Services get no address. Do the controllers run, and can they write the Lease fairlead-controller?",
          },
        }),
        fires("FairleadBGPSessionDown", {
          exp_labels: { severity: "critical", instance: "n", peer: "r" },
          exp_annotations: {
            summary: "BGP session with r is down",
            description: "The router does not get the routes of n. fairlead bgp peers says why.",
          },
        }),
        fires("FairleadBGPSessionFlaps", {
          exp_labels: { severity: "warning", instance: "n", peer: "r" },
          exp_annotations: {
            summary: "BGP session with r flaps",
            description: "It came up 20 times in 15 minutes on n. fairlead bgp log shows what ended it.",
          },
        }),
        fires("FairleadStampRunsOut", {
          exp_labels: { severity: "critical", instance: "n" },
          exp_annotations: { summary: "An agent does not get to run", description: "Addresses of n move in 5s." },
        }),
      ],
    },
  ],
};
