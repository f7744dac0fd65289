/** Waiting for a condition by asking for it, with a deadline: the only way the lab and its tests wait. */
import { setTimeout as sleep } from "node:timers/promises";

export interface Waiting {
  /** Default 10 000. */
  readonly milliseconds?: number;
  /** Pause between two looks; default 25. */
  readonly every?: number;
  /** Called once a second while it lasts, with the seconds so far. */
  readonly stillWaiting?: (seconds: number) => void;
  /** Gives up at once when it is aborted. */
  readonly signal?: AbortSignal;
}

/**
 * Asks until the answer is something, and gives that. Throws when the deadline passes: "Waited 10 s for WHAT", with what the last look
 * found, if `explain` can say so.
 */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  waiting: Waiting & { readonly explain?: () => Promise<string> | string } = {},
): Promise<T> {
  const { milliseconds = 10_000, every = 25 } = waiting;
  const start = performance.now();
  let told = 0;
  for (;;) {
    waiting.signal?.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    const elapsed = performance.now() - start;
    if (elapsed > milliseconds) {
      const explanation = (await waiting.explain?.()) ?? "";
      throw new Error(
        `Waited ${(milliseconds / 1000).toFixed(0)} s for ${what}${explanation === "" ? "" : `: ${explanation}`}`,
      );
    }
    if (elapsed / 1000 >= told + 1) {
      told = Math.floor(elapsed / 1000);
      waiting.stillWaiting?.(told);
    }
    await sleep(every);
  }
}
