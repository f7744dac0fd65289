/** The first part of a decision: what Services hold according to their status, they keep, as far as the rules still allow. */
import { formatAddress, parseAddress, sameAddress, type Address } from "../net/address.ts";
import type { Sliced } from "../time/slices.ts";
import { sorting } from "../time/sorting.ts";
import type { Claim } from "./claim.ts";
import type { Occupancy } from "./occupancy.ts";
import { placeAt } from "./placement.ts";
import { hold, type Work } from "./work.ts";

/**
 * Those our controller gave their addresses first. Of these, who changed what it shares by comes last: if it cannot stay
 * where it is, it goes, and not those it shared with. Then those whose status came with a manifest.
 */
export function inOrderOfRight(claims: readonly Claim[]): Sliced<readonly Claim[]> {
  const right = (claim: Claim): number => (!claim.established ? 2 : claim.sharingChanged ? 1 : 0);
  return sorting(claims, (a, b) => right(a) - right(b));
}

/** All addresses of the status if they may stay together, else the first one that may stay. */
export function keepCurrent(claim: Claim, work: Work): void {
  if (claim.current.length === 0) return;
  const kept = claim.families.length === 0 ? claim.current : oncePerFamily(claim);
  let because = "a Service has one address for each of its families";
  for (const addresses of [kept, ...kept.map((a) => [a])]) {
    if (addresses.length === 0) continue;
    const placement = placeAt(addresses, claim, "held", work);
    if (placement.ok) {
      hold(claim, placement.addresses, placement.pools, work);
      if (addresses !== kept && kept.length > 1) work.halved.add(claim.service);
      break;
    }
    because = placement.because;
    if (work.complete || addresses !== kept || !isFree(addresses, claim, work.occupancy)) continue;
    hold(
      claim,
      addresses,
      addresses.map(() => undefined),
      work,
    );
    break;
  }
  tellCleared(claim, because, work);
}

/** Keeps the addresses of Services that are not decided about from everybody else. False: somebody has one of them. */
export function reserve(service: string, addresses: readonly string[], occupancy: Occupancy): boolean {
  let all = true;
  for (const text of addresses) {
    const address = parseAddress(text);
    if (address !== undefined && !occupancy.reserve(service, address)) all = false;
  }
  return all;
}

function tellCleared(claim: Claim, because: string, work: Work): void {
  const still = work.held.get(claim.service)?.addresses ?? [];
  const gone = claim.current.filter((a) => !still.some((b) => sameAddress(a, b)));
  if (gone.length === 0) return;
  if (isAmbiguous(claim.current)) {
    const message = `Failed to retrieve LBIPs IPFamily for ${JSON.stringify(claim.current.map(formatAddress))}`;
    work.events.push({ service: claim.service, type: "Warning", reason: "nolbIPsIPFamily", message });
  }
  const lost = gone.filter((address) => work.pools.poolsOf(address).length === 0);
  const wheres = lost.map((address) => {
    const pool = poolOf(address, claim);
    work.losses.push({ service: claim.service, address, pool });
    if (pool === undefined) return "";
    return `; pool ${pool} ${work.pools.named(pool) === undefined ? "is gone" : "no longer contains it"}`;
  });
  const message = `current IP for "${claim.service}" not allowed by config, will attempt for new IP assignment: ${because}${wheres[0] ?? ""}`;
  work.events.push({ service: claim.service, type: "Normal", reason: "ClearAssignment", message });
}

/** Name of the pool an address of the Service came from: of two, IPv4's is named first. */
function poolOf(address: Address, claim: Claim): string | undefined {
  const [first, second] = claim.allocatedFrom?.split(",") ?? [];
  return address.family === "IPv6" && second !== undefined ? second : first;
}

/** More than a Service can have: three, or two of one family. */
function isAmbiguous(addresses: readonly Address[]): boolean {
  return new Set(addresses.map((a) => a.family)).size !== addresses.length;
}

function isFree(addresses: readonly Address[], claim: Claim, occupancy: Occupancy): boolean {
  return addresses.every((a) => occupancy.refusal(claim.service, claim.sharing, a) === undefined);
}

function oncePerFamily(claim: Claim): readonly Address[] {
  return claim.current.filter(
    (a, index) => claim.families.includes(a.family) && claim.current.findIndex((b) => b.family === a.family) === index,
  );
}
