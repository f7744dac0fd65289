/** Whose a Service of type LoadBalancer is: to a controller, which is told of a class, and to agents, which are not. */
import { ADDRESS_ASSIGNED, ALLOCATED_FROM_POOL } from "./written.ts";
import type { Service } from "./objects.ts";

/** By MetalLB before 0.15. */
const ALLOCATED_FROM_POOL_BEFORE = "metallb.universe.tf/ip-allocated-from-pool";

/** Type LoadBalancer, and of the class this controller serves: none, unless one was named. */
export function isOurs(service: Service, loadBalancerClass?: string): boolean {
  return service.spec.type === "LoadBalancer" && service.spec.loadBalancerClass === loadBalancerClass;
}

/** Of another class: another controller's, perhaps one that gives addresses from the same pools. */
export function isForeign(service: Service, loadBalancerClass?: string): boolean {
  return service.spec.type === "LoadBalancer" && service.spec.loadBalancerClass !== loadBalancerClass;
}

/**
 * It has no class, or one that a controller of ours, or the MetalLB that it came from, has taken on: that has given it an address or said
 * why not. Any other is another load balancer's, whatever its address: two that answer for it would be one too many.
 */
export function isTakenOn({ spec, status, metadata: { annotations } }: Service): boolean {
  if (spec.loadBalancerClass === undefined) return true;
  if (status.conditions.some(({ type }) => type === ADDRESS_ASSIGNED)) return true;
  return Object.hasOwn(annotations, ALLOCATED_FROM_POOL) || Object.hasOwn(annotations, ALLOCATED_FROM_POOL_BEFORE);
}
