/** When to try again what failed: doubling pauses with jitter, so that nodes that failed together do not retry together. */

/** The state of one thing that is kept as desired. */
export type Convergence =
  | { readonly state: "pending" }
  | { readonly state: "done" }
  | {
      readonly state: "failed";
      /** What was attempted, on what, and what was found. */
      readonly message: string;
      /** In a row. */
      readonly attempts: number;
      /** Milliseconds of the caller's clock. */
      readonly retryAt: number;
    };

export interface RetryLimits {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** The first pause is longer than the quarantine of freed rows: what is read back after a failure has rested. */
export const RETRY: RetryLimits = { firstMs: 1500, longestMs: 60_000 };

/** The state after one more failure. `random` is from 0 to below 1; the pause is between three quarters and five quarters of its step. */
export function failed(
  before: Convergence,
  message: string,
  { now, random, limits = RETRY }: { readonly now: number; readonly random: number; readonly limits?: RetryLimits },
): Extract<Convergence, { state: "failed" }> {
  const attempts = before.state === "failed" ? before.attempts + 1 : 1;
  const step = Math.min(limits.firstMs * 2 ** (attempts - 1), limits.longestMs);
  return { state: "failed", message, attempts, retryAt: now + Math.round(step * (0.75 + random / 2)) };
}
