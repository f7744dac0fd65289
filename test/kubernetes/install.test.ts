/**
 * The chart and the manifests in a real API server: what Helm and kubectl are told there, what stays when they take it away again, and
 * what PodSecurity admission says of the pods. Nobody runs the pods here.
 */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { requireProgram } from "../../lab/kubernetes/control-plane.ts";
import { writeKubeconfig } from "../../lab/kubernetes/kubeconfig.ts";
import { waitFor } from "../../lab/wait.ts";
import { ROOT } from "../../tools/tree.ts";
import { startApiServer, type TestApiServer } from "./api-server.ts";

const CHART = join(ROOT, "deploy/helm/fairlead");
const KUSTOMIZE = join(ROOT, "deploy/kustomize");
const FAIRLEAD = join(ROOT, "bin/fairlead");
const NAMESPACE = "metallb-system";
const CLEANUP = `system:serviceaccount:${NAMESPACE}:fairlead-cleanup`;

let folder: string;
let server: TestApiServer;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "fl-install-"));
  server = await startApiServer([CLEANUP]);
  for (const user of ["admin", CLEANUP]) await writeKubeconfig(server.as(user), kubeconfig(user));
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const kubeconfig = (user: string): string => join(folder, `${user.replaceAll(":", "-")}.conf`);

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: "helm" | "kubectl", words: readonly string[]): Ran {
  const env = { ...process.env, KUBECONFIG: kubeconfig("admin"), HOME: folder };
  return spawnSync(requireProgram(program), words, { encoding: "utf8", env });
}

function succeed(program: "helm" | "kubectl", words: readonly string[]): string {
  const { status, stdout, stderr } = run(program, words);
  assert.equal(status, 0, `${program} ${words.join(" ")}: ${stderr}`);
  return stdout;
}

const kubectl = (...words: readonly string[]): string => succeed("kubectl", words);
const helm = (...words: readonly string[]): string => succeed("helm", [...words, "--namespace", NAMESPACE]);

