/** Moments and the clock that tells them. A virtual clock runs whole machines in no time at all. */

declare const brand: unique symbol;

/** Milliseconds of CLOCK_MONOTONIC, with fractions: comparable between processes and with bpf_ktime_get_ns(), never set back. */
export type Instant = number & { readonly [brand]: "Instant" };

/** Throws on what cannot be a moment: NaN would make every comparison false. */
export function instant(milliseconds: number): Instant {
  if (!Number.isFinite(milliseconds))
    throw new RangeError(`An instant is a finite number of milliseconds, got ${milliseconds}`);
  return milliseconds as Instant;
}

/** The moment this much later; negative: earlier. */
export function later(moment: Instant, milliseconds: number): Instant {
  return instant(moment + milliseconds);
}

/** The earliest of the moments that are set; `undefined` where none is. */
export function earliest(moments: Iterable<Instant | undefined>): Instant | undefined {
  let first: Instant | undefined;
  for (const moment of moments) if (moment !== undefined && (first === undefined || moment < first)) first = moment;
  return first;
}

/** As the kernel writes it: nanoseconds of CLOCK_MONOTONIC. Never negative. */
export function nanoseconds(moment: Instant): bigint {
  return moment <= 0 ? 0n : BigInt(Math.round(moment * 1e6));
}

/** The reverse of {@link nanoseconds}. */
export function fromNanoseconds(value: bigint): Instant {
  return instant(Number(value) / 1e6);
}
