/**
 * Decides again and again. Between two decisions mostly one Service has changed among a hundred thousand: who holds what is kept,
 * and only that Service is decided about, and those that wait for something. Where that might come out otherwise than a
 * decision from nothing - pools, namespaces or a class have changed, addresses rest, somebody's status was edited - all is decided anew.
 *
 *     everything:  claims ─► keep what is held ─► reserve ─► cool down ─► meet wishes
 *     again:       forget what changed ─► keep of that what is held ─► meet its wishes and those of who waits
 *
 * Both end in the same decision: `test/script/world.ts` compares them at every step of every script and property.
 */
import { sameAddress } from "../net/address.ts";
import { changing } from "../reconcile/layered-map.ts";
import { isForeign, isOurs } from "../service/class.ts";
import { forEach, type Sliced } from "../time/slices.ts";
import { sorting } from "../time/sorting.ts";
import { CandidateIndex } from "./candidates.ts";
import { changesSince, holdsCurrent, type Changes, type Remembered, type Touched } from "./changes.ts";
import { readClaim, type Claim } from "./claim.ts";
import { coolDowns } from "./cool-downs.ts";
import { countingPools } from "./counts.ts";
import type { Assignment, Decision, Objects } from "./decision.ts";
import { exhaustedPools } from "./exhausted.ts";
import { inOrderOfRight, keepCurrent, reserve } from "./keep.ts";
import { Occupancy } from "./occupancy.ts";
import { parsingPools, type PoolSet } from "./pools.ts";
import { ServiceCounter } from "./service-counts.ts";
import { formatSharing } from "./sharing.ts";
import { inFamilyOrder, isContent, mayMove, meetWishes } from "./wishes.ts";
import type { Unmet, Work } from "./work.ts";

/** So many Services are decided about between two pauses. */
const SERVICES_A_STEP = 500;

const NOBODY: ReadonlySet<string> = new Set();

export class Assigner {
  readonly #loadBalancerClass: string | undefined;
  #last: Remembered | undefined;

  /** Of which Services; undefined: those without a class. */
  constructor(loadBalancerClass?: string) {
    this.#loadBalancerClass = loadBalancerClass;
  }

