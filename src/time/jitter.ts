/** Randomness in intervals, so that many machines with one interval do not act in step. */

/** A number from 0 up to, not including, 1. */
export type Random = () => number;

/** The interval, up to `fraction` shorter or longer. */
export function jittered(interval: number, fraction: number, random: Random): number {
  return interval * (1 + fraction * (2 * random() - 1));
}

/** Repeatable numbers for tests and simulations (mulberry32). Never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
