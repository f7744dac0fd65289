/** What to type next, as far as the cluster has got: each step can be undone by the command beside it. Pure. */
import type { Node } from "../../service/objects.ts";
import type { Installation } from "./installation.ts";

export interface Step {
  readonly title: string;
  readonly commands: readonly string[];
  /** Takes the step back. */
  readonly undo: readonly string[];
}

export interface Progress {
  readonly installation: Installation;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly namespace: string;
  /** There are BGPPeers. */
  readonly bgp: boolean;
}

const LABEL = "fairlead.io/handover";

/** The first that is not done; `undefined`: the handover is complete. */
export function nextStep(progress: Progress): Step | undefined {
  const { installation, nodes } = progress;
  const { controller, speaker, agents } = installation;
  if (controller !== undefined && controller.pods > 0) return controllerStep(progress);
  if (agents === undefined)
    return speaker === undefined && controller === undefined ? undefined : installStep(progress);
  if (speaker === undefined) return agents.settings.has("--handover") ? finishStep(progress) : undefined;
  const waiting = [...nodes.values()].find(({ metadata }) => metadata.labels[LABEL] !== "active");
  return waiting === undefined ? removalStep(progress) : nodeStep(waiting.metadata.name, progress);
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
      ...(webhook === undefined
        ? []
        : [`kubectl apply of MetalLB's manifests, or helm upgrade, brings ${webhook} back`]),
    ],
  };
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

function nodeStep(node: string, { bgp }: Progress): Step {
  return {
    title: `Node ${node} is handed over: it announces the same addresses by the same MAC; connections that kube-proxy has stay with it`,
    commands: [
      `kubectl label node ${node} ${LABEL}=active`,
      ...(bgp
        ? [`# BGP: the router takes the agent's session once MetalLB's of this node has ended (docs/migrate.md)`]
        : []),
    ],
    undo: [`kubectl label node ${node} ${LABEL}-`],
  };
}

function removalStep({ installation: { controller, speaker }, namespace }: Progress): Step {
  return {
    title:
      "Every node is handed over: MetalLB's programs go, its objects stay (helm uninstall would take the CRDs, and all objects with them)",
    commands: [
      ...(speaker === undefined ? [] : [`kubectl -n ${namespace} delete daemonset ${speaker.name}`]),
      ...(controller === undefined ? [] : [`kubectl -n ${namespace} delete deployment ${controller.name}`]),
      `kubectl -n ${namespace} delete secret -l owner=helm,name=metallb`,
    ],
    undo: ["helm install, or kubectl apply of MetalLB's manifests; then take the labels of the nodes away"],
  };
}

function finishStep({ namespace }: Progress): Step {
  return {
    title:
      "When `fairlead status` shows no more packets left_to_stack, the old connections have ended, and agents need not look for them any more",
    commands: [
      `helm upgrade fairlead deploy/helm/fairlead --namespace ${namespace} --reuse-values --set speaker.handover=false`,
      `kubectl label nodes --all ${LABEL}-`,
    ],
    undo: [],
  };
}
