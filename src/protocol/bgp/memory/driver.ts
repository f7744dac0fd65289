/** Whose peers keep our routes over a restart (RFC 4724): remembered in a file, so that the next run asks them to wait. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

export class RestartMemory {
  /** Sessions whose peers keep routes of an earlier run. */
  readonly restarting: ReadonlySet<string>;
  readonly #file: string | undefined;
  /** Sessions whose peers may keep routes of ours. */
  readonly #keeping: Set<string>;
  #problem: string | undefined;

  /** `undefined`: nothing is remembered. */
  constructor(file: string | undefined) {
    this.#file = file;
    this.restarting = recall(file);
    this.#keeping = new Set(this.restarting);
  }

  /** Why the last session could not be remembered. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** That the peer of a session keeps our routes. For good: it may do so while the session is down, too. */
  remember(name: string): void {
    if (this.#file === undefined || this.#keeping.has(name)) return;
    this.#keeping.add(name);
    const text = JSON.stringify({ sessions: [...this.#keeping].toSorted() });
    try {
      writeFileSync(`${this.#file}.new`, text);
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#problem = `Cannot remember the session for a restart: ${reason}`;
    }
  }

  /** For a speaker that leaves: nobody waits for it. */
  forget(): void {
    if (this.#file !== undefined) rmSync(this.#file, { force: true });
  }
}

function recall(file: string | undefined): ReadonlySet<string> {
  if (file === undefined) return new Set();
  try {
    const { sessions } = JSON.parse(readFileSync(file, "utf8")) as { sessions?: unknown };
    return new Set(Array.isArray(sessions) ? sessions.filter((name) => typeof name === "string") : []);
  } catch {
    // None, or none of ours: then this is a first start.
    return new Set();
  }
}