describe("helm", () => {
  it("installs, and says what to do next", () => {
    kubectl("create", "namespace", NAMESPACE);
    kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=baseline");
    const notes = helm("install", "fairlead", CHART);
    assert.match(notes, /kind: IPAddressPool/);
    assert.match(notes, /enforces the PodSecurity level baseline, which keeps the agents from starting/);
    assert.doesNotMatch(notes, /have no effect/);
    assert.match(kubectl("-n", NAMESPACE, "get", "deployments,daemonsets", "-o", "name"), /fairlead-agent\n/);
  });

  it("upgrades without taking the authority away that the controllers have written", () => {
    const patch = `{"webhooks":[{"name":"configuration.fairlead.io","clientConfig":{"caBundle":"${CA_BUNDLE}"}}]}`;
    const configuration = ["validatingwebhookconfiguration", "fairlead-webhook-configuration"];
    kubectl("patch", ...configuration, "--type=strategic", "-p", patch);
    helm("upgrade", "fairlead", CHART, "--set", "image.tag=next,crds.validationFailurePolicy=Ignore");
    const webhook = kubectl("get", ...configuration, "-o", "jsonpath={.webhooks[0]}");
    const found = JSON.parse(webhook) as {
      readonly failurePolicy: string;
      readonly clientConfig: { readonly caBundle: string };
    };
    assert.deepEqual([found.failurePolicy, found.clientConfig.caBundle], ["Ignore", CA_BUNDLE]);
    assert.match(kubectl("-n", NAMESPACE, "get", "daemonset", "fairlead-agent", "-o", "yaml"), /image: fairlead:next/);
  });

  it("takes the values of MetalLB's chart, and names those that mean nothing here", () => {
    const file = join(folder, "metallb.yaml");
    writeFileSync(file, METALLB_VALUES);
    const notes = helm("upgrade", "fairlead", CHART, "--values", file);
    for (const name of ["frrk8s", "tls", "speaker.frr", "speaker.memberlist.enabled", "controller.webhookHTTP2"])
      assert.match(notes, new RegExp(`^ +${name.replaceAll(".", "\\.")}: `, "m"));
    assert.doesNotMatch(notes, /speaker\.initContainers/);
  });

  it("lets the Job that runs before an uninstallation remove the agents with its role, and nothing else", async () => {
    // Helm makes these objects only then.
    const hooks = helm(
      "template",
      "fairlead",
      CHART,
      "--show-only",
      "templates/cleanup.yaml",
      "--kube-version",
      "1.36.0",
    );
    kubectl("apply", "-f", write("hooks.yaml", hooks));
    const words = ["remove-agents", "--kubeconfig", kubeconfig(CLEANUP), "--namespace", NAMESPACE];
    const other = spawnSync(FAIRLEAD, [...words, "--daemonset", "another"], { encoding: "utf8" });
    assert.equal(other.status, 1);
    assert.match(other.stderr, /^Cannot remove DaemonSet metallb-system\/another: .*\(403\)/);
    const removal = spawn(FAIRLEAD, words, { stdio: ["ignore", "pipe", "inherit"] });
    const text = removal.stdout.setEncoding("utf8").toArray();
    const daemonSet = ["-n", NAMESPACE, "get", "daemonset", "fairlead-agent", "--ignore-not-found", "-o"];
    await waitFor("the DaemonSet to be deleted in the foreground", () =>
      kubectl(...daemonSet, "jsonpath={.metadata.finalizers}") === '["foregroundDeletion"]' ? true : undefined,
    );
    // The garbage collector's work, which nobody does here.
    const done = ["-n", NAMESPACE, "patch", "daemonset", "fairlead-agent", "--type=merge"];
    kubectl(...done, "-p", '{"metadata":{"finalizers":null}}');
    assert.match((await text).join(""), /^DaemonSet metallb-system\/fairlead-agent is gone/);
    kubectl("delete", "-f", join(folder, "hooks.yaml"), "--wait=false");
  });

  it("uninstalls everything but the CRDs, with the objects of the configuration in them", () => {
    kubectl("apply", "-f", write("pool.yaml", POOL));
    // The Job would wait for a kubelet.
    helm("uninstall", "fairlead", "--no-hooks");
    const kinds = "deployments,daemonsets,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets";
    assert.equal(kubectl("-n", NAMESPACE, "get", kinds, "-l", "app.kubernetes.io/instance=fairlead", "-o", "name"), "");
    const cluster = "clusterroles,clusterrolebindings,validatingwebhookconfigurations";
    assert.equal(kubectl("get", cluster, "-l", "app.kubernetes.io/instance=fairlead", "-o", "name"), "");
    assert.equal(kubectl("-n", NAMESPACE, "get", "ipaddresspools", "-o", "name"), "ipaddresspool.metallb.io/kept\n");
  });

  it("installs again over what stayed", () => {
    helm("install", "fairlead", CHART);
    helm("uninstall", "fairlead", "--no-hooks");
  });
});

describe("where another release owns the CRDs, as MetalLB's does", () => {
  const other = (): string => join(folder, "other");

  before(() => {
    mkdirSync(join(other(), "templates"), { recursive: true });
    writeFileSync(join(other(), "Chart.yaml"), "apiVersion: v2\nname: other\nversion: 1.0.0\n");
    writeFileSync(join(other(), "values.yaml"), "crds: { enabled: true }\n");
    const definitions = join(ROOT, "deploy/crds");
    const texts = readdirSync(definitions).filter((name) => name !== "kustomization.yaml");
    const all = texts.map((name) => readFileSync(join(definitions, name), "utf8")).join("---\n");
    writeFileSync(join(other(), "templates/crds.yaml"), `{{ if .Values.crds.enabled }}\n${all}{{ end }}\n`);
  });

  it("the chart is not installed over them but without its own", () => {
    for (const name of kubectl("get", "crds", "-o", "name").trim().split("\n")) kubectl("delete", name, "--wait=false");
    helm("install", "other", other());
    const { status, stderr } = run("helm", ["install", "fairlead", CHART, "--namespace", NAMESPACE]);
    assert.equal(status, 1);
    assert.match(stderr, /invalid ownership metadata/);
    helm("install", "fairlead", CHART, "--set", "crds.enabled=false");
    helm("uninstall", "fairlead", "--no-hooks");
  });

  it("they outlive it with all that is in them, if they are kept first as docs/install.md says", async () => {
    await waitFor("a pool to be taken", () =>
      run("kubectl", ["apply", "-f", write("pool.yaml", POOL)]).status === 0 ? true : undefined,
    );
    kubectl("annotate", "crd", "--all", "helm.sh/resource-policy=keep", "--overwrite");
    helm("upgrade", "other", other(), "--reuse-values", "--set", "crds.enabled=false");
    helm("uninstall", "other");
    assert.equal(kubectl("-n", NAMESPACE, "get", "ipaddresspools", "-o", "name"), "ipaddresspool.metallb.io/kept\n");
    helm("install", "fairlead", CHART, "--take-ownership");
    helm("uninstall", "fairlead", "--no-hooks");
    assert.equal(kubectl("-n", NAMESPACE, "get", "ipaddresspools", "-o", "name"), "ipaddresspool.metallb.io/kept\n");
  });
});

