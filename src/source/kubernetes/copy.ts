/**
 * The copy of one kind's objects, parsed. What cannot be parsed keeps the form it was last read in, and is reported: an object
 * that skipped validation must not take away what works.
 */
import { isDeepStrictEqual } from "node:util";
import type { Problem } from "../../net/problem.ts";
import { withChanges } from "../../reconcile/layered-map.ts";
import { decodeObject, type DecodedObject, type DecodeProblem } from "../manifests/decode-object.ts";
import type { Collection, ObjectOf } from "../manifests/kinds.ts";
import type { Resource } from "./kinds.ts";
import type { Change } from "./reflector/driver.ts";
import type { Raw } from "./reflector/machine.ts";

interface Kept {
  /** Undefined: it could never be read. */
  readonly value: ObjectOf<Collection> | undefined;
  readonly resourceVersion: string;
  readonly uid: string;
  readonly problems: readonly Problem[];
  /** Addresses in the status of a Service that could never be read: nobody else may have them. */
  readonly addresses: readonly string[];
}

/** Kinds whose status is written by nobody but us: one that somebody has spoilt must not cost what the object says. */
const OURS = "metallb.io/";

export class ObjectCopy {
  readonly #resource: Resource;
  #kept = new Map<string, Kept>();
  #values: ReadonlyMap<string, ObjectOf<Collection>> = new Map();
  /** Keys of what `#values` does not have as it is. */
  readonly #touched = new Set<string>();
  #broken = new Set<string>();

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  /** The same map until something changed. */
  get values(): ReadonlyMap<string, ObjectOf<Collection>> {
    const changes = new Map(Array.from(this.#touched, (key) => [key, this.#kept.get(key)?.value]));
    this.#touched.clear();
    this.#values = withChanges(this.#values, changes);
    return this.#values;
  }

  /**
   * Reads an object of a list ahead, while there is time: a list takes effect as a whole, and may be huge. What is returned stands
   * for it from then on, and is small.
   */
  ahead(object: Raw): Raw {
    const { name, namespace } = recordOf(object["metadata"]);
    const version = versionOf(object);
    const before = this.#kept.get(keyOf(object));
    const read = isSame(before, version) ? "known" : this.#read(object);
    return { metadata: { name, namespace, ...version }, [AHEAD]: read } satisfies Stub;
  }

  get problems(): readonly Problem[] {
    return [...this.#broken].flatMap((key) => this.#kept.get(key)?.problems ?? []);
  }

  /** Objects that could never be read, with the addresses their status holds. */
  get unreadable(): ReadonlyMap<string, readonly string[]> {
    return new Map(
      [...this.#broken].flatMap((key) => {
        const kept = this.#kept.get(key);
        return kept === undefined || kept.value !== undefined ? [] : [[key, kept.addresses] as const];
      }),
    );
  }

  /** Of an object in the copy. */
  version(key: string): Version | undefined {
    return this.#kept.get(key);
  }

  /** True when something came, went or changed. */
  apply(changes: readonly Change[]): boolean {
    let changed = false;
    for (const change of changes) if (this.#applyOne(change)) changed = true;
    return changed;
  }

  #applyOne(change: Change): boolean {
    if (change.type === "put") return this.#put(change.object);
    if (change.type === "remove") return this.#remove(keyOf(change.object));
    const before = this.#kept;
    const keys = new Set(change.items.map(keyOf));
    let changed = false;
    for (const key of before.keys()) if (!keys.has(key) && this.#remove(key)) changed = true;
    for (const item of change.items) if (this.#put(item)) changed = true;
    return changed;
  }

  #remove(key: string): boolean {
    this.#broken.delete(key);
    this.#touched.add(key);
    return this.#kept.delete(key);
  }

  #put(object: Raw): boolean {
    const key = keyOf(object);
    const before = this.#kept.get(key);
    const version = versionOf(object);
    // Our own write may have been seen before the watch tells of it, or of what was there before.
    if (before !== undefined && before.uid === version.uid && isOlder(version.resourceVersion, before.resourceVersion))
      return false;
    if (isSame(before, version)) return false;
    const read = (object as Partial<Stub>)[AHEAD] ?? this.#read(object);
    // It was as we had it when the list was read; what we have now is later.
    if (read === "known") return false;
    const { value, faults, addresses } = read;
    if (value === undefined) return this.#putBroken(key, version, faults, addresses);
    const subject = `${this.#resource.kind} ${key}`;
    const problems = faults.map(({ path = "status", message }): Problem => {
      return { subject, path, message: `${message}; its status counts as absent until it is written anew` };
    });
    return this.#putRead(key, version, value, problems);
  }

  #putRead(key: string, version: Version, read: ObjectOf<Collection>, problems: readonly Problem[]): boolean {
    const before = this.#kept.get(key);
    const isKnown = isDeepStrictEqual(before?.value, read);
    const same = isKnown && isDeepStrictEqual(before?.problems, problems);
    const value = isKnown ? before?.value : read;
    this.#kept.set(key, { value, ...version, problems, addresses: NONE });
    if (!isKnown) this.#touched.add(key);
    if (problems.length > 0) this.#broken.add(key);
    else this.#broken.delete(key);
    return !same;
  }

  /** Of our own kinds, one whose status alone is wrong is read without it. */
  #read(object: Raw): Read {
    const decoded = this.#decode(object);
    if (!Array.isArray(decoded)) return { value: decoded.value, faults: NONE, addresses: NONE };
    const isOurs = this.#resource.apiVersion.startsWith(OURS);
    const rest = isOurs && decoded.every(isAboutStatus) ? this.#decode({ ...object, status: undefined }) : NONE;
    if ("length" in rest) return { value: undefined, faults: decoded, addresses: ingressOf(object) };
    return { value: rest.value, faults: decoded, addresses: NONE };
  }

