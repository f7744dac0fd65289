/** What the parts of the benchmark share: how often, for how long, and what is large. */

export interface Options {
  readonly rounds: number;
  readonly seconds: number;
  /** Sizes of the rule sets that traffic is measured with. */
  readonly services: readonly number[];
}

/** A cluster whose objects, forwarded and announced, are measured again and again. */
export const LARGE = { services: 10_000, endpoints: 10 } as const;
