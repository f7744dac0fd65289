/** The documents of a YAML text, as plain values. Any text has an answer for each of them: a value or a fault. Never throws. */
import { LineCounter, parseAllDocuments, type Document } from "yaml";

export type RawDocument = { readonly value: unknown } | { readonly fault: string };

/** Aliases that may be followed in one document: a text of a few lines must not become gigabytes. */
const ALIASES_MAX = 100;

export function yamlDocuments(text: string): readonly RawDocument[] {
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
    return [{ fault: unreadable(error) }];
  }
}

function plainValue(document: Document.Parsed, lines: LineCounter): RawDocument {
  const [error] = document.errors;
  if (error !== undefined) {
    // Without the library's excerpt of the text: it may be a Secret.
    return { fault: `is not YAML: line ${lines.linePos(error.pos[0]).line}: ${error.message}` };
  }
  try {
    return { value: document.toJS({ maxAliasCount: ALIASES_MAX }) };
  } catch (thrown) {
    return { fault: unreadable(thrown) };
  }
}

/** Of what the library threw: most often, that a document is nested deeper than its stack bears. */
function unreadable(thrown: unknown): string {
  return `cannot be read as YAML: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
}
