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
import { inSlices, Slices, type Sliced } from "../../time/slices.ts";
import type {
  ConfigurationStateWrite,
  EventWrite,
  PoolStatusWrite,
  ServiceStatusWrite,
  Snapshot,
  Source,
  StatusWriter,
} from "../source.ts";
import { EventFile } from "./events.ts";
import { FolderFiles } from "./files.ts";
import { manifestDecoder, decoderAtOnce } from "./decoders.ts";
import { Merger, type Inputs, type ManifestEntry } from "./merge.ts";
import {
  decodePoolState,
  decodeServiceState,
  POOLS_FOLDER,
  prepareStateFolder,
  removeState,
  SERVICES_FOLDER,
  writeConfigurationObject,
  writePoolState,
  writeServiceState,
  type PoolState,
  type ServiceState,
} from "./state.ts";
import { watchFolder, type WatchListener } from "./watch.ts";

export interface FolderOptions {
  /** Folders or files, read in this order. */
  readonly manifests: readonly string[];
  /** Absent: nothing is read from it, and writing rejects. */
  readonly state?: string;
  /** Called once for every problem that was not there before. */
  readonly log?: (problem: Problem) => void;
  /** The same for its end. */
  readonly solved?: (problem: Problem) => void;
}

/** Quiet for this long: a program that writes a file in pieces is done. */
const SETTLE_MS = 60;
/** But never longer than this after the first change, so that an edit takes effect well within a second. */
const SETTLE_MS_MAX = 300;
/** Merging takes at most this part of the time, however much is written. */
const MERGE_REST = 10;
/** Looking at all files although nothing seems to have changed takes at most this part of the time. */
const ROUTINE_REST = 50;

/** Reads everything once, then watches. Folders that do not exist are a problem of the snapshot until they do. */
export async function openFolderSource(options: FolderOptions): Promise<Source & StatusWriter> {
  if (options.state !== undefined) prepareStateFolder(options.state);
  const source = new FolderSource(options);
  await source.start();
  return source;
}

class FolderSource implements Source, StatusWriter {
  readonly ready = Promise.resolve();
  readonly #log: (problem: Problem) => void;
  readonly #solved: (problem: Problem) => void;
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
  /** Of the manifests, what is in force. */
  #taken: Omit<Inputs, keyof States>;
  /** When that was last merged, and how long it took. */
  #merged = { at: 0, milliseconds: 0 };
  /** Files were read that are not in force yet. */
  #stale = true;
  /** What listeners were told of last. */
  #published: Snapshot;
  #told: ReadonlyMap<string, Problem> = new Map();
  #timer: NodeJS.Timeout | undefined;
  /** When the oldest change happened that listeners do not know of, in milliseconds. */
  #changedSince: number | undefined;
  /** Files to look at when things have settled, or every file of a folder. */
  readonly #dirty = new Map<Watched, Set<string> | "all">();
  /** When a folder was last looked at as a whole, and how long that took. */
  readonly #looked = new Map<Watched, { readonly at: number; readonly milliseconds: number }>();
  #reading: Promise<void> | undefined;
  /** Something changed while files were read. */
  #again = false;
  #closed = false;

  constructor(options: FolderOptions) {
    this.#log = options.log ?? (() => {});
    this.#solved = options.solved ?? (() => {});
    this.#state = options.state;
    this.#manifests = options.manifests.map((path) => new FolderFiles(path, manifestDecoder));
    if (options.state !== undefined) {
      this.#serviceFiles = new FolderFiles(join(options.state, SERVICES_FOLDER), decoderAtOnce(decodeServiceState));
      this.#poolFiles = new FolderFiles(join(options.state, POOLS_FOLDER), decoderAtOnce(decodePoolState));
      this.#events = new EventFile({ folder: options.state, file: "events.json", component: "fairlead-controller" });
    }
    // Watching begins before reading, so that no change falls between the two.
    this.#stopWatching = this.#folders().map((files) => watchFolder(files.folder, this.#touching(files)));
    this.#taken = this.#readManifests();
    this.#published = this.#merge();
  }

