/**
 * The second part of a decision: what Services ask for and do not have, the most particular wishes first, until nothing moves.
 * Whoever is content is not moved; whoever is not is asked again whenever somebody gives an address back.
 */
import { compareAddresses, formatAddress } from "../net/address.ts";
import { forEach, type Sliced } from "../time/slices.ts";
import type { Claim } from "./claim.ts";
import { sameAddresses } from "./occupancy.ts";
import { placeAnywhere, placeAt, placeBeside, placeInPools } from "./placement.ts";
import { accept, heldBy, refuse, settle, type Held, type Work } from "./work.ts";

/** So many Services are asked between two pauses. */
const SERVICES_A_STEP = 500;

/**
 * Services that name addresses come before those that take what comes, so that nobody takes a named one by chance.
 * Second families are asked for before new Services take the rest, and once more for the new Services themselves. Who was refused an address is
 * told at the end who has it then.
 */
const STEPS = [meetAddresses, meetPool, meetFamilies, meetAnything, meetFamilies, meetAddresses] as const;

/** When somebody gave an address back, everything begins anew for those that are not content: one may have waited for it. */
export function* meetWishes(claims: readonly Claim[], work: Work): Sliced<void> {
  let waiting = claims;
  for (let index = 0; index < STEPS.length;) {
    const step = STEPS[index];
    work.freed = false;
    yield* forEach(waiting, SERVICES_A_STEP, (claim) => step?.(claim, work));
    index = work.freed ? 0 : index + 1;
    if (work.freed) waiting = claims.filter((claim) => !isContent(claim, work));
  }
}

/** Has all it asks for: it takes part in no step. */
export function isContent(claim: Claim, work: Work): boolean {
  return !work.unmet.has(claim.service) && heldBy(claim, work).length >= Math.max(1, claim.families.length);
}

/** Whether the Service might give up what it holds for something else. Else asking it takes at most what is free. */
export function mayMove(claim: Claim, work: Work): boolean {
  const held = heldBy(claim, work);
  if (held.length === 0 || claim.fault !== undefined) return false;
  const { wantedAddresses, families } = claim;
  const asked = wantedAddresses.length === 0 || sameAddresses(held, wantedAddresses);
  return !asked || !inWantedPool(claim, work) || held.length < families.length;
}

function meetAddresses(claim: Claim, work: Work): void {
  if (claim.fault !== undefined) {
    refuse(claim, { type: "Warning", exhausted: [], ...claim.fault }, work);
    return;
  }
  if (claim.wantedAddresses.length === 0) return;
  if (sameAddresses(heldBy(claim, work), claim.wantedAddresses) && inWantedPool(claim, work)) return;
  settle(claim, placeAt(claim.wantedAddresses, claim, "request", work), work);
}

function meetPool(claim: Claim, work: Work): void {
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || claim.wantedPools.length === 0) return;
  if (!inWantedPool(claim, work)) settle(claim, search(placeInPools, claim, work), work);
}

/** A Service that wants both families and holds one: the other from the same pool; if it must have both, both from another. */
function meetFamilies(claim: Claim, work: Work): void {
  if (claim.families.length < 2) return;
  const held = work.held.get(claim.service);
  const [pool] = held?.pools ?? [];
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || held === undefined || pool === undefined) return;
  const missing = claim.families.find((family) => !held.addresses.some((a) => a.family === family));
  if (missing === undefined || !inWantedPool(claim, work)) return;
  const beside = placeBeside(pool, missing, claim, work);
  if (beside.ok) {
    const message = `Assigned additional IP ${beside.addresses.map((a) => JSON.stringify(formatAddress(a))).join()}`;
    const both = inFamilyOrder(held, beside);
    accept(claim, both.addresses, both.pools, message, work);
    return;
  }
  const prefers = claim.policy === "PreferDualStack";
  // Who had both and lost one with its pool moves to where there are both; who never had both stays where it is.
  if (claim.wantedPools.length === 0 && (!prefers || work.halved.has(claim.service))) {
    const elsewhere = search(placeAnywhere, { ...claim, policy: "RequireDualStack" }, work);
    if (elsewhere.ok || !prefers) {
      settle(claim, elsewhere, work);
      return;
    }
  }
  if (!prefers) {
    settle(claim, beside, work);
    return;
  }
  const message = `cannot assign additional IP in PreferDualStack: ${beside.because}`;
  refuse(claim, { ...beside, type: "Normal", reason: "AdditionalAssignFailed", message }, work);
}

/** IPv4 before IPv6. */
export function inFamilyOrder(...parts: readonly Held[]): Held {
  const pairs = parts.flatMap(({ addresses, pools }) => addresses.map((address, i) => ({ address, pool: pools[i] })));
  pairs.sort((a, b) => compareAddresses(a.address, b.address));
  return { addresses: pairs.map(({ address }) => address), pools: pairs.map(({ pool }) => pool) };
}

function meetAnything(claim: Claim, work: Work): void {
  if (claim.fault !== undefined || claim.wantedAddresses.length > 0 || claim.wantedPools.length > 0) return;
  if (!work.held.has(claim.service)) settle(claim, placeAnywhere(claim, work), work);
}

/** As if the Service held nothing: where it is now is as good as anywhere else. */
function search(place: typeof placeAnywhere, claim: Claim, work: Work): ReturnType<typeof placeAnywhere> {
  return work.occupancy.without(claim.service, () => place(claim, work));
}

function inWantedPool(claim: Claim, work: Work): boolean {
  if (claim.wantedPools.length === 0) return true;
  const pools = work.held.get(claim.service)?.pools ?? [];
  return pools.length > 0 && pools.every((pool) => pool !== undefined && claim.wantedPools.includes(pool.name));
}
