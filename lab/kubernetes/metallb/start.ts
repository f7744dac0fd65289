/**
 * MetalLB's own programs in a lab with an API server: its manifests applied, its controller beside the API server, a speaker and a
 * kube-proxy on every node. Nobody runs kubelets here, so Pods are objects only: MetalLB finds its members and itself by them.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { formatAddress } from "../../../src/net/address.ts";
import { memberPlan, type Lab } from "../../lab.ts";
import { runIn } from "../../network.ts";
import { namespaceOf } from "../../plan.ts";
import { startProgram, type Program } from "../../programs.ts";
import { primaryAddress, type Host } from "../../scene.ts";
import { requireProgram } from "../control-plane.ts";
import { kubeconfigOf } from "../start.ts";
import { manifestOf, podCommand, type Mode } from "./frr.ts";

const NAMESPACE = "metallb-system";
const LABELS = { app: "metallb" };
/** Its controller serves them, and here it runs without. */
const WITHOUT: ReadonlySet<string> = new Set(["ValidatingWebhookConfiguration", "Namespace"]);
const SECRET = "nobody-else-gossips-with-us";

interface Documented {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/** Runs kubectl on the API server's host. Rejects with what it said. */
export async function kubectl(lab: Lab, words: readonly string[]): Promise<string> {
  const host = lab.scene.apiServer ?? "";
  const command = [requireProgram("kubectl"), "--kubeconfig", kubeconfigOf(lab, "admin"), ...words];
  const { status, stdout, stderr } = await runIn(memberPlan(lab, host).namespace, command);
  if (status !== 0) throw new Error(`kubectl ${words.join(" ")}: ${stderr}`);
  return stdout;
}

/** Its objects: what `kubectl apply -f metallb-MODE.yaml` leaves, without the webhooks; and the key of its speakers. */
export async function applyMetallb(lab: Lab, mode: Mode): Promise<void> {
  // Before the first speaker, and once: one that found it half written would speak unencrypted, and never meet the others.
  await mkdir(keysOf(lab), { recursive: true });
  await writeFile(join(keysOf(lab), "secretkey"), SECRET);
  const documents = parseAllDocuments(await readFile(manifestOf(mode), "utf8"));
  const objects = (Array.isArray(documents) ? documents : []).map((each) => each.toJS() as Documented);
  const pods = [
    podOf("controller", lab.scene.apiServer ?? ""),
    ...nodesOf(lab).map(({ name }) => podOf(`speaker-${name}`, name)),
  ];
  const file = join(lab.paths.kubernetes, "metallb.yaml");
  const kept = objects.filter(({ kind }) => !WITHOUT.has(kind));
  await writeFile(file, [...kept, ...pods].map((each) => stringify(each)).join("---\n"));
  await kubectl(lab, ["apply", "--server-side", "--force-conflicts", "-f", file]);
  for (const { name } of nodesOf(lab)) {
    const status = JSON.stringify({
      status: { podIP: addressOf(lab, name), podIPs: [{ ip: addressOf(lab, name) }], phase: "Running" },
    });
    const words = ["patch", "pod", `speaker-${name}`, "--subresource=status", "--type=merge", "-p", status];
    await kubectl(lab, ["-n", NAMESPACE, ...words]);
  }
}

function keysOf(lab: Lab): string {
  return join(lab.paths.kubernetes, "memberlist");
}

export function nodesOf(lab: Lab): readonly Host[] {
  return lab.scene.hosts.filter(({ agent }) => agent);
}

function podOf(name: string, node: string): object {
  const component = name === "controller" ? "controller" : "speaker";
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE, labels: { ...LABELS, component } },
    spec: {
      nodeName: node,
      hostNetwork: true,
      containers: [{ name: component, image: `quay.io/metallb/${component}` }],
    },
  };
}

function addressOf(lab: Lab, node: string): string {
  const host = lab.scene.hosts.find(({ name }) => name === node);
  const found = host === undefined ? undefined : primaryAddress(host, "IPv4");
  if (found === undefined) throw new Error(`${node} has no IPv4 address`);
  return formatAddress(found.address);
}

export function startMetallbController(lab: Lab): Promise<Program> {
  const words = [
    "--port=0",
    "--webhook-mode=disabled",
    "--disable-cert-rotation",
    `--namespace=${NAMESPACE}`,
    "--health-probe-port=17473",
  ];
  return start(lab, lab.scene.apiServer ?? "", "metallb-controller", words, { METALLB_POD_NAME: "controller" });
}

/** In mode frr with FRR beside it; in mode frr-k8s that is a pod of its own. */
export async function startSpeaker(lab: Lab, node: string, mode: Mode): Promise<Program> {
  const words = ["--port=0", `--namespace=${NAMESPACE}`, "--log-level=info"];
  const settings = {
    METALLB_BGP_TYPE: mode,
    METALLB_NODE_NAME: node,
    METALLB_POD_NAME: `speaker-${node}`,
    METALLB_ML_BIND_ADDR: addressOf(lab, node),
    METALLB_ML_LABELS: "app=metallb,component=speaker",
    METALLB_ML_SECRET_KEY_PATH: keysOf(lab),
  };
  const command = commandOf(lab, "metallb-speaker", words, settings);
  return run(lab, node, "metallb-speaker", mode === "frr" ? await podCommand(lab, node, mode, command) : command);
}

/** What speaks in mode frr-k8s. */
export async function startFrrK8s(lab: Lab, node: string): Promise<Program> {
  const words = [`--node-name=${node}`, `--namespace=${NAMESPACE}`, "--metrics-bind-address=0", "--log-level=info"];
  return run(lab, node, "frr-k8s", await podCommand(lab, node, "frr-k8s", commandOf(lab, "frr-k8s", words, {})));
}

/** kube-proxy, which carries what MetalLB brings to a node. */
export async function startKubeProxy(lab: Lab, node: string): Promise<Program> {
  const file = join(lab.paths.kubernetes, `kube-proxy-${node}.yaml`);
  const configuration = {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "nftables",
    hostnameOverride: node,
    clientConnection: { kubeconfig: kubeconfigOf(lab, "admin") },
    conntrack: { maxPerCore: 0 },
    clusterCIDR: "10.244.0.0/16,fd00:10:244::/48",
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
  };
  await writeFile(file, stringify(configuration));
  return start(lab, node, "kube-proxy", [`--config=${file}`], {});
}

function start(
  lab: Lab,
  node: string,
  program: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Program> {
  return run(lab, node, program, commandOf(lab, program, words, environment));
}

function commandOf(
  lab: Lab,
  program: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
): readonly string[] {
  const settings = Object.entries({ ...environment, KUBECONFIG: kubeconfigOf(lab, "admin") });
  return ["env", ...settings.map(([name, value]) => `${name}=${value}`), requireProgram(program), ...words];
}

function run(lab: Lab, node: string, program: string, command: readonly string[]): Promise<Program> {
  return startProgram(lab.paths.programs, {
    host: node,
    program,
    namespace: namespaceOf(lab.name, node),
    command,
    log: lab.paths.log(node, program),
  });
}
