/**
 * The Secrets that are named, each by a watch of its own: no other leaves the API server, and a role may name them too (RBAC's
 * `resourceNames` hold for lists and watches that select `metadata.name`). What is named but is of another type is kept without its
 * content: only its type is needed, to say that it is the wrong one.
 *
 *     names ─► a reflector each ─► put, remove ─► one copy
 */
import { later } from "../../time/instant.ts";
import type { Clock } from "../../time/clock.ts";
import type { ObjectCopy } from "./copy.ts";
import type { Change, Reflector, ReflectorOptions } from "./reflector/driver.ts";
import type { Raw } from "./reflector/machine.ts";
import type { Reach } from "./trouble.ts";

export interface NamedSecretsOptions {
  readonly copy: ObjectCopy;
  readonly namespace: string;
  readonly clock: Clock;
  readonly start: (options: Pick<ReflectorOptions, "selectors" | "ahead" | "onEffects">) => Reflector;
  /** Something came, went or was found out. */
  readonly changed: () => void;
  /** What keeps one from being read is something else. */
  readonly reached: () => void;
}

interface Watched {
  reach: Reach;
  readonly reflector: Reflector;
}

const TYPE = "kubernetes.io/basic-auth";
/** Watches share a connection with everything else, and servers allow a hundred at a time. */
const WATCHED_MAX = 48;
/** A peer and its password come into force together, unless the password takes longer than this. */
const SETTLING_MS = 2000;

export class NamedSecrets {
  readonly #options: NamedSecretsOptions;
  readonly #watched = new Map<string, Watched>();
  #left: readonly string[] = [];
  #settlesUntil = 0;
  #cancel = (): void => {};

  constructor(options: NamedSecretsOptions) {
    this.#options = options;
  }

  /** From now on these are read, and no others. Sorted: which of too many are left out does not change with every call. */
  follow(names: readonly string[]): void {
    const wanted = new Set(names.slice(0, WATCHED_MAX));
    this.#left = names.slice(WATCHED_MAX);
    for (const [name, { reflector }] of this.#watched) {
      if (wanted.has(name)) continue;
      reflector.stop();
      this.#watched.delete(name);
      this.#options.copy.apply([this.#removal(name)]);
    }
    for (const name of wanted) if (!this.#watched.has(name)) this.#watch(name);
  }

  get reaches(): readonly Reach[] {
    const problem = `the configuration names more than ${WATCHED_MAX} Secrets; let peers share them`;
    const left = this.#left.map((name): Reach => ({ what: `secrets/${name}`, synced: false, problem, known: true }));
    return [...Array.from(this.#watched.values(), ({ reach }) => reach), ...left];
  }

  /** A name is new, and the Secret may be here in a moment. */
  get settling(): boolean {
    const { clock } = this.#options;
    if (clock.now() >= this.#settlesUntil) return false;
    return this.#watched.values().some(({ reach }) => !reach.synced && reach.problem === undefined);
  }

  stop(): void {
    this.#cancel();
    for (const { reflector } of this.#watched.values()) reflector.stop();
  }

  #watch(name: string): void {
    const { clock, copy, start, changed, reached } = this.#options;
    this.#settlesUntil = later(clock.now(), SETTLING_MS);
    this.#cancel();
    this.#cancel = clock.at(later(clock.now(), SETTLING_MS), changed);
    const reflector = start({
      selectors: { fieldSelector: `metadata.name=${name}` },
      ahead: (object) => copy.ahead(withoutForeign(object)),
      onEffects: (changes, { synced, problem, refused }) => {
        const { reach } = watched;
        const known = reach.known || synced || refused;
        watched.reach = { what: reach.what, synced, problem, known };
        const isNew = copy.apply(changes.flatMap((change) => this.#ofOne(name, change)));
        if (reach.synced !== synced || reach.problem !== problem) reached();
        if (isNew || reach.synced !== synced || reach.known !== known) changed();
      },
    });
    const reach = { what: `secrets/${name}`, synced: false, problem: undefined, known: false };
    const watched: Watched = { reach, reflector };
    this.#watched.set(name, watched);
  }

  /** A list of one is not all there is. */
  #ofOne(name: string, change: Change): readonly Change[] {
    if (change.type === "remove") return [change];
    if (change.type === "put") return [{ type: "put", object: withoutForeign(change.object) }];
    if (change.items.length === 0) return [this.#removal(name)];
    return change.items.map((object) => ({ type: "put", object }));
  }

  #removal(name: string): Change {
    return { type: "remove", object: { metadata: { name, namespace: this.#options.namespace } } };
  }
}

/** Its annotations too: kubectl keeps a copy of everything there. */
function withoutForeign({ type, metadata, ...rest }: Raw): Raw {
  if (type === TYPE) return { type, metadata, ...rest };
  const { name, namespace, uid, resourceVersion } = metadata as Raw;
  return { type, metadata: { name, namespace, uid, resourceVersion } };
}
