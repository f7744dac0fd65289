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
