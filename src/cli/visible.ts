/**
 * Texts of others - peers, manifests, the network - as a terminal may show them: what would move its cursor, colour it, or turn the order
 * of letters around, is shown as what it is. Lines stay lines.
 */

/** Controls (C0, DEL, C1) but the line feed, and what overrides the direction of text. */
const STEERING = /(?!\n)\p{Cc}|[\u202a-\u202e\u2066-\u2069]/gu;
/** Begins a colour, which is ours where we have painted. */
const ESCAPE = "\u001b";

/** All of it from elsewhere. */
export function visible(text: string): string {
  return text.replaceAll(STEERING, named);
}

/** Perhaps with our colours in it. */
export function visibleBesideColours(text: string): string {
  return text.replaceAll(STEERING, (found) => (found === ESCAPE ? found : named(found)));
}

/** For `JSON.parse`: every text of a document. */
export function visibleTexts(_: string, value: unknown): unknown {
  return typeof value === "string" ? visible(value) : value;
}

function named(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16);
  return code.length > 2 ? `\\u${code.padStart(4, "0")}` : `\\x${code.padStart(2, "0")}`;
}
