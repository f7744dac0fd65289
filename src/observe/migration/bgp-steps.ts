/**
 * The steps of a handover that are about BGP. A router takes one session from a node, so the speaker's has to end before the agent's can
 * begin; for this moment the router sends what it has for the node to the others. Pure.
 *
 *     speakers make place: a node with the label has none ─► node by node: the label, and the agent has the session
 */
import { nameOfFrrConfiguration, sharedNeighbors } from "./frr-configurations.ts";
import { goesWithSpeakers, type Affinity, type Installation, type Workload } from "./installation.ts";
import { HANDOVER_LABEL, looseConnections, SPEAKER_LABEL, type Progress, type Step } from "./step.ts";

const EXPRESSION = { key: SPEAKER_LABEL, operator: "DoesNotExist" };
const DEFAULT_NAMESPACE = "metallb-system";
const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";

/** `first`: no node is handed over yet, and only its sessions are. `last`: everything else is. `undefined`: no node has MetalLB's session any more. */
export function nextBgpStep(progress: Progress, order: "first" | "last"): Step | undefined {
  const { nodes } = progress;
  const waiting = [...nodes.values()].find(({ metadata }) => metadata.labels[SPEAKER_LABEL] === undefined);
  if (waiting === undefined) return undefined;
  return rivalStep(progress) ?? placeStep(progress, order) ?? sessionStep(waiting.metadata.name, progress, order);
}

/** What has a session with our routers when MetalLB has none any more: ours would never begin, and nobody would announce. */
function rivalStep({ installation: { mode, frrConfigurations }, bgpPeers }: Progress): Step | undefined {
  if (mode !== "frr-k8s") return undefined;
  const rivals = frrConfigurations.others.filter((each) => sharedNeighbors(each, bgpPeers.values()).length > 0);
  if (rivals.length === 0) return undefined;
  const names = rivals.map(nameOfFrrConfiguration).join(", ");
  return {
    title: `Not yet: frr-k8s would keep its sessions with routers of BGPPeers for ${names}, and Fairlead's could not begin`,
    commands: rivals.map(
      ({ namespace, name }) =>
        `# kubectl -n ${namespace} delete frrconfiguration ${name}, if nothing in it is needed (fairlead migrate check says what it asks for)`,
    ),
    undo: [],
    notes: [
      "Or give Fairlead's sessions another address of the nodes: sourceAddress of the BGPPeer, and a neighbor of the router.",
    ],
  };
}

/** The workloads whose pods have a node's sessions. */
function sessionHolders(installation: Installation): readonly Workload[] {
  const { speaker, frrK8s } = installation;
  return [speaker, goesWithSpeakers(installation) ? frrK8s : undefined].filter((each) => each !== undefined);
}

/** Whether the label keeps its pods away. */
function makesPlace({ affinity }: Workload): boolean {
  const terms = affinity.nodeAffinity?.[REQUIRED]?.nodeSelectorTerms ?? [];
  return terms.length > 0 && terms.every(({ matchExpressions = [] }) => matchExpressions.some(isOurs));
}

function isOurs(expression: unknown): boolean {
  return (expression as { readonly key?: string } | null)?.key === SPEAKER_LABEL;
}

function placeStep({ installation, namespace }: Progress, order: "first" | "last"): Step | undefined {
  const staying = sessionHolders(installation).filter((each) => !makesPlace(each));
  if (staying.length === 0) return undefined;
  // Pods that run are not started anew for this: every session would end.
  const patch = (name: string, affinity: Affinity | null): string =>
    `kubectl -n ${namespace} patch daemonset ${name} --type=merge -p '${JSON.stringify({ spec: { updateStrategy: { type: "OnDelete" }, template: { spec: { affinity } } } })}'`;
  const before = (affinity: Affinity): Affinity | null => (Object.keys(affinity).length === 0 ? null : affinity);
  return {
    title: `${goesWithSpeakers(installation) ? "Speakers and frr-k8s" : "Speakers"} make place: a node that is labelled ${SPEAKER_LABEL} has none any more; those that run are not started anew`,
    ...(order === "first" ? { onEveryNode: [looseConnections(false)] } : {}),
    commands: staying.map(({ name, affinity }) => patch(name, withoutSpeaker(affinity))),
    undo: [
      ...staying.map(({ name, affinity }) => patch(name, before(affinity))),
      ...(order === "first" ? [`# on every node, as root: ${looseConnections(true)}`] : []),
    ],
    ...(order === "first"
      ? {
          notes: [
            "The sysctl keeps a node from taking up what belongs to a connection of another node, which a pod would reset: the connection goes on when its own node has a session again.",
          ],
        }
      : {}),
  };
}

/** Every term is an alternative: each has to say it. */
function withoutSpeaker(before: Affinity): Affinity {
  const required = before.nodeAffinity?.[REQUIRED];
  const terms = required?.nodeSelectorTerms ?? [{}];
  const nodeSelectorTerms = terms.map((term) => ({
    ...term,
    matchExpressions: [...(term.matchExpressions ?? []), EXPRESSION],
  }));
  return { ...before, nodeAffinity: { ...before.nodeAffinity, [REQUIRED]: { ...required, nodeSelectorTerms } } };
}

function sessionStep(node: string, progress: Progress, order: "first" | "last"): Step {
  const { installation, namespace } = progress;
  const first = order === "first";
  const who = goesWithSpeakers(installation) ? "its speaker goes, and frr-k8s with it" : "its speaker goes";
  return {
    title: `Node ${node}: ${who}, and the agent has its BGP sessions at once${first ? "; packets are kube-proxy's as before" : ""}`,
    commands: [
      `kubectl label --overwrite node ${node}${first ? ` ${HANDOVER_LABEL}=bgp` : ""} ${SPEAKER_LABEL}=gone`,
      ...orphanRemoval(node, progress),
      `kubectl fairlead bgp peers --node ${node}${namespace === DEFAULT_NAMESPACE ? "" : ` --install-namespace ${namespace}`}`,
    ],
    undo: [`kubectl label node ${node}${first ? ` ${HANDOVER_LABEL}-` : ""} ${SPEAKER_LABEL}-`],
    notes: [
      "Until the session is up the router sends to the other nodes. With routes that it holds still for this time (static ones to all nodes, or graceful restart) nothing is lost: docs/migrate.md.",
    ],
  };
}

/** Where frr-k8s stays, it goes on with what the speaker has wanted last. A speaker that is still there would write it again. */
function orphanRemoval(node: string, { installation, namespace }: Progress): readonly string[] {
  const { speaker, frrConfigurations } = installation;
  const own = frrConfigurations.speakers.find(({ name }) => name === `metallb-${node}`);
  if (own === undefined || speaker === undefined || goesWithSpeakers(installation)) return [];
  return [
    `kubectl -n ${namespace} wait pod --for=delete --selector=${speaker.selector} --field-selector=spec.nodeName=${node} --timeout=60s`,
    `kubectl -n ${own.namespace} delete frrconfiguration ${own.name}`,
  ];
}
