/**
 * A real cluster, changed by kubectl as a person changes it. Pods are those of the Deployment behind the Services: their names change when
 * they are exchanged. What a test says of a pod happens to it:
 *
 *     notReady      its readiness probe fails
 *     terminating   it is deleted with time to end, and works on until then; another takes its place
 *     removed       it is deleted, and ended at once; another takes its place
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import type { Conditions, NodeChange, PodCondition } from "../../lab/cluster-objects.ts";
import type { Fault } from "../../lab/fault.ts";
import { SYSTEM_NAMESPACE } from "../../lab/kubernetes/install.ts";
import { holdKubelet, kubectl, onNode } from "../../lab/kubernetes/nodes.ts";
import { placeOf } from "../../lab/kubernetes/start.ts";
import { memberPlan, type Lab } from "../../lab/lab.ts";
import { runIn } from "../../lab/network.ts";
import { waitForAgents } from "../../lab/observe.ts";
import { waitFor } from "../../lab/wait.ts";
import type { ClusterAccess, ClusterEvent, L2Status, Outcome, WorkingPod } from "./access.ts";

const FAIRLEAD = join(import.meta.dirname, "../../bin/fairlead");
const SYSTEM = ["--namespace", SYSTEM_NAMESPACE];
const DEPLOYMENT = "deployment/web";
const SELECTOR = "--selector=app=metallb-cluster";
const NODE_BACK_MILLISECONDS = 60_000;

const podList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), deletionTimestamp: z.string().optional() }),
      spec: z.object({ nodeName: z.string().default("") }),
      status: z.object({
        podIPs: z.array(z.object({ ip: z.string() })).default([]),
        conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
      }),
    }),
  ),
});
const statusList = z.object({
  items: z.array(
    z.object({
      status: z
        .object({
          node: z.string().default(""),
          serviceName: z.string().default(""),
          interfaces: z.array(z.object({ name: z.string() })).default([]),
        })
        .default({ node: "", serviceName: "", interfaces: [] }),
    }),
  ),
});
const eventList = z.object({
  items: z.array(
    z.object({
      reason: z.string().default(""),
      note: z.string().default(""),
      regarding: z.object({ name: z.string().default("") }).default({ name: "" }),
      reportingInstance: z.string().default(""),
      eventTime: z.string().nullish(),
      series: z.object({ count: z.int(), lastObservedTime: z.string() }).nullish(),
    }),
  ),
});
const stateList = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      status: z
        .object({ result: z.string().default(""), errorSummary: z.string().default("") })
        .default({ result: "", errorSummary: "" }),
    }),
  ),
});

export class KubectlAccess implements ClusterAccess {
  /** The bridge plug-in masquerades whatever leaves a node's own pods. */
  readonly hidesPods = true;
  readonly requester = ["/opt/fairlead/node_modules/.bin/node", "/lab/requester.ts"];
  readonly #lab: Lab;
  #said: Conditions = { pods: {}, removedNodes: [], nodes: {} };

  constructor(lab: Lab) {
    this.#lab = lab;
  }

  /** The file lies in the lab's folder too, where what looks at the lab from outside finds which Services there are. */
  async write(file: string, text: string): Promise<void> {
    const path = join(this.#lab.paths.manifests, file);
    const before = objectsIn(await readFile(path, "utf8").catch(() => ""));
    await writeFile(path, text);
    const now = new Set(objectsIn(text).map((object) => object.join(" ")));
    if (now.size > 0) await this.#kubectl("apply", "--filename", path);
    for (const object of before.filter((each) => !now.has(each.join(" "))))
      await this.#kubectl("delete", "--ignore-not-found", ...object);
  }

  async remove(file: string): Promise<void> {
    const path = join(this.#lab.paths.manifests, file);
    await this.#kubectl("delete", "--ignore-not-found", "--filename", path);
    await rm(path);
  }

  async conditions(conditions: Conditions): Promise<void> {
    const before = this.#said;
    this.#said = conditions;
    const undone = Object.entries(before.pods).filter(([pod]) => conditions.pods[pod] === undefined);
    for (const [pod, condition] of undone) await this.#restore(pod, condition);
    if (undone.length > 0) await this.#everyPod();
    for (const [pod, condition] of Object.entries(conditions.pods))
      if (before.pods[pod] !== condition) await this.#afflict(pod, condition);
    for (const node of new Set([...Object.keys(before.nodes), ...Object.keys(conditions.nodes)]))
      await this.#changeNode(node, before.nodes[node] ?? {}, conditions.nodes[node] ?? {});
    for (const node of conditions.removedNodes)
      if (!before.removedNodes.includes(node)) await this.#kubectl("delete", "node", node);
  }

  async pods(): Promise<readonly WorkingPod[]> {
    const { items } = await this.#list(podList, "pods", SELECTOR);
    return items
      .filter(
        ({ metadata, status }) =>
          metadata.deletionTimestamp === undefined &&
          status.conditions.some(({ type, status: is }) => type === "Ready" && is === "True"),
      )
      .map(({ metadata, spec, status }) => ({
        name: metadata.name,
        node: spec.nodeName,
        addresses: status.podIPs.map(({ ip }) => ip),
      }))
      .toSorted((a, b) => (a.node + a.name < b.node + b.name ? -1 : 1));
  }

  inPod(pod: string, command: readonly string[]): Promise<string> {
    return this.#kubectl("exec", pod, "--", ...command);
  }

  /** A node that comes back has its pods again: by themselves they would stay where they went. */
  async settleAfter(host: string, fault: Fault): Promise<void> {
    if (fault !== "node-up") return;
    await this.#kubectl("wait", "--for=condition=Ready", `node/${host}`, "--timeout=120s");
    await this.#kubectl("rollout", "status", ...SYSTEM, "daemonset/fairlead-agent", "--timeout=120s");
    await waitForAgents(this.#lab, { milliseconds: NODE_BACK_MILLISECONDS });
    await this.#kubectl("rollout", "restart", DEPLOYMENT);
    await this.#everyPod();
  }

  keepAgentAway(node: string): Promise<void> {
    return holdKubelet(this.#lab, node);
  }

  async l2Statuses(service: string): Promise<readonly L2Status[]> {
    const { items } = await this.#list(statusList, "servicel2statuses.metallb.io", ...SYSTEM);
    return items
      .filter(({ status }) => status.serviceName === service)
      .map(({ status }) => ({ node: status.node, interfaces: status.interfaces.map(({ name }) => name) }));
  }

  async events(node: string): Promise<readonly ClusterEvent[]> {
    const agents = await this.#list(podList, "pods", ...SYSTEM, "--selector=app.kubernetes.io/component=agent");
    const own = agents.items.filter(({ spec }) => spec.nodeName === node).map(({ metadata }) => metadata.name);
    const { items } = await this.#list(eventList, "events.events.k8s.io", "--all-namespaces");
    return items
      .filter(({ reportingInstance }) => own.includes(reportingInstance))
      .map(({ reason, note, series, eventTime, regarding }) => ({
        reason,
        message: note,
        count: series?.count ?? 1,
        lastSeenAt: Date.parse(series?.lastObservedTime ?? eventTime ?? ""),
        about: regarding.name,
      }));
  }

  async configurationStates(): ReturnType<ClusterAccess["configurationStates"]> {
    const { items } = await this.#list(stateList, "configurationstates.metallb.io", ...SYSTEM);
    return new Map(items.map(({ metadata, status }) => [metadata.name, status]));
  }

  cleanup(node: string): Promise<Outcome> {
    const where = ["--bpffs", `/sys/fs/bpf/fairlead/${node}`, "--socket", `/run/fairlead/${node}.sock`];
    return onNode(this.#lab, node, [FAIRLEAD, "cleanup", "--node-name", node, ...where]).then(
      (stdout) => ({ code: 0, stdout, stderr: "" }),
      (error: unknown) => error as Outcome,
    );
  }

  hasLeft(node: string, what: "maps" | "drain"): Promise<boolean> {
    const path = what === "maps" ? `/sys/fs/bpf/fairlead/${node}/maps` : `/run/fairlead/${node}.sock.drain`;
    return onNode(this.#lab, node, ["test", "-e", path]).then(
      () => true,
      () => false,
    );
  }

  async #afflict(pod: string, condition: PodCondition): Promise<void> {
    if (condition === "notReady") return this.#tell(pod, "/not-ready");
    const words = condition === "terminating" ? ["--grace-period=60", "--wait=false"] : ["--now"];
    await this.#kubectl("delete", "pod", pod, ...words);
  }

  async #restore(pod: string, condition: PodCondition): Promise<void> {
    if (condition === "notReady") await this.#tell(pod, "/ready");
    if (condition === "terminating")
      await this.#kubectl("delete", "pod", pod, "--now", "--ignore-not-found", "--wait=false");
  }

  /** A word to a pod's server, from the host of the API server. */
  async #tell(pod: string, path: string): Promise<void> {
    const address = await this.#kubectl("get", "pod", pod, "--output=jsonpath={.status.podIP}");
    const { namespace } = memberPlan(this.#lab, placeOf(this.#lab).host.name);
    const { status } = await runIn(namespace, ["curl", "-s", "-X", "POST", `http://${address}:8080${path}`]);
    if (status !== 0) throw new Error(`Pod ${pod} at ${address} does not hear ${path}: curl ended with ${status}`);
  }

  async #everyPod(): Promise<void> {
    await this.#kubectl("rollout", "status", DEPLOYMENT, "--timeout=90s");
    const replicas = Number(await this.#kubectl("get", DEPLOYMENT, "--output=jsonpath={.spec.replicas}"));
    await waitFor("every pod to be ready", async () => ((await this.pods()).length === replicas ? true : undefined), {
      milliseconds: NODE_BACK_MILLISECONDS,
    });
  }

  async #changeNode(node: string, before: NodeChange, now: NodeChange): Promise<void> {
    const gone = Object.keys(before.labels ?? {}).filter((label) => now.labels?.[label] === undefined);
    const labels = Object.entries(now.labels ?? {}).filter(([label, value]) => before.labels?.[label] !== value);
    const words = [...gone.map((label) => `${label}-`), ...labels.map(([label, value]) => `${label}=${value}`)];
    if (words.length > 0) await this.#kubectl("label", "node", node, "--overwrite", ...words);
    if ((before.networkUnavailable ?? false) === (now.networkUnavailable ?? false)) return;
    const status = now.networkUnavailable === true ? "True" : "False";
    const condition = { type: "NetworkUnavailable", status, reason: "SaidByATest" };
    const patch = JSON.stringify({ status: { conditions: [condition] } });
    await this.#kubectl("patch", "node", node, "--subresource=status", "--patch", patch);
  }

  async #list<T>(schema: z.ZodType<T>, ...words: readonly string[]): Promise<T> {
    return schema.parse(JSON.parse(await this.#kubectl("get", ...words, "--output=json")));
  }

  #kubectl(...words: readonly string[]): Promise<string> {
    return kubectl(this.#lab, words);
  }
}

/** What `kubectl delete` calls the objects of a manifest. */
function objectsIn(text: string): readonly (readonly string[])[] {
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const object = document.toJS() as { kind: string; metadata: { name: string; namespace?: string } } | null;
    if (object === null) return [];
    return [[object.kind.toLowerCase(), object.metadata.name, "--namespace", object.metadata.namespace ?? "default"]];
  });
}
