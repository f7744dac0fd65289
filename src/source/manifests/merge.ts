/** Objects from all files, and the state written about them, into one snapshot. Pure; unchanged objects keep their identity. */
import type { Problem } from "../../net/problem.ts";
import { OUTPUT_ANNOTATIONS } from "../../service/written.ts";
import type { IPAddressPool } from "../../pool/objects.ts";
import { changing, differing } from "../../reconcile/layered-map.ts";
import type { Service } from "../../service/objects.ts";
import { sameObjects } from "../../service/slices.ts";
import { atOnce, forEach, type Sliced } from "../../time/slices.ts";
import type { Snapshot } from "../source.ts";
import type { DecodedObject } from "./decode-object.ts";
import type { Reading } from "./files.ts";
import { COLLECTIONS, type Collection, type ObjectOf } from "./kinds.ts";
import type { PoolState, ServiceState } from "./state.ts";

const WRITTEN: readonly string[] = OUTPUT_ANNOTATIONS;

/** An object and the file it is from. */
export interface ManifestEntry extends DecodedObject {
  readonly path: string;
}

/** Values: what changes is another map or list, not the same one. */
export interface Inputs {
  /** In the order that decides whose object counts when two files hold one key: the first. */
  readonly files: readonly Reading<ManifestEntry>[];
  readonly serviceStates: ReadonlyMap<string, ServiceState>;
  readonly poolStates: ReadonlyMap<string, PoolState>;
  readonly problems: readonly Problem[];
  readonly complete: boolean;
}

/**
 * Remembers what it merged: an object that did not change is the same one again, and so is a collection in which nothing did.
 */
export class Merger {
  readonly #collected = new Map<Collection, Collected>();
  #parts: PartsByFile = new Map();
  #services: Combined<Service, ServiceState> = nothingCombined();
  #pools: Combined<IPAddressPool, PoolState> = nothingCombined();

  merge(inputs: Inputs): Snapshot {
    return atOnce(this.merging(inputs));
  }

