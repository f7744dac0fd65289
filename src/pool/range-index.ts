/** Disjoint ranges with their owners, found by address in logarithmic time. */
import type { Address, Family } from "../net/address.ts";
import { rangesOverlap, type Range } from "../net/range.ts";

interface Entry<Owner> {
  readonly range: Range;
  readonly owner: Owner;
}

export class RangeIndex<Owner> {
  /** Per family, ascending. */
  readonly #entries: Record<Family, Entry<Owner>[]> = { IPv4: [], IPv6: [] };

  /** Adds a range. Throws when it overlaps one that is there: ask {@link overlapping} first. */
  add(range: Range, owner: Owner): void {
    if (this.overlapping(range) !== undefined)
      throw new Error("Cannot add a range that overlaps another to a RangeIndex");
    const entries = this.#entries[range.family];
    entries.splice(this.#after(range.family, range.first), 0, { range, owner });
  }

  /** The lowest entry that has an address in common with the range. */
  overlapping(range: Range): Entry<Owner> | undefined {
    const entries = this.#entries[range.family];
    const index = this.#after(range.family, range.first);
    // Entries are disjoint, so only the one that starts at or before the range and the one after it can touch its start.
    return [entries[index - 1], entries[index]].find((e) => e !== undefined && rangesOverlap(e.range, range));
  }

  ownerOf(address: Address): Owner | undefined {
    const { family, value } = address;
    return this.overlapping({ family, first: value, last: value })?.owner;
  }

  /** Index of the first entry that starts after the value. */
  #after(family: Family, value: bigint): number {
    const entries = this.#entries[family];
    let low = 0;
    let high = entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = entries[middle];
      if (entry !== undefined && entry.range.first <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
