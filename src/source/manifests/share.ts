/**
 * Equal parts of objects become one value. Ten thousand Services have the same ports, labels and empty lists ten thousand
 * times; told apart by nobody, they need not lie in memory as often. What is shared is frozen: it belongs to many.
 */

/** Parts with more members are seldom equal, and finding out costs more than it saves. */
const MEMBERS_MAX = 12;
const TEXT_MAX = 256;
/** When so many different ones were met, start anew: the common ones are soon back, the others were not worth keeping. */
const PARTS_MAX = 8192;
/** V8 keeps shorter strings once anyway. */
const STRING_MIN = 11;

const parts = new Map<string, object>();
/** By part that is shared: what stands for it in the text of those that hold it. */
const numbers = new Map<object, number>();
let given = 0;
const strings = new Map<string, string>();

/** The value with all its parts shared. It must be nobody else's yet: it may be changed, or given up for one that was there before. */
export function share<T>(value: T): T {
  if (typeof value === "string") return shareString(value) as T & string;
  if (typeof value !== "object" || value === null || !isPlain(value)) return value;
  const text = Array.isArray(value) ? shareElements(value) : shareFields(value as Record<string, unknown>);
  if (text === undefined || text.length > TEXT_MAX) return value;
  const known = parts.get(text);
  if (known !== undefined) return known as T;
  if (parts.size >= PARTS_MAX) forget();
  parts.set(text, Object.freeze(value));
  // Never given twice: texts made before may live on.
  numbers.set(value, (given += 1));
  return value;
}

/** Shares the elements; the text that is equal for equal lists, undefined where they are not compared. */
function shareElements(list: unknown[]): string | undefined {
  let text: string | undefined = list.length > MEMBERS_MAX ? undefined : "[";
  for (let i = 0; i < list.length; i += 1) {
    const element = list[i];
    const shared = share(element);
    if (shared !== element && !Object.isFrozen(list)) list[i] = shared;
    const part = text === undefined ? undefined : textOf(list[i]);
    text = part === undefined ? undefined : `${text},${part}`;
  }
  return text;
}

function shareFields(object: Record<string, unknown>): string | undefined {
  const names = Object.keys(object);
  let text: string | undefined = names.length > MEMBERS_MAX ? undefined : "{";
  for (const name of names) {
    const field = object[name];
    const shared = share(field);
    if (shared !== field && !Object.isFrozen(object)) object[name] = shared;
    const part = text === undefined ? undefined : textOf(object[name]);
    text = part === undefined ? undefined : `${text},${name.length}:${name}${part}`;
  }
  return text;
}

/** What has more to it than its fields is left alone. */
function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Lengths before texts, so that no two values look the same. */
function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return `s${value.length}:${value}`;
  if (typeof value === "object" && value !== null) {
    const number = numbers.get(value);
    return number === undefined ? undefined : `#${number}`;
  }
  return `${typeof value} ${String(value)}`;
}

function shareString(text: string): string {
  if (text.length < STRING_MIN || text.length > TEXT_MAX) return text;
  const known = strings.get(text);
  if (known !== undefined) return known;
  if (strings.size >= PARTS_MAX) strings.clear();
  strings.set(text, text);
  return text;
}

function forget(): void {
  parts.clear();
  numbers.clear();
}
