/** What became of a session, newest last: for people. What repeats is counted, so that a peer that is away for a day is one line. */
import type { Instant } from "../../time/instant.ts";

export interface Change {
  /** The last time. */
  readonly at: Instant;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly times: number;
}

const CHANGES_MAX = 50;

export function recorded<Subject extends { readonly history: readonly Change[] }>(
  subject: Subject,
  from: string,
  to: string,
  reason: string,
  at: Instant,
): Subject {
  const last = subject.history.at(-1);
  if (last !== undefined && last.from === from && last.to === to && last.reason === reason)
    return { ...subject, history: [...subject.history.slice(0, -1), { ...last, at, times: last.times + 1 }] };
  return { ...subject, history: [...subject.history, { at, from, to, reason, times: 1 }].slice(-CHANGES_MAX) };
}
