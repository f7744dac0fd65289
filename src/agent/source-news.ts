/** Whether the source has told of a change, for work that began before it and cannot wait for its own end. */
import type { Snapshot, Source } from "../source/source.ts";

export class SourceNews {
  readonly #source: Source;
  #told = false;

  constructor(source: Source) {
    this.#source = source;
  }

  /** As {@link Source.subscribe}. */
  subscribe(listener: () => void): () => void {
    return this.#source.subscribe(() => {
      this.#told = true;
      listener();
    });
  }

  /** What it says since it told of a change; undefined: it has not, since this was asked. An edit that it has not told of is half of one. */
  take(): Snapshot | undefined {
    const told = this.#told;
    this.#told = false;
    return told ? this.#source.snapshot() : undefined;
  }
}
