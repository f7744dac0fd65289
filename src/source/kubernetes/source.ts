/**
 * Objects from the Kubernetes API, status back into it.
 *
 *     API server ─► reflector a kind ─► copy ─┐
 *          ▲                                  ├─► snapshot ─► listeners
 *          └── applyStatus, events ◄── what was decided; the answer goes into the copy at once
 */
import { formatProblem, type Problem } from "../../net/problem.ts";
import { systemClock, type Clock } from "../../time/clock.ts";
import type { Random } from "../../time/jitter.ts";
import type { Collection } from "../manifests/kinds.ts";
import type {
  ConfigurationStateWrite,
  EventWrite,
  PoolStatusWrite,
  ServiceStatusWrite,
  Snapshot,
  Source,
  StatusWriter,
} from "../source.ts";
import type { Connection } from "./connection.ts";
import { ObjectCopy } from "./copy.ts";
import { EventWriter } from "./event-writer.ts";
import { listPath, NOT_READ_BY, objectPath, RESOURCES, selectorsOf, type Resource } from "./kinds.ts";
import { startReflector, type Reflector } from "./reflector/driver.ts";
import type { Raw } from "./reflector/machine.ts";
import { applyOwn, applyStatus, poolFields, serviceFields } from "./writer.ts";

export interface KubernetesOptions {
  /** Closed with the source. */
  readonly connection: Connection;
  /** Where our configuration lies; objects of our kinds elsewhere are not read. */
  readonly namespace: string;
  /** Who writes: `fairlead-controller`. Also the name of our fields in managedFields. */
  readonly component: string;
  /** Which of them: the name of the pod or node. */
  readonly instance: string;
  /** Called once for every problem that was not there before. */
  readonly log?: (problem: Problem) => void;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Resolves at once: what is not read yet is missing from a snapshot that is not `complete`. */
export function openKubernetesSource(options: KubernetesOptions): Source & StatusWriter {
  return new KubernetesSource(options);
}

interface Part {
  readonly resource: Resource;
  readonly copy: ObjectCopy;
  readonly reflector: Reflector;
  synced: boolean;
  problem: string | undefined;
  /** It was read once, or cannot be. */
  known: boolean;
}

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

class KubernetesSource implements Source, StatusWriter {
  readonly #options: KubernetesOptions;
  readonly #connection: Connection;
  readonly #events: EventWriter;
  readonly #parts = new Map<Collection, Part>();
  readonly #listeners = new Set<() => void>();
  readonly #ready = Promise.withResolvers<void>();
  #snapshot: Snapshot | undefined;
  #told = new Set<string>();
  #telling: NodeJS.Immediate | undefined;

