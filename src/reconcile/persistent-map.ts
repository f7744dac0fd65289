/**
 * A map that never changes and shares with those made from it what they have in common: one with another entry costs a few dozen entries to
 * make, however many there are, and so does finding where two of them differ. So what is derived from a whole snapshot can be derived again
 * from the differences alone, and nobody has to remember what has changed: whoever knows the map of last time can see.
 *
 *     keys ─ hash ─► 512 buckets, each a Map      equal buckets are the same object
 *
 * ("Persistent" as in Driscoll et al., "Making Data Structures Persistent", 1989: earlier versions stay as they were.) The order of entries
 * means nothing.
 */
import { differingKeys } from "./layered-map.ts";

/** A bucket of ten thousand keys holds twenty, of a hundred thousand two hundred. */
const BUCKETS = 512;

type Bucket<V> = Map<string, V>;

export class PersistentMap<V> implements ReadonlyMap<string, V> {
  readonly #buckets: readonly (Bucket<V> | undefined)[];
  readonly size: number;

  /** For {@link Draft}; begin with {@link emptyMap} or {@link persistentMap}. */
  constructor(buckets: readonly (Bucket<V> | undefined)[], size: number) {
    this.#buckets = buckets;
    this.size = size;
  }

  get(key: string): V | undefined {
    return this.#buckets[bucketOf(key)]?.get(key);
  }

  has(key: string): boolean {
    return this.#buckets[bucketOf(key)]?.has(key) ?? false;
  }

  *entries(): Generator<[string, V], undefined> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.entries();
  }

  *keys(): Generator<string, undefined> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.keys();
  }

  *values(): Generator<V, undefined> {
    for (const bucket of this.#buckets) if (bucket !== undefined) yield* bucket.values();
  }

  [Symbol.iterator](): Generator<[string, V], undefined> {
    return this.entries();
  }

  forEach(act: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const bucket of this.#buckets) bucket?.forEach((value, key) => act(value, key, this));
  }

  /** A copy to write in. */
  draft(): Draft<V> {
    return new Draft(this, this.#buckets);
  }

  /** Where the two may differ: every bucket that is not the very same. */
  static unshared<V>(a: PersistentMap<V>, b: PersistentMap<V>): readonly (readonly [Bucket<V>, Bucket<V>])[] {
    const pairs: (readonly [Bucket<V>, Bucket<V>])[] = [];
    for (let index = 0; index < BUCKETS; index += 1) {
      const [one, other] = [a.#buckets[index], b.#buckets[index]];
      if (one !== other) pairs.push([one ?? new Map(), other ?? new Map()]);
    }
    return pairs;
  }
}

/** A map while it is written. */
export class Draft<V> {
  readonly #base: PersistentMap<V>;
  readonly #buckets: (Bucket<V> | undefined)[];
  /** Buckets that are ours alone. */
  readonly #own = new Set<number>();
  #size: number;

  constructor(base: PersistentMap<V>, buckets: readonly (Bucket<V> | undefined)[]) {
    this.#base = base;
    this.#buckets = buckets.slice();
    this.#size = base.size;
  }

  get(key: string): V | undefined {
    return this.#buckets[bucketOf(key)]?.get(key);
  }

  /** What is there already is no change. */
  set(key: string, value: V): void {
    const index = bucketOf(key);
    const bucket = this.#buckets[index];
    const known = bucket?.has(key) === true;
    if (known && bucket.get(key) === value) return;
    this.#ownBucket(index).set(key, value);
    if (!known) this.#size += 1;
  }

  delete(key: string): void {
    const index = bucketOf(key);
    if (this.#buckets[index]?.has(key) !== true) return;
    this.#ownBucket(index).delete(key);
    this.#size -= 1;
  }

  /** The base itself when nothing was changed. The draft is of no use afterwards. */
  finish(): PersistentMap<V> {
    return this.#own.size === 0 ? this.#base : new PersistentMap(this.#buckets, this.#size);
  }

  #ownBucket(index: number): Bucket<V> {
    const bucket = this.#buckets[index];
    if (bucket !== undefined && this.#own.has(index)) return bucket;
    const copy = new Map(bucket);
    this.#buckets[index] = copy;
    this.#own.add(index);
    return copy;
  }
}

const EMPTY = new PersistentMap<never>([], 0);

export function emptyMap<V>(): PersistentMap<V> {
  return EMPTY;
}

export function persistentMap<V>(entries: Iterable<readonly [string, V]>): PersistentMap<V> {
  const draft = emptyMap<V>().draft();
  for (const [key, value] of entries) draft.set(key, value);
  return draft.finish();
}

/**
 * Keys of which one map has another value (`===`) than the other, or none. Of any two maps; of two that share - these, and those of
 * layered-map.ts - at the cost of what they do not.
 */
export function changedKeys<V extends object>(
  before: ReadonlyMap<string, V>,
  after: ReadonlyMap<string, V>,
): readonly string[] {
  if (before === after) return [];
  if (isPersistent(before) && isPersistent(after))
    return PersistentMap.unshared(before, after).flatMap(([one, other]) => [...differingKeys(one, other)]);
  return [...differingKeys(before, after)];
}

function isPersistent<V extends object>(map: ReadonlyMap<string, V>): map is PersistentMap<V> {
  return map instanceof PersistentMap;
}

/** FNV-1a, of what an ASCII key has; others are spread as well as they must be. */
function bucketOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
}
