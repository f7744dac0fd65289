/** Whether a Service of type LoadBalancer is for us at all, as far as agents can tell: they are told of no class, their controllers are. */
import { ADDRESS_ASSIGNED, ALLOCATED_FROM_POOL } from "../pool/claim.ts";
import type { Service } from "./objects.ts";

/** By MetalLB before 0.15. */
const ALLOCATED_FROM_POOL_BEFORE = "metallb.universe.tf/ip-allocated-from-pool";

/**
 * It has no class, or one that a controller of ours, or the MetalLB that it came from, has taken on: that has given it an address or said
 * why not. Any other is another load balancer's, whatever its address: two that answer for it would be one too many.
 */
export function isTakenOn({ spec, status, metadata: { annotations } }: Service): boolean {
  if (spec.loadBalancerClass === undefined) return true;
  if (status.conditions.some(({ type }) => type === ADDRESS_ASSIGNED)) return true;
  return Object.hasOwn(annotations, ALLOCATED_FROM_POOL) || Object.hasOwn(annotations, ALLOCATED_FROM_POOL_BEFORE);
}
