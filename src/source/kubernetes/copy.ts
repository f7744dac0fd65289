/**
 * The copy of one kind's objects, parsed. What cannot be parsed keeps the form it was last read in, and is reported: an object
 * that skipped validation must not take away what works.
 */
import { isDeepStrictEqual } from "node:util";
import type { Problem } from "../../net/problem.ts";
import { decodeObject, type DecodeProblem } from "../manifests/decode.ts";
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
  #values: ReadonlyMap<string, ObjectOf<Collection>> | undefined;
  #broken = new Set<string>();

  constructor(resource: Resource) {
    this.#resource = resource;
  }

  /** The same map until something changed. */
  get values(): ReadonlyMap<string, ObjectOf<Collection>> {
    this.#values ??= new Map(
      [...this.#kept].flatMap(([key, { value }]) => (value === undefined ? [] : [[key, value] as const])),
    );
    return this.#values;
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
  version(key: string): { readonly resourceVersion: string; readonly uid: string } | undefined {
    return this.#kept.get(key);
  }

  /** True when something came, went or changed. */
  apply(changes: readonly Change[]): boolean {
    let changed = false;
    for (const change of changes) if (this.#applyOne(change)) changed = true;
    if (changed) this.#values = undefined;
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
    return this.#kept.delete(key);
  }

  #put(object: Raw): boolean {
    const { apiVersion, kind } = this.#resource;
    const key = keyOf(object);
    const before = this.#kept.get(key);
    const version = versionOf(object);
    // Our own write may have been seen before the watch tells of it, or of what was there before.
    if (before !== undefined && before.uid === version.uid && isOlder(version.resourceVersion, before.resourceVersion))
      return false;
    // Objects in a list do not say what they are.
    const decoded = decodeObject({ ...object, apiVersion, kind }, 0);
    if (!Array.isArray(decoded)) return this.#putRead(key, version, decoded.value, []);
    const rest = decoded.every(isAboutStatus)
      ? decodeObject({ ...object, status: undefined, apiVersion, kind }, 0)
      : [];
    if (Array.isArray(rest) || !apiVersion.startsWith(OURS)) return this.#putBroken(key, object, decoded);
    const subject = `${kind} ${key}`;
    const problems = decoded.map(({ path = "status", message }): Problem => {
      return { subject, path, message: `${message}; its status counts as absent until it is written anew` };
    });
    return this.#putRead(key, version, rest.value, problems);
  }

  #putRead(
    key: string,
    version: Pick<Kept, "resourceVersion" | "uid">,
    read: ObjectOf<Collection>,
    problems: readonly Problem[],
  ): boolean {
    const before = this.#kept.get(key);
    const same = isDeepStrictEqual(before?.value, read) && isDeepStrictEqual(before?.problems, problems);
    const value = isDeepStrictEqual(before?.value, read) ? before?.value : read;
    this.#kept.set(key, { value, ...version, problems, addresses: [] });
    if (problems.length > 0) this.#broken.add(key);
    else this.#broken.delete(key);
    return !same;
  }

  #putBroken(key: string, object: Raw, faults: readonly DecodeProblem[]): boolean {
    const before = this.#kept.get(key);
    const subject = `${this.#resource.kind} ${key}`;
    const problems = faults.map(({ path, message }): Problem => {
      const kept = before?.value === undefined ? "" : "; what was last read of it stays in force";
      return { subject, message: `${message}${kept}`, ...(path === undefined ? {} : { path }) };
    });
    const value = before?.value;
    this.#kept.set(key, {
      value,
      ...versionOf(object),
      problems,
      addresses: value === undefined ? ingressOf(object) : [],
    });
    this.#broken.add(key);
    return !isDeepStrictEqual(before?.problems, problems);
  }
}

function isAboutStatus({ path = "" }: DecodeProblem): boolean {
  return path === "status" || path.startsWith("status.");
}

function keyOf(object: Raw): string {
  const { name, namespace } = recordOf(object["metadata"]);
  return textOf(namespace) === "" ? textOf(name) : `${textOf(namespace)}/${textOf(name)}`;
}

function versionOf(object: Raw): { readonly resourceVersion: string; readonly uid: string } {
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
