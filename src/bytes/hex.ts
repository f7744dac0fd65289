/** Bytes as hexadecimal text, for tests, logs and MAC addresses. */

/** Two lower-case digits a byte. */
export function toHex(bytes: Uint8Array, separator = ""): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(separator);
}

/** Blanks and colons between bytes are ignored. `undefined`: other characters, or half a byte. */
export function parseHex(text: string): Uint8Array | undefined {
  const digits = text.replaceAll(/[\s:]/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) return undefined;
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** As {@link parseHex}, for text our own code wrote. Throws on anything else. */
export function hex(text: string): Uint8Array {
  const bytes = parseHex(text);
  if (bytes === undefined) throw new SyntaxError(`Cannot parse ${JSON.stringify(text)} as hexadecimal bytes`);
  return bytes;
}
