/**
 * IPAddressPools parsed into values. Every problem of every pool is reported, and a pool with a problem is closed, not
 * gone: it gives no new addresses, but what was assigned from it stays. (MetalLB refuses the whole configuration instead.)
 */
import type { Address, Family } from "../net/address.ts";
import { problemsAbout, type Problem } from "../net/problem.ts";
import type { Range } from "../net/range.ts";
import { differing } from "../reconcile/layered-map.ts";
import type { Namespace } from "../service/objects.ts";
import { duplicatesInSelectors, matchesAny, type LabelSelector } from "../service/selector.ts";
import { atOnce, forEach, type Sliced } from "../time/slices.ts";
import { sorting } from "../time/sorting.ts";
import { readCoolDown } from "./cool-down.ts";
import { overlap, pathOf, readingEntries, type Entries } from "./entries.ts";
import type { IPAddressPool, ServiceAllocation } from "./objects.ts";
import { OverlappingRanges, RangeIndex } from "./range-index.ts";

export interface Pool {
  readonly key: string;
  /** Pools are asked for by name alone, so names are unique over all namespaces. */
  readonly name: string;
  /** In listed order: addresses are given out from the first. */
  readonly ranges: readonly Range[];
  /** Those it has addresses of. */
  readonly families: ReadonlySet<Family>;
  readonly autoAssign: boolean;
  readonly avoidBuggyIPs: boolean;
  /** Why it gives no new addresses; undefined for a pool without problems. */
  readonly closedBecause: string | undefined;
  /** Who may use it; undefined: everybody, and pools with a scope are tried first. */
  readonly scope: Scope | undefined;
  /** How long a released address is not chosen again. */
  readonly coolDownMilliseconds: number;
}

export interface Scope {
  /** Lower first, 0 and below last. */
  readonly priority: number;
  /** Undefined: any namespace. */
  readonly namespaces: ReadonlySet<string> | undefined;
  /** Undefined: any Service; else one of them must match its labels. */
  readonly serviceSelectors: readonly LabelSelector[] | undefined;
}

export interface PoolSet {
  /** In stable order: oldest first where ages are known, then by key. */
  readonly pools: readonly Pool[];
  readonly problems: readonly Problem[];
  /** The pools an address lies in: at most one open pool, which comes first, then closed ones. */
  poolsOf(address: Address): readonly Pool[];
  /** The open pool an address lies in, and in which of its ranges. */
  openPoolOf(address: Address): PoolRange | undefined;
  /** The pool of this name: the open one, if several have it. */
  named(name: string): Pool | undefined;
}

export interface PoolRange {
  readonly pool: Pool;
  /** Index in the pool's ranges. */
  readonly range: number;
}

/** For those who ask nothing about namespaces. */
export const NO_NAMESPACES: ReadonlyMap<string, Namespace> = new Map();

/** So many pools are compared with what they were between two pauses. */
const POOLS_A_STEP = 20;

/** So many ranges are compared with other pools' between two pauses. */
const RANGES_A_STEP = 500;

export function parsePools(objects: Objects, namespaces: ReadonlyMap<string, Namespace>): PoolSet {
  return atOnce(parsingPools(objects, namespaces));
}

/** As {@link parsePools}, with pauses. Many ask about the same maps, which nobody changes: they get the same set. */
export function* parsingPools(objects: Objects, namespaces: ReadonlyMap<string, Namespace>): Sliced<PoolSet> {
  const asked = asksAboutNamespaces(objects) ? namespaces : NO_NAMESPACES;
  if (last?.namespaces === asked && (yield* samePools(last.objects, objects))) {
    last = { ...last, objects };
    return last.set;
  }
  const entries = new Map<string, Entries>();
  const set = yield* parsing(objects, asked, entries);
  last = { objects, namespaces: asked, set, entries };
  return set;
}

type Objects = ReadonlyMap<string, IPAddressPool>;

/** Whether what the pools are depends on the labels of namespaces. */
export function asksAboutNamespaces(objects: Objects): boolean {
  return [...objects.values()].some(({ spec }) => (spec.serviceAllocation?.namespaceSelectors.length ?? 0) > 0);
}

