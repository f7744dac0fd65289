/** A request that had no answer: why, in the system's words, and what to look at; and what follows from it. */
import type { Problem } from "../../net/problem.ts";

export class Unreachable extends Error {
  constructor(cause: unknown) {
    super(`${UNREACHABLE}: ${reasonOf(cause)}`, { cause });
  }
}

/** How everything begins that is said about an API server that does not answer. */
export const UNREACHABLE = "the API server cannot be reached";

export function isUnreachable(message: string | undefined): boolean {
  return message?.includes(UNREACHABLE) === true;
}

/** Whether the problems of a snapshot say it: then nobody has to be told what cannot be written meanwhile. */
function saysUnreachable(problems: readonly Problem[]): boolean {
  return problems.some(({ subject, message }) => subject.startsWith("Kubernetes") && message.startsWith(UNREACHABLE));
}

/** Before it is said an outage has to last a second; what cannot be written for want of an answer is said later still. */
const UNSAID_MS = 3000;

/** Of what could not be written, what has to be said beside the problems of the snapshot. */
export class Unwritten {
  #since: number | undefined;

  /** `failures`: of one try, all of them. `now` in milliseconds. */
  toSay<F extends { readonly message: string }>(
    failures: readonly F[],
    problems: readonly Problem[],
    now: number,
  ): readonly F[] {
    const unanswered = failures.some(({ message }) => isUnreachable(message));
    this.#since = unanswered ? (this.#since ?? now) : undefined;
    // What is refused by an API server that has just started is tried again when it is back for good.
    if (saysUnreachable(problems)) return [];
    const isLasting = this.#since !== undefined && now - this.#since >= UNSAID_MS;
    return isLasting ? failures : failures.filter(({ message }) => !isUnreachable(message));
  }
}

/** Said where several kinds of trouble look alike from here; `code` is Node's. */
const ADVICE: readonly (readonly [codes: RegExp, advice: string])[] = [
  [/^ECONNREFUSED$/, "does it run, and is this its address?"],
  [/^(ENOTFOUND|EAI_AGAIN)$/, "does this machine's DNS know the name?"],
  [/^(ENETUNREACH|EHOSTUNREACH|ETIMEDOUT)$/, "does the network lead there?"],
  [
    /^(DEPTH_ZERO_SELF|SELF_SIGNED|UNABLE_TO_|CERT_|ERR_TLS_)/,
    "does it have another certificate authority or name now?",
  ],
];

function reasonOf(cause: unknown): string {
  const root = rootOf(cause);
  const reason = root instanceof AggregateError ? root.errors.map(messageOf).join("; ") : messageOf(root);
  const code = codeOf(root) ?? "";
  const advice = ADVICE.find(([codes]) => codes.test(code))?.[1];
  return advice === undefined ? reason : `${reason} (${advice})`;
}

/** A request that waited for a connection fails by the connection's failure, wrapped in one of its own. */
function rootOf(error: unknown): unknown {
  return codeOf(error) === "ERR_HTTP2_STREAM_CANCEL" && error instanceof Error && error.cause !== undefined
    ? error.cause
    : error;
}

function codeOf(error: unknown): string | undefined {
  // Several addresses of one name are tried; the failure of each is inside.
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
