/**
 * What kubelets, the node controller and the EndpointSlice controller of a cluster would write about the scene. Pure.
 * Left out: named target ports, and slices of more than a thousand endpoints.
 */
import { formatAddress } from "../src/net/address.ts";
import type { Family } from "../src/net/address.ts";
import { SERVICE_NAME_LABEL } from "../src/service/objects.ts";
import type { Endpoint, EndpointSlice, Service } from "../src/service/objects.ts";
import { primaryAddress } from "./scene.ts";
import type { Host, Pod, Scene } from "./scene.ts";

export type PodCondition = "notReady" | "terminating" | "removed";

/** What somebody did to a Node object. */
export interface NodeChange {
  /** Beside those of the scene. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly networkUnavailable?: boolean;
}

/** Pods that are not simply ready, nodes that are no longer objects of the cluster, and nodes that were changed. */
export interface Conditions {
  readonly pods: Readonly<Record<string, PodCondition>>;
  readonly removedNodes: readonly string[];
  readonly nodes: Readonly<Record<string, NodeChange>>;
}

export const EVERYTHING_READY: Conditions = { pods: {}, removedNodes: [], nodes: {} };

type KubernetesObject = { readonly apiVersion: string; readonly kind: string; readonly metadata: object };

export function nodeObjects(scene: Scene, conditions: Conditions): readonly KubernetesObject[] {
  return scene.hosts
    .filter((host) => host.role === "node" && !conditions.removedNodes.includes(host.name))
    .map((host) => nodeObject(host, conditions.nodes[host.name] ?? {}));
}

/** Port of the agents' API for `kubectl fairlead`, in a lab. */
export const AGENT_API_PORT = 7959;

/** The agents as pods of their nodes, which no kubelet has started. */
export function agentPods(
  scene: Scene,
): readonly (KubernetesObject & { readonly spec: object; readonly status: object })[] {
  return scene.hosts
    .filter(({ agent }) => agent)
    .map((host) => {
      const address = primaryAddress(host, "IPv4") ?? primaryAddress(host, "IPv6");
      const podIP = address === undefined ? "" : formatAddress(address.address);
      const labels = { "app.kubernetes.io/name": "fairlead", "app.kubernetes.io/component": "agent" };
      const port = { name: "api", containerPort: AGENT_API_PORT, hostPort: AGENT_API_PORT };
      return {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: `fairlead-agent-${host.name}`, namespace: "metallb-system", labels },
        spec: {
          nodeName: host.name,
          hostNetwork: true,
          containers: [{ name: "agent", image: "fairlead", ports: [port] }],
        },
        status: { phase: "Running", podIP, podIPs: [{ ip: podIP }] },
      };
    });
}

export function namespaceObjects(scene: Scene, services: readonly Service[]): readonly KubernetesObject[] {
  const names = [
    "default",
    "kube-system",
    "metallb-system",
    ...scene.pods.map((pod) => pod.namespace),
    ...services.map((each) => each.metadata.namespace),
  ];
  return [...new Set(names)].toSorted().map((name) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { "kubernetes.io/metadata.name": name } },
  }));
}

/** One slice per Service and family of the Service, as in a cluster. */
export function endpointSliceObjects(
  scene: Scene,
  services: readonly Service[],
  conditions: Conditions,
): readonly KubernetesObject[] {
  return services.flatMap((service) => {
    // Without a selector the endpoints are somebody else's business.
    if (Object.keys(service.spec.selector).length === 0) return [];
    const pods = scene.pods.filter((pod) => selects(service, pod) && exists(pod, conditions));
    return familiesOf(service).map((family) => sliceObject(service, family, pods, conditions));
  });
}

function nodeObject(
  host: Host,
  { labels, networkUnavailable = false }: NodeChange,
): KubernetesObject & { readonly spec: object; readonly status: object } {
  const internal = (["IPv4", "IPv6"] as const).flatMap((family) => {
    const found = primaryAddress(host, family);
    return found === undefined ? [] : [{ type: "InternalIP", address: formatAddress(found.address) }];
  });
  const cidrs = host.podNetwork?.cidrs.map((each) => each.text) ?? [];
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name: host.name,
      labels: { "kubernetes.io/hostname": host.name, "kubernetes.io/os": "linux", ...host.labels, ...labels },
    },
    spec: cidrs.length === 0 ? {} : { podCIDR: cidrs[0], podCIDRs: cidrs },
    status: {
      addresses: [...internal, { type: "Hostname", address: host.name }],
      conditions: [
        { type: "Ready", status: "True", reason: "KubeletReady", message: "a node of the lab" },
        ...(networkUnavailable ? [{ type: "NetworkUnavailable", status: "True", reason: "NoRouteCreated" }] : []),
      ],
    },
  };
}

/** With a node go its pods. */
function exists(pod: Pod, conditions: Conditions): boolean {
  return conditions.pods[pod.name] !== "removed" && !conditions.removedNodes.includes(pod.node);
}

function selects(service: Service, pod: Pod): boolean {
  if (service.metadata.namespace !== pod.namespace) return false;
  return Object.entries(service.spec.selector).every(([key, value]) => pod.labels[key] === value);
}

/** What the API server would default `ipFamilies` to in a cluster whose first family is IPv4. */
function familiesOf(service: Service): readonly Family[] {
  if (service.spec.ipFamilies.length > 0) return service.spec.ipFamilies;
  const policy = service.spec.ipFamilyPolicy ?? "SingleStack";
  return policy === "SingleStack" ? ["IPv4"] : ["IPv4", "IPv6"];
}

function sliceObject(
  service: Service,
  family: Family,
  pods: readonly Pod[],
  conditions: Conditions,
): KubernetesObject & Omit<EndpointSlice, "metadata"> {
  const { name, namespace } = service.metadata;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${name}-${family.toLowerCase()}`, namespace, labels: { [SERVICE_NAME_LABEL]: name } },
    addressType: family,
    endpoints: pods.flatMap((pod) => endpoint(service, family, pod, conditions)),
    ports: service.spec.ports.flatMap((each) => {
      const port = each.targetPort ?? each.port;
      if (typeof port !== "number") return [];
      return [{ ...(each.name === undefined ? {} : { name: each.name }), protocol: each.protocol, port }];
    }),
  };
}

function endpoint(service: Service, family: Family, pod: Pod, conditions: Conditions): Endpoint[] {
  const address = pod.addresses.find((each) => each.family === family);
  if (address === undefined) return [];
  const condition = conditions.pods[pod.name];
  const ready = condition === undefined || service.spec.publishNotReadyAddresses;
  return [
    {
      addresses: [formatAddress(address)],
      // A terminating pod still serves until it is told that it is not ready.
      conditions: {
        ready: ready && condition !== "terminating",
        serving: condition !== "notReady",
        terminating: condition === "terminating",
      },
      nodeName: pod.node,
      targetRef: { kind: "Pod", namespace: pod.namespace, name: pod.name },
    },
  ];
}
