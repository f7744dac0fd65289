/** A request that had no answer: why, in the system's words, and what to look at. */

export class Unreachable extends Error {
  constructor(cause: unknown) {
    super(`${UNREACHABLE}: ${reasonOf(cause)}`, { cause });
  }
}

/** How everything begins that is said about an API server that does not answer. */
export const UNREACHABLE = "the API server cannot be reached";

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
