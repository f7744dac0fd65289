/** Ranges with their owners, found by address in logarithmic time. */
import type { Address, Family } from "../net/address.ts";
import { rangesOverlap, type Range } from "../net/range.ts";
import { firstIndex } from "./sorted-set.ts";

interface Entry<Owner> {
  readonly range: Range;
  readonly owner: Owner;
}

/** Disjoint ranges: an address lies in one of them at most. */
export class RangeIndex<Owner> {
  /** Per family, ascending. */
  readonly #entries: Record<Family, Entry<Owner>[]> = { IPv4: [], IPv6: [] };

  /** Adds a range. Throws when it overlaps one that is there: ask {@link overlapping} first. */
  add(range: Range, owner: Owner): void {
    if (this.overlapping(range) !== undefined)
      throw new Error("Cannot add a range that overlaps another to a RangeIndex");
    const entries = this.#entries[range.family];
    entries.splice(startingAfter(entries, range.first), 0, { range, owner });
  }

  /** The lowest entry that has an address in common with the range. */
  overlapping(range: Range): Entry<Owner> | undefined {
    const entries = this.#entries[range.family];
    const index = startingAfter(entries, range.first);
    // Entries are disjoint, so only the one that starts at or before the range and the one after it can touch its start.
    return [entries[index - 1], entries[index]].find((e) => e !== undefined && rangesOverlap(e.range, range));
  }

  /** The entry the address lies in. */
  entryOf({ family, value }: Address): Entry<Owner> | undefined {
    const entries = this.#entries[family];
    const entry = entries[startingAfter(entries, value) - 1];
    return entry !== undefined && value <= entry.range.last ? entry : undefined;
  }

  ownerOf(address: Address): Owner | undefined {
    return this.entryOf(address)?.owner;
  }
}

/** Ranges that may overlap: an address may lie in several. */
export class OverlappingRanges<Owner> {
  readonly #entries: Record<Family, Entry<Owner>[]>;
  /** Up to where the entries from the first to this one reach. */
  readonly #reach: Record<Family, bigint[]>;

  constructor(entries: readonly Entry<Owner>[]) {
    const of = (family: Family): Entry<Owner>[] =>
      entries
        .filter(({ range }) => range.family === family)
        .toSorted((a, b) => (a.range.first < b.range.first ? -1 : 1));
    this.#entries = { IPv4: of("IPv4"), IPv6: of("IPv6") };
    this.#reach = { IPv4: reachOf(this.#entries.IPv4), IPv6: reachOf(this.#entries.IPv6) };
  }

  ownersOf({ family, value }: Address): readonly Owner[] {
    const entries = this.#entries[family];
    const owners = new Set<Owner>();
    for (let index = startingAfter(entries, value) - 1; index >= 0; index -= 1) {
      if ((this.#reach[family][index] ?? -1n) < value) break;
      const entry = entries[index];
      if (entry !== undefined && value <= entry.range.last) owners.add(entry.owner);
    }
    return [...owners];
  }
}

function reachOf(entries: readonly Entry<unknown>[]): bigint[] {
  let reach = -1n;
  return entries.map(({ range }) => (reach = range.last > reach ? range.last : reach));
}

/** Index of the first entry that starts after the value. */
function startingAfter(entries: readonly Entry<unknown>[], value: bigint): number {
  return firstIndex(entries, ({ range }) => range.first > value);
}
