/** What is wrong with an object somebody gave us: a value, collected and reported, never thrown. */
export interface Problem {
  /** The object as an operator names it: `IPAddressPool metallb-system/demo`, or a file. */
  readonly subject: string;
  /** The field inside the object: `spec.addresses[1]`. */
  readonly path?: string;
  /** What was found and, where it is not obvious, what to do: `range 10.0.0.9-10.0.0.1 ends before it starts`. */
  readonly message: string;
}

/** One line for logs and events. */
export function formatProblem(p: Problem): string {
  return p.path === undefined ? `${p.subject}: ${p.message}` : `${p.subject}: ${p.path}: ${p.message}`;
}

export function isSameProblem(a: Problem, b: Problem): boolean {
  return a.subject === b.subject && a.path === b.path && a.message === b.message;
}

/** As many as somebody reads: a list of a megabyte may be wrong a hundred thousand times. */
const PROBLEMS_MAX = 100;

/** Everything that is wrong with one object, up to a number. */
export function problemsAbout(
  subject: string,
  faults: readonly { readonly path?: string; readonly message: string }[],
): readonly Problem[] {
  const problems = faults.slice(0, PROBLEMS_MAX).map(({ path, message }): Problem => {
    return { subject, ...(path === undefined ? {} : { path }), message };
  });
  const more = faults.length - problems.length;
  return more > 0 ? [...problems, { subject, message: `and ${more} more problems` }] : problems;
}
