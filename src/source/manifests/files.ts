/**
 * The files of one folder, each read again only when it changed. Nothing disappears from a file that is broken: what was
 * last read from it stays until the file is good again or gone.
 *
 * Reading takes its time, with pauses; what was read takes effect when it is applied, all of it at once.
 */
import { statSync, type Stats } from "node:fs";
import { opendir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Problem } from "../../net/problem.ts";
import { withChanges } from "../../reconcile/layered-map.ts";
import { forEach, PACE, Slices, type Pace, type Sliced } from "../../time/slices.ts";
import { readFile, readSmallFile, refusalOf, SMALL_BYTES_MAX, type FileBytes } from "./read-file.ts";

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

/** Bytes of a file into entries. Large ones take a while; `before` is what the file held. */
export interface Decoder<E extends Entry> {
  now(bytes: Buffer, path: string): Reading<E>;
  inSlices(bytes: Buffer, path: string, before: readonly E[], pace: Pace): Promise<Reading<E>>;
  /** Up to so many bytes are decoded in one go. */
  readonly smallBytesMax: number;
}

/** What a look found, not yet in effect. */
type Look<E extends Entry> =
  | { readonly type: "file"; readonly name: string; readonly read: Read<E> | "gone"; readonly age: number }
  | { readonly type: "folder"; readonly problem: Problem | undefined };

interface Read<E extends Entry> extends Reading<E> {
  readonly stamp: string;
}

const EXTENSIONS = [".yaml", ".yml", ".json"];
/** Bounds the time one file can hold up all others; far above any manifest that people or tools write. */
export const FILE_BYTES_MAX = 16 * 1024 * 1024;
const NONE: readonly never[] = [];
/** So many names come with one request for a folder's. */
const NAMES_A_REQUEST = 1024;
/** What was read of so many files takes effect between two pauses. */
const FILES_A_STEP = 200;
/** An index is made anew for a file with more entries. */
const INDEXED_MAX = 16;

export class FolderFiles<E extends Entry> {
  readonly #folder: string;
  /** Set when one file was named instead of a folder. */
  readonly #only: string | undefined;
  readonly #decoder: Decoder<E>;
  readonly #files = new Map<string, Read<E>>();
  /** Of the files that have some. */
  readonly #troubled = new Map<string, Read<E>>();
  #folderProblem: Problem | undefined;
  /** Counts what was applied, so that what was looked at before is not mistaken for news. */
  #age = 0;
  readonly #ages = new Map<string, number>();
  /** Sorted. */
  #names: readonly string[] | undefined;
  #readings: readonly Reading<E>[] | undefined;
  #byKey: ReadonlyMap<string, E> | undefined;
  /** Two files hold one key: where the one that counts goes, the other comes. */
  #hasHidden = false;
  /** Entries by key that `#byKey`, where there is one, does not have yet; undefined for those that are gone. */
  readonly #news = new Map<string, E | undefined>();

  /** `path` is a folder, or one file. */
  constructor(path: string, decoder: Decoder<E>) {
    const isFile = tryStat(path)?.isFile() === true;
    this.#folder = isFile ? dirname(path) : path;
    this.#only = isFile ? basename(path) : undefined;
    this.#decoder = decoder;
  }

  /** The folder to watch. */
  get folder(): string {
    return this.#folder;
  }

  /** Every file that was read, in the order of their names; the same list until something changed. */
  get readings(): readonly Reading<E>[] {
    this.#names ??= [...this.#files.keys()].toSorted();
    this.#readings ??= this.#names.flatMap((name) => this.#files.get(name) ?? []);
    return this.#readings;
  }

  /** The entries of all files by their keys; the same map until something changed. */
  get byKey(): ReadonlyMap<string, E> {
    this.#byKey = withChanges(this.#byKey ?? this.#indexed(), this.#news);
    this.#news.clear();
    return this.#byKey;
  }

