/** Sets of addresses as ranges: ascending, IPv4 first, with a gap between any two. The cost follows the ranges, not the addresses. */
import { compareAddresses, type Address } from "./address.ts";
import { atOnce, forEach, type Sliced } from "../time/slices.ts";
import { sorting } from "../time/sorting.ts";
import type { Range } from "./range.ts";

/** So many ranges are joined between two pauses. */
const RANGES_A_STEP = 1000;

/** Any ranges as a set. */
export function joinRanges(ranges: Iterable<Range>): readonly Range[] {
  return atOnce(joiningRanges(ranges));
}

/** As {@link joinRanges}, with pauses. */
function* joiningRanges(ranges: Iterable<Range>): Sliced<readonly Range[]> {
  const joined: Range[] = [];
  yield* forEach(yield* sorting([...ranges], byStart), RANGES_A_STEP, (range) => {
    const last = joined.at(-1);
    if (last === undefined || last.family !== range.family || range.first > last.last + 1n) joined.push(range);
    else if (range.last > last.last) joined[joined.length - 1] = { ...last, last: range.last };
  });
  return joined;
}

export function rangesOfAddresses(addresses: Iterable<Address>): readonly Range[] {
  return atOnce(joiningAddresses(addresses));
}

/** As {@link rangesOfAddresses}, with pauses. */
export function joiningAddresses(addresses: Iterable<Address>): Sliced<readonly Range[]> {
  return joiningRanges(Array.from(addresses, ({ family, value }) => ({ family, first: value, last: value })));
}

/** What is in the first set and not in the second. */
export function subtractRanges(from: readonly Range[], what: readonly Range[]): readonly Range[] {
  const left: Range[] = [];
  let index = 0;
  for (const range of from) {
    let { first } = range;
    for (let hole = what[index]; hole !== undefined && startsIn(hole, range); hole = what[index]) {
      if (hole.family === range.family && hole.last >= first) {
        if (hole.first > first) left.push({ ...range, first, last: hole.first - 1n });
        first = hole.last + 1n;
        // It may reach into the next range of `from`.
        if (hole.last > range.last) break;
      }
      index += 1;
    }
    if (first <= range.last) left.push({ ...range, first });
  }
  return left;
}

/** What is in both. */
export function intersectRanges(a: readonly Range[], b: readonly Range[]): readonly Range[] {
  return subtractRanges(a, subtractRanges(a, b));
}

function startsIn(hole: Range, range: Range): boolean {
  if (hole.family !== range.family) return hole.family === "IPv4";
  return hole.first <= range.last;
}

function byStart(a: Range, b: Range): number {
  return compareAddresses({ family: a.family, value: a.first }, { family: b.family, value: b.first });
}
