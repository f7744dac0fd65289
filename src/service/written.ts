/** What our controllers write on Services, by name. */

/** Written by the controller: the pool the addresses came from. */
export const ALLOCATED_FROM_POOL = "metallb.io/ip-allocated-from-pool";

/** Written by the controller on Services with a sharing key: what they agreed on when they were let in, see formatSharing. */
export const SHARED_AS = "fairlead.io/shared-as";

/** Written by a controller that serves a loadBalancerClass: which one it was when it gave the addresses. */
export const ASSIGNED_CLASS = "fairlead.io/assigned-class";

/** What the controller writes, and nobody else may bring along. */
export const OUTPUT_ANNOTATIONS = [ALLOCATED_FROM_POOL, SHARED_AS, ASSIGNED_CLASS] as const;

/** Condition written by the controller: a Service of type LoadBalancer has an address. */
export const ADDRESS_ASSIGNED = "fairlead.io/AddressAssigned";
/** False, and only then present: a Service has an address, but not as it asks for. */
export const REQUEST_MET = "fairlead.io/RequestMet";
