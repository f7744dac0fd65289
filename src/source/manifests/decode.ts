/**
 * The bytes of one manifest file into objects: multi-document YAML or JSON, single objects and Lists, an object at a time.
 * Any bytes have an answer: objects, problems, or both. Never throws.
 */
import { atOnce, type Sliced } from "../../time/slices.ts";
import { decodeObject, digestOf, isRecord, type DecodedObject, type DecodeProblem } from "./decode-object.ts";
import { NESTING_MAX, outlineOf } from "./json-outline.ts";
import { yamlDocuments, type RawDocument } from "./yaml-documents.ts";

export interface Decoded {
  readonly objects: readonly DecodedObject[];
  readonly problems: readonly DecodeProblem[];
}

/** Objects read before, by digest: what did not change need not be read again. */
export type KnownObjects = ReadonlyMap<string, DecodedObject>;

/** A cluster's store takes no larger request, so no object of a cluster is larger. */
const OBJECT_BYTES_MAX = 1.5 * 1024 * 1024;
/** YAML takes a hundred times as long as JSON: a larger text is for another thread. */
export const YAML_BYTES_MAX = 16 * 1024;
/** Lists may hold Lists, but nobody nests them deeply on purpose. */
const LIST_DEPTH_MAX = 8;
const PROBLEMS_MAX = 200;
const NOTHING_KNOWN: KnownObjects = new Map();

export function decodeManifest(text: string): Decoded {
  const bytes = Buffer.from(text);
  const found = new Findings();
  if (atOnce(decodingJson(bytes, 1, found)) === "read") return found;
  atOnce(decodingValues(yamlDocuments(text), found));
  return found;
}

/** What was found in one file so far. */
export class Findings implements Decoded {
  objects: DecodedObject[] = [];
  problems: DecodeProblem[] = [];
  #more = 0;

  add(decoded: DecodedObject | readonly DecodeProblem[]): void {
    if (!("length" in decoded)) {
      this.objects.push(decoded);
      return;
    }
    for (const problem of decoded) this.report(problem);
  }

  /** The first two hundred, and how many more. */
  report(problem: DecodeProblem): void {
    if (this.problems.length < PROBLEMS_MAX) {
      this.problems.push(problem);
      return;
    }
    this.#more += 1;
    const broken = problem.broken || this.problems[PROBLEMS_MAX]?.broken === true;
    const message = `and ${this.#more} more problems of this file`;
    this.problems[PROBLEMS_MAX] = { document: problem.document, message, broken };
  }

  /** Takes everything back. */
  clear(): void {
    this.objects = [];
    this.problems = [];
    this.#more = 0;
  }
}

/** Whether bytes are JSON as far as can be seen from the first: an object or a list. Flow-style YAML begins so too. */
export function looksLikeJson(bytes: Uint8Array): boolean {
  const first = bytes.find((byte) => byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09);
  return first === 0x7b || first === 0x5b;
}

/** One JSON text. Says so when it is none, and then has found nothing: it may be YAML. */
export function* decodingJson(
  bytes: Buffer,
  document: number,
  found: Findings,
  known: KnownObjects = NOTHING_KNOWN,
): Sliced<"read" | "notJson" | "cut"> {
  if (!looksLikeJson(bytes)) return "notJson";
  const outline = yield* outlineOf(bytes);
  if (outline.type === "unbalanced") return "cut";
  if (outline.type === "tooDeep") {
    const message = `is nested too deeply (more than ${NESTING_MAX} levels)`;
    found.report({ document, message, broken: true });
    return "read";
  }
  if (outline.type === "list" && isList(parseJson(outline.envelope)))
    return yield* decodingItems(bytes, outline.extents, document, found, known);
  if (isTooLarge(bytes, document, found)) return "read";
  const parsed = parseJson(bytes.toString());
  if (parsed === undefined) return "notJson";
  yield* decodingValues([parsed], found, document);
  return "read";
}

function* decodingItems(
  bytes: Buffer,
  extents: readonly number[],
  document: number,
  found: Findings,
  known: KnownObjects,
): Sliced<"read" | "notJson"> {
  for (let i = 0; i + 1 < extents.length; i += 2) {
    const piece = bytes.subarray(extents[i], extents[i + 1]);
    yield;
    if (isTooLarge(piece, document, found)) continue;
    const digest = digestOf(piece);
    const same = known.get(digest);
    if (same?.document === document) {
      found.add(same);
      continue;
    }
    const parsed = parseJson(piece.toString());
    if (parsed === undefined) {
      found.clear();
      return "notJson";
    }
    const isOne = !isList(parsed);
    decodeDocument(parsed.value, document, found, LIST_DEPTH_MAX - 1, isOne ? digest : undefined);
  }
  return "read";
}

/** Documents that are values already; `first` is the number of the first. */
export function* decodingValues(documents: Iterable<RawDocument>, found: Findings, first = 1): Sliced<void> {
  let document = first;
  for (const raw of documents) {
    if ("fault" in raw) found.report({ document, message: raw.fault, broken: true });
    else decodeDocument(raw.value, document, found, LIST_DEPTH_MAX);
    document += 1;
    yield;
  }
}

function isTooLarge(bytes: Buffer, document: number, found: Findings): boolean {
  if (bytes.length <= OBJECT_BYTES_MAX) return false;
  const message = `holds one object of ${bytes.length} bytes, more than the ${OBJECT_BYTES_MAX} that Kubernetes would store`;
  found.report({ document, message, broken: true });
  return true;
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** A List whose items are to be taken one by one. */
function isList(parsed: { readonly value: unknown } | undefined): boolean {
  const value = parsed?.value;
  return isRecord(value) && typeof value["kind"] === "string" && value["kind"].endsWith("List");
}

function decodeDocument(raw: unknown, document: number, found: Findings, depth: number, digest?: string): void {
  try {
    for (const item of itemsOf(raw, depth)) found.add(decodeObject(item, document, digest));
  } catch (error) {
    // A document nested deeper than the stack, or into itself: of the text, not of our making.
    if (!(error instanceof RangeError)) throw error;
    found.report({ document, message: `is nested too deeply (${error.message})`, broken: true });
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
