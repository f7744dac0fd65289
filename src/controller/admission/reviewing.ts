/**
 * A review by what is known here, which is a few milliseconds behind: of a file with a peer and its BFD profile, kubectl deletes the
 * profile in the moment after the peer, and would be told that it is in use. So what is refused is judged again when news come.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Source } from "../../source/source.ts";
import { review, type Review } from "./review.ts";

/** Far longer than a watch takes, and far shorter than anybody waits for who is told that something is wrong. */
const PATIENCE_MS = 300;

/** Undefined for what is no review. */
export async function reviewing(
  body: unknown,
  source: Pick<Source, "snapshot" | "subscribe">,
  systemNamespace: string,
  patienceMilliseconds = PATIENCE_MS,
): Promise<Review | undefined> {
  const judge = (): Review | undefined =>
    review(body, { snapshot: source.snapshot(), systemNamespace, now: new Date() });
  const first = judge();
  if (first?.response.allowed !== false) return first;
  const over = new AbortController();
  const allowed = Promise.withResolvers<Review>();
  const unsubscribe = source.subscribe(() => {
    const again = judge();
    if (again?.response.allowed === true) allowed.resolve(again);
  });
  try {
    return await Promise.race([allowed.promise, sleep(patienceMilliseconds, first, { signal: over.signal })]);
  } finally {
    over.abort();
    unsubscribe();
  }
}