describe("deploy/kustomize in an API server", () => {
  it("is taken whole, and a second time changes nothing", () => {
    const first = kubectl("apply", "--server-side", "--force-conflicts", "-k", KUSTOMIZE);
    assert.match(first, /daemonset\.apps\/fairlead-agent serverside-applied/);
    assert.match(first, /customresourcedefinition\S+ipaddresspools\.metallb\.io serverside-applied/);
    assert.equal(run("kubectl", ["diff", "--server-side", "-k", KUSTOMIZE]).stdout, "");
    kubectl("apply", "-k", KUSTOMIZE, "--dry-run=server");
  });
});

describe("PodSecurity admission", () => {
  const rows = [
    { program: "controller", kind: "deployment", level: "restricted", says: "created" },
    { program: "agent", kind: "daemonset", level: "privileged", says: "created" },
    { program: "agent", kind: "daemonset", level: "baseline", says: "host namespaces \\(hostNetwork=true\\)" },
    { program: "agent", kind: "daemonset", level: "baseline", says: "non-default capabilities" },
    { program: "agent", kind: "daemonset", level: "baseline", says: "hostPath volumes" },
  ] as const;
  for (const { program, kind, level, says } of rows)
    it(`says of the ${program} at the level ${level}: ${says}`, () => {
      const namespace = `level-${level}`;
      run("kubectl", ["create", "namespace", namespace]);
      kubectl("label", "--overwrite", "namespace", namespace, `pod-security.kubernetes.io/enforce=${level}`);
      const object = JSON.parse(kubectl("-n", NAMESPACE, "get", kind, `fairlead-${program}`, "-o", "json")) as {
        readonly spec: { readonly template: { readonly spec: object } };
      };
      const metadata = { name: "tried", namespace };
      const pod = { apiVersion: "v1", kind: "Pod", metadata, spec: object.spec.template.spec };
      const { stdout, stderr } = run("kubectl", [
        "create",
        "--dry-run=server",
        "-f",
        write("pod.json", JSON.stringify(pod)),
      ]);
      assert.match(stdout + stderr, new RegExp(says));
    });
});

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const CA_BUNDLE = Buffer.from(
  "-----BEGIN CERTIFICATE-----\nMIIBADCBqAIBATAKBggqhkjOPQQDAjAA\n-----END CERTIFICATE-----\n",
).toString("base64");

const POOL = `
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: { name: kept, namespace: ${NAMESPACE} }
spec: { addresses: [192.0.2.0/28] }
`;

/** As people have them. */
const METALLB_VALUES = `
imagePullSecrets: []
loadBalancerClass: ""
rbac: { create: true }
tls: { minVersion: VersionTLS13 }
prometheus: { scrapeAnnotations: false, metricsPort: 7472, rbacPrometheus: true, serviceAccount: "", namespace: "" }
controller:
  enabled: true
  logLevel: info
  webhookMode: enabled
  webhookHTTP2: true
  serviceAccount: { create: true, name: "", annotations: {} }
  resources: { limits: { cpu: 100m, memory: 256Mi } }
  nodeSelector: { disk: ssd }
  tolerations: [{ key: a, operator: Exists }]
  affinity: {}
  podAnnotations: { a: b }
  labels: { c: d }
  livenessProbe: { enabled: true, failureThreshold: 3 }
speaker:
  enabled: true
  logLevel: info
  tolerateMaster: true
  memberlist: { enabled: false, mlBindPort: 7946, mlBindAddrOverride: "", mlSecretKeyPath: /etc/ml_secret_key }
  excludeInterfaces: { enabled: true }
  ignoreExcludeLB: false
  updateStrategy: { type: RollingUpdate }
  frr: { enabled: true, image: { repository: quay.io/frrouting/frr, tag: 10.4.1 }, metricsPort: 7473 }
  reloader: { resources: {} }
  startupProbe: { enabled: true, failureThreshold: 30, periodSeconds: 5 }
crds: { enabled: true, validationFailurePolicy: Ignore }
frrk8s: { enabled: false }
`;
