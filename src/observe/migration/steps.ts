/** What to type next, as far as the cluster has got: each step can be undone by the command beside it. Pure. */
import { nextBgpStep } from "./bgp-steps.ts";
import { nameOfFrrConfiguration } from "./frr-configurations.ts";
import type { Installation } from "./installation.ts";
import { HANDOVER_LABEL, looseConnections, SPEAKER_LABEL, type Progress, type Step } from "./step.ts";

/** The first that is not done; `undefined`: the handover is complete. */
export function nextStep(progress: Progress): Step | undefined {
  const { installation, layer2 } = progress;
  const bgp = progress.bgpPeers.size > 0;
  const { controller, speaker, agents } = installation;
  if (controller !== undefined && controller.pods > 0) return controllerStep(progress);
  if (agents === undefined)
    return speaker === undefined && controller === undefined ? undefined : installStep(progress);
  if (speaker === undefined) return agents.settings.has("--handover") ? finishStep(progress) : undefined;
  // With BGP alone, sessions go before packets: while one is exchanged, what comes to another node must meet a kube-proxy that drops it.
  if (bgp && !layer2) return nextBgpStep(progress, "first") ?? nextNodeStep(progress) ?? removalStep(progress);
  return nextNodeStep(progress) ?? (bgp ? nextBgpStep(progress, "last") : undefined) ?? removalStep(progress);
}

function controllerStep({ installation: { controller, webhook }, namespace }: Progress): Step {
  const name = controller?.name ?? "controller";
  return {
    title: "MetalLB's controller rests: speakers go on announcing, only new Services wait for an address",
    commands: [
      `kubectl -n ${namespace} scale deployment ${name} --replicas=0`,
      // Nobody answers it any more, and it would refuse every change.
      ...(webhook === undefined ? [] : [`kubectl delete validatingwebhookconfiguration ${webhook}`]),
    ],
    undo: [
      `kubectl -n ${namespace} scale deployment ${name} --replicas=1`,
      ...(webhook === undefined ? [] : bringBack(controller?.release, namespace, webhook)),
    ],
  };
}

/** What Helm has installed it knows; of other ways we know nothing. */
function bringBack(release: string | undefined, namespace: string, what: string): readonly string[] {
  if (release === undefined)
    return [`# kubectl apply -f of MetalLB's manifests, as you installed it, brings ${what} back`];
  return [`helm get manifest ${release} --namespace ${namespace} | kubectl -n ${namespace} apply -f -`];
}

function installStep({ installation, namespace }: Progress): Step {
  const { loadBalancerClass, ignoresExcludeLabel, converts } = installation;
  const values = [
    "crds.enabled=false",
    "speaker.handover=true",
    ...(loadBalancerClass === "" ? [] : [`loadBalancerClass=${loadBalancerClass}`]),
    ...(ignoresExcludeLabel ? ["speaker.ignoreExcludeLB=true"] : []),
  ];
  const conversion = `'[{"op":"replace","path":"/spec/conversion","value":{"strategy":"None"}}]'`;
  return {
    title: "Fairlead is installed beside MetalLB: its controllers keep every address, its agents stand by",
    commands: [
      ...(converts ? [`kubectl patch crd bgppeers.metallb.io --type=json -p ${conversion}`] : []),
      "kubectl apply --server-side --force-conflicts -k deploy/crds",
      `helm install fairlead deploy/helm/fairlead --namespace ${namespace} --wait ${values.map((each) => `--set ${each}`).join(" ")}`,
    ],
    undo: [`helm uninstall fairlead --namespace ${namespace}`],
  };
}

/** The first node that is not handed over. */
function nextNodeStep({ nodes, bgpPeers, layer2 }: Progress): Step | undefined {
  const waiting = [...nodes.values()].find(({ metadata }) => metadata.labels[HANDOVER_LABEL] !== "active");
  if (waiting === undefined) return undefined;
  const { name, labels } = waiting.metadata;
  const before = labels[HANDOVER_LABEL];
  const what = layer2 ? "it announces the same addresses by the same MAC" : "no route changes";
  return {
    title: `Node ${name} is handed over: ${what}; connections that kube-proxy has stay with it`,
    commands: [`kubectl label --overwrite node ${name} ${HANDOVER_LABEL}=active`],
    undo: [
      before === undefined
        ? `kubectl label node ${name} ${HANDOVER_LABEL}-`
        : `kubectl label --overwrite node ${name} ${HANDOVER_LABEL}=${before}`,
    ],
    ...(bgpPeers.size > 0 && layer2
      ? { notes: ["BGP stays MetalLB's until its speaker leaves the node, which comes after the last node."] }
      : {}),
  };
}

