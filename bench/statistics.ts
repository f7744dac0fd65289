/** What repeated measurements are boiled down to. Medians, because one round in which the machine was busy must not count. */

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("The median of nothing was asked for");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2;
}

/** The value below which `share` of all values lie; 0.99 for p99. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  if (found === undefined) throw new RangeError("A quantile of nothing was asked for");
  return found;
}

/** `median (least-most)`, each with so many digits after the point. */
export function spread(values: readonly number[], digits = 0): string {
  const fixed = (value: number): string => value.toFixed(digits);
  return `${fixed(median(values))} (${fixed(Math.min(...values))}-${fixed(Math.max(...values))})`;
}

/** `1.34×`, or `–` where there is nothing to compare with. */
export function ratio(value: number, base: number | undefined): string {
  return base === undefined || base === 0 ? "–" : `${(value / base).toFixed(2)}×`;
}
