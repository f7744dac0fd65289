/**
 * What has changed since the last decision, as far as it can be decided about alone. Beside the Services themselves nothing may have
 * changed, and none may come with addresses that it did not hold: then its place in the order of right would matter to others.
 */
import { sameAddress, type Address } from "../net/address.ts";
import { differing, sameEntries } from "../reconcile/layered-map.ts";
import type { Service } from "../service/objects.ts";
import type { Sliced } from "../time/slices.ts";
import type { Decision, Objects } from "./decision.ts";
import { readClaim, type Claim } from "./claim.ts";
import { isForeign, isOurs } from "../service/class.ts";
import { asksAboutNamespaces, samePools } from "./pools.ts";
import type { ServiceCounter } from "./service-counts.ts";
import type { Sharing } from "./sharing.ts";
import type { Work } from "./work.ts";

/** What a decision leaves behind for the next one. It changes with it. */
export interface Remembered {
  readonly objects: Objects;
  readonly decision: Decision;
  readonly work: Work;
  /** What the Services ask for, by key. */
  readonly claims: Map<string, Claim>;
  /** Those that wait for something. */
  readonly discontent: Set<string>;
  /** Those that do not hold what their status said: it has to be written. */
  readonly moved: ReadonlySet<string>;
  readonly counter: ServiceCounter;
  /** Addresses of others are in use here all the same. */
  readonly contested: boolean;
}

export interface Changes {
  /** Services with another object than before, ours or not. */
  readonly keys: readonly string[];
  /** Of those that ask for the same and say that they hold what they do: what was written, mostly. */
  readonly seen: readonly Claim[];
  /** By key, those to decide about. */
  readonly touched: ReadonlyMap<string, Touched>;
}

export interface Touched {
  /** Undefined: the Service is gone, or not ours any more. */
  readonly claim: Claim | undefined;
  /** What it held. */
  readonly held: readonly Address[];
  /** What it lets others share with it has changed. */
  readonly sharesOtherwise: boolean;
}

/** So many Services are compared between two pauses. */
const SERVICES_A_STEP = 200;

/** Undefined: everything has to be decided anew. */
export function* changesSince(
  last: Remembered,
  objects: Objects,
  loadBalancerClass: string | undefined,
): Sliced<Changes | undefined> {
  if (!(yield* sameGround(last, objects))) return undefined;
  const keys = yield* differing(last.objects.services, objects.services);
  const changed = new Set(keys);
  // What was decided and not written is not what others will find.
  for (const key of last.moved) if (!changed.has(key)) return undefined;
  const changes = { keys, seen: [] as Claim[], touched: new Map<string, Touched>() };
  for (const [number, key] of keys.entries()) {
    const [before, after] = [last.objects.services.get(key), objects.services.get(key)];
    if (keptFor(before, loadBalancerClass) !== keptFor(after, loadBalancerClass)) return undefined;
    const claim = after !== undefined && isOurs(after, loadBalancerClass) ? readClaim(after) : undefined;
    if (!note(key, claim, last, changes)) return undefined;
    if (number % SERVICES_A_STEP === SERVICES_A_STEP - 1) yield;
  }
  return changes;
}

/** False: it cannot be decided about alone. */
function note(
  key: string,
  claim: Claim | undefined,
  { claims, work }: Remembered,
  changes: { readonly seen: Claim[]; readonly touched: Map<string, Touched> },
): boolean {
  const before = claims.get(key);
  if (before === undefined && claim === undefined) return true;
  if (before !== undefined && claim !== undefined && sameWish(before, claim) && holdsCurrent(claim, work)) {
    changes.seen.push(claim);
    return true;
  }
  const held = work.held.get(key)?.addresses ?? [];
  const current = claim?.current ?? [];
  if (!current.every((address) => held.some((one) => sameAddress(one, address)))) return false;
  const sharesOtherwise =
    before !== undefined && claim !== undefined && !sameSharing(before.sharing, claim.sharing) && held.length > 0;
  // Who of them stays is a question of right.
  if (sharesOtherwise && current.some((address) => work.occupancy.isShared(address))) return false;
  changes.touched.set(key, { claim, held, sharesOtherwise });
  return true;
}

/** Whether the Service holds what its status says, in that order. */
export function holdsCurrent({ service, current }: Claim, work: Pick<Work, "held">): boolean {
  const held = work.held.get(service)?.addresses ?? [];
  return sameList(held, current, sameAddress);
}

/** Beside Services, all that addresses depend on. Where addresses rest, every release counts. */
function* sameGround({ objects: before, decision, contested }: Remembered, objects: Objects): Sliced<boolean> {
  if (contested || !before.complete || !objects.complete || decision.coolDowns.size > 0) return false;
  if (before.reserved !== objects.reserved && before.reserved.size + objects.reserved.size > 0) return false;
  if (!(yield* samePools(before.ipAddressPools, objects.ipAddressPools))) return false;
  return !asksAboutNamespaces(objects.ipAddressPools) || sameEntries(before.namespaces, objects.namespaces);
}

/** What is kept from ours for a Service of another class, as text. */
function keptFor(service: Service | undefined, loadBalancerClass: string | undefined): string {
  if (service === undefined || !isForeign(service, loadBalancerClass)) return "";
  return service.status.loadBalancer.ingress.map(({ ip }) => ip ?? "").join();
}

/** Whether both ask for the same. Only what the status says may be otherwise. */
function sameWish(a: Claim, b: Claim): boolean {
  return (
    a.policy === b.policy &&
    a.spans === b.spans &&
    a.fault?.message === b.fault?.message &&
    a.fault?.reason === b.fault?.reason &&
    sameSharing(a.sharing, b.sharing) &&
    sameList(a.families, b.families) &&
    sameList(a.wantedPools, b.wantedPools) &&
    sameList(a.wantedAddresses, b.wantedAddresses, sameAddress) &&
    sameLabels(a.labels, b.labels)
  );
}

function sameSharing(a: Sharing, b: Sharing): boolean {
  return a.key === b.key && a.backends === b.backends && sameList(a.ports, b.ports);
}

function sameLabels(a: Claim["labels"], b: Claim["labels"]): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && a[name] === b[name]);
}

function sameList<T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean = Object.is): boolean {
  const pairs = b.values();
  return (
    a.length === b.length &&
    a.every((value) => {
      const next = pairs.next();
      return next.done !== true && same(value, next.value);
    })
  );
}
