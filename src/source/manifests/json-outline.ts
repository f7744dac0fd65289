/**
 * Where in the bytes of a JSON text the items of a Kubernetes List are, without reading it as a whole: each is then parsed
 * by itself. So a list of a hundred thousand objects never stands in memory twice, and there is a pause between any two of them.
 *
 * What lies between the brackets is not checked here: whoever parses the pieces finds every mistake.
 */
import type { Sliced } from "../../time/slices.ts";

export type Outline =
  | {
      readonly type: "list";
      /** The text around the items, with none in it. */
      readonly envelope: string;
      /** First byte and the one behind the last of each item, one behind the other. */
      readonly extents: readonly number[];
    }
  /** An object, or whatever else, without a list of items at its top. */
  | { readonly type: "single" }
  /** The text ends inside of something, or goes on behind its end. */
  | { readonly type: "unbalanced" }
  | { readonly type: "tooDeep" };

/** Deeper than any kind of Kubernetes, and far from what the stack bears. */
export const NESTING_MAX = 200;
/** Bytes between two pauses. */
const STEP_BYTES = 64 * 1024;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;
const ITEMS = '"items"';

export function* outlineOf(bytes: Buffer): Sliced<Outline> {
  const scan = new Scan(bytes);
  let pauseAt = STEP_BYTES;
  while (scan.outcome === undefined) {
    scan.step();
    if (scan.at < pauseAt) continue;
    pauseAt = scan.at + STEP_BYTES;
    yield;
  }
  return scan.outcome;
}

class Scan {
  readonly #bytes: Buffer;
  at = 0;
  outcome: Outline | undefined;
  #depth = 0;
  /** In the outermost object: the next string is a key. */
  #keyIsNext = true;
  #keyIsItems = false;
  /** Of the list of items: its bracket, and of the item now read the first byte. */
  #list: { readonly start: number; end: number } | undefined;
  #inItems = false;
  #itemStart = 0;
  readonly #extents: number[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** One byte, or one string. */
  step(): void {
    const byte = this.#bytes[this.at];
    if (byte === undefined) {
      this.outcome = { type: "unbalanced" };
      return;
    }
    if (byte === QUOTE) this.#string();
    else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#open(byte);
    else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) this.#close();
    else if (byte === COMMA) this.#comma();
    else if (byte === COLON && this.#depth === 1) this.#keyIsNext = false;
    this.at += 1;
  }

  #string(): void {
    const start = this.at;
    let end = start;
    do end = this.#bytes.indexOf(QUOTE, end + 1);
    while (end !== -1 && this.#isEscaped(end));
    if (end === -1) {
      this.outcome = { type: "unbalanced" };
      return;
    }
    this.at = end;
    if (this.#depth !== 1 || !this.#keyIsNext) return;
    this.#keyIsItems = end + 1 - start === ITEMS.length && this.#bytes.toString("latin1", start, end + 1) === ITEMS;
  }

  #isEscaped(quote: number): boolean {
    let before = quote;
    while (this.#bytes[before - 1] === BACKSLASH) before -= 1;
    return (quote - before) % 2 === 1;
  }

  #open(byte: number): void {
    if (this.#depth === 0 && byte !== OPEN_OBJECT) this.outcome = { type: "single" };
    if (this.#depth === 1 && byte === OPEN_LIST && this.#keyIsItems && !this.#keyIsNext) {
      // Given twice, the last one counts: too odd to be read in pieces.
      if (this.#list !== undefined) this.outcome = { type: "single" };
      this.#list = { start: this.at, end: 0 };
      this.#inItems = true;
      this.#itemStart = this.at + 1;
    }
    this.#depth += 1;
    if (this.#depth > NESTING_MAX) this.outcome = { type: "tooDeep" };
  }

  #close(): void {
    this.#depth -= 1;
    if (this.#depth === 1 && this.#inItems && this.#list !== undefined) {
      if (this.#extents.length > 0 || !isBlank(this.#bytes, this.#itemStart, this.at)) this.#endItem();
      this.#list.end = this.at + 1;
      this.#inItems = false;
    }
    if (this.#depth > 0) return;
    const complete = this.#depth === 0 && isBlank(this.#bytes, this.at + 1, this.#bytes.length);
    this.outcome = complete ? this.#complete() : { type: "unbalanced" };
  }

  #comma(): void {
    if (this.#depth === 1) this.#keyIsNext = true;
    if (this.#depth === 2 && this.#inItems) this.#endItem();
  }

  #endItem(): void {
    this.#extents.push(this.#itemStart, this.at);
    this.#itemStart = this.at + 1;
  }

  #complete(): Outline {
    if (this.#list === undefined) return { type: "single" };
    const { start, end } = this.#list;
    const envelope = `${this.#bytes.toString("utf8", 0, start)}[]${this.#bytes.toString("utf8", end)}`;
    return { type: "list", envelope, extents: this.#extents };
  }
}

function isBlank(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at += 1) {
    const byte = bytes[at];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return false;
  }
  return true;
}
