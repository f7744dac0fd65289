/**
 * A set in order, in chunks that are short enough to be moved cheaply: adding, removing and finding the first cost about
 * the same with a hundred members as with a hundred thousand.
 */

const CHUNK_MAX = 256;

export class SortedSet<T> {
  readonly #compare: (a: T, b: T) => number;
  /** Ascending within and among each other; none is empty. */
  readonly #chunks: T[][] = [];

  constructor(compare: (a: T, b: T) => number, ascending: Iterable<T> = []) {
    this.#compare = compare;
    for (const value of ascending) {
      const last = this.#chunks.at(-1);
      if (last === undefined || last.length === CHUNK_MAX) this.#chunks.push([value]);
      else last.push(value);
    }
  }

  /** Adds the value unless an equal one is there. */
  add(value: T): void {
    const at = Math.min(this.#chunkOf(value), this.#chunks.length - 1);
    const chunk = this.#chunks[at];
    if (chunk === undefined) {
      this.#chunks.push([value]);
      return;
    }
    const index = this.#indexIn(chunk, value);
    if (this.#isAt(chunk, index, value)) return;
    chunk.splice(index, 0, value);
    if (chunk.length > CHUNK_MAX) this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_MAX / 2));
  }

  delete(value: T): void {
    const at = this.#chunkOf(value);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const index = this.#indexIn(chunk, value);
    if (!this.#isAt(chunk, index, value)) return;
    chunk.splice(index, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  first(): T | undefined {
    return this.#chunks[0]?.[0];
  }

  /** Ascending. The set must not change meanwhile. */
  *values(): Generator<T, void, void> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** The first chunk whose last member is not below the value. */
  #chunkOf(value: T): number {
    return firstIndex(this.#chunks, (chunk) => this.#compare(chunk.at(-1) ?? value, value) >= 0);
  }

  #indexIn(chunk: readonly T[], value: T): number {
    return firstIndex(chunk, (member) => this.#compare(member, value) >= 0);
  }

  #isAt(chunk: readonly T[], index: number, value: T): boolean {
    const found = chunk[index];
    return found !== undefined && this.#compare(found, value) === 0;
  }
}

/** The first index at which the condition holds, where it holds for all that follow; the length if for none. */
export function firstIndex<T>(list: readonly T[], holds: (value: T) => boolean): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const value = list[middle];
    if (value !== undefined && !holds(value)) low = middle + 1;
    else high = middle;
  }
  return low;
}
