/**
 * The steps of a handover that are about BGP. A router takes one session from a node, so the speaker's has to end before the agent's can
 * begin; for this moment the router sends what it has for the node to the others. Pure.
 *
 *     speakers make place: a node with the label has none ─► node by node: the label, and the agent has the session
 */
import type { Affinity, Installation } from "./installation.ts";
import { HANDOVER_LABEL, looseConnections, SPEAKER_LABEL, type Progress, type Step } from "./step.ts";

const EXPRESSION = { key: SPEAKER_LABEL, operator: "DoesNotExist" };
const DEFAULT_NAMESPACE = "metallb-system";
const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";

/** `first`: no node is handed over yet, and only its sessions are. `last`: everything else is. `undefined`: no node has MetalLB's session any more. */
export function nextBgpStep(progress: Progress, order: "first" | "last"): Step | undefined {
  const { installation, nodes } = progress;
  const waiting = [...nodes.values()].find(({ metadata }) => metadata.labels[SPEAKER_LABEL] === undefined);
  if (waiting === undefined) return undefined;
  return makesPlace(installation) ? sessionStep(waiting.metadata.name, progress, order) : placeStep(progress, order);
}

/** Whether the label keeps speakers away. */
function makesPlace({ speaker }: Installation): boolean {
  const terms = speaker?.affinity.nodeAffinity?.[REQUIRED]?.nodeSelectorTerms ?? [];
  return terms.length > 0 && terms.every(({ matchExpressions = [] }) => matchExpressions.some(isOurs));
}

function isOurs(expression: unknown): boolean {
  return (expression as { readonly key?: string } | null)?.key === SPEAKER_LABEL;
}

function placeStep({ installation, namespace }: Progress, order: "first" | "last"): Step {
  const { speaker } = installation;
  const name = speaker?.name ?? "speaker";
  const before = speaker?.affinity ?? {};
  // Speakers that run are not started anew for this: every session would end.
  const patch = (affinity: Affinity | null): string =>
    `kubectl -n ${namespace} patch daemonset ${name} --type=merge -p '${JSON.stringify({ spec: { updateStrategy: { type: "OnDelete" }, template: { spec: { affinity } } } })}'`;
  return {
    title: `Speakers make place: a node that is labelled ${SPEAKER_LABEL} has none any more; those that run are not started anew`,
    ...(order === "first" ? { onEveryNode: [looseConnections(false)] } : {}),
    commands: [patch(withoutSpeaker(before))],
    undo: [
      patch(Object.keys(before).length === 0 ? null : before),
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

function sessionStep(node: string, { installation, namespace }: Progress, order: "first" | "last"): Step {
  const own = installation.frrConfigurations.speakers.find(({ name }) => name === `metallb-${node}`);
  const first = order === "first";
  return {
    title: `Node ${node}: its speaker goes, and the agent has its BGP sessions at once${first ? "; packets are kube-proxy's as before" : ""}`,
    commands: [
      `kubectl label --overwrite node ${node}${first ? ` ${HANDOVER_LABEL}=bgp` : ""} ${SPEAKER_LABEL}=gone`,
      // frr-k8s goes on with what the speaker has wanted last.
      ...(own === undefined ? [] : [`kubectl -n ${own.namespace} delete frrconfiguration ${own.name}`]),
      `kubectl fairlead bgp peers --node ${node}${namespace === DEFAULT_NAMESPACE ? "" : ` --install-namespace ${namespace}`}`,
    ],
    undo: [`kubectl label node ${node}${first ? ` ${HANDOVER_LABEL}-` : ""} ${SPEAKER_LABEL}-`],
    notes: [
      "Until the session is up the router sends to the other nodes. With routes that it holds still for this time (static ones to all nodes, or graceful restart) nothing is lost: docs/migrate.md.",
    ],
  };
}
