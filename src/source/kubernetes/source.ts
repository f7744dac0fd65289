/**
 * Objects from the Kubernetes API, status back into it.
 *
 *     API server ─► reflector a kind ─► copy ─┐
 *          ▲                                  ├─► snapshot ─► listeners
 *          └── applyStatus, events ◄── what was decided; the answer goes into the copy at once
 */
import { secretsNamed } from "../../announce/bgp/configuration.ts";
import { formatProblem, isSameProblem, type Problem } from "../../net/problem.ts";
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
import { AGENT, listPath, NOT_READ_BY, objectPath, RESOURCES, selectorsOf, type Resource } from "./kinds.ts";
import { NamedSecrets } from "./named-secrets.ts";
import { startReflector, type ReflectorOptions } from "./reflector/driver.ts";
import type { Raw } from "./reflector/machine.ts";
import { look, nextLook, NO_TROUBLES, problemsOf, type Reach } from "./trouble.ts";
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
  /** The same for its end. */
  readonly solved?: (problem: Problem) => void;
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
  /** Of the kind as a whole. */
  reach: Reach;
  stop(): void;
}

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();
const COLLECTIONS: readonly Collection[] = RESOURCES.map(({ collection }) => collection);
/** What names Secrets, and for which node. */
const NAMING = ["bgpPeers", "bfdProfiles", "nodes"] as const satisfies readonly Collection[];
/** The same, to be asked. */
const IS_NAMING: ReadonlySet<Collection> = new Set(NAMING);

class KubernetesSource implements Source, StatusWriter {
  readonly #options: KubernetesOptions;
  readonly #connection: Connection;
  readonly #events: EventWriter;
  readonly #parts = new Map<Collection, Part>();
  #secrets: NamedSecrets | undefined;
  readonly #listeners = new Set<() => void>();
  readonly #ready = Promise.withResolvers<void>();
  #snapshot: Snapshot | undefined;
  /** The snapshot is not what the copies say. */
  #stale = true;
  #told: ReadonlyMap<string, Problem> = new Map();
  #telling: NodeJS.Immediate | undefined;
  #troubles = NO_TROUBLES;
  /** Of kinds that cannot be read. */
  #reachProblems: readonly Problem[] = [];
  #cancelLook = (): void => {};

