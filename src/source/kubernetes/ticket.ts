/**
 * Tickets: tokens of service accounts, made by the API server for one agent only (RFC 7519 `aud`). What is looked at here proves nothing:
 * it keeps what cannot be a ticket from costing a question to the API server. Pure.
 */

/** Whom a ticket for the agent of this node is made out to. */
export function audienceOf(node: string): string {
  return `fairlead-agent/${node}`;
}

/** The API server's own are below 2 KB. */
const TICKET_CHARACTERS_MAX = 8192;
const JWT = /^[\w-]+\.(?<payload>[\w-]+)\.[\w-]+$/;

export type Look =
  | { readonly ok: true; readonly expiresAtMilliseconds: number }
  | { readonly ok: false; readonly reason: string };

/** `nowMilliseconds`: of the wall clock. */
export function lookAtTicket(ticket: string, node: string, nowMilliseconds: number): Look {
  if (ticket.length > TICKET_CHARACTERS_MAX)
    return refused(`the ticket is longer than ${TICKET_CHARACTERS_MAX} characters`);
  const claims = claimsOf(ticket);
  if (claims === undefined) return refused("the ticket is no token of a service account");
  const { aud, exp } = claims;
  const audience = audienceOf(node);
  if (!(Array.isArray(aud) ? aud : [aud]).includes(audience))
    return refused(`the ticket is not made out to ${audience}`);
  if (typeof exp !== "number") return refused("the ticket does not say when it ends");
  if (exp * 1000 <= nowMilliseconds)
    return refused(`the ticket expired at ${timeText(exp * 1000)}; on ${node} it is ${timeText(nowMilliseconds)}`);
  return { ok: true, expiresAtMilliseconds: exp * 1000 };
}

/** A ticket is used when it has just been made: whoever is told both times sees that a clock is wrong. */
function timeText(milliseconds: number): string {
  const date = new Date(milliseconds);
  return Number.isNaN(date.getTime()) ? String(milliseconds) : date.toISOString();
}

function refused(reason: string): Look {
  return { ok: false, reason };
}

function claimsOf(ticket: string): { readonly aud?: unknown; readonly exp?: unknown } | undefined {
  const payload = JWT.exec(ticket)?.groups?.["payload"];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return typeof claims === "object" && claims !== null ? claims : undefined;
  } catch {
    return undefined;
  }
}
