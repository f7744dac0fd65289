/** Whose a Service is, by its class. */
import type { Service } from "../service/objects.ts";

/** Type LoadBalancer, and of the class this controller serves: none, unless one was named. */
export function isOurs(service: Service, loadBalancerClass?: string): boolean {
  return service.spec.type === "LoadBalancer" && service.spec.loadBalancerClass === loadBalancerClass;
}

/** Of another class: another controller's, perhaps one that gives addresses from the same pools. */
export function isForeign(service: Service, loadBalancerClass?: string): boolean {
  return service.spec.type === "LoadBalancer" && service.spec.loadBalancerClass !== loadBalancerClass;
}
