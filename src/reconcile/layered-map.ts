/**
 * A large map as a value: another version of it costs what is different, not what is the same. A hundred thousand objects of
 * which one has changed are the same large map as before, and a small layer over it. Of two versions only the layers are compared.
 *
 * When a layer has grown, it becomes one with what lies under it. Keys are in the order in which they first came.
 */
import { atOnce, forEach, type Sliced } from "../time/slices.ts";

/** Undefined stands for a key that is gone. */
export type Changes<V extends object> = ReadonlyMap<string, V | undefined>;

/** A layer of more keys than this is copied too often, unless what lies under it is so large that copying that is worse. */
const LAYER_MAX = 1024;
const LAYER_PART_MAX = 1 / 32;

/** So many keys are copied or compared between two pauses. */
const KEYS_A_STEP = 1000;

const NO_CHANGES = new Map<string, never>();

/** The map with these changes, as a value of its own. The map must never change, and neither may what is returned. */
export function withChanges<V extends object>(
  map: ReadonlyMap<string, V>,
  changes: Changes<V>,
): ReadonlyMap<string, V> {
  return atOnce(changing(map, changes));
}

/** As {@link withChanges}, with pauses. */
export function* changing<V extends object>(
  map: ReadonlyMap<string, V>,
  changes: Changes<V>,
): Sliced<ReadonlyMap<string, V>> {
  if (changes.size === 0) return map;
  const { base, layer } = partsOf(map);
  const upper = new Map<string, V | undefined>(layer);
  yield* forEach(changes, KEYS_A_STEP, ([key, value]) => {
    if (value === undefined && !base.has(key)) upper.delete(key);
    else upper.set(key, value);
  });
  const isLarge = upper.size > Math.max(LAYER_MAX, base.size * LAYER_PART_MAX);
  return isLarge ? yield* folding(base, upper) : new LayeredMap(base, upper);
}

function* folding<V extends object>(base: ReadonlyMap<string, V>, layer: Changes<V>): Sliced<ReadonlyMap<string, V>> {
  const map = new Map<string, V>();
  yield* forEach(base, KEYS_A_STEP, ([key, value]) => map.set(key, value));
  yield* forEach(layer, KEYS_A_STEP, ([key, value]) => {
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  });
  return map;
}

/** Keys of which the two maps do not hold the very same object. */
export function* differingKeys<V extends object>(
  a: ReadonlyMap<string, V>,
  b: ReadonlyMap<string, V>,
): Generator<string, void, void> {
  const [first, second] = whereTheyMayDiffer(a, b);
  for (const key of first.keys()) if (a.get(key) !== b.get(key)) yield key;
  for (const key of second.keys()) if (!first.has(key) && a.get(key) !== b.get(key)) yield key;
}

/** As {@link differingKeys}, with pauses. */
export function* differing<V extends object>(
  a: ReadonlyMap<string, V>,
  b: ReadonlyMap<string, V>,
): Sliced<readonly string[]> {
  const keys: string[] = [];
  const [first, second] = whereTheyMayDiffer(a, b);
  yield* forEach(first.keys(), KEYS_A_STEP, (key) => a.get(key) !== b.get(key) && keys.push(key));
  yield* forEach(second.keys(), KEYS_A_STEP, (key) => !first.has(key) && a.get(key) !== b.get(key) && keys.push(key));
  return keys;
}

/** Whether the two hold the very same objects. */
export function sameEntries<V extends object>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>): boolean {
  return a.size === b.size && differingKeys(a, b).next().done === true;
}

/** Of versions of one map only what lies over it can differ. */
function whereTheyMayDiffer<V extends object>(
  a: ReadonlyMap<string, V>,
  b: ReadonlyMap<string, V>,
): readonly [Changes<V>, Changes<V>] {
  if (a === b) return [NO_CHANGES, NO_CHANGES];
  const [before, after] = [partsOf(a), partsOf(b)];
  return before.base === after.base ? [before.layer, after.layer] : [a, b];
}

interface Parts<V extends object> {
  readonly base: ReadonlyMap<string, V>;
  readonly layer: Changes<V>;
}

function partsOf<V extends object>(map: ReadonlyMap<string, V>): Parts<V> {
  return map instanceof LayeredMap ? (map as LayeredMap<V>) : { base: map, layer: NO_CHANGES };
}

class LayeredMap<V extends object> implements ReadonlyMap<string, V>, Parts<V> {
  readonly base: ReadonlyMap<string, V>;
  readonly layer: Changes<V>;
  readonly size: number;

  constructor(base: ReadonlyMap<string, V>, layer: Changes<V>) {
    this.base = base;
    this.layer = layer;
    let { size } = base;
    for (const [key, value] of layer) size += (value === undefined ? 0 : 1) - (base.has(key) ? 1 : 0);
    this.size = size;
  }

  get(key: string): V | undefined {
    return this.layer.has(key) ? this.layer.get(key) : this.base.get(key);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  *entries(): MapIterator<[string, V]> {
    for (const entry of this.base) {
      if (!this.layer.has(entry[0])) {
        yield entry;
        continue;
      }
      const value = this.layer.get(entry[0]);
      if (value !== undefined) yield [entry[0], value];
    }
    for (const [key, value] of this.layer) if (value !== undefined && !this.base.has(key)) yield [key, value];
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): MapIterator<[string, V]> {
    return this.entries();
  }

  forEach(act: (value: V, key: string, map: ReadonlyMap<string, V>) => void): void {
    for (const [key, value] of this.entries()) act(value, key, this);
  }
}
