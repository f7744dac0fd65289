/**
 * A large map as a value: another version of it costs what is different, not what is the same. A hundred thousand objects of
 * which one has changed are the same large map as before, and a small layer over it. Of two versions only the layers are compared.
 *
 * When a layer has grown, it becomes one with what lies under it. Keys are in the order in which they first came.
 */

/** Undefined stands for a key that is gone. */
export type Changes<V extends object> = ReadonlyMap<string, V | undefined>;

/** A layer of more keys than this is copied too often. */
const LAYER_MAX = 1024;

const NO_CHANGES = new Map<string, never>();

/** The map with these changes, as a value of its own. The map must never change, and neither may what is returned. */
export function withChanges<V extends object>(
  map: ReadonlyMap<string, V>,
  changes: Changes<V>,
): ReadonlyMap<string, V> {
  if (changes.size === 0) return map;
  const { base, layer } = partsOf(map);
  const upper = new Map<string, V | undefined>(layer);
  for (const [key, value] of changes) {
    if (value === undefined && !base.has(key)) upper.delete(key);
    else upper.set(key, value);
  }
  return upper.size > LAYER_MAX ? folded(base, upper) : new LayeredMap(base, upper);
}

function folded<V extends object>(base: ReadonlyMap<string, V>, layer: Changes<V>): ReadonlyMap<string, V> {
  const map = new Map(base);
  for (const [key, value] of layer) {
    if (value === undefined) map.delete(key);
    else map.set(key, value);
  }
  return map;
}

/** Keys of which the two maps do not hold the very same object. */
export function* differingKeys<V extends object>(
  a: ReadonlyMap<string, V>,
  b: ReadonlyMap<string, V>,
): Generator<string, void, void> {
  if (a === b) return;
  const [before, after] = [partsOf(a), partsOf(b)];
  // Of versions of one map only what lies over it can differ.
  const [first, second] = before.base === after.base ? [before.layer, after.layer] : [a, b];
  for (const key of first.keys()) if (a.get(key) !== b.get(key)) yield key;
  for (const key of second.keys()) if (!first.has(key) && a.get(key) !== b.get(key)) yield key;
}

/** Whether the two hold the very same objects. */
export function sameEntries<V extends object>(a: ReadonlyMap<string, V>, b: ReadonlyMap<string, V>): boolean {
  return differingKeys(a, b).next().done === true;
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