function removalStep({ installation, namespace, layer2 }: Progress): Step {
  const { controller, speaker, frrConfigurations } = installation;
  const release = speaker?.release ?? controller?.release;
  const ours = frrConfigurations.speakers.map(
    (each) => `kubectl -n ${each.namespace} delete frrconfiguration ${each.name}`,
  );
  return {
    title:
      "Every node is handed over: MetalLB's programs go, its objects stay (helm uninstall would take the CRDs, and all objects with them)",
    commands: [
      ...(speaker === undefined ? [] : [`kubectl -n ${namespace} delete daemonset ${speaker.name}`]),
      ...(controller === undefined ? [] : [`kubectl -n ${namespace} delete deployment ${controller.name}`]),
      // Nobody takes them away, and frr-k8s would announce what they say for ever.
      ...ours,
      ...frrK8sRemoval(installation, namespace),
      ...(release === undefined ? [] : [`kubectl -n ${namespace} delete secret -l owner=helm,name=${release}`]),
    ],
    undo: [
      "# install MetalLB again as before",
      ...(layer2 ? acquaintance(release, namespace) : []),
      "# take the labels of the nodes away, as its steps were undone",
    ],
    ...frrK8sNotes(installation),
  };
}

/** One that thinks it is alone takes every address, and is heard from the first node whose label is gone. */
function acquaintance(release: string | undefined, namespace: string): readonly string[] {
  const pods =
    release === undefined
      ? "app=metallb,component=speaker"
      : `app.kubernetes.io/instance=${release},app.kubernetes.io/component=speaker`;
  return [
    "# wait until each of its speakers has met all: a line for every speaker, with the number of speakers or more. It may take a minute",
    `kubectl -n ${namespace} logs -l ${pods} -c speaker --tail=-1 --prefix | grep NodeJoin | cut -d' ' -f1 | sort | uniq -c`,
  ];
}

/** Not where it serves others. Its webhook first, for whoever would ask it in between. */
function frrK8sRemoval(
  { frrK8s, frrK8sJudge, frrK8sWebhook, frrConfigurations }: Installation,
  namespace: string,
): readonly string[] {
  if (frrK8s === undefined || frrConfigurations.others.length > 0) return [];
  return [
    ...(frrK8sWebhook === undefined ? [] : [`kubectl delete validatingwebhookconfiguration ${frrK8sWebhook}`]),
    `kubectl -n ${namespace} delete daemonset ${frrK8s.name}`,
    ...(frrK8sJudge === undefined ? [] : [`kubectl -n ${namespace} delete deployment ${frrK8sJudge.name}`]),
  ];
}

function frrK8sNotes({ frrK8s, frrConfigurations: { others } }: Installation): Pick<Step, "notes"> {
  if (frrK8s === undefined || others.length === 0) return {};
  const needed = others.map(nameOfFrrConfiguration).join(", ");
  return { notes: [`DaemonSet ${frrK8s.name} stays: ${needed} of others need it.`] };
}

function finishStep({ namespace, bgpPeers, layer2 }: Progress): Step {
  return {
    title:
      "When `fairlead status` shows no more packets left_to_stack, the old connections have ended, and agents need not look for them any more",
    commands: [
      `helm upgrade fairlead deploy/helm/fairlead --namespace ${namespace} --reuse-values --set speaker.handover=false --wait`,
      `kubectl label nodes --all ${HANDOVER_LABEL}- ${SPEAKER_LABEL}-`,
    ],
    ...(bgpPeers.size > 0 && !layer2 ? { onEveryNode: [looseConnections(true)] } : {}),
    undo: [],
  };
}
