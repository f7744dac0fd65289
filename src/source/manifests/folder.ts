/**
 * Objects from folders of manifests, status in a state folder. Files are read when they change; what is read is decoded,
 * merged and published as one snapshot, several changes together.
 *
 *     manifests/*.yaml ─► files ─► decode ─┐
 *                                          ├─► merge ─► snapshot ─► listeners
 *     state/services/*.json ─► files ──────┘               ▲
 *            ▲                                             │ at once, without waiting for the watch
 *            └──────────────────────────── writeService ───┘
 */
import { join } from "node:path";
import { formatProblem, type Problem } from "../../net/problem.ts";
import type { Service } from "../../service/objects.ts";
import type { EventWrite, PoolStatusWrite, ServiceStatusWrite, Snapshot, Source, StatusWriter } from "../source.ts";
import { decodeManifest, type DecodedObject, type DecodeProblem } from "./decode.ts";
import { EventFile } from "./events.ts";
import { FolderFiles, type Entry, type Reading } from "./files.ts";
import { Merger, type ManifestEntry } from "./merge.ts";
import {
  decodePoolState,
  decodeServiceState,
  POOLS_FOLDER,
  prepareStateFolder,
  removeState,
  SERVICES_FOLDER,
  writePoolState,
  writeServiceState,
  type PoolState,
  type ServiceState,
} from "./state.ts";
import { watchFolder } from "./watch.ts";

export interface FolderOptions {
  /** Folders or files, read in this order. */
  readonly manifests: readonly string[];
  /** Absent: nothing is read from it, and writing rejects. */
  readonly state?: string;
  /** Called once for every problem that was not there before. */
  readonly log?: (problem: Problem) => void;
}

/** Quiet for this long: a program that writes a file in pieces is done. */
const SETTLE_MS = 60;
/** But never longer than this after the first change, so that an edit takes effect well within a second. */
const SETTLE_MS_MAX = 300;

/** Reads everything once, then watches. Folders that do not exist are a problem of the snapshot until they do. */
export async function openFolderSource(options: FolderOptions): Promise<Source & StatusWriter> {
  if (options.state !== undefined) prepareStateFolder(options.state);
  return new FolderSource(options);
}

class FolderSource implements Source, StatusWriter {
  readonly ready = Promise.resolve();
  readonly #log: (problem: Problem) => void;
  readonly #state: string | undefined;
  readonly #manifests: readonly FolderFiles<ManifestEntry>[];
  readonly #serviceFiles: FolderFiles<ServiceState> | undefined;
  readonly #poolFiles: FolderFiles<PoolState> | undefined;
  readonly #events: EventFile | undefined;
  readonly #merger = new Merger();
  readonly #listeners = new Set<() => void>();
  readonly #stopWatching: readonly (() => void)[];
  /** Undefined: something changed since it was merged. */
  #snapshot: Snapshot | undefined;
  /** What listeners were told of last. */
  #published: Snapshot;
  #told = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  /** When the oldest change happened that listeners do not know of, in milliseconds. */
  #changedSince: number | undefined;
  /** Files to look at when things have settled, or every file of a folder. */
  readonly #dirty = new Map<Refreshable, Set<string> | "all">();