  /** Objects in a list do not say what they are. */
  #decode(object: Raw): DecodedObject | DecodeProblem[] {
    const { apiVersion, kind } = this.#resource;
    return decodeObject({ ...object, apiVersion, kind }, 0, "");
  }

  #putBroken(key: string, version: Version, faults: readonly DecodeProblem[], addresses: readonly string[]): boolean {
    const before = this.#kept.get(key);
    const subject = `${this.#resource.kind} ${key}`;
    const problems = faults.map(({ path, message }): Problem => {
      const kept = before?.value === undefined ? "" : "; what was last read of it stays in force";
      return { subject, message: `${message}${kept}`, ...(path === undefined ? {} : { path }) };
    });
    const value = before?.value;
    this.#kept.set(key, { value, ...version, problems, addresses: value === undefined ? addresses : NONE });
    this.#broken.add(key);
    return !isDeepStrictEqual(before?.problems, problems);
  }
}

function isAboutStatus({ path = "" }: DecodeProblem): boolean {
  return path === "status" || path.startsWith("status.");
}

interface Read {
  /** Undefined: it cannot be read. */
  readonly value: ObjectOf<Collection> | undefined;
  readonly faults: readonly DecodeProblem[];
  /** Of one that cannot be read. */
  readonly addresses: readonly string[];
}

/** What stands for an object that was read ahead. */
interface Stub extends Raw {
  readonly [AHEAD]: Read | "known";
}

const AHEAD = Symbol("ahead");

interface Version {
  readonly resourceVersion: string;
  readonly uid: string;
}

/** One list for all objects without problems. */
const NONE: readonly never[] = [];

function isSame(before: Kept | undefined, { uid, resourceVersion }: Version): boolean {
  return resourceVersion !== "" && before?.uid === uid && before.resourceVersion === resourceVersion;
}

function keyOf(object: Raw): string {
  const { name, namespace } = recordOf(object["metadata"]);
  return textOf(namespace) === "" ? textOf(name) : `${textOf(namespace)}/${textOf(name)}`;
}

function versionOf(object: Raw): Version {
  const { resourceVersion, uid } = recordOf(object["metadata"]);
  return { resourceVersion: textOf(resourceVersion), uid: textOf(uid) };
}

/** Versions of one kind are numbers that grow (API Concepts, "Resource versions", comparable since 1.35). */
function isOlder(a: string, b: string): boolean {
  return /^\d+$/.test(a) && /^\d+$/.test(b) && BigInt(a) < BigInt(b);
}

function ingressOf(object: Raw): readonly string[] {
  const { ingress } = recordOf(recordOf(object["status"])["loadBalancer"]);
  if (!Array.isArray(ingress)) return [];
  return ingress.map((each) => recordOf(each)["ip"]).filter((ip) => typeof ip === "string");
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function recordOf(value: unknown): Raw {
  return typeof value === "object" && value !== null ? (value as Raw) : {};
}
