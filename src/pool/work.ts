/** What one decision has reached so far: who holds what, who is not content and why, and what has happened. */
import { formatAddress, sameAddress, type Address } from "../net/address.ts";
import type { Claim, Fault } from "./claim.ts";
import type { Cause, Ground, Placement } from "./placement.ts";
import type { Pool } from "./pools.ts";

/** The part of a Service's wish that is not met. */
export interface Unmet {
  readonly type: "Normal" | "Warning";
  /** An event reason of MetalLB. */
  readonly reason: string;
  /** The same, more exactly: the reason of a condition. */
  readonly cause: Cause | Fault["cause"];
  readonly message: string;
  /** Pools that would do if they had addresses left. Lists are shared between Services. */
  readonly exhausted: readonly Pool[];
}

/** Something that happened to a Service, or that is unmet. */
export interface AssignmentEvent {
  readonly service: string;
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** A Service had this address, and it is in no pool any more. */
export interface Loss {
  readonly service: string;
  readonly address: Address;
  /** Name of the pool it came from, as far as the Service says; that pool may be gone. */
  readonly pool: string | undefined;
}

export interface Held {
  readonly addresses: readonly Address[];
  /** Of each address; undefined where its pool cannot be read. */
  readonly pools: readonly (Pool | undefined)[];
}

export interface Work extends Ground {
  readonly held: Map<string, Held>;
  readonly unmet: Map<string, Unmet>;
  readonly events: AssignmentEvent[];
  readonly losses: Loss[];
  /** Services that had both families and could not keep both. */
  readonly halved: Set<string>;
  /** Every object was read: what is not here is not there. */
  readonly complete: boolean;
  /** Somebody gave an address back, which another may be waiting for. */
  freed: boolean;
}

export function heldBy(claim: Claim, work: Work): readonly Address[] {
  return work.held.get(claim.service)?.addresses ?? [];
}

export function hold(claim: Claim, addresses: readonly Address[], pools: Held["pools"], work: Work): void {
  if (heldBy(claim, work).some((a) => !addresses.some((b) => sameAddress(a, b)))) work.freed = true;
  work.occupancy.take(claim.service, claim.sharing, addresses);
  work.held.set(claim.service, { addresses, pools });
}

/** Takes what was found, or says why nothing was. */
export function settle(claim: Claim, placement: Placement, work: Work): void {
  if (placement.ok) {
    const message = `Assigned IP ${JSON.stringify(placement.addresses.map(formatAddress))}`;
    accept(claim, placement.addresses, placement.pools, message, work);
    return;
  }
  const message = `Failed to allocate IP for "${claim.service}": ${placement.because}`;
  refuse(claim, { ...placement, type: "Warning", reason: "AllocationFailed", message }, work);
}

export function accept(
  claim: Claim,
  addresses: readonly Address[],
  pools: Held["pools"],
  message: string,
  work: Work,
): void {
  hold(claim, addresses, pools, work);
  work.unmet.delete(claim.service);
  work.events.push({ service: claim.service, type: "Normal", reason: "IPAllocated", message });
}

/** What the Service holds it keeps, and is told so. */
export function refuse(claim: Claim, { type, reason, cause, message, exhausted }: Unmet, work: Work): void {
  const held = heldBy(claim, work);
  const keeps = held.length === 0 ? "" : `; it keeps ${held.map(formatAddress).join(" and ")}`;
  work.unmet.set(claim.service, { type, reason, cause, message: `${message}${keeps}`, exhausted });
}
