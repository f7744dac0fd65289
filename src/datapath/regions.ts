/**
 * Where in an array map a table lies: a first-fit allocator. A region given back rests for {@link QUARANTINE_MS} before it is
 * given out again, because a packet that read its frontend row a moment ago still follows it.
 */

/** Far above the time one packet spends in the datapath. */
export const QUARANTINE_MS = 1000;

export interface Extent {
  readonly base: number;
  readonly length: number;
}

interface Resting extends Extent {
  readonly until: number;
}

export class Regions {
  readonly size: number;
  /** Ascending, never adjacent, never empty. */
  #free: Extent[];
  /** In the order in which they were given back. */
  #resting: Resting[] = [];

  /** `taken` is what was found in use; it may hold one extent several times, and overlapping ones. */
  constructor(size: number, taken: readonly Extent[] = []) {
    this.size = size;
    this.#free = [];
    let at = 0;
    for (const { base, length } of [...taken].toSorted((a, b) => a.base - b.base)) {
      if (base > at) this.#free.push({ base: at, length: base - at });
      at = Math.max(at, base + length);
    }
    if (at < size) this.#free.push({ base: at, length: size - at });
  }

  /** The base of a free region, or `undefined` when no gap is long enough. `now` in milliseconds. */
  allocate(length: number, now: number): number | undefined {
    this.#settle(now);
    const index = this.#free.findIndex((extent) => extent.length >= length);
    const found = this.#free[index];
    if (found === undefined) return undefined;
    const rest = { base: found.base + length, length: found.length - length };
    if (rest.length > 0) this.#free[index] = rest;
    else this.#free.splice(index, 1);
    return found.base;
  }

  release(base: number, length: number, now: number): void {
    this.#resting.push({ base, length, until: now + QUARANTINE_MS });
  }

  /** Gives back what was allocated and never used: nobody can follow it. */
  cancel(base: number, length: number): void {
    this.#insert({ base, length });
  }

  /** True while something given back is not yet free: an allocation that failed may succeed later. */
  get resting(): boolean {
    return this.#resting.length > 0;
  }

  /** Elements free or resting. */
  get unused(): number {
    const sum = (extents: readonly Extent[]): number => extents.reduce((total, { length }) => total + length, 0);
    return sum(this.#free) + sum(this.#resting);
  }

  #settle(now: number): void {
    const due = this.#resting.findIndex(({ until }) => until > now);
    const rested = this.#resting.splice(0, due === -1 ? this.#resting.length : due);
    for (const extent of rested) this.#insert(extent);
  }

  #insert({ base, length }: Extent): void {
    const index = this.#positionAfter(base);
    const before = this.#free[index - 1];
    const after = this.#free[index];
    const joinsBefore = before !== undefined && before.base + before.length === base;
    const joinsAfter = after !== undefined && base + length === after.base;
    const start = joinsBefore ? before.base : base;
    const end = joinsAfter ? after.base + after.length : base + length;
    this.#free.splice(index - (joinsBefore ? 1 : 0), Number(joinsBefore) + Number(joinsAfter), {
      base: start,
      length: end - start,
    });
  }

  /** Index of the first free extent that lies behind `base`. */
  #positionAfter(base: number): number {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#free[middle] as Extent).base < base) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