  /** As {@link merge}, with pauses, in which others may merge: what this one began with is remembered when it ends. */
  *merging(inputs: Inputs): Sliced<Snapshot> {
    const parts = yield* splitting(inputs.files, this.#parts);
    const collected: [Collection, Collected][] = [];
    for (const collection of COLLECTIONS)
      collected.push([collection, yield* collecting(parts, collection, this.#collected.get(collection))]);
    // The schema of a kind fixes the type of everything in its collection; TypeScript cannot follow that through the table.
    const found = Object.fromEntries(collected.map(([c, { values }]) => [c, values])) as unknown as Collections;
    const services = yield* combine(this.#services, found.services, inputs.serviceStates, withServiceState);
    const pools = yield* combine(this.#pools, found.ipAddressPools, inputs.poolStates, withPoolState);
    const reserved = inputs.complete ? NOTHING_RESERVED : yield* orphans(inputs.serviceStates, services.values);
    this.#parts = parts;
    for (const [collection, each] of collected) this.#collected.set(collection, each);
    this.#services = services;
    this.#pools = pools;
    return {
      ...found,
      services: services.values,
      ipAddressPools: pools.values,
      problems: [...inputs.problems, ...collected.flatMap(([, { problems }]) => problems)],
      complete: inputs.complete,
      unread: NONE_UNREAD,
      reserved,
    };
  }
}

/** So many objects are merged between two pauses. */
const OBJECTS_A_STEP = 500;

/** The entries of each file by collection, in the order of the files. */
type PartsByFile = ReadonlyMap<Reading<ManifestEntry>, ReadonlyMap<Collection, readonly ManifestEntry[]>>;

/** Readings never change: what was split before need not be split again. */
function* splitting(files: readonly Reading<ManifestEntry>[], before: PartsByFile): Sliced<PartsByFile> {
  const parts = new Map<Reading<ManifestEntry>, ReadonlyMap<Collection, readonly ManifestEntry[]>>();
  yield* forEach(files, 1, (file) =>
    parts.set(file, before.get(file) ?? Map.groupBy(file.entries, (entry) => entry.collection)),
  );
  return parts;
}

/** Of two objects with one key the first counts; the other is a problem, again with every snapshot. */
function* collecting(byFile: PartsByFile, collection: Collection, before: Collected | undefined): Sliced<Collected> {
  const parts: (readonly ManifestEntry[])[] = [];
  for (const byCollection of byFile.values()) {
    const part = byCollection.get(collection);
    if (part !== undefined) parts.push(part);
  }
  yield;
  return before !== undefined && sameParts(before.parts, parts) ? before : { parts, ...(yield* collect(parts)) };
}

interface Collected {
  readonly parts: readonly (readonly ManifestEntry[])[];
  readonly values: ReadonlyMap<string, ObjectOf<Collection>>;
  readonly problems: readonly Problem[];
}

type Collections = { readonly [C in Collection]: ReadonlyMap<string, ObjectOf<C>> };

const NO_ENTRIES: readonly ManifestEntry[] = [];
/** A folder is read as a whole. */
const NONE_UNREAD: Snapshot["unread"] = new Set();
const NOTHING_RESERVED: Snapshot["reserved"] = new Map();

/** The same entries in the same order, whichever files they are in now. */
function sameParts(a: Collected["parts"], b: Collected["parts"]): boolean {
  return a.length === b.length && a.every((part, i) => part === b[i] || sameObjects(part, b[i] ?? NO_ENTRIES));
}

function* collect(parts: Collected["parts"]): Sliced<Omit<Collected, "parts">> {
  const values = new Map<string, ObjectOf<Collection>>();
  const problems: Problem[] = [];
  for (const part of parts) {
    yield* forEach(part, OBJECTS_A_STEP, (entry) => {
      if (!values.has(entry.name)) values.set(entry.name, entry.value);
      else problems.push(duplicate(entry, parts));
    });
  }
  return { values, problems };
}

function duplicate(entry: ManifestEntry, parts: Collected["parts"]): Problem {
  const first = parts.flatMap((part) => part.find(({ name }) => name === entry.name) ?? [])[0] ?? entry;
  const message = `the object is in ${first.path} document ${first.document} too; that one counts, remove one of them`;
  return { subject: `${entry.path} document ${entry.document} (${entry.key})`, message };
}

/** Objects with the state written about them. */
interface Combined<T, S> {
  readonly objects: ReadonlyMap<string, T>;
  readonly states: ReadonlyMap<string, S>;
  readonly values: ReadonlyMap<string, T>;
}

function nothingCombined<T, S>(): Combined<T, S> {
  return { objects: new Map(), states: new Map(), values: new Map() };
}

function* combine<T extends object, S extends object>(
  before: Combined<T, S>,
  objects: ReadonlyMap<string, T>,
  states: ReadonlyMap<string, S>,
  merge: (object: T, state: S) => T,
): Sliced<Combined<T, S>> {
  if (before.objects === objects) return yield* recombine(before, states, merge);
  const values = new Map<string, T>();
  let changed = objects.size !== before.objects.size;
  yield* forEach(objects, OBJECTS_A_STEP, ([key, object]) => {
    const state = states.get(key);
    const kept = before.values.get(key);
    const same = kept !== undefined && before.objects.get(key) === object && before.states.get(key) === state;
    // Once there is state about an object, it replaces the status of the manifest: also where it says "no address".
    values.set(key, same ? kept : state === undefined ? object : merge(object, state));
    if (!same) changed = true;
  });
  return { objects, states, values: changed ? values : before.values };
}

/** The same objects with other states: of a hundred thousand, mostly a few have changed. */
function* recombine<T extends object, S extends object>(
  before: Combined<T, S>,
  states: ReadonlyMap<string, S>,
  merge: (object: T, state: S) => T,
): Sliced<Combined<T, S>> {
  if (before.states === states) return before;
  const { objects } = before;
  const changes = new Map<string, T>();
  yield* forEach(yield* differing(before.states, states), OBJECTS_A_STEP, (key) => {
    const [object, state] = [objects.get(key), states.get(key)];
    if (object !== undefined) changes.set(key, state === undefined ? object : merge(object, state));
  });
  return { objects, states, values: yield* changing(before.values, changes) };
}

function withServiceState(service: Service, state: ServiceState): Service {
  // A manifest copied from a cluster may carry what a controller wrote there.
  const own = Object.entries(service.metadata.annotations).filter(([name]) => !WRITTEN.includes(name));
  const annotations = { ...Object.fromEntries(own), ...state.annotations };
  return { ...service, metadata: { ...service.metadata, annotations }, status: state.status };
}

function withPoolState(pool: IPAddressPool, state: PoolState): IPAddressPool {
  return { ...pool, status: state.status };
}

function* orphans(
  states: ReadonlyMap<string, ServiceState>,
  services: ReadonlyMap<string, Service>,
): Sliced<ReadonlyMap<string, readonly string[]>> {
  const reserved = new Map<string, readonly string[]>();
  yield* forEach(states, OBJECTS_A_STEP, ([key, state]) => {
    const ips = state.status.loadBalancer.ingress.map((ingress) => ingress.ip).filter((ip) => ip !== undefined);
    if (!services.has(key) && ips.length > 0) reserved.set(key, ips);
  });
  return reserved;
}
