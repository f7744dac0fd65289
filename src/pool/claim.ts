/** What a Service asks for and what it holds, read once from its spec, annotations and status. */
import { formatAddress, parseAddress, type Address, type Family } from "../net/address.ts";
import { objectKey, type Service } from "../service/objects.ts";
import { formatSelector } from "../service/selector.ts";
import { ALLOCATED_FROM_POOL, SHARED_AS, ADDRESS_ASSIGNED } from "../service/written.ts";
import { formatSharing, type Sharing } from "./sharing.ts";

export interface Claim {
  /** What it was read from. */
  readonly object: Service;
  readonly service: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly creationTimestamp: string;
  /** One or two, the primary first. */
  readonly families: readonly Family[];
  readonly policy: "SingleStack" | "PreferDualStack" | "RequireDualStack";
  readonly sharing: Sharing;
  /** Held according to the status, in its order. */
  readonly current: readonly Address[];
  /** A controller of ours wrote that: it outranks a status that came with a manifest, perhaps copied from another Service. */
  readonly established: boolean;
  /** Name of the pool that is from, as far as the Service says. */
  readonly allocatedFrom: string | undefined;
  /** What decides with whom it may share is not what it was when it came to share: who changed must go, not the others. */
  readonly sharingChanged: boolean;
  /** Names, best first. Empty: any. */
  readonly wantedPools: readonly string[];
  /** Its two addresses may come from different pools. */
  readonly spans: boolean;
  /** Empty: any. */
  readonly wantedAddresses: readonly Address[];
  /** Why nothing can be assigned whatever the pools have. What is held stays. */
  readonly fault: Fault | undefined;
}

export interface Fault {
  /** An event reason of MetalLB. */
  readonly reason: string;
  /** The same for a condition, which allows no blanks. */
  readonly cause: "ClusterIPFamily" | "InvalidRequest" | "NotEnoughClusterIPs";
  readonly message: string;
}

const PREFIXES = ["metallb.io/", "metallb.universe.tf/"] as const;
const INPUTS = ["address-pool", "loadBalancerIPs", "allow-shared-ip"] as const;

/** On a Service: its two addresses may come from two pools. */
export const DUAL_STACK_POOLS = "fairlead.io/dual-stack-pools";

/** Whether the Service's two addresses may come from different pools. */
export function spansPools(service: Service): boolean {
  return wantedPoolsOf(service).length > 1 || service.metadata.annotations[DUAL_STACK_POOLS] === "span";
}

/** The first the Service asks for has a comma only if it asks for several: no pool can be called so. */
function wantedPoolsOf(service: Service): readonly string[] {
  const names = (annotation(service, "address-pool") ?? "").split(",").map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== "");
}

/** Reads a Service of type LoadBalancer. */
export function readClaim(service: Service): Claim {
  const families = wantedFamilies(service);
  const wantedPools = wantedPoolsOf(service);
  const sharing = sharingOf(service);
  const sharedAs = service.metadata.annotations[SHARED_AS];
  const addresses = wantedAddresses(service);
  const fault = "fault" in families ? families.fault : "fault" in addresses ? addresses.fault : undefined;
  const knownFamilies = "families" in families ? families.families : [];
  const wanted = "addresses" in addresses ? addresses.addresses : [];
  return {
    object: service,
    service: objectKey(service),
    namespace: service.metadata.namespace,
    labels: service.metadata.labels,
    creationTimestamp: service.metadata.creationTimestamp ?? "",
    families: knownFamilies,
    policy: service.spec.ipFamilyPolicy ?? "SingleStack",
    sharing,
    current: currentAddresses(service),
    established: isEstablished(service),
    allocatedFrom: service.metadata.annotations[ALLOCATED_FROM_POOL],
    sharingChanged: sharedAs !== undefined && sharedAs !== formatSharing(sharing),
    wantedPools,
    spans: spansPools(service),
    wantedAddresses: wanted,
    fault: fault ?? familyFault(knownFamilies, wanted),
  };
}

/** Whether a controller of ours gave the Service the addresses in its status. */
export function isEstablished(service: Service): boolean {
  return service.status.conditions.some((c) => c.type === ADDRESS_ASSIGNED && c.status === "True");
}

/** The deprecated keys this Service still uses. */
export function deprecatedAnnotations(service: Service): readonly string[] {
  return INPUTS.map((name) => `${PREFIXES[1]}${name}`).filter((key) =>
    Object.hasOwn(service.metadata.annotations, key),
  );
}

