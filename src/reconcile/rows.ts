/** The difference between rows wanted and rows found, for maps small enough to be compared as a whole. */

export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface RowChanges {
  readonly puts: readonly Row[];
  readonly removes: readonly Uint8Array[];
}

/** `sameValue` decides whether a value found may stay: fields that the datapath counts in are not compared. */
export function planRows(
  desired: Iterable<Row>,
  actual: Iterable<Row>,
  sameValue: (desired: Uint8Array, actual: Uint8Array) => boolean = sameBytes,
): RowChanges {
  const found = new Map<string, Row>();
  for (const row of actual) found.set(row.key.join(), row);
  const wanted = new Map<string, Row>();
  for (const row of desired) wanted.set(row.key.join(), row);
  const puts = [...wanted].flatMap(([key, row]) => {
    const there = found.get(key);
    return there !== undefined && sameValue(row.value, there.value) ? [] : [row];
  });
  const removes = [...found].flatMap(([key, row]) => (wanted.has(key) ? [] : [row.key]));
  return { puts, removes };
}

/** Byte strings one behind the other, as the batch operations of maps take them. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
