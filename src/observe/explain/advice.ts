/** What to do about each reason for which the controller gives no address, or not the one that is asked for. */
import type { Cause } from "../../pool/placement.ts";
import type { Condition } from "../../service/objects.ts";

const ADVICE: Readonly<Record<Cause | "InvalidRequest" | "ClusterIPFamily" | "NotEnoughClusterIPs", string>> = {
  AddressInUse:
    "Ask for another address, or let both share it: the same metallb.io/allow-shared-ip on both, other ports, and policy Cluster or the same pods.",
  AddressNotAllowed: "Ask for another address, or take spec.avoidBuggyIPs from the pool.",
  AddressNotInPool: "Ask for an address that an IPAddressPool holds (`fairlead pools`), or add it to one.",
  FamilyNotInPool:
    "Add addresses of the family to a pool, or correct the Service's ipFamilies; both from two pools: fairlead.io/dual-stack-pools: span.",
  NoPool:
    "Set spec.autoAssign of a pool to true, let its spec.serviceAllocation include this Service, or ask for a pool.",
  PoolExhausted: "Enlarge the pool, or delete a Service that needs no address.",
  PoolInvalid: "Correct the pool: its condition fairlead.io/Valid names the error.",
  PoolNotAllowed: "Ask for another pool, or let its spec.serviceAllocation include this Service.",
  UnknownPool: "Correct the annotation metallb.io/address-pool, or create the pool.",
  InvalidRequest: "Correct the annotation metallb.io/loadBalancerIPs, or spec.loadBalancerIP.",
  ClusterIPFamily: "Let spec.clusterIPs, ipFamilies and ipFamilyPolicy of the Service go together.",
  NotEnoughClusterIPs:
    "The Service has one cluster IP: set spec.ipFamilyPolicy to SingleStack, or make it anew with both.",
};

/** `condition`: the one in which the controller says so. */
export function adviceFor({ reason }: Condition): string {
  return Object.hasOwn(ADVICE, reason) ? ADVICE[reason as keyof typeof ADVICE] : ANYTHING;
}

const ANYTHING = "Change what the Service asks for, or the pools; the controller tries again by itself.";