/** The stable key wins over the deprecated one even when it is empty. */
function annotation(service: Service, name: (typeof INPUTS)[number]): string | undefined {
  const key = PREFIXES.map((prefix) => `${prefix}${name}`).find((k) => Object.hasOwn(service.metadata.annotations, k));
  return key === undefined ? undefined : service.metadata.annotations[key];
}

function currentAddresses(service: Service): readonly Address[] {
  // Entries with only a hostname are somebody else's, and not addresses.
  return service.status.loadBalancer.ingress
    .map((ingress) => parseAddress(ingress.ip ?? ""))
    .filter((address) => address !== undefined);
}

function sharingOf(service: Service): Sharing {
  const local = service.spec.externalTrafficPolicy === "Local";
  return {
    key: annotation(service, "allow-shared-ip") ?? "",
    backends: local ? formatSelector({ matchLabels: service.spec.selector }) : "",
    ports: service.spec.ports.map((p) => `${p.protocol}/${p.port}`),
  };
}

type Families = { readonly families: readonly Family[] } | { readonly fault: Fault };

/** From the cluster IPs where a cluster gave some, else from ipFamilies, else from the policy. */
function wantedFamilies(service: Service): Families {
  const { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy } = service.spec;
  const ips = (clusterIPs.length > 0 ? clusterIPs : [clusterIP ?? ""]).filter((ip) => ip !== "");
  const dual = ipFamilyPolicy === "PreferDualStack" || ipFamilyPolicy === "RequireDualStack";
  if (ips.length === 0) {
    const primary = ipFamilies[0] ?? "IPv4";
    return { families: dual || ipFamilies.length > 1 ? [primary, otherFamily(primary)] : [primary] };
  }
  const families = new Set(ips.map((ip) => parseAddress(ip)?.family));
  const [first, second] = families;
  if (first === undefined || families.has(undefined) || families.size !== ips.length)
    return refuse(
      "noclusterIPsIPFamily",
      "ClusterIPFamily",
      `Failed to retrieve ClusterIPs IPFamily for ${JSON.stringify(ips)}`,
    );
  if (ipFamilyPolicy === "RequireDualStack" && second === undefined)
    return refuse(
      "not enough clusterips",
      "NotEnoughClusterIPs",
      `Service requires dual stack but not enough clusterips ${JSON.stringify(ips)}`,
    );
  if (second === undefined) return { families: [first] };
  const primary = ipFamilies[0] ?? "IPv4";
  return { families: [primary, otherFamily(primary)] };
}

type Addresses = { readonly addresses: readonly Address[] } | { readonly fault: Fault };

function wantedAddresses(service: Service): Addresses {
  const bySpec = service.spec.loadBalancerIP ?? "";
  const byAnnotation = annotation(service, "loadBalancerIPs") ?? "";
  if (bySpec !== "" && byAnnotation !== "")
    return refuseRequest(`service can not have both ${PREFIXES[0]}loadBalancerIPs and svc.Spec.LoadBalancerIP`);
  const texts = bySpec !== "" ? [bySpec] : byAnnotation !== "" ? byAnnotation.split(",").map((t) => t.trim()) : [];
  const addresses: Address[] = [];
  for (const text of texts) {
    const address = parseAddress(text);
    if (address === undefined) return refuseRequest(`${JSON.stringify(text.slice(0, 80))} is not an IP address`);
    addresses.push(address);
  }
  if (new Set(addresses.map((a) => a.family)).size !== addresses.length)
    return refuseRequest(`${JSON.stringify(texts.slice(0, 4))}: ask for one address, or for one of each family`);
  return { addresses };
}

function familyFault(families: readonly Family[], wanted: readonly Address[]): Claim["fault"] {
  if (wanted.length === 0 || families.length === 0) return undefined;
  if (wanted.length === families.length && wanted.every((a) => families.includes(a.family))) return undefined;
  const list = JSON.stringify(wanted.map(formatAddress));
  const message = `requested loadBalancer IP(s) ${list} does not match the ipFamily of the service (${families.join(", ")})`;
  return refuseRequest(message).fault;
}

function refuse(reason: string, cause: Fault["cause"], message: string): { readonly fault: Fault } {
  return { fault: { reason, cause, message } };
}

function refuseRequest(message: string): { readonly fault: Fault } {
  return refuse("LoadBalancerFailed", "InvalidRequest", `invalid requested loadbalancer IPs: ${message}`);
}

function otherFamily(family: Family): Family {
  return family === "IPv4" ? "IPv6" : "IPv4";
}