  constructor(options: FolderOptions) {
    this.#log = options.log ?? (() => {});
    this.#state = options.state;
    this.#manifests = options.manifests.map((path) => new FolderFiles(path, decodeFile));
    if (options.state !== undefined) {
      this.#serviceFiles = new FolderFiles(join(options.state, SERVICES_FOLDER), decodeServiceState);
      this.#poolFiles = new FolderFiles(join(options.state, POOLS_FOLDER), decodePoolState);
      this.#events = new EventFile({ folder: options.state, file: "events.json", component: "fairlead-controller" });
    }
    // Watching begins before reading, so that no change falls between the two.
    this.#stopWatching = this.#folders().map((files) => watchFolder(files.folder, (name) => this.#touch(files, name)));
    for (const files of this.#folders()) files.refresh();
    this.#published = this.#merge();
    this.#snapshot = this.#published;
  }

  snapshot(): Snapshot {
    this.#snapshot ??= this.#merge();
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async writeService(key: string, status: ServiceStatusWrite): Promise<void> {
    const folder = this.#stateFolder(`status of Service ${key}`);
    if (this.#serviceFiles?.refresh(writeServiceState(folder, key, status)) === true) this.#changed();
  }

  async writePool(key: string, status: PoolStatusWrite): Promise<void> {
    const folder = this.#stateFolder(`status of IPAddressPool ${key}`);
    if (this.#poolFiles?.refresh(writePoolState(folder, key, status)) === true) this.#changed();
  }

  async writeEvent(event: EventWrite): Promise<void> {
    this.#stateFolder(`event about ${event.regarding.kind} ${event.regarding.name}`);
    await this.#events?.write(event, new Date());
  }

  async forgetDeleted(): Promise<void> {
    const { complete, services, ipAddressPools } = this.snapshot();
    if (this.#state === undefined || !complete) return;
    for (const key of byKey(this.#serviceFiles).keys())
      if (!services.has(key)) removeState(this.#state, SERVICES_FOLDER, key);
    for (const key of byKey(this.#poolFiles).keys())
      if (!ipAddressPools.has(key)) removeState(this.#state, POOLS_FOLDER, key);
    this.#serviceFiles?.refresh();
    this.#poolFiles?.refresh();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#listeners.clear();
    for (const stop of this.#stopWatching) stop();
    await this.#events?.settled();
  }

  #folders(): readonly Refreshable[] {
    return [...this.#manifests, this.#serviceFiles, this.#poolFiles].filter((files) => files !== undefined);
  }

  #touch(files: Refreshable, name: string | undefined): void {
    const dirty = this.#dirty.get(files) ?? new Set<string>();
    if (name === undefined || dirty === "all") this.#dirty.set(files, "all");
    else this.#dirty.set(files, dirty.add(name));
    this.#changed(false);
  }

  /** Listeners are told when things have settled; `snapshot()` shows the change at once. */
  #changed(read = true): void {
    if (read) this.#snapshot = undefined;
    const now = performance.now();
    this.#changedSince ??= now;
    clearTimeout(this.#timer);
    const wait = Math.max(0, Math.min(SETTLE_MS, this.#changedSince + SETTLE_MS_MAX - now));
    this.#timer = setTimeout(() => this.#settle(), wait);
  }

  #settle(): void {
    this.#changedSince = undefined;
    for (const [files, names] of this.#dirty) {
      const each = names === "all" ? [undefined] : names;
      for (const name of each) if (files.refresh(name)) this.#snapshot = undefined;
    }
    this.#dirty.clear();
    // Merged now, although nobody may ask: new problems are logged by it.
    const snapshot = this.snapshot();
    if (snapshot === this.#published) return;
    this.#published = snapshot;
    for (const listener of this.#listeners) listener();
  }

  #merge(): Snapshot {
    const folders = this.#folders();
    const snapshot = this.#merger.merge({
      files: this.#manifests.flatMap((files) => files.readings),
      serviceStates: byKey(this.#serviceFiles),
      poolStates: byKey(this.#poolFiles),
      problems: folders.flatMap((files) => files.problems),
      complete: !this.#manifests.some((files) => files.broken),
    });
    this.#tell(snapshot.problems);
    return snapshot;
  }

  #tell(problems: readonly Problem[]): void {
    const now = new Set<string>();
    for (const problem of problems) {
      const text = formatProblem(problem);
      if (!this.#told.has(text) && !now.has(text)) this.#log(problem);
      now.add(text);
    }
    this.#told = now;
  }

  #stateFolder(what: string): string {
    if (this.#state === undefined) throw new Error(`Cannot write the ${what}: no state folder was given`);
    return this.#state;
  }
}

interface Refreshable {
  readonly folder: string;
  readonly problems: readonly Problem[];
  refresh(name?: string): boolean;
}

/** The text of a manifest file as entries of a snapshot. */
export function decodeFile(text: string, path: string): Reading<ManifestEntry> {
  const { objects, problems } = decodeManifest(text);
  return {
    entries: objects.map((object) => ({ ...object, path, value: withoutConditions(object) })),
    problems: problems.map((problem) => describe(problem, path)),
    broken: problems.some((problem) => problem.broken),
  };
}

/** A manifest copied from a cluster says what was true there; conditions are ours to write. */
function withoutConditions(object: DecodedObject): DecodedObject["value"] {
  if (object.collection !== "services") return object.value;
  // The schema of a kind fixes the type of its collection; TypeScript cannot follow that through the table.
  const service = object.value as Service;
  const bare: Service = { ...service, status: { ...service.status, conditions: [] } };
  return bare;
}

function describe(problem: DecodeProblem, file: string): Problem {
  const object = problem.object === undefined ? "" : ` (${problem.object})`;
  const subject = `${file} document ${problem.document}${object}`;
  return { subject, message: problem.message, ...(problem.path === undefined ? {} : { path: problem.path }) };
}

function byKey<E extends Entry>(files: FolderFiles<E> | undefined): ReadonlyMap<string, E> {
  return new Map((files?.readings ?? []).flatMap((reading) => reading.entries.map((entry) => [entry.key, entry])));
}
