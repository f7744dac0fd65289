/**
 * Long work cut into slices, so that everything else on its thread has its turn in between: timers, sockets, other requests.
 * The work is a generator that yields after every small piece; who runs it decides when to pause.
 */

/** Yields where it may be paused: after a few milliseconds of work at most. */
export type Sliced<T> = Generator<undefined, T, void>;

/** How work is spread: for how long in one go, by which clock, and how to let others run. */
export interface Pace {
  readonly sliceMilliseconds: number;
  now(): number;
  /** Resolves when everybody else had a turn. */
  pause(): Promise<void>;
}

/** Far below what anybody waits for, and long enough that pausing costs nothing. */
const SLICE_MILLISECONDS = 10;

export const PACE: Pace = {
  sliceMilliseconds: SLICE_MILLISECONDS,
  now: () => performance.now(),
  pause: () => new Promise((resolve) => setImmediate(resolve)),
};

/** The slices of work that waits for other things too: ask between two small pieces whether a pause is due. */
export class Slices {
  readonly #pace: Pace;
  #since: number;

  constructor(pace: Pace = PACE) {
    this.#pace = pace;
    this.#since = pace.now();
  }

  get due(): boolean {
    return this.#pace.now() - this.#since >= this.#pace.sliceMilliseconds;
  }

  async pause(): Promise<void> {
    await this.#pace.pause();
    this.#since = this.#pace.now();
  }
}

/** Runs the work to its end, with pauses. What it throws, the promise rejects with. */
export async function inSlices<T>(work: Sliced<T>, pace: Pace = PACE): Promise<T> {
  const slices = new Slices(pace);
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (slices.due) await slices.pause();
  }
}

/** Runs the work to its end without a pause. */
export function atOnce<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Acts on one value after the other, and may be paused after every so many. */
export function* forEach<T>(values: Iterable<T>, valuesAStep: number, act: (value: T) => unknown): Sliced<void> {
  let done = 0;
  for (const value of values) {
    act(value);
    done += 1;
    if (done % valuesAStep === 0) yield;
  }
}
