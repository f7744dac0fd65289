/**
 * The text of one manifest file into objects: multi-document YAML or JSON, single objects and Lists.
 * Any text has an answer: objects, problems, or both. Never throws.
 */
import { hash } from "node:crypto";
import { LineCounter, parseAllDocuments, type Document } from "yaml";
import type { z } from "zod";
import { objectKey } from "../../service/objects.ts";
import { KINDS, type Collection, type ObjectOf } from "./kinds.ts";

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

export interface Decoded {
  readonly objects: readonly DecodedObject[];
  readonly problems: readonly DecodeProblem[];
}

/** Lists may hold Lists, but nobody nests them deeply on purpose. */
const LIST_DEPTH_MAX = 8;
const FOUND_TEXT_MAX = 60;

/** Kept instead of the text: a large cluster has tens of megabytes of it. */
export function digestOf(text: string): string {
  return hash("sha1", text, "base64");
}

export function decodeManifest(text: string): Decoded {
  const objects: DecodedObject[] = [];
  const problems: DecodeProblem[] = [];
  for (const [index, document] of documentsOf(text).entries()) {
    const number = index + 1;
    if ("fault" in document) problems.push({ document: number, message: document.fault, broken: true });
    else decodeDocument(document.value, number, objects, problems);
  }
  return { objects, problems };
}

type RawDocument = { readonly value: unknown } | { readonly fault: string };

function documentsOf(text: string): readonly RawDocument[] {
  // JSON is YAML too, but a hundred times faster to read as what it is.
  if (/^\s*[{[]/.test(text)) {
    try {
      return [{ value: JSON.parse(text) }];
    } catch {
      // Flow-style YAML begins like JSON.
    }
  }
  const lines = new LineCounter();
  try {
    const documents = parseAllDocuments(text, {
      merge: true,
      prettyErrors: false,
      logLevel: "silent",
      lineCounter: lines,
    });
    return Array.isArray(documents) ? documents.map((document) => plainValue(document, lines)) : [];
  } catch (error) {
    return [{ fault: `cannot be read as YAML: ${reasonOf(error)}` }];
  }
}

function plainValue(document: Document.Parsed, lines: LineCounter): RawDocument {
  const [error] = document.errors;
  if (error !== undefined) {
    // Without the library's excerpt of the text: it may be a Secret.
    return { fault: `is not YAML: line ${lines.linePos(error.pos[0]).line}: ${error.message}` };
  }
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) };
  } catch (thrown) {
    return { fault: `cannot be read as YAML: ${reasonOf(thrown)}` };
  }
}

function decodeDocument(raw: unknown, document: number, objects: DecodedObject[], problems: DecodeProblem[]): void {
  try {
    for (const item of itemsOf(raw, LIST_DEPTH_MAX)) {
      const decoded = decodeObject(item, document);
      if (Array.isArray(decoded)) problems.push(...decoded);
      else objects.push(decoded);
    }
  } catch (error) {
    // A document nested deeper than the stack: of the text, not of our making.
    if (!(error instanceof RangeError)) throw error;
    problems.push({ document, message: `is nested too deeply (${error.message})`, broken: true });
  }
}

/** The object itself, or what a List of any kind holds. Empty documents hold nothing. */
function itemsOf(raw: unknown, depth: number): readonly unknown[] {
  if (raw === null || raw === undefined) return [];
  if (!isRecord(raw) || typeof raw["kind"] !== "string" || !raw["kind"].endsWith("List")) return [raw];
  const { items } = raw;
  if (items === null || items === undefined) return [];
  if (!Array.isArray(items) || depth === 0) return [raw];
  return items.flatMap((item: unknown) => itemsOf(item, depth - 1));
}

export function decodeObject(raw: unknown, document: number): DecodedObject | DecodeProblem[] {
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
    const issues = parsed.error.issues.map((issue) => ({ ...problemOf(issue, value, kind), document, object }));
    return issues.map((issue) => ({ ...issue, broken: true }));
  }
  const name = objectKey(parsed.data);
  const { collection, deprecated } = known;
  return {
    collection,
    name,
    key: `${kind} ${name}`,
    value: parsed.data,
    digest: digestOf(JSON.stringify(value)),
    document,
    ...(deprecated === undefined ? {} : { deprecated }),
  };
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
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isRecord(value)) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(entries.map(([name, field]) => [name, withoutNulls(field)]));
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

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
