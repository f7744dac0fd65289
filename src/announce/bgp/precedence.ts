/** Who counts when objects contradict each other. */
import type { Finding } from "./findings.ts";

/** Advertisements and peers refer to others by name alone. */
export function sameName(what: string, name: string, otherKey: string): Finding {
  const message = `duplicate definition of ${what} "${name}": ${otherKey} has the same name and counts; rename one`;
  return { path: "metadata.name", message };
}

/** Those that worked before and did not change, then the oldest, then by key: who comes later gives way. */
export function firstCome<T extends { readonly metadata: Dated }>(
  objects: ReadonlyMap<string, T>,
  incumbents: ReadonlySet<string>,
): readonly T[] {
  const rank = ([key, { metadata }]: readonly [string, T]): string =>
    `${incumbents.has(key) ? 0 : 1} ${metadata.creationTimestamp ?? ""} ${key}`;
  return [...objects].toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1)).map(([, object]) => object);
}

interface Dated {
  readonly creationTimestamp?: string | undefined;
}

/** Whether two values say the same, in the order of their fields. */
export function sameText(a: unknown, b: unknown): boolean {
  return textOf(a) === textOf(b);
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, field: unknown) =>
    typeof field === "bigint" ? `${field}n` : field instanceof Set ? [...field] : field,
  );
}