  constructor(options: KubernetesOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#events = new EventWriter(options.connection, options.component, options.instance);
    const left = NOT_READ_BY[options.component];
    for (const resource of RESOURCES)
      if (left?.has(resource.collection) !== true) {
        const part = resource.collection === "secrets" ? this.#readNamed(resource) : this.#reflect(resource);
        this.#parts.set(resource.collection, part);
      }
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  snapshot(): Snapshot {
    // A peer that names a Secret which is being fetched would seem to name one that is not there.
    const waits = this.#snapshot !== undefined && this.#secrets?.settling === true;
    if (this.#snapshot === undefined || (this.#stale && !waits)) {
      this.#stale = false;
      this.#snapshot = this.#assemble();
    }
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

  /** Each answer goes into the copy by itself. */
  async merged(): Promise<void> {}

  async close(): Promise<void> {
    clearImmediate(this.#telling);
    this.#cancelLook();
    this.#listeners.clear();
    for (const part of this.#parts.values()) part.stop();
    this.#connection.close();
  }

  #reflect(resource: Resource): Part {
    const { selectors, otherwise } = selectorsOf(resource, this.#options.component);
    const copy = new ObjectCopy(resource);
    const reflector = startReflector({
      ...this.#asking(resource),
      selectors,
      selectorsElse: otherwise,
      ahead: (object) => copy.ahead(object),
      onEffects: (changes, { synced, problem, refused }) => {
        const { reach } = part;
        const known = reach.known || synced || refused;
        part.reach = { what: reach.what, synced, problem, known };
        if (synced !== reach.synced || problem !== reach.problem) this.#look();
        if (!copy.apply(changes) && synced === reach.synced && known === reach.known) return;
        if (IS_NAMING.has(resource.collection)) this.#followNames();
        this.#changed();
      },
    });
    const part: Part = { resource, copy, reach: unread(resource), stop: () => reflector.stop() };
    return part;
  }

  /** Which Secrets are read is known once everything is that may name some. */
  #readNamed(resource: Resource): Part {
    const { namespace, clock = systemClock } = this.#options;
    const copy = new ObjectCopy(resource);
    const secrets = new NamedSecrets({
      copy,
      namespace,
      clock,
      start: (options) => startReflector({ ...this.#asking(resource), ...options }),
      changed: () => this.#changed(),
      reached: () => this.#look(),
    });
    this.#secrets = secrets;
    return { resource, copy, reach: unread(resource), stop: () => secrets.stop() };
  }

  #asking(resource: Resource): Pick<ReflectorOptions, "connection" | "path" | "clock" | "random"> {
    const { namespace, clock = systemClock, random = Math.random } = this.#options;
    return { connection: this.#connection, path: listPath(resource, namespace), clock, random };
  }

  #followNames(): void {
    const part = this.#parts.get("secrets");
    if (part === undefined || this.#secrets === undefined) return;
    const naming = [...this.#parts].flatMap(([name, each]) => (IS_NAMING.has(name) ? [each.reach] : []));
    const [synced, known] = [naming.every((each) => each.synced), naming.every((each) => each.known)];
    part.reach = { ...part.reach, synced, known };
    if (!synced) return;
    const { component, instance } = this.#options;
    this.#secrets.follow(secretsNamed(this.#collections(NAMING), component === AGENT ? { node: instance } : {}));
    this.#look();
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

  /** What kinds meet changes with every retry; only what is said of it is a change. */
  #look(): void {
    const { clock = systemClock } = this.#options;
    this.#troubles = look(this.#troubles, this.#reaches(), clock.now());
    this.#cancelLook();
    const due = nextLook(this.#troubles);
    this.#cancelLook = due === undefined ? () => {} : clock.at(due, () => this.#look());
    const problems = problemsOf(this.#troubles);
    if (sameProblems(problems, this.#reachProblems)) return;
    this.#reachProblems = problems;
    this.#changed();
  }

  #changed(): void {
    this.#stale = true;
    this.#telling ??= setImmediate(() => {
      this.#telling = undefined;
      if (this.#secrets?.settling === true) return;
      if (this.#reaches().every(({ known }) => known)) this.#ready.resolve();
      this.#tell(this.snapshot().problems);
      for (const listener of this.#listeners) listener();
    });
  }

  #assemble(): Snapshot {
    const parts = [...this.#parts.values()];
    const named = this.#secrets?.reaches ?? [];
    const unreadSecrets = named.filter(({ synced }) => !synced);
    const unreadKinds = parts.filter(({ reach }) => !reach.synced).map(({ resource }) => resource.collection);
    return {
      ...this.#collections(COLLECTIONS),
      problems: [...this.#reachProblems, ...parts.flatMap(({ copy }) => copy.problems)],
      // A Secret that we may not read costs the peer that names it, and nothing else.
      complete:
        parts.every(({ reach, copy }) => reach.synced && copy.unreadable.size === 0) &&
        unreadSecrets.every(({ known }) => known),
      unread: new Set([...unreadKinds, ...unreadSecrets.map(({ what }) => keyOfSecret(this.#options.namespace, what))]),
      reserved: this.#parts.get("services")?.copy.unreadable ?? new Map(),
    };
  }

  #collections<C extends Collection>(names: Iterable<C>): Pick<Snapshot, C> {
    const collections = Object.fromEntries(
      Array.from(names, (name) => [name, this.#parts.get(name)?.copy.values ?? NOTHING]),
    );
    // The schema of a kind fixes the type of everything in its collection; TypeScript cannot follow that through the table.
    return collections as unknown as Pick<Snapshot, C>;
  }

  #reaches(): readonly Reach[] {
    return [...Array.from(this.#parts.values(), ({ reach }) => reach), ...(this.#secrets?.reaches ?? [])];
  }

  #tell(problems: readonly Problem[]): void {
    const now = new Map(problems.map((problem) => [formatProblem(problem), problem]));
    for (const [text, problem] of now) if (!this.#told.has(text)) this.#options.log?.(problem);
    for (const [text, problem] of this.#told) if (!now.has(text)) this.#options.solved?.(problem);
    this.#told = now;
  }
}

function unread({ resource }: Resource): Reach {
  return { what: resource, synced: false, problem: undefined, known: false };
}

function sameProblems(a: readonly Problem[], b: readonly Problem[]): boolean {
  return a.length === b.length && a.every((problem, index) => isSameProblem(problem, b[index] as Problem));
}

/** `secrets/router` → `secrets/metallb-system/router` */
function keyOfSecret(namespace: string, what: string): string {
  return what.replace("/", `/${namespace}/`);
}