/** Whether the two are parsed to the same: their status, which we write ourselves, does not count. Of two versions of one map it costs what differs. */
export function* samePools(a: Objects, b: Objects): Sliced<boolean> {
  if (a === b) return true;
  let same = a.size === b.size;
  yield* forEach(yield* differing(a, b), POOLS_A_STEP, (key) => {
    same &&= sameButStatus(a.get(key), b.get(key));
  });
  return same;
}

function sameButStatus(a: IPAddressPool | undefined, b: IPAddressPool | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const sameSpec = a.spec === b.spec || JSON.stringify(a.spec) === JSON.stringify(b.spec);
  return sameSpec && JSON.stringify(a.metadata) === JSON.stringify(b.metadata);
}

/**
 * What was parsed last. Not a WeakMap: what only that leads to is marked while the collector has stopped everything, and of
 * a hundred thousand ranges that is a tenth of a second.
 */
let last: Parsed | undefined;

interface Parsed {
  readonly objects: Objects;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly set: PoolSet;
  /** Of the pools, by their keys. */
  readonly entries: ReadonlyMap<string, Entries>;
}

/** `entries` is filled with what the pools list. */
function* parsing(
  objects: Objects,
  namespaces: ReadonlyMap<string, Namespace>,
  entries: Map<string, Entries>,
): Sliced<PoolSet> {
  const problems: Problem[] = [];
  const pools: Pool[] = [];
  const open = new RangeIndex<PoolRange>();
  const names = new Map<string, string>();
  for (const [key, object] of [...objects].toSorted(byAge)) {
    const known = last?.entries.get(key);
    const listed = known?.addresses === object.spec.addresses ? known : yield* readingEntries(object);
    entries.set(key, listed);
    const found = yield* rangeProblems(listed, open);
    const duplicate = names.get(object.metadata.name);
    if (duplicate !== undefined)
      found.problems.push({ path: "metadata.name", message: `pool ${duplicate} has the same name` });
    names.set(object.metadata.name, duplicate ?? key);
    for (const problem of scopeProblems(object.spec.serviceAllocation)) found.problems.push(problem);
    const coolDown = readCoolDown(object);
    const pool = poolOf(key, object, { ...found, coolDownMilliseconds: coolDown.milliseconds }, namespaces);
    pools.push(pool);
    if (pool.closedBecause === undefined)
      yield* forEach(pool.ranges.entries(), RANGES_A_STEP, ([range, addresses]) =>
        open.add(addresses, { pool, range }),
      );
    // A cool-down that cannot be read is none: it closes nothing.
    if (coolDown.fault !== undefined) found.problems.push(coolDown.fault);
    problems.push(...problemsAbout(`IPAddressPool ${key}`, found.problems));
    yield;
  }
  return { pools, problems, openPoolOf: (address) => open.ownerOf(address), ...lookups(pools, open) };
}

/** Whether a Service with these labels in this namespace may have addresses of the pool. */
export function poolAllows(pool: Pool, namespace: string, labels: Readonly<Record<string, string>>): boolean {
  if (pool.scope === undefined) return true;
  const { namespaces, serviceSelectors } = pool.scope;
  if (namespaces !== undefined && !namespaces.has(namespace)) return false;
  return serviceSelectors === undefined || matchesAny(serviceSelectors, labels);
}

/** Whether the pool, which contains the address, may hand it out at all. */
export function poolMayUse(pool: Pool, address: Address): boolean {
  return !(pool.avoidBuggyIPs && isBuggy(address)) && address.value !== 0n;
}

/** The pool an address in use counts for. A closed one may go on holding what the open one, which it overlaps, would not give out. */
export function countingPool(pools: PoolSet, address: Address): Pool | undefined {
  const all = pools.poolsOf(address);
  return all.find((candidate) => poolMayUse(candidate, address)) ?? all[0];
}

/** .0 and .255, which some old devices refuse: they take them for the addresses of a network and its broadcast. */
function isBuggy(address: Address): boolean {
  const octet = address.value & 0xffn;
  return address.family === "IPv4" && (octet === 0n || octet === 255n);
}

interface Found {
  readonly ranges: readonly Range[];
  readonly problems: { readonly path: string; readonly message: string }[];
}

