/**
 * A node that may announce no longer leaves well: for a while its routes stay and say that others are to be preferred, then they go.
 *
 *     announcing ── excluded ──► leaving ── pause over ──► gone
 *          ▲                        │                       │
 *          └────── not excluded ────┴───────────────────────┘
 *
 * Who is excluded from the start never announced and has nothing to leave. Pure.
 */
import { later, type Instant } from "../../time/instant.ts";

export type Leaving =
  | { readonly state: "announcing" }
  | { readonly state: "leaving"; readonly until: Instant }
  | { readonly state: "gone" };

/** Routers have turned to the others by then. */
export const LEAVING_MILLISECONDS = 5000;

/** `before` undefined: the node has just started. */
export function stepLeaving(before: Leaving | undefined, excluded: boolean, now: Instant): Leaving {
  if (!excluded) return { state: "announcing" };
  if (before === undefined || before.state === "gone") return { state: "gone" };
  const until = before.state === "leaving" ? before.until : later(now, LEAVING_MILLISECONDS);
  return until > now ? { state: "leaving", until } : { state: "gone" };
}
