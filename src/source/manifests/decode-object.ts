/** One object, as it was parsed from JSON or YAML, into a value of its kind. Never throws on what somebody wrote. */
import { hash } from "node:crypto";
import type { z } from "zod";
import { objectKey } from "../../service/objects.ts";
import { KINDS, type Collection, type ObjectOf } from "./kinds.ts";
import { share } from "./share.ts";

export interface DecodedObject {
  readonly collection: Collection;
  /** `namespace/name`, or the name: the key in the collection. */
  readonly name: string;
  /** `Service default/web`: unique over all kinds. */
  readonly key: string;
  readonly value: ObjectOf<Collection>;
  /** Of what it was read from: equal digests mean an unchanged object. */
  readonly digest: string;
  /** Counted from 1. */
  readonly document: number;
  /** Why its apiVersion should be another one. */
  readonly deprecated?: string;
}

export interface DecodeProblem {
  readonly document: number;
  /** `Service default/web`, as far as it could be read. */
  readonly object?: string;
  readonly path?: string;
  readonly message: string;
  /** Whether an object may be missing because of it. */
  readonly broken: boolean;
}

const FOUND_TEXT_MAX = 60;
const OBJECT_PROBLEMS_MAX = 10;
/** Letters of base64: 96 bits of a hash that nobody has a reason to attack. */
const DIGEST_LETTERS = 16;

/** Kept instead of the text: a large cluster has tens of megabytes of it. */
export function digestOf(text: string | Buffer): string {
  return hash("sha1", text, "base64").slice(0, DIGEST_LETTERS);
}

/** `digest`: of what it was read from, where that is at hand. */
export function decodeObject(raw: unknown, document: number, digest?: string): DecodedObject | DecodeProblem[] {
  if (!isRecord(raw)) return [{ document, message: `is ${describe(raw)}, not a Kubernetes object`, broken: true }];
  const { apiVersion, kind } = raw;
  if (typeof apiVersion !== "string" || typeof kind !== "string")
    return [{ document, message: "has no apiVersion and kind", broken: true }];
  const known = KINDS.find((k) => k.kind === kind && k.apiVersion === apiVersion);
  const object = nameOf(raw, kind);
  if (known === undefined) {
    // Another version of a kind we read is an object we miss; a kind we do not read is none.
    const ours = KINDS.find((k) => k.kind === kind && groupOf(k.apiVersion) === groupOf(apiVersion));
    const message =
      ours === undefined
        ? `kind ${clip(kind)} of ${clip(apiVersion)} is not read by Fairlead and ignored`
        : `apiVersion ${clip(apiVersion)} is not read, use ${ours.apiVersion}`;
    return [{ document, object, message, broken: ours !== undefined }];
  }
  const value = withoutNulls(raw);
  const parsed = known.schema.safeParse(value);
  if (!parsed.success) {
    return objectProblems(parsed.error.issues, value, kind).map((issue) => ({
      ...issue,
      document,
      object,
      broken: true,
    }));
  }
  const name = objectKey(parsed.data);
  const { collection, deprecated } = known;
  return {
    collection,
    name,
    key: `${kind} ${name}`,
    value: share(parsed.data),
    digest: digest ?? digestOf(JSON.stringify(value)),
    document,
    ...(deprecated === undefined ? {} : { deprecated }),
  };
}

function objectProblems(
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  kind: string,
): readonly { readonly path?: string; readonly message: string }[] {
  const first = issues.slice(0, OBJECT_PROBLEMS_MAX).map((issue) => problemOf(issue, value, kind));
  const more = issues.length - first.length;
  return more === 0 ? first : [...first, { message: `and ${more} more problems of this object` }];
}

function problemOf(issue: z.core.$ZodIssue, value: unknown, kind: string): { path: string; message: string } {
  const path = issue.path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
  const found = issue.path.reduce<unknown>(
    (at, part) => (isRecord(at) || Array.isArray(at) ? Reflect.get(at, part) : undefined),
    value,
  );
  // What a Secret holds is not for logs.
  const shown = kind === "Secret" || found === undefined ? "" : `, found ${clip(JSON.stringify(found))}`;
  return { path: clip(path), message: `${issue.message}${shown}` };
}

/** Kubernetes treats a field that is null as absent. Entries of lists stay: there null is an error. */
function withoutNulls(value: unknown): unknown {
  return holdsNull(value) ? copyWithoutNulls(value) : value;
}

function holdsNull(value: unknown): boolean {
  if (typeof value !== "object") return false;
  if (value === null) return true;
  for (const name in value) if (holdsNull((value as Readonly<Record<string, unknown>>)[name])) return true;
  return false;
}

function copyWithoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyWithoutNulls);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(entries.map(([name, field]) => [name, copyWithoutNulls(field)]));
}

function nameOf(raw: Readonly<Record<string, unknown>>, kind: string): string {
  const metadata = isRecord(raw["metadata"]) ? raw["metadata"] : {};
  const { name, namespace } = metadata;
  const path = [namespace, name].filter((part) => typeof part === "string").map(clip);
  return path.length === 0 ? clip(kind) : `${clip(kind)} ${path.join("/")}`;
}

function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf("/");
  return slash === -1 ? "" : apiVersion.slice(0, slash);
}

function describe(value: unknown): string {
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

function clip(text: string): string {
  return text.length > FOUND_TEXT_MAX ? `${text.slice(0, FOUND_TEXT_MAX)}…` : text;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