function* rangeProblems({ addresses, ranges, indexes, faults }: Entries, open: RangeIndex<PoolRange>): Sliced<Found> {
  const found: { readonly index: number; readonly message: string }[] = [];
  yield* forEach(ranges.entries(), RANGES_A_STEP, ([number, range]) => {
    const other = open.overlapping(range);
    const message = other === undefined ? "" : overlap(range, other.range, `pool ${other.owner.pool.key}`);
    if (message !== "") found.push({ index: indexes[number] ?? 0, message });
  });
  for (const [index, message] of faults) found.push({ index, message });
  // Of one entry, what other pools have against it comes first.
  const problems = (yield* sorting(found, (a, b) => a.index - b.index)).map(({ index, message }) => {
    return { path: pathOf(index), message };
  });
  if (addresses.length === 0)
    problems.push({ path: "spec.addresses", message: "the pool has no addresses; add a CIDR or a range start-end" });
  return { ranges, problems };
}

function scopeProblems(allocation: ServiceAllocation | undefined): Found["problems"] {
  if (allocation === undefined) return [];
  const { namespaces } = allocation;
  const path = "spec.serviceAllocation";
  const seen = new Set<string>();
  const twice = namespaces.flatMap((name, index) => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [
      { path: `${path}.namespaces[${index}]`, message: `duplicate definition of namespace "${name}"; remove one` },
    ];
  });
  const fields = ["namespaceSelectors", "serviceSelectors"] as const;
  return [...twice, ...fields.flatMap((field) => duplicatesInSelectors(allocation[field], `${path}.${field}`))];
}

function poolOf(
  key: string,
  object: IPAddressPool,
  found: Found & Pick<Pool, "coolDownMilliseconds">,
  namespaces: ReadonlyMap<string, Namespace>,
): Pool {
  const { autoAssign, avoidBuggyIPs, serviceAllocation } = object.spec;
  const scope = serviceAllocation === undefined ? undefined : scopeOf(serviceAllocation, namespaces);
  return {
    key,
    name: object.metadata.name,
    ranges: found.ranges,
    families: new Set(found.ranges.map(({ family }) => family)),
    autoAssign,
    avoidBuggyIPs,
    closedBecause: found.problems[0]?.message,
    scope,
    coolDownMilliseconds: found.coolDownMilliseconds,
  };
}

/**
 * Namespace selectors are resolved to names here. Unlike MetalLB, selectors that match no namespace let nobody in: there
 * such a pool is open to every Service that asks for it by name.
 */
function scopeOf(allocation: ServiceAllocation, namespaces: ReadonlyMap<string, Namespace>): Scope {
  const names = new Set(allocation.namespaces);
  for (const namespace of namespaces.values())
    if (matchesAny(allocation.namespaceSelectors, namespace.metadata.labels)) names.add(namespace.metadata.name);
  const restricted = allocation.namespaces.length + allocation.namespaceSelectors.length > 0;
  return {
    priority: allocation.priority,
    namespaces: restricted ? names : undefined,
    serviceSelectors: allocation.serviceSelectors.length > 0 ? allocation.serviceSelectors : undefined,
  };
}

function lookups(pools: readonly Pool[], open: RangeIndex<PoolRange>): Pick<PoolSet, "poolsOf" | "named"> {
  const closed = pools.filter((pool) => pool.closedBecause !== undefined);
  const closedRanges = new OverlappingRanges(
    closed.flatMap((owner) => owner.ranges.map((range) => ({ range, owner }))),
  );
  const names = new Map([...pools].toReversed().map((pool) => [pool.name, pool]));
  for (const pool of pools) if (pool.closedBecause === undefined) names.set(pool.name, pool);
  return {
    named: (name) => names.get(name),
    poolsOf: (address) => {
      const owner = open.ownerOf(address);
      const others = closed.length === 0 ? [] : closedRanges.ownersOf(address);
      return owner === undefined ? others : [owner.pool, ...others];
    },
  };
}

/** Oldest first, so that a pool added later is the one that gives way; a folder knows no ages, there the key decides. */
function byAge([keyA, a]: readonly [string, IPAddressPool], [keyB, b]: readonly [string, IPAddressPool]): number {
  const ageA = a.metadata.creationTimestamp ?? "";
  const ageB = b.metadata.creationTimestamp ?? "";
  return ageA === ageB ? compareText(keyA, keyB) : compareText(ageA, ageB);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
