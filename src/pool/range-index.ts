/** Ranges with their owners, found by address in logarithmic time. */
import type { Address, Family } from "../net/address.ts";
import { rangesOverlap, type Range } from "../net/range.ts";
import { firstIndex } from "./sorted-set.ts";

interface Entry<Owner> {
  readonly range: Range;
  readonly owner: Owner;
}

/** In chunks, so that adding to a hundred thousand does not move them all. */
const CHUNK_MAX = 256;

/** Disjoint ranges: an address lies in one of them at most. */
export class RangeIndex<Owner> {
  /** Per family, ascending within and among chunks; none is empty. */
  readonly #chunks: Record<Family, Entry<Owner>[][]> = { IPv4: [], IPv6: [] };

  /** Adds a range. Throws when it overlaps one that is there: ask {@link overlapping} first. */
  add(range: Range, owner: Owner): void {
    const { chunk, index, at, overlapping } = this.#find(range);
    if (overlapping !== undefined) throw new Error("Cannot add a range that overlaps another to a RangeIndex");
    const chunks = this.#chunks[range.family];
    if (chunk === undefined) {
      chunks.push([{ range, owner }]);
      return;
    }
    chunk.splice(index, 0, { range, owner });
    if (chunk.length > CHUNK_MAX) chunks.splice(at + 1, 0, chunk.splice(CHUNK_MAX / 2));
  }

  /** The lowest entry that has an address in common with the range. */
  overlapping(range: Range): Entry<Owner> | undefined {
    return this.#find(range).overlapping;
  }

  /** The entry the address lies in. */
  entryOf({ family, value }: Address): Entry<Owner> | undefined {
    const chunks = this.#chunks[family];
    const chunk = chunks[chunkOf(chunks, value)];
    const entry = chunk?.[startingAfter(chunk, value) - 1];
    return entry !== undefined && value <= entry.range.last ? entry : undefined;
  }

  ownerOf(address: Address): Owner | undefined {
    return this.entryOf(address)?.owner;
  }

  /** Where the range belongs, and what is in its way there. */
  #find(range: Range): Position<Owner> {
    const chunks = this.#chunks[range.family];
    const at = chunkOf(chunks, range.first);
    const chunk = chunks[at];
    const index = chunk === undefined ? 0 : startingAfter(chunk, range.first);
    // Entries are disjoint, so only the one that starts at or before the range and the one after it can touch its start.
    const near = [chunk?.[index - 1], chunk?.[index] ?? chunks[at + 1]?.[0]];
    const overlapping = near.find((entry) => entry !== undefined && rangesOverlap(entry.range, range));
    return { chunk, index, at, overlapping };
  }
}

interface Position<Owner> {
  /** Undefined: there is none yet. */
  readonly chunk: Entry<Owner>[] | undefined;
  readonly index: number;
  readonly at: number;
  readonly overlapping: Entry<Owner> | undefined;
}

/** The last chunk that starts at or before the value; the first if none does. */
function chunkOf(chunks: readonly (readonly Entry<unknown>[])[], value: bigint): number {
  return Math.max(0, firstIndex(chunks, (chunk) => (chunk[0]?.range.first ?? 0n) > value) - 1);
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
