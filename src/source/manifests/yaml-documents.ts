/** The documents of a YAML text, as plain values. Any text has an answer for each of them: a value or a fault. Never throws. */
import { LineCounter, parseAllDocuments, type Document } from "yaml";

export type RawDocument = { readonly value: unknown } | { readonly fault: string };

/** Aliases that may be followed in one document: a text of a few lines must not become gigabytes. */
const ALIASES_MAX = 100;

/** Lazily, a document at a time: the library takes time and memory that grow faster than what it is given in one go. */
export function* yamlDocuments(text: string): Generator<RawDocument, void, void> {
  let line = 0;
  for (const part of partsOf(text)) {
    yield* documentsOf(part, line);
    for (let at = part.indexOf("\n"); at !== -1; at = part.indexOf("\n", at + 1)) line += 1;
  }
}

/**
 * Cut before every line that begins with `---`: it begins a document wherever it stands (YAML 1.2.2 §6.7, c-forbidden). Directives
 * belong to the document after them, so a text with some is left whole.
 */
function partsOf(text: string): readonly string[] {
  return /^%/mu.test(text) ? [text] : text.split(/^(?=---(?:\s|$))/mu);
}

/** `linesBefore`: of the whole text. */
function documentsOf(text: string, linesBefore: number): readonly RawDocument[] {
  const lines = new LineCounter();
  try {
    const documents = parseAllDocuments(text, {
      merge: true,
      prettyErrors: false,
      logLevel: "silent",
      lineCounter: lines,
    });
    return Array.isArray(documents)
      ? documents.map((document) => plainValue(document, (at) => lines.linePos(at).line + linesBefore))
      : [];
  } catch (error) {
    return [{ fault: unreadable(error) }];
  }
}

function plainValue(document: Document.Parsed, lineAt: (position: number) => number): RawDocument {
  const [error] = document.errors;
  if (error !== undefined) {
    // Without the library's excerpt of the text: it may be a Secret.
    return { fault: `is not YAML: line ${lineAt(error.pos[0])}: ${error.message}` };
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
