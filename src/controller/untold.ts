/** Events that could not be written: they explain writes that will not be repeated, so they are kept for a while and tried again. */
import type { EventWrite } from "../source/source.ts";

type Operation = { readonly type: "event"; readonly write: EventWrite };

/** News of ten minutes ago are none; and whoever may tell nothing for a day must not remember everything. */
const KEPT_MS = 600_000;
const KEPT_MAX = 200;

export class UntoldEvents {
  #waiting: { readonly operation: Operation; readonly since: number; readonly failure: string }[] = [];
  readonly #since = new Map<Operation, number>();

  /** Why the latest could not be told; undefined: none waits. */
  get failure(): string | undefined {
    return this.#waiting.at(-1)?.failure;
  }

  /** Those that are still news, to be tried now; each that fails again has to be added again. */
  take(now: number): readonly Operation[] {
    const kept = this.#waiting.filter(({ since }) => now - since < KEPT_MS);
    this.#waiting = [];
    this.#since.clear();
    for (const { operation, since } of kept) this.#since.set(operation, since);
    return kept.map(({ operation }) => operation);
  }

  /** The oldest are forgotten first. */
  add(operation: Operation, failure: string, now: number): void {
    this.#waiting.push({ operation, since: this.#since.get(operation) ?? now, failure });
    if (this.#waiting.length > KEPT_MAX) this.#waiting.shift();
  }
}
