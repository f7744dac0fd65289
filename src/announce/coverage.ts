/** Which L2Advertisement speaks for which Service and node, and which node may announce at all. Pure. */
import type { Pool } from "../pool/pools.ts";
import type { Endpoint, EndpointSlice, Node, Service } from "../service/objects.ts";
import { matches, matchesAny } from "../service/selector.ts";
import type { L2Advertisement } from "./objects.ts";

/** Why an advertisement does not speak for a Service. */
export type Unconcerned = "otherPool" | "otherService";

/** Why a node may announce nothing. */
export type Obstacle =
  | "gone" // its peers hear nothing from it, or its agent is gone past its grace
  | "excluded" // by its label
  | "networkUnavailable" // by its condition
  | "away"; // its agent is, and others have had the address

export interface Members {
  /** Names of the nodes that may announce; mine included where it may. */
  readonly alive: ReadonlySet<string>;
  /**
   * Of those, the ones whose agent is away: they announce what they had and can take nothing over, so others pass them over. Of each, who was
   * alive when it went: what it was elected for among these is what it has. The same object as long as it says the same.
   */
  readonly away?: ReadonlyMap<string, ReadonlySet<string>>;
  /** Nodes with the label node.kubernetes.io/exclude-from-external-load-balancers may announce all the same. */
  readonly ignoreExcludeLabel?: boolean;
}

export const EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers";
const SHARING_ANNOTATIONS = ["metallb.io/allow-shared-ip", "metallb.universe.tf/allow-shared-ip"];

/** Any but `away`, which depends on the address (away.ts). */
export function obstacleOf(node: Node, { alive, ignoreExcludeLabel = false }: Members): Obstacle | undefined {
  if (!alive.has(node.metadata.name)) return "gone";
  if (!ignoreExcludeLabel && Object.hasOwn(node.metadata.labels, EXCLUDE_LABEL)) return "excluded";
  const { conditions } = node.status;
  const unavailable = conditions.some(({ type, status }) => type === "NetworkUnavailable" && status === "True");
  return unavailable ? "networkUnavailable" : undefined;
}

/** `undefined`: the advertisement speaks for the Service. */
export function unconcerned(
  { spec }: L2Advertisement,
  pool: Pool,
  poolLabels: Readonly<Record<string, string>>,
  service: Service,
): Unconcerned | undefined {
  if (!selectsPool(spec, pool, poolLabels)) return "otherPool";
  const { serviceSelectors } = spec;
  return serviceSelectors.length === 0 || matchesAny(serviceSelectors, service.metadata.labels)
    ? undefined
    : "otherService";
}

function selectsPool(
  { ipAddressPools, ipAddressPoolSelectors }: L2Advertisement["spec"],
  pool: Pool,
  labels: Readonly<Record<string, string>>,
): boolean {
  if (ipAddressPools.length === 0 && ipAddressPoolSelectors.length === 0) return true;
  return ipAddressPools.includes(pool.name) || matchesAny(ipAddressPoolSelectors, labels);
}

export function covers({ spec }: L2Advertisement, node: Node): boolean {
  return spec.nodeSelectors.length === 0 || matchesAny(spec.nodeSelectors, node.metadata.labels);
}

/** The weights of all preferences that match, over all advertisements that cover the node. */
export function scoreOf(advertisements: readonly L2Advertisement[], node: Node): number {
  let score = 0;
  for (const advertisement of advertisements) {
    if (!covers(advertisement, node)) continue;
    for (const { weight, preference } of advertisement.spec.preferredNodeSelectors)
      if (matches(preference, node.metadata.labels)) score += weight;
  }
  return score;
}

/** Names of the nodes that the advertisements cover and prefer to all others. */
export function preferredOf(matching: readonly L2Advertisement[], nodes: readonly Node[]): readonly string[] {
  const covered = nodes.filter((node) => matching.some((advertisement) => covers(advertisement, node)));
  const scores = covered.map((node) => scoreOf(matching, node));
  const best = scores.reduce((a, b) => Math.max(a, b), 0);
  return covered.filter((_, index) => scores[index] === best).map(({ metadata }) => metadata.name);
}

/** Where the node may answer: names of its network interfaces, sorted; one advertisement without a list makes it all. */
export function interfacesOf(advertisements: readonly L2Advertisement[], node: Node): readonly string[] | "all" {
  const covering = advertisements.filter((advertisement) => covers(advertisement, node));
  if (covering.some(({ spec }) => spec.interfaces.length === 0)) return "all";
  return [...new Set(covering.flatMap(({ spec }) => spec.interfaces))].toSorted();
}

/** Services with the annotation and advertisements that select Services: two on one address could elect different nodes. */
export function isSharedBySelector(service: Service, concerned: readonly L2Advertisement[]): boolean {
  const shared = SHARING_ANNOTATIONS.some((annotation) => Object.hasOwn(service.metadata.annotations, annotation));
  return shared && concerned.some(({ spec }) => spec.serviceSelectors.length > 0);
}

/** Nodes with an endpoint that could answer; undefined: there is no such endpoint at all. */
export function usableNodes(slices: readonly EndpointSlice[]): ReadonlySet<string> | undefined {
  const usable = slices.flatMap(({ endpoints }) => endpoints.filter(isUsable));
  if (usable.length === 0) return undefined;
  return new Set(usable.flatMap(({ nodeName }) => (nodeName === undefined ? [] : [nodeName])));
}

/** MetalLB's condition, wider than the datapath's: whoever is ready or still serving counts. */
function isUsable({ conditions }: Endpoint): boolean {
  return conditions.ready !== false || conditions.serving === true;
}
