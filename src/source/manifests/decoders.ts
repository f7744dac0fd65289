/** How the bytes of files become entries: manifests in slices, large YAML in a thread of its own; state, which is small, at once. */
import type { Problem } from "../../net/problem.ts";
import type { Service } from "../../service/objects.ts";
import { inSlices, type Pace, type Sliced } from "../../time/slices.ts";
import {
  decodingJson,
  decodeManifest,
  decodingValues,
  Findings,
  looksLikeJson,
  YAML_BYTES_MAX,
  type Decoded,
} from "./decode.ts";
import type { DecodedObject, DecodeProblem } from "./decode-object.ts";
import type { Decoder, Entry, Reading } from "./files.ts";
import type { ManifestEntry } from "./merge.ts";
import { SMALL_BYTES_MAX } from "./read-file.ts";
import { yamlAsJson, type ConvertedDocument } from "./yaml-conversion.ts";

export const manifestDecoder: Decoder<ManifestEntry> = {
  smallBytesMax: YAML_BYTES_MAX,
  now: (bytes, path) => decodeFile(bytes.toString(), path),
  inSlices: async (bytes, path, before, pace) => {
    const known = new Map(before.map((entry) => [entry.digest, entry]));
    return readingOf(await decodeLarge(bytes, known, pace), path, known);
  },
};

/** For what is as small as one object, or is waited for anyway. */
export function decoderAtOnce<E extends Entry>(decode: (text: string, path: string) => Reading<E>): Decoder<E> {
  return {
    smallBytesMax: SMALL_BYTES_MAX,
    now: (bytes, path) => decode(bytes.toString(), path),
    inSlices: async (bytes, path) => decode(bytes.toString(), path),
  };
}

/** The text of a manifest file as entries of a snapshot. */
export function decodeFile(text: string, path: string): Reading<ManifestEntry> {
  return readingOf(decodeManifest(text), path);
}

async function decodeLarge(bytes: Buffer, known: ReadonlyMap<string, ManifestEntry>, pace: Pace): Promise<Decoded> {
  const found = new Findings();
  const outcome = await inSlices(decodingJson(withoutMark(bytes), 1, found, known), pace);
  if (outcome === "read") return found;
  if (outcome === "cut" && looksLikeJson(bytes)) {
    found.report({ document: 1, message: "is not complete: the JSON ends inside of something", broken: true });
    return found;
  }
  await inSlices(decodingDocuments(await yamlAsJson(bytes), found, known), pace);
  return found;
}

function* decodingDocuments(
  documents: readonly ConvertedDocument[],
  found: Findings,
  known: ReadonlyMap<string, ManifestEntry>,
): Sliced<void> {
  for (const [index, document] of documents.entries()) {
    const number = index + 1;
    if ("fault" in document) found.report({ document: number, message: document.fault, broken: true });
    else yield* decodingDocument(Buffer.from(document.json.buffer), number, found, known);
    yield;
  }
}

function* decodingDocument(
  json: Buffer,
  document: number,
  found: Findings,
  known: ReadonlyMap<string, ManifestEntry>,
): ReturnType<typeof decodingJson> {
  const outcome = yield* decodingJson(json, document, found, known);
  // A text, a number or nothing at all is JSON without being an object.
  if (outcome !== "read") yield* decodingValues([{ value: JSON.parse(json.toString()) }], found, document);
  return "read";
}

/** Some editors begin a text with a byte order mark. */
function withoutMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

function readingOf(
  { objects, problems }: Decoded,
  path: string,
  known: ReadonlyMap<string, ManifestEntry> = new Map(),
): Reading<ManifestEntry> {
  return {
    entries: objects.map((object) => {
      const same = known.get(object.digest);
      return same === object ? same : { ...object, path, value: withoutConditions(object) };
    }),
    problems: problems.map((problem) => describe(problem, path)),
    broken: problems.some((problem) => problem.broken),
  };
}

/** A manifest copied from a cluster says what was true there; conditions are ours to write. */
function withoutConditions(object: DecodedObject): DecodedObject["value"] {
  if (object.collection !== "services") return object.value;
  // The schema of a kind fixes the type of its collection; TypeScript cannot follow that through the table.
  const service = object.value as Service;
  if (service.status.conditions.length === 0) return service;
  const bare: Service = { ...service, status: { ...service.status, conditions: [] } };
  return bare;
}

function describe(problem: DecodeProblem, file: string): Problem {
  const object = problem.object === undefined ? "" : ` (${problem.object})`;
  const subject = `${file} document ${problem.document}${object}`;
  return { subject, message: problem.message, ...(problem.path === undefined ? {} : { path: problem.path }) };
}
