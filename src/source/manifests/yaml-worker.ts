/** The worker of yaml-conversion.ts: one YAML text in, its documents as JSON out, in the same order, and then it ends. */
import { parentPort, workerData } from "node:worker_threads";
import { yamlDocuments, type RawDocument } from "./yaml-documents.ts";

/** One document: JSON, or why there is none. */
export type ConvertedDocument = { readonly json: Uint8Array<ArrayBuffer> } | { readonly fault: string };

for (const document of yamlDocuments(new TextDecoder().decode(workerData as Uint8Array))) {
  const converted = convert(document);
  parentPort?.postMessage(converted, "json" in converted ? [converted.json.buffer] : []);
}

function convert(document: RawDocument): ConvertedDocument {
  if ("fault" in document) return document;
  try {
    // Nothing in it (a comment) is `null`; a text of its own, because the buffer is given away.
    return { json: new TextEncoder().encode(JSON.stringify(document.value) ?? "null") };
  } catch (error) {
    return { fault: `cannot be read as YAML: ${error instanceof Error ? error.message : String(error)}` };
  }
}