  /** Resolves when everything was read once. */
  async start(): Promise<void> {
    this.#snapshot = undefined;
    for (const files of this.#folders()) this.#dirty.set(files, "all");
    this.#reading = this.#readFirst();
    await this.#reading;
    this.#reading = undefined;
    if (this.#again) this.#settle();
  }

  async #readFirst(): Promise<void> {
    await this.#read();
    this.#published = await this.#take();
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
    if (this.#serviceFiles?.readNow(await writeServiceState(folder, key, status)) === true) this.#changed();
  }

  async writePool(key: string, status: PoolStatusWrite): Promise<void> {
    const folder = this.#stateFolder(`status of IPAddressPool ${key}`);
    if (this.#poolFiles?.readNow(await writePoolState(folder, key, status)) === true) this.#changed();
  }

  async writeEvent(event: EventWrite): Promise<void> {
    this.#stateFolder(`event about ${event.regarding.kind} ${event.regarding.name}`);
    await this.#events?.write(event, new Date());
  }

  async writeConfigurationState(status: ConfigurationStateWrite): Promise<void> {
    const folder = this.#stateFolder("ConfigurationState controller");
    await writeConfigurationObject(folder, "controller", { "metallb.io/component-type": "controller" }, status);
  }

  async forgetDeleted(): Promise<void> {
    // What is written about objects says nothing of whether they are there: nothing needs to be merged for that.
    const { complete, services, ipAddressPools } = this.#published;
    if (this.#state === undefined || !complete) return;
    await this.#forget(this.#serviceFiles, SERVICES_FOLDER, services);
    await this.#forget(this.#poolFiles, POOLS_FOLDER, ipAddressPools);
  }

  async merged(): Promise<void> {
    if (this.#snapshot !== undefined) return;
    const [taken, states] = [this.#taken, this.#states()];
    const snapshot = await inSlices(this.#merger.merging({ ...taken, ...states }));
    if (this.#taken === taken && this.#isLatest(states)) this.#snapshot ??= snapshot;
  }

  async #forget(
    files: FolderFiles<ServiceState> | FolderFiles<PoolState> | undefined,
    folder: string,
    objects: ReadonlyMap<string, unknown>,
  ): Promise<void> {
    if (files === undefined || this.#state === undefined) return;
    const slices = new Slices();
    for (const key of files.byKey.keys()) {
      if (objects.has(key)) continue;
      if (files.readNow(await removeState(this.#state, folder, key))) this.#changed();
      if (slices.due) await slices.pause();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#listeners.clear();
    for (const stop of this.#stopWatching) stop();
    await this.#events?.settled();
    await this.#reading;
  }

  #folders(): readonly Watched[] {
    return [...this.#manifests, this.#serviceFiles, this.#poolFiles].filter((files) => files !== undefined);
  }

  /** What a watch calls: with a name, without one, or because it is time to look anyway. */
  #touching(files: Watched): WatchListener {
    const touch = (name?: string): void => {
      const dirty = this.#dirty.get(files) ?? new Set<string>();
      if (name === undefined || dirty === "all") this.#dirty.set(files, "all");
      else this.#dirty.set(files, dirty.add(name));
      this.#changed(false);
    };
    const routine = (): void => {
      const last = this.#looked.get(files);
      if (last === undefined || performance.now() - last.at > last.milliseconds * ROUTINE_REST) touch();
    };
    return { changed: touch, routine };
  }

  /** Listeners are told when things have settled; `snapshot()` shows the change at once. */
  #changed(read = true): void {
    if (read) this.#snapshot = undefined;
    if (this.#closed) return;
    const now = performance.now();
    this.#changedSince ??= now;
    clearTimeout(this.#timer);
    const settled = Math.min(now + SETTLE_MS, this.#changedSince + SETTLE_MS_MAX);
    const wait = Math.max(0, settled - now, this.#merged.at + this.#merged.milliseconds * MERGE_REST - now);
    this.#timer = setTimeout(() => this.#settle(), wait);
  }

  /** While a look is under way, the next one waits for its end. */
  #settle(): void {
    this.#changedSince = undefined;
    if (this.#reading !== undefined) {
      this.#again = true;
      return;
    }
    this.#reading = this.#readAndPublish();
  }

  async #readAndPublish(): Promise<void> {
    do {
      this.#again = false;
      await this.#read();
      if (this.#closed) return;
      // Merged now, although nobody may ask: new problems are logged by it.
      const snapshot = await this.#take();
      if (this.#closed) return;
      if (snapshot === this.#published) continue;
      this.#published = snapshot;
      for (const listener of this.#listeners) listener();
    } while (this.#again);
    this.#reading = undefined;
  }

  /** Looks at what may have changed; all of it takes effect together. */
  async #read(): Promise<void> {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    const applies: (() => Sliced<boolean>)[] = [];
    for (const [files, names] of dirty) {
      const at = performance.now();
      applies.push(await files.look(names, () => this.#closed));
      if (names === "all") this.#looked.set(files, { at: performance.now(), milliseconds: performance.now() - at });
    }
    for (const apply of applies) if (await inSlices(apply())) this.#stale = true;
  }

  /** What was read takes effect: merged in slices, while others see what was there before. The same snapshot if nothing changed. */
  async #take(): Promise<Snapshot> {
    if (!this.#stale && this.#snapshot !== undefined) return this.#snapshot;
    this.#stale = false;
    const taken = this.#readManifests();
    const start = performance.now();
    const states = this.#states();
    const snapshot = await inSlices(this.#merger.merging({ ...taken, ...states }));
    this.#taken = taken;
    this.#merged = { at: performance.now(), milliseconds: performance.now() - start };
    this.#tell(snapshot.problems);
    // What we have written meanwhile is not in it: whoever asks gets one with it.
    this.#snapshot = this.#isLatest(states) ? snapshot : undefined;
    return snapshot;
  }

  #isLatest({ serviceStates, poolStates }: States): boolean {
    const now = this.#states();
    return now.serviceStates === serviceStates && now.poolStates === poolStates;
  }

  /** What was taken in, with everything we have written since. */
  #merge(): Snapshot {
    const snapshot = this.#merger.merge({ ...this.#taken, ...this.#states() });
    this.#tell(snapshot.problems);
    return snapshot;
  }

  #readManifests(): Omit<Inputs, keyof States> {
    return {
      files: this.#manifests.flatMap((files) => files.readings),
      problems: this.#folders().flatMap((files) => files.problems),
      complete: !this.#manifests.some((files) => files.broken),
    };
  }

  #states(): States {
    return {
      serviceStates: this.#serviceFiles?.byKey ?? NO_SERVICE_STATES,
      poolStates: this.#poolFiles?.byKey ?? NO_POOL_STATES,
    };
  }

  #tell(problems: readonly Problem[]): void {
    const now = new Map(problems.map((problem) => [formatProblem(problem), problem]));
    for (const [text, problem] of now) if (!this.#told.has(text)) this.#log(problem);
    for (const [text, problem] of this.#told) if (!now.has(text)) this.#solved(problem);
    this.#told = now;
  }

  #stateFolder(what: string): string {
    if (this.#state === undefined) throw new Error(`Cannot write the ${what}: no state folder was given`);
    return this.#state;
  }
}

/** The files of a folder, of whatever kind they are. */
interface Watched {
  readonly folder: string;
  readonly problems: readonly Problem[];
  /** Resolves to what makes that take effect which was found. */
  look(names: Iterable<string> | "all", stopped: () => boolean): Promise<() => Sliced<boolean>>;
}

type States = Pick<Inputs, "serviceStates" | "poolStates">;

const NO_SERVICE_STATES: ReadonlyMap<string, ServiceState> = new Map();
const NO_POOL_STATES: ReadonlyMap<string, PoolState> = new Map();