  #indexed(): ReadonlyMap<string, E> {
    const byKey = new Map<string, E>();
    let count = 0;
    for (const { entries } of this.#files.values()) {
      for (const entry of entries) byKey.set(entry.key, entry);
      count += entries.length;
    }
    this.#hasHidden = count > byKey.size;
    return byKey;
  }

  get problems(): readonly Problem[] {
    const ofFiles = [...this.#troubled].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, file]) => file.problems);
    return this.#folderProblem === undefined ? ofFiles : [this.#folderProblem, ...ofFiles];
  }

  get broken(): boolean {
    return this.#folderProblem !== undefined || [...this.#troubled.values()].some((file) => file.broken);
  }

  /**
   * Looks at some files, or at all, and resolves to what makes what was found take effect, which says whether something changed.
   * Ends early, with what it has, when `stopped`.
   */
  async look(
    names: Iterable<string> | "all",
    stopped: () => boolean,
    pace: Pace = PACE,
  ): Promise<() => Sliced<boolean>> {
    const looks: Look<E>[] = [];
    const slices = new Slices(pace);
    for (const each of names === "all" ? await this.#list(looks, slices) : names) {
      if (stopped()) break;
      const look = this.#isManifest(each) ? await this.#lookAt(each, pace) : undefined;
      if (look !== undefined) looks.push(look);
      if (slices.due) await slices.pause();
    }
    return () => this.#apply(looks);
  }

  /** What was looked at takes effect, unless we have written the file since. */
  *#apply(looks: readonly Look<E>[]): Sliced<boolean> {
    let changed = false;
    yield* forEach(looks, FILES_A_STEP, (look) => {
      if (look.type === "folder") {
        if (this.#folderProblem?.message !== look.problem?.message) changed = true;
        this.#folderProblem = look.problem;
      } else if ((this.#ages.get(look.name) ?? 0) <= look.age && this.#put(look.name, look.read)) changed = true;
    });
    this.#ages.clear();
    return changed;
  }

  /** Reads one small file that we have just written or removed; true when something changed. */
  readNow(name: string): boolean {
    this.#age += 1;
    this.#ages.set(name, this.#age);
    const path = join(this.#folder, name);
    const stat = tryStat(path);
    if (stat === undefined) return this.#put(name, "gone");
    const refusal = refusalOf(stat, SMALL_BYTES_MAX);
    const file = refusal === undefined ? readSmallFile(path, stat) : { stat, fault: refusal };
    return this.#put(name, this.#decode(file, path, this.#files.get(name)));
  }

  #put(name: string, read: Read<E> | "gone"): boolean {
    const before = this.#files.get(name);
    const kept = read === "gone" ? undefined : { stamp: read.stamp, ...keepLastGood(read, before) };
    if (kept === undefined) this.#files.delete(name);
    else this.#files.set(name, kept);
    if (kept === undefined || kept.problems.length === 0) this.#troubled.delete(name);
    else this.#troubled.set(name, kept);
    const same = before === undefined ? kept === undefined : kept !== undefined && sameReading(before, kept);
    if ((before === undefined) !== (kept === undefined)) this.#names = undefined;
    if (same) return false;
    this.#readings = undefined;
    this.#index(before, kept);
    return true;
  }

  /** Entries that came, changed or went are remembered until somebody asks; of a large file the index is made anew. */
  #index(before: Read<E> | undefined, kept: Read<E> | undefined): void {
    const index = this.#byKey;
    if (index === undefined) return;
    const [went, came] = [before?.entries ?? [], kept?.entries ?? []];
    const isPlain = ({ key }: E): boolean => {
      const there = this.#news.has(key) ? this.#news.get(key) : index.get(key);
      // Another file may hold the same key, and then it depends on the order of files which one counts.
      return there === undefined || went.includes(there);
    };
    if (this.#hasHidden || went.length + came.length > INDEXED_MAX || ![...went, ...came].every(isPlain)) {
      this.#byKey = undefined;
      this.#news.clear();
      return;
    }
    for (const { key } of went) this.#news.set(key, undefined);
    for (const entry of came) this.#news.set(entry.key, entry);
  }

  /** The names to look at: those there are, and those there were. */
  async #list(looks: Look<E>[], slices: Slices): Promise<Iterable<string>> {
    try {
      const names = new Set<string>();
      for await (const { name } of await opendir(this.#folder, { bufferSize: NAMES_A_REQUEST })) {
        if (this.#isManifest(name)) names.add(name);
        if (slices.due) await slices.pause();
      }
      for (const name of this.#files.keys()) names.add(name);
      looks.push({ type: "folder", problem: undefined });
      return names;
    } catch (error) {
      const message = `cannot be listed, keeping what was read from it: ${reasonOf(error)}`;
      looks.push({ type: "folder", problem: { subject: this.#folder, message } });
      return [];
    }
  }

  /** Hidden files are editors' and kubelet's own. */
  #isManifest(name: string): boolean {
    if (this.#only !== undefined) return name === this.#only;
    return !name.startsWith(".") && EXTENSIONS.some((extension) => name.endsWith(extension));
  }

  /** Undefined: unchanged. */
  async #lookAt(name: string, pace: Pace): Promise<Look<E> | undefined> {
    const age = this.#age;
    const path = join(this.#folder, name);
    const before = this.#files.get(name);
    const stat = tryStat(path);
    const gone = stat === undefined || stat.isDirectory();
    if (gone) return before === undefined ? undefined : { type: "file", name, read: "gone", age };
    if (before?.stamp === stampOf(stat)) return undefined;
    const isSmall = stat.size <= Math.min(SMALL_BYTES_MAX, this.#decoder.smallBytesMax);
    const fault = refusalOf(stat, FILE_BYTES_MAX);
    const file =
      fault === undefined ? (isSmall ? readSmallFile(path, stat) : await readFile(path, stat)) : { stat, fault };
    if (isSmall || "fault" in file) return { type: "file", name, read: this.#decode(file, path, before), age };
    const reading = await this.#decoder.inSlices(file.bytes, path, before?.entries ?? NONE, pace);
    return { type: "file", name, read: { stamp: stampOf(stat), ...reading }, age };
  }

  #decode(file: FileBytes, path: string, before: Reading<E> | undefined): Read<E> {
    const stamp = stampOf(file.stat);
    if ("fault" in file) return { stamp, ...refused<E>(path, file.fault) };
    // Programs that write in place empty a file first: that moment must not delete everything in it.
    if (file.bytes.length === 0 && (before?.entries.length ?? 0) > 0)
      return { stamp, ...refused<E>(path, "is empty now; delete it if that is meant") };
    return { stamp, ...this.#decoder.now(file.bytes, path) };
  }
}

/** What is known of a file after a reading: nothing disappears from one that is broken, and what is unchanged is the same object. */
export function keepLastGood<E extends Entry>(reading: Reading<E>, before: Reading<E> | undefined): Reading<E> {
  const problems = reading.problems.length === 0 ? NONE : reading.problems;
  if (before === undefined || before.entries.length === 0) return { ...reading, problems };
  const old = new Map(before.entries.map((entry) => [entry.key, entry]));
  const entries = reading.entries.map((entry) => {
    const same = old.get(entry.key);
    return same?.digest === entry.digest ? same : entry;
  });
  if (!reading.broken) return { entries, problems, broken: false };
  const read = new Set(entries.map((entry) => entry.key));
  return {
    entries: [...entries, ...[...old.values()].filter((entry) => !read.has(entry.key))],
    problems,
    broken: true,
  };
}

/** A file that was touched, or written again as it was, is no news. */
function sameReading<E extends Entry>(a: Reading<E>, b: Reading<E>): boolean {
  const sameEntries = a.entries.length === b.entries.length && a.entries.every((entry, i) => entry === b.entries[i]);
  return sameEntries && JSON.stringify(a.problems) === JSON.stringify(b.problems);
}

function refused<E extends Entry>(path: string, message: string): Reading<E> {
  return { entries: [], problems: [{ subject: path, message }], broken: true };
}

/** Equal for a file that did not change. */
function stampOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${dev}:${ino}:${size}:${mtimeMs}:${ctimeMs}`;
}

function tryStat(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
