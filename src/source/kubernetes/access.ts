/**
 * Who may ask this agent over the network: the API server says whose a ticket is (TokenReview) and what that user may do
 * (SubjectAccessReview on `agents.fairlead.io`, of this node's name: `get` to read, `update` to change).
 *
 *     ticket ─► a look (ticket.ts) ─► remembered? ─► budget ─► TokenReview ─► SubjectAccessReview
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Access, Verb } from "../../observe/remote-api.ts";
import type { Connection, Response } from "./connection.ts";
import { audienceOf, lookAtTicket } from "./ticket.ts";
import { refusalOf } from "./writer.ts";

export interface AccessOptions {
  readonly connection: Pick<Connection, "request">;
  readonly node: string;
  /** Of the agents. */
  readonly namespace: string;
  /** Wall clock. */
  readonly now?: () => number;
}

/** How long a yes is remembered: a role that is taken away counts after that. */
const REMEMBERED_MS = 30_000;
const REMEMBERED_MAX = 256;
/** Questions to the API server, so that whoever floods this agent does not flood the API server too. */
const REVIEWS_MAX = 20;
const REVIEWS_PER_MS = 5 / 1000;

const tokenReview = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    error: z.string().optional(),
    audiences: z.array(z.string()).default([]),
    user: z
      .object({
        username: z.string().default(""),
        uid: z.string().optional(),
        groups: z.array(z.string()).optional(),
        extra: z.record(z.string(), z.array(z.string())).optional(),
      })
      .default({ username: "" }),
  }),
});
const accessReview = z.object({
  status: z.object({ allowed: z.boolean().default(false), reason: z.string().default("") }),
});
type User = z.infer<typeof tokenReview>["status"]["user"];

interface Remembered {
  readonly user: string;
  readonly untilMilliseconds: number;
}

export function openAccess({ connection, node, namespace, now = Date.now }: AccessOptions): Access {
  const remembered = new Map<string, Remembered>();
  const takeReview = openBudget(now);

  return async (ticket, verb) => {
    const look = lookAtTicket(ticket, node, now());
    if (!look.ok) return { status: 401, reason: look.reason };
    const key = `${verb} ${createHash("sha256").update(ticket).digest("base64")}`;
    const before = remembered.get(key);
    if (before !== undefined && before.untilMilliseconds > now()) return { status: 200, user: before.user };
    remembered.delete(key);
    if (!takeReview())
      return { status: 429, reason: "too many tickets are shown to this agent; try again in a second" };
    const user = await authenticate(connection, ticket, audienceOf(node));
    if ("status" in user) return user;
    const refused = await authorize(connection, user, { namespace, node, verb });
    if (refused !== undefined) return refused;
    const untilMilliseconds = Math.min(look.expiresAtMilliseconds, now() + REMEMBERED_MS);
    for (const oldest of remembered.size >= REMEMBERED_MAX ? remembered.keys().take(1) : []) remembered.delete(oldest);
    remembered.set(key, { user: user.username, untilMilliseconds });
    return { status: 200, user: user.username };
  };
}

/** Says whether one more is allowed now. */
function openBudget(now: () => number): () => boolean {
  let [left, at] = [REVIEWS_MAX, now()];
  return () => {
    // A clock that was set back gives nothing, and takes nothing.
    left = Math.min(REVIEWS_MAX, left + Math.max(0, now() - at) * REVIEWS_PER_MS);
    at = now();
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}

type Refused = Exclude<Awaited<ReturnType<Access>>, { readonly status: 200 }>;

async function authenticate(
  connection: AccessOptions["connection"],
  token: string,
  audience: string,
): Promise<User | Refused> {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token, audiences: [audience] } };
  const answer = await review(connection, "/apis/authentication.k8s.io/v1/tokenreviews", body);
  if ("status" in answer) return answer;
  const parsed = tokenReview.safeParse(answer.body);
  if (!parsed.success) return unasked("it answers a TokenReview with something else");
  const { authenticated, audiences, user, error } = parsed.data.status;
  if (!authenticated || !audiences.includes(audience))
    return {
      status: 401,
      reason: `the API server does not accept the ticket${error === undefined ? "" : `: ${error}`}`,
    };
  return user;
}

async function authorize(
  connection: AccessOptions["connection"],
  user: User,
  { namespace, node, verb }: { readonly namespace: string; readonly node: string; readonly verb: Verb },
): Promise<Refused | undefined> {
  const { username, ...rest } = user;
  const resourceAttributes = { group: "fairlead.io", resource: "agents", namespace, name: node, verb };
  const spec = { user: username, ...rest, resourceAttributes };
  const body = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec };
  const answer = await review(connection, "/apis/authorization.k8s.io/v1/subjectaccessreviews", body);
  if ("status" in answer) return answer;
  const parsed = accessReview.safeParse(answer.body);
  if (!parsed.success) return unasked("it answers a SubjectAccessReview with something else");
  const { allowed, reason } = parsed.data.status;
  if (allowed) return undefined;
  const why = reason === "" ? "" : `: ${reason}`;
  return { status: 403, reason: `${username} may not ${verb} agents.fairlead.io "${node}" in ${namespace}${why}` };
}

async function review(
  connection: AccessOptions["connection"],
  path: string,
  body: unknown,
): Promise<{ readonly body: unknown } | Refused> {
  let answer: Response;
  try {
    answer = await connection.request({ method: "POST", path, body });
  } catch (error) {
    return unasked(error instanceof Error ? error.message : String(error));
  }
  return answer.status === 201 || answer.status === 200 ? { body: answer.body } : unasked(refusalOf(answer));
}

function unasked(reason: string): Refused {
  return { status: 503, reason: `cannot ask the API server whose the ticket is: ${reason}` };
}
