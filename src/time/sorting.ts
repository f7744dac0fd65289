/** Sorting in slices: short runs as the engine sorts them, then two neighbouring runs become one until one is left. Stable. */
import type { Sliced } from "./slices.ts";

/** So many values are sorted, or merged, between two pauses: well under a millisecond. */
const VALUES_A_STEP = 512;

/** The values in ascending order, as a list of its own. What is in order already costs one look at each. */
export function* sorting<T>(values: readonly T[], compare: (a: T, b: T) => number): Sliced<T[]> {
  if (yield* isAscending(values, compare)) return [...values];
  let from: T[] = [];
  for (let start = 0; start < values.length; start += VALUES_A_STEP) {
    for (const value of values.slice(start, start + VALUES_A_STEP).toSorted(compare)) from.push(value);
    yield;
  }
  for (let length = VALUES_A_STEP; length < values.length; length *= 2) {
    const to: T[] = [];
    for (let start = 0; start < from.length; start += 2 * length)
      yield* merge(
        from,
        start,
        Math.min(start + length, from.length),
        Math.min(start + 2 * length, from.length),
        to,
        compare,
      );
    from = to;
  }
  return from;
}

function* isAscending<T>(values: readonly T[], compare: (a: T, b: T) => number): Sliced<boolean> {
  let before: T | undefined;
  for (const [index, value] of values.entries()) {
    if (index > 0 && compare(before as T, value) > 0) return false;
    before = value;
    if (index % VALUES_A_STEP === VALUES_A_STEP - 1) yield;
  }
  return true;
}

/** The runs from `left` to `middle` and from there to `end`, added to what is sorted already. */
function* merge<T>(
  from: readonly T[],
  left: number,
  middle: number,
  end: number,
  to: T[],
  compare: (a: T, b: T) => number,
): Sliced<void> {
  let right = middle;
  for (let at = left; at < middle || right < end;) {
    // Of equal values that of the left run comes first.
    const takeLeft = right >= end || (at < middle && compare(from[at] as T, from[right] as T) <= 0);
    to.push(from[takeLeft ? at : right] as T);
    if (takeLeft) at += 1;
    else right += 1;
    if (to.length % VALUES_A_STEP === 0) yield;
  }
}
