/** Where the API server has the kinds of a snapshot, and which of their objects are ours to read. */
import { SERVICE_NAME_LABEL } from "../../service/objects.ts";
import type { Collection } from "../manifests/kinds.ts";

/** Set by Kubernetes on EndpointSlices of Services without a cluster IP. */
const HEADLESS_LABEL = "service.kubernetes.io/headless";

export interface Resource {
  readonly collection: Collection;
  readonly apiVersion: string;
  readonly kind: string;
  /** Plural, as in URLs. */
  readonly resource: string;
  /** `system`: only in the namespace our configuration lies in; `all`: in every namespace; `cluster`: the kind has none. */
  readonly scope: "all" | "system" | "cluster";
}

const METALLB = "metallb.io/v1beta1";

export const RESOURCES: readonly Resource[] = [
  { collection: "services", apiVersion: "v1", kind: "Service", resource: "services", scope: "all" },
  {
    collection: "endpointSlices",
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    resource: "endpointslices",
    scope: "all",
  },
  { collection: "nodes", apiVersion: "v1", kind: "Node", resource: "nodes", scope: "cluster" },
  { collection: "namespaces", apiVersion: "v1", kind: "Namespace", resource: "namespaces", scope: "cluster" },
  // Of these only the ones that are named: named-secrets.ts.
  { collection: "secrets", apiVersion: "v1", kind: "Secret", resource: "secrets", scope: "system" },
  {
    collection: "ipAddressPools",
    apiVersion: METALLB,
    kind: "IPAddressPool",
    resource: "ipaddresspools",
    scope: "system",
  },
  {
    collection: "l2Advertisements",
    apiVersion: METALLB,
    kind: "L2Advertisement",
    resource: "l2advertisements",
    scope: "system",
  },
  {
    collection: "bgpAdvertisements",
    apiVersion: METALLB,
    kind: "BGPAdvertisement",
    resource: "bgpadvertisements",
    scope: "system",
  },
  { collection: "bgpPeers", apiVersion: "metallb.io/v1beta2", kind: "BGPPeer", resource: "bgppeers", scope: "system" },
  { collection: "bfdProfiles", apiVersion: METALLB, kind: "BFDProfile", resource: "bfdprofiles", scope: "system" },
  { collection: "communities", apiVersion: METALLB, kind: "Community", resource: "communities", scope: "system" },
];

/** What a program does not need is not asked for: a controller gives addresses and knows no endpoints and no passwords. */
export const NOT_READ_BY: Readonly<Record<string, ReadonlySet<Collection>>> = {
  "fairlead-controller": new Set<Collection>(["endpointSlices", "secrets"]),
};

/** The program that acts for one node, and is called by its name. */
export const AGENT = "fairlead-agent";

export type Selectors = Readonly<Partial<Record<"fieldSelector" | "labelSelector", string>>>;

/** Of a kind, what an agent needs: what it forwards for. A controller also clears what is no load balancer any more. */
const READ_BY_AGENT: { readonly [C in Collection]?: Selectors } = {
  services: { fieldSelector: "spec.type=LoadBalancer" },
  // No Service has an address of ours that is headless, or none: their endpoints are not asked for.
  endpointSlices: { labelSelector: `${SERVICE_NAME_LABEL},!${HEADLESS_LABEL}` },
};

/** Which objects are asked for; `otherwise`: by a server that cannot select by such a field. */
export function selectorsOf(
  { collection }: Resource,
  component: string,
): { readonly selectors: Selectors; readonly otherwise: Selectors } {
  const narrow = component === AGENT ? READ_BY_AGENT[collection] : undefined;
  return { selectors: { ...narrow }, otherwise: {} };
}

/** `/api/v1/services`, `/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools` */
export function listPath({ apiVersion, resource, scope }: Resource, systemNamespace: string): string {
  return scope === "system" ? objectsPath(apiVersion, resource, systemNamespace) : objectsPath(apiVersion, resource);
}

/** `/api/v1/namespaces/default/services/web` */
export function objectPath({ apiVersion, resource }: Resource, namespace: string, name: string): string {
  return `${objectsPath(apiVersion, resource, namespace)}/${encodeURIComponent(name)}`;
}

function objectsPath(apiVersion: string, resource: string, namespace?: string): string {
  const inNamespace = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${apiVersion.includes("/") ? "/apis" : "/api"}/${apiVersion}${inNamespace}/${resource}`;
}