  /**
   * With pauses, in which a program can do something else. The objects are those of the call, `now` in milliseconds since 1970.
   * `anew`: about everything, because what was decided last could not be written.
   */
  *deciding(objects: Objects, now: number, anew = false): Sliced<Decision> {
    const last = this.#last;
    // Who is interrupted leaves nothing half done to the next.
    this.#last = undefined;
    const changes =
      last === undefined || anew ? undefined : yield* changesSince(last, objects, this.#loadBalancerClass);
    const remembered =
      last === undefined || changes === undefined
        ? yield* this.#everything(objects, now, last?.claims)
        : yield* again(last, objects, changes);
    this.#last = remembered;
    return remembered.decision;
  }

  /** For a quiet moment: these are the objects with what was decided last written to them, and nothing else is new. The next decision need not look at that again. */
  *takingIn(objects: Objects): Sliced<void> {
    const last = this.#last;
    const changes = last === undefined ? undefined : yield* changesSince(last, objects, this.#loadBalancerClass);
    if (last === undefined || changes === undefined || changes.touched.size > 0) return;
    yield* each(changes.seen, (claim) => last.claims.set(claim.service, claim));
    this.#last = { ...last, objects, moved: NOBODY };
  }

  /** `known` are claims that need not be read again where their object is the same. */
  *#everything(objects: Objects, now: number, known?: ReadonlyMap<string, Claim>): Sliced<Remembered> {
    const loadBalancerClass = this.#loadBalancerClass;
    const pools = yield* parsingPools(objects.ipAddressPools, objects.namespaces);
    const work = emptyWork(pools, objects.complete);
    const claims = new Map<string, Claim>();
    yield* each(objects.services, ([key, service]) => {
      if (!isOurs(service, loadBalancerClass)) return;
      const before = known?.get(key);
      claims.set(key, before?.object === service ? before : readClaim(service));
    });
    const inOrder = yield* sorting([...claims.values()], oldestFirst);
    yield* each(yield* inOrderOfRight(inOrder), (claim) => keepCurrent(claim, work));
    const contested = yield* reserving(objects, loadBalancerClass, work);
    const resting = yield* coolDowns(pools, objects.ipAddressPools, inOrder, work.occupancy, now);
    yield* work.occupancy.advancing();
    yield* meetWishes(inOrder, work);
    yield* each(work.unmet, ([service, unmet]) => work.events.push(eventOf(service, unmet)));
    const counter = new ServiceCounter();
    const assignments = new Map<string, Assignment>();
    yield* each(inOrder, (claim) => {
      const assignment = assignmentOf(claim, work);
      assignments.set(claim.service, assignment);
      counter.count(undefined, assignment);
    });
    const after = yield* resting.after();
    const counts = yield* countingPools(pools, work.occupancy, after.coolDowns);
    const decision: Decision = {
      assignments,
      problems: pools.problems,
      events: work.events,
      losses: work.losses,
      pools,
      counts,
      exhausted: exhaustedPools(work.unmet.values(), counts),
      loadBalancerClass,
      services: counter,
      looked: undefined,
      ...after,
    };
    const [discontent, moved] = [new Set<string>(), new Set<string>()];
    yield* each(inOrder, (claim) => sortIn(claim, work, discontent, moved));
    return { objects, decision, work, claims, discontent, moved, counter, contested };
  }
}

function* again(last: Remembered, objects: Objects, { keys, seen, touched }: Changes): Sliced<Remembered> {
  const { claims, counter, decision: before, discontent } = last;
  const work: Work = { ...last.work, events: [], losses: [], halved: new Set(), freed: false };
  yield* each(seen, (claim) => claims.set(claim.service, claim));
  yield* each(touched, ([key, { claim }]) => {
    work.occupancy.forget(key);
    work.held.delete(key);
    work.unmet.delete(key);
    discontent.delete(key);
    if (claim === undefined) claims.delete(key);
    else claims.set(key, claim);
  });
  const changed = [...touched.values()].map(({ claim }) => claim).filter((claim) => claim !== undefined);
  yield* each(yield* inOrderOfRight(yield* sorting(changed, oldestFirst)), (claim) => keepCurrent(claim, work));
  yield* work.occupancy.advancing();
  const freed = [...touched].some(([key, one]) => frees(key, one, work));
  const waiting = yield* whoWaits(changed, last, freed);
  yield* each(waiting, ({ service }) => work.unmet.delete(service));
  yield* meetWishes(waiting, work);
  const assignments = new Map<string, Assignment | undefined>();
  for (const key of touched.keys()) assignments.set(key, undefined);
  const moved = new Set<string>();
  yield* each(waiting, (claim) => {
    const unmet = work.unmet.get(claim.service);
    if (unmet !== undefined) work.events.push(eventOf(claim.service, unmet));
    assignments.set(claim.service, assignmentOf(claim, work));
    sortIn(claim, work, discontent, moved);
  });
  yield* each(seen, ({ service }) => {
    const unmet = work.unmet.get(service);
    if (unmet !== undefined && !assignments.has(service)) work.events.push(eventOf(service, unmet));
  });
  yield* each(assignments, ([key, assignment]) => counter.count(before.assignments.get(key), assignment));
  const counts = yield* countingPools(before.pools, work.occupancy, before.coolDowns, before.counts);
  const decision: Decision = {
    ...before,
    assignments: yield* changing(before.assignments, assignments),
    events: work.events,
    losses: work.losses,
    counts,
    exhausted: exhaustedPools(work.unmet.values(), counts),
    looked: new Set([...keys, ...assignments.keys()]),
  };
  return { ...last, objects, decision, work, moved };
}

/** Whether others may have something from it, now or when its own wishes are met. */
function frees(key: string, { claim, held, sharesOtherwise }: Touched, work: Work): boolean {
  if (sharesOtherwise || (claim !== undefined && mayMove(claim, work))) return true;
  const still = work.held.get(key)?.addresses ?? [];
  return held.some((address) => !still.some((one) => sameAddress(one, address)));
}

/**
 * Those that changed, and those that their change may concern: where something was given back, everybody who waits. Else who names
 * addresses, because whoever has them now may be another, and that is what it is told.
 */
function* whoWaits(changed: readonly Claim[], last: Remembered, freed: boolean): Sliced<readonly Claim[]> {
  const waiting = new Set(changed);
  yield* each(last.discontent, (key) => {
    const claim = last.claims.get(key);
    if (claim !== undefined && (freed || claim.wantedAddresses.length > 0)) waiting.add(claim);
  });
  return yield* sorting([...waiting], oldestFirst);
}

/** Whether somebody of ours has such an address already. */
function* reserving(objects: Objects, loadBalancerClass: string | undefined, { occupancy }: Work): Sliced<boolean> {
  let contested = false;
  const keep = (service: string, addresses: readonly string[]): void => {
    if (!reserve(service, addresses, occupancy)) contested = true;
  };
  yield* each(objects.reserved, ([service, addresses]) => keep(service, addresses));
  yield* each(objects.services, ([key, service]) => {
    if (isForeign(service, loadBalancerClass))
      keep(
        key,
        service.status.loadBalancer.ingress.map(({ ip }) => ip ?? ""),
      );
  });
  return contested;
}

function emptyWork(pools: PoolSet, complete: boolean): Work {
  return {
    pools,
    candidates: new CandidateIndex(pools),
    occupancy: new Occupancy(pools),
    held: new Map(),
    unmet: new Map(),
    events: [],
    losses: [],
    halved: new Set(),
    complete,
    freed: false,
  };
}

/** Into those that wait, and those whose status has to be written. */
function sortIn(claim: Claim, work: Work, discontent: Set<string>, moved: Set<string>): void {
  if (isContent(claim, work)) discontent.delete(claim.service);
  else discontent.add(claim.service);
  if (!holdsCurrent(claim, work)) moved.add(claim.service);
}

function each<T>(values: Iterable<T>, act: (value: T) => unknown): Sliced<void> {
  return forEach(values, SERVICES_A_STEP, act);
}

function assignmentOf(claim: Claim, work: Work): Assignment {
  const { service, sharing } = claim;
  const { addresses, pools } = work.held.get(service) ?? { addresses: [], pools: [] };
  const inOrder = inFamilyOrder({ addresses, pools }).pools;
  const names = new Set(inOrder.map((pool) => pool?.name).filter((name) => name !== undefined));
  return {
    service,
    addresses,
    pool: names.size === 0 ? undefined : [...names].join(","),
    sharedAs: sharing.key === "" || addresses.length === 0 ? undefined : formatSharing(sharing),
    unmet: work.unmet.get(service),
  };
}

function eventOf(service: string, { type, reason, message }: Unmet): Decision["events"][number] {
  return { service, type, reason, message };
}

function oldestFirst(a: Claim, b: Claim): number {
  if (a.creationTimestamp !== b.creationTimestamp) return a.creationTimestamp < b.creationTimestamp ? -1 : 1;
  if (a.service === b.service) return 0;
  return a.service < b.service ? -1 : 1;
}
