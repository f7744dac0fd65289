/**
 * What is said of kinds that cannot be read. Every watch retries by itself, so what each meets changes many times a second while the
 * API server is away; what is said does not. Pure: what each kind meets and the time come in, problems and the next look come out.
 *
 *     a kind    well ── no answer for a second, or at once when it is refused ──► said ── well for a second ──► well
 *     a group   all of whom the same is said: one problem, in words that change when others would have fitted for ten seconds
 */
import { isSameProblem, type Problem } from "../../net/problem.ts";
import { earliest, later, type Instant } from "../../time/instant.ts";
import { isUnreachable, UNREACHABLE } from "./unreachable.ts";

/** Whether something was read, and what keeps it from it. */
export interface Reach {
  /** As people call it: `services`, `secrets/router`. */
  readonly what: string;
  readonly synced: boolean;
  readonly problem: string | undefined;
  /** It was read once, or cannot be. */
  readonly known: boolean;
}

export interface Troubles {
  /** By what is read. */
  readonly kinds: ReadonlyMap<string, Kind>;
  readonly groups: ReadonlyMap<string, Group>;
}

interface Kind {
  /** What it meets. */
  readonly met: string | undefined;
  /** Since when it meets that, or is well. */
  readonly since: Instant;
  /** Since when it was not well for a second on end. */
  readonly troubledSince: Instant | undefined;
  readonly said: string | undefined;
}

interface Group {
  readonly said: Problem;
  /** What would fit now, and since when. */
  readonly fitting: Problem;
  readonly since: Instant;
}

/** An API server that hands over to another replica is back at the next try. */
const LASTING_MS = 1000;
/** One that starts refuses everybody until it has read its roles, and asks who wants a kind that it does not know yet to wait for five seconds. */
const SETTLED_MS = 10_000;

export const NO_TROUBLES: Troubles = { kinds: new Map(), groups: new Map() };

export function look(before: Troubles, reaches: readonly Reach[], now: Instant): Troubles {
  const kinds = new Map(reaches.map((reach) => [reach.what, lookAtKind(before.kinds.get(reach.what), reach, now)]));
  const groups = new Map<string, Group>();
  for (const [key, fitting] of fittingProblems(reaches, kinds))
    groups.set(key, lookAtGroup(before.groups.get(key), fitting, now));
  return { kinds, groups };
}

export function problemsOf({ groups }: Troubles): readonly Problem[] {
  return Array.from(groups.values(), ({ said }) => said);
}

/** When something else may have to be said, although nothing happens; undefined: never. */
export function nextLook({ kinds, groups }: Troubles): Instant | undefined {
  return earliest([
    ...Array.from(kinds.values(), dueOfKind),
    ...Array.from(groups.values(), ({ said, fitting, since }) =>
      isSameProblem(said, fitting) ? undefined : later(since, SETTLED_MS),
    ),
  ]);
}

function lookAtKind(before: Kind | undefined, { problem: met }: Reach, now: Instant): Kind {
  const since = before !== undefined && isSame(before.met, met) ? before.since : now;
  const isWell = met === undefined && (before === undefined || now >= later(since, LASTING_MS));
  const troubledSince = isWell ? undefined : (before?.troubledSince ?? (met === undefined ? undefined : now));
  const kind = { met, since, troubledSince, said: before?.said };
  return { ...kind, said: sayOfKind(kind, now) };
}

function sayOfKind({ met, since, troubledSince = since, said }: Kind, now: Instant): string | undefined {
  if (met === undefined) return now >= later(since, LASTING_MS) ? undefined : said;
  if (said !== undefined) return isSame(said, met) || now >= later(since, SETTLED_MS) ? met : said;
  const isAnswer = !isUnreachable(met) && since === troubledSince;
  return isAnswer || now >= later(troubledSince, LASTING_MS) ? met : undefined;
}

function dueOfKind({ met, since, troubledSince, said }: Kind): Instant | undefined {
  if (met === undefined) return troubledSince === undefined ? undefined : later(since, LASTING_MS);
  if (said === undefined) return later(troubledSince ?? since, LASTING_MS);
  return isSame(said, met) ? undefined : later(since, SETTLED_MS);
}

/** That there is no answer is one thing, for whatever reason. */
function isSame(a: string | undefined, b: string | undefined): boolean {
  return a === b || (isUnreachable(a) && isUnreachable(b));
}

/** By what makes them one. */
function* fittingProblems(
  reaches: readonly Reach[],
  kinds: ReadonlyMap<string, Kind>,
): Generator<readonly [string, Problem]> {
  // The kind of what is read one by one has no watch that could suffer.
  const all = reaches.filter(({ what }) => what !== "secrets").length;
  const groups = Map.groupBy(reaches, ({ what, synced }) => {
    const said = kinds.get(what)?.said;
    return isUnreachable(said) ? UNREACHABLE : `${said} ${synced}`;
  });
  for (const [key, group] of groups) {
    const said = kinds.get(group[0]?.what ?? "")?.said;
    if (said === undefined) continue;
    // Whoever has no answer for less than a second will be of them in a moment.
    const concerned =
      key === UNREACHABLE ? reaches.filter((each) => group.includes(each) || isUnreachable(each.problem)) : group;
    const names = concerned.length === all ? "" : `: ${concerned.map(({ what }) => what).join(", ")}`;
    const message =
      key === UNREACHABLE ? mostFrequent(concerned.flatMap(({ what }) => kinds.get(what)?.said ?? [])) : said;
    yield [key, { subject: `Kubernetes${names}`, message: `${message}; ${standingOf(concerned)}` }];
  }
}

function lookAtGroup(before: Group | undefined, fitting: Problem, now: Instant): Group {
  if (before === undefined) return { said: fitting, fitting, since: now };
  const since = isSameProblem(before.fitting, fitting) ? before.since : now;
  return { said: now >= later(since, SETTLED_MS) ? fitting : before.said, fitting, since };
}

function mostFrequent(texts: readonly string[]): string {
  const counts = [...Map.groupBy(texts, (text) => text)].toSorted(([, a], [, b]) => b.length - a.length);
  return counts[0]?.[0] ?? "";
}

const IN_FORCE = "what was last read stays in force";
const NOT_TAKEN = "nothing is taken away until it was read";

function standingOf(concerned: readonly Reach[]): string {
  if (concerned.every(({ synced }) => synced)) return IN_FORCE;
  return concerned.some(({ synced }) => synced) ? `${IN_FORCE}, ${NOT_TAKEN}` : NOT_TAKEN;
}
