/** What the rules of one object found, before it is known whose object it is. */
export interface Finding {
  readonly path: string;
  readonly message: string;
  /** MetalLB refuses it, but what is meant is clear: it is reported and works. */
  readonly harmless?: true;
}

/** An object after its own rules. */
export interface Judged<T> {
  /** Undefined: something in it cannot be used. */
  readonly value: T | undefined;
  readonly findings: readonly Finding[];
}

export function judged<T>(findings: readonly Finding[], value: () => T): Judged<T> {
  return { findings, value: findings.every((finding) => finding.harmless === true) ? value() : undefined };
}

/** Entries that occur again; `what` is the word MetalLB's message has for one: `duplicate definition of peer "a"`. */
export function duplicates(values: readonly string[], path: string, what: string): readonly Finding[] {
  const seen = new Set<string>();
  return values.flatMap((value, index) => {
    if (!seen.has(value)) {
      seen.add(value);
      return [];
    }
    const message = `duplicate definition of ${what} ${quote(value)}; remove one`;
    return [{ path: `${path}[${index}]`, message, harmless: true } as const];
  });
}

/** Users' text in messages, bounded. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