  constructor(options: KubernetesOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#events = new EventWriter(options.connection, options.component, options.instance);
    const left = NOT_READ_BY[options.component];
    for (const resource of RESOURCES)
      if (left?.has(resource.collection) !== true) this.#parts.set(resource.collection, this.#reflect(resource));
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  snapshot(): Snapshot {
    this.#snapshot ??= this.#assemble();
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async writeService(key: string, write: ServiceStatusWrite): Promise<void> {
    await this.#apply("services", key, serviceFields(write));
  }

  async writePool(key: string, write: PoolStatusWrite): Promise<void> {
    await this.#apply("ipAddressPools", key, poolFields(write));
  }

  async writeEvent(event: EventWrite): Promise<void> {
    await this.#events.write(event, Date.now());
  }

  async writeConfigurationState(status: ConfigurationStateWrite): Promise<void> {
    const { namespace, component } = this.#options;
    const apiVersion = "metallb.io/v1beta1";
    const labels = { "metallb.io/component-type": "controller" };
    const metadata = { name: "controller", namespace, labels };
    const path = `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/configurationstates/controller`;
    const object = { apiVersion, kind: "ConfigurationState", metadata, status: { ...status } };
    await applyOwn(this.#connection, path, object, component);
  }

  /** Status lies in the objects themselves, and goes with them. */
  async forgetDeleted(): Promise<void> {}

  async close(): Promise<void> {
    clearImmediate(this.#telling);
    this.#listeners.clear();
    for (const { reflector } of this.#parts.values()) reflector.stop();
    this.#connection.close();
  }

  #reflect(resource: Resource): Part {
    const { namespace, component, clock = systemClock, random = Math.random } = this.#options;
    const { selectors, otherwise } = selectorsOf(resource, component);
    const copy = new ObjectCopy(resource);
    const reflector = startReflector({
      connection: this.#connection,
      path: listPath(resource, namespace),
      selectors,
      selectorsElse: otherwise,
      ahead: (object) => copy.ahead(object),
      clock,
      random,
      onEffects: (changes, { synced, problem, refused }) => {
        const news = copy.apply(changes) || synced !== part.synced || problem !== part.problem;
        part.synced = synced;
        part.problem = problem;
        part.known ||= synced || refused;
        if (news) this.#changed();
      },
    });
    const part: Part = { resource, copy, reflector, synced: false, problem: undefined, known: false };
    return part;
  }

  async #apply(collection: Collection, key: string, fields: Raw): Promise<void> {
    const part = this.#parts.get(collection);
    const version = part?.copy.version(key);
    // Gone since it was decided about, and with it what was to be written.
    if (part === undefined || version === undefined) return;
    const [namespace = "", name = ""] = key.split("/");
    const { resource, copy } = part;
    const path = objectPath(resource, namespace, name);
    const target = { ...resource, namespace, name, path, resourceVersion: version.resourceVersion };
    const object = await applyStatus(this.#connection, target, fields, this.#options.component);
    if (copy.apply([{ type: "put", object }])) this.#changed();
  }

  #changed(): void {
    this.#snapshot = undefined;
    this.#telling ??= setImmediate(() => {
      this.#telling = undefined;
      if ([...this.#parts.values()].every(({ known }) => known)) this.#ready.resolve();
      this.#tell(this.snapshot().problems);
      for (const listener of this.#listeners) listener();
    });
  }

  #assemble(): Snapshot {
    const parts = [...this.#parts.values()];
    const collections = Object.fromEntries(
      RESOURCES.map(({ collection }) => [collection, this.#parts.get(collection)?.copy.values ?? NOTHING]),
    );
    const services = this.#parts.get("services")?.copy;
    // The schema of a kind fixes the type of everything in its collection; TypeScript cannot follow that through the table.
    return {
      ...(collections as unknown as Pick<Snapshot, Collection>),
      problems: [...reachProblems(parts), ...parts.flatMap(({ copy }) => copy.problems)],
      complete: parts.every(({ synced, copy }) => synced && copy.unreadable.size === 0),
      unread: new Set(parts.filter(({ synced }) => !synced).map(({ resource }) => resource.collection)),
      reserved: services?.unreadable ?? new Map(),
    };
  }

  #tell(problems: readonly Problem[]): void {
    const now = new Map(problems.map((problem) => [formatProblem(problem), problem]));
    for (const [text, problem] of now) if (!this.#told.has(text)) this.#options.log?.(problem);
    this.#told = new Set(now.keys());
  }
}

/** What keeps kinds from being read, once for all that suffer from the same. */
function reachProblems(parts: readonly Part[]): readonly Problem[] {
  const suffering = parts.filter(({ problem }) => problem !== undefined);
  return [...Map.groupBy(suffering, ({ problem, synced }) => `${problem} ${synced}`).values()].map((group) => {
    const [first] = group;
    const names = group.length === parts.length ? "" : `: ${group.map(({ resource }) => resource.resource).join(", ")}`;
    const rest =
      first?.synced === true ? "what was last read stays in force" : "nothing is taken away until it was read";
    return { subject: `Kubernetes${names}`, message: `${first?.problem ?? ""}; ${rest}` };
  });
}
