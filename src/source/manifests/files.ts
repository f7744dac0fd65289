/**
 * The files of one folder, each read again only when it changed. Nothing disappears from a file that is broken: what was
 * last read from it stays until the file is good again or gone.
 */
import { readdirSync, readFileSync, statSync, type Stats } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Problem } from "../../net/problem.ts";

/** One thing read from a file. Equal digests mean unchanged, and the value keeps its identity. */
export interface Entry {
  readonly key: string;
  readonly digest: string;
}

export interface Reading<E extends Entry> {
  readonly entries: readonly E[];
  readonly problems: readonly Problem[];
  /** Entries may be missing. */
  readonly broken: boolean;
}

interface ReadFile<E extends Entry> extends Reading<E> {
  readonly stamp: string;
}

const EXTENSIONS = [".yaml", ".yml", ".json"];
/** Bounds the time one file can hold up all others; far above any manifest that people or tools write. */
export const FILE_BYTES_MAX = 16 * 1024 * 1024;

export class FolderFiles<E extends Entry> {
  readonly #folder: string;
  /** Set when one file was named instead of a folder. */
  readonly #only: string | undefined;
  readonly #decode: (text: string, path: string) => Reading<E>;
  readonly #files = new Map<string, ReadFile<E>>();
  #folderProblem: Problem | undefined;

  /** `path` is a folder, or one file. */
  constructor(path: string, decode: (text: string, path: string) => Reading<E>) {
    const isFile = tryStat(path)?.isFile() === true;
    this.#folder = isFile ? dirname(path) : path;
    this.#only = isFile ? basename(path) : undefined;
    this.#decode = decode;
  }

  /** The folder to watch. */
  get folder(): string {
    return this.#folder;
  }

  /** Every file that was read, in the order of their names. */
  get readings(): readonly Reading<E>[] {
    return [...this.#files.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, file]) => file);
  }

  get problems(): readonly Problem[] {
    const ofFiles = this.readings.flatMap((reading) => reading.problems);
    return this.#folderProblem === undefined ? ofFiles : [this.#folderProblem, ...ofFiles];
  }

  get broken(): boolean {
    return this.#folderProblem !== undefined || [...this.#files.values()].some((file) => file.broken);
  }

  /** Looks at one file, or at all; true when something changed. */
  refresh(name?: string): boolean {
    if (name !== undefined) return this.#isManifest(name) && this.#refreshFile(name);
    const names = this.#list();
    if (!Array.isArray(names)) {
      const changed = this.#folderProblem?.message !== names.message;
      this.#folderProblem = names;
      return changed;
    }
    let changed = this.#folderProblem !== undefined;
    this.#folderProblem = undefined;
    for (const each of new Set([...names, ...this.#files.keys()])) if (this.#refreshFile(each)) changed = true;
    return changed;
  }

  #list(): string[] | Problem {
    try {
      return readdirSync(this.#folder).filter((name) => this.#isManifest(name));
    } catch (error) {
      return { subject: this.#folder, message: `cannot be listed, keeping what was read from it: ${reasonOf(error)}` };
    }
  }

  /** Hidden files are editors' and kubelet's own. */
  #isManifest(name: string): boolean {
    if (this.#only !== undefined) return name === this.#only;
    return !name.startsWith(".") && EXTENSIONS.some((extension) => name.endsWith(extension));
  }

  #refreshFile(name: string): boolean {
    const path = join(this.#folder, name);
    const before = this.#files.get(name);
    const stat = tryStat(path);
    if (stat === undefined || stat.isDirectory()) return this.#files.delete(name);
    const stamp = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeMs}:${stat.ctimeMs}`;
    if (before?.stamp === stamp) return false;
    const reading: Reading<E> = stat.isFile()
      ? this.#read(path, stat.size, before)
      : refused<E>(path, "is not a regular file");
    const kept = keepLastGood(reading, before);
    this.#files.set(name, { stamp, ...kept });
    return before === undefined || !sameReading(before, kept);
  }

  #read(path: string, size: number, before: ReadFile<E> | undefined): Reading<E> {
    if (size > FILE_BYTES_MAX) return refused(path, `has ${size} bytes, more than ${FILE_BYTES_MAX}; split it`);
    // Programs that write in place empty a file first: that moment must not delete everything in it.
    if (size === 0 && (before?.entries.length ?? 0) > 0)
      return refused(path, "is empty now; delete it if that is meant");
    try {
      return this.#decode(readFileSync(path, "utf8"), path);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return refused(path, `cannot be read: ${reasonOf(error)}`);
    }
  }
}

/** What is known of a file after a reading: nothing disappears from one that is broken, and what is unchanged is the same object. */
export function keepLastGood<E extends Entry>(reading: Reading<E>, before: Reading<E> | undefined): Reading<E> {
  const old = new Map(before?.entries.map((entry) => [entry.key, entry]));
  const entries = reading.entries.map((entry) => {
    const same = old.get(entry.key);
    return same?.digest === entry.digest ? same : entry;
  });
  if (!reading.broken) return { ...reading, entries };
  const read = new Set(entries.map((entry) => entry.key));
  return { ...reading, entries: [...entries, ...[...old.values()].filter((entry) => !read.has(entry.key))] };
}

/** A file that was touched, or written again as it was, is no news. */
function sameReading<E extends Entry>(a: Reading<E>, b: Reading<E>): boolean {
  const sameEntries = a.entries.length === b.entries.length && a.entries.every((entry, i) => entry === b.entries[i]);
  return sameEntries && JSON.stringify(a.problems) === JSON.stringify(b.problems);
}

function refused<E extends Entry>(path: string, message: string): Reading<E> {
  return { entries: [], problems: [{ subject: path, message }], broken: true };
}

function tryStat(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
