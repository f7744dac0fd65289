/** The addresses one IPAddressPool lists: it may be a hundred thousand. */
import { formatRange, parseRange, type Range } from "../net/range.ts";
import type { Sliced } from "../time/slices.ts";
import type { IPAddressPool } from "./objects.ts";
import { RangeIndex } from "./range-index.ts";

export interface Entries {
  /** What was read. */
  readonly addresses: readonly string[];
  /** Of the entries that are ranges, in listed order. */
  readonly ranges: readonly Range[];
  /** Of each range, the index of its entry. */
  readonly indexes: readonly number[];
  /** By the index of the entry: what is wrong with it, whatever other pools there are. */
  readonly faults: ReadonlyMap<number, string>;
}

/** So many entries are read between two pauses. */
const ENTRIES_A_STEP = 200;

export function* readingEntries({
  metadata: { namespace, name },
  spec: { addresses },
}: IPAddressPool): Sliced<Entries> {
  const ranges: Range[] = [];
  const indexes: number[] = [];
  const faults = new Map<number, string>();
  const own = new RangeIndex<number>();
  for (const [index, text] of addresses.entries()) {
    if (index % ENTRIES_A_STEP === ENTRIES_A_STEP - 1) yield;
    const parsed = parseRange(text);
    if (!parsed.ok) {
      faults.set(index, parsed.fault);
      continue;
    }
    const { range } = parsed;
    const other = own.overlapping(range);
    if (other === undefined) own.add(range, index);
    else faults.set(index, overlap(range, other.range, `${pathOf(other.owner)} of pool ${namespace}/${name}`));
    ranges.push(range);
    indexes.push(index);
  }
  return { addresses, ranges, indexes, faults };
}

export function pathOf(index: number): string {
  return `spec.addresses[${index}]`;
}

export function overlap(range: Range, other: Range, owner: string): string {
  return `${formatRange(range)} overlaps with ${formatRange(other)} of ${owner}`;
}
