/** What is decided about, and what comes of it. */
import type { Address, Family } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import type { Namespace, Service } from "../service/objects.ts";
import type { PoolCoolDown } from "./cool-downs.ts";
import type { PoolCounts } from "./counts.ts";
import type { IPAddressPool } from "./objects.ts";
import type { Pool, PoolSet } from "./pools.ts";
import type { ServiceCounts } from "./service-counts.ts";
import type { AssignmentEvent, Loss, Unmet } from "./work.ts";

export interface Objects {
  readonly services: ReadonlyMap<string, Service>;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly ipAddressPools: ReadonlyMap<string, IPAddressPool>;
  /** False: some objects could not be read, so an address is not taken away because its pool is not here. */
  readonly complete: boolean;
  /** Addresses of Services that cannot be read. */
  readonly reserved: ReadonlyMap<string, readonly string[]>;
}

export interface Assignment {
  readonly service: string;
  /** IPv4 before IPv6, or the order in which the status or the request lists them. Empty: none could be had. */
  readonly addresses: readonly Address[];
  /** Name of the pool they are from; of two that of IPv4 first, `a,b`; undefined when there is none, or none that can be read. */
  readonly pool: string | undefined;
  /** What it shares its addresses by; undefined: it does not. */
  readonly sharedAs: string | undefined;
  /** The part of the Service's wish that is not met. */
  readonly unmet: Unmet | undefined;
}

export interface Decision {
  /** Every Service of type LoadBalancer that is ours, by key. */
  readonly assignments: ReadonlyMap<string, Assignment>;
  /** What is wrong with pools. */
  readonly problems: readonly Problem[];
  /** What happened, and what is unmet of the Services that were looked at: that comes again with every such decision. */
  readonly events: readonly AssignmentEvent[];
  /** Addresses taken away because no pool has them any more. */
  readonly losses: readonly Loss[];
  readonly pools: PoolSet;
  /** Of each pool, by its key. An address that is kept from everybody counts as in use. */
  readonly counts: ReadonlyMap<string, PoolCounts>;
  /** Pools that Services wait for, with the families of which nothing is left. */
  readonly exhausted: ReadonlyMap<Pool, readonly Family[]>;
  /** Of the Services decided about. */
  readonly loadBalancerClass: string | undefined;
  /** By key, of pools whose released addresses rest. */
  readonly coolDowns: ReadonlyMap<string, PoolCoolDown>;
  /** How many Services have what. */
  readonly services: ServiceCounts;
  /** By key, the Services whose object or assignment may be another than in the assigner's last decision; undefined: any. */
  readonly looked: ReadonlySet<string> | undefined;
  /** When the next address has rested and all must be decided anew, in milliseconds since 1970. */
  readonly again: number | undefined;
}
