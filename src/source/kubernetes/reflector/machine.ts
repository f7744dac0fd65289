/**
 * Keeps a copy of one kind's objects: list, then watch from there, for ever. Pure: answers, lines and time come in; requests
 * and changes go out. (The name and the protocol are those of Kubernetes' own clients; API Concepts, "Efficient detection of changes".)
 *
 *     listing ── last page ──► watching ◄── ended, bookmark … ──┐
 *        ▲                        │  └──────────────────────────┘
 *        │ 410: too old           │ refused, lost, silent
 *        └───────────── waiting ◄─┘
 */
import { later, type Instant } from "../../../time/instant.ts";
import { jittered, type Random } from "../../../time/jitter.ts";

/** An object as the API server sent it, not looked at yet. */
export type Raw = Readonly<Record<string, unknown>>;

type Phase =
  | { readonly phase: "listing"; readonly items: readonly Raw[] }
  | { readonly phase: "watching"; readonly openedAt: Instant | undefined; readonly endsBy: Instant }
  | { readonly phase: "waiting"; readonly until: Instant };

export interface State {
  readonly now: Phase;
  /** Where the next watch begins; undefined: a list is needed first. */
  readonly resourceVersion: string | undefined;
  /** Failures in a row. */
  readonly attempts: number;
  /** A whole list was read at some time. */
  readonly synced: boolean;
  /** Why what is here may be old; undefined: it is not. */
  readonly problem: string | undefined;
  /** Only somebody's hand will mend that: missing rights, a missing kind. */
  readonly refused: boolean;
}

export type Event =
  | {
      readonly type: "page";
      readonly items: readonly Raw[];
      readonly resourceVersion: string;
      readonly continueToken: string;
    }
  | { readonly type: "opened" }
  | { readonly type: "changed"; readonly object: Raw; readonly resourceVersion: string }
  | { readonly type: "deleted"; readonly object: Raw; readonly resourceVersion: string }
  | { readonly type: "bookmark"; readonly resourceVersion: string }
  /** An answer that is not what was asked for, or an ERROR in a watch; `status` is HTTP's. */
  | {
      readonly type: "refused";
      readonly status: number;
      readonly message: string;
      readonly retryAfterSeconds?: number | undefined;
    }
  /** No answer, or one that makes no sense. */
  | { readonly type: "lost"; readonly message: string }
  /** The server ended the watch, as it does every few minutes. */
  | { readonly type: "ended" }
  | { readonly type: "clock" };

export type Effect =
  | { readonly type: "list"; readonly continueToken: string }
  | { readonly type: "watch"; readonly resourceVersion: string; readonly timeoutSeconds: number }
  /** Ends the watch that runs. */
  | { readonly type: "abort" }
  /** These are all. */
  | { readonly type: "replace"; readonly items: readonly Raw[] }
  | { readonly type: "put"; readonly object: Raw }
  | { readonly type: "remove"; readonly object: Raw };

/** The server is asked to end a watch after this, so that one that hangs is told from one that is quiet. */
const WATCH_SECONDS = 300;
/** It gets this much longer to do so. */
const WATCH_GRACE_MS = 30_000;
/** A watch that lives shorter has failed, whatever the server says. */
const WATCH_MS_MIN = 1000;
const PAUSE_MS = 200;
/** A server that is away is asked once a second, so that what changed meanwhile is known a second after its return. */
const PAUSE_MS_MAX = 1000;
/** There is no hurry where a kind or a right is missing. */
const REFUSED_MS_MAX = 10_000;
const HTTP = { unauthorized: 401, forbidden: 403, notFound: 404, gone: 410, tooMany: 429 } as const;

/** The state before the first `clock` event, which begins. */
export function initialState(now: Instant): State {
  return {
    now: { phase: "waiting", until: now },
    resourceVersion: undefined,
    attempts: 0,
    synced: false,
    problem: undefined,
    refused: false,
  };
}

/** When the next `clock` event is due; undefined: an answer comes first. */
export function deadline({ now: phase }: State): Instant | undefined {
  if (phase.phase === "waiting") return phase.until;
  return phase.phase === "watching" ? phase.endsBy : undefined;
}

export function step(state: State, event: Event, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  switch (event.type) {
    case "page":
      return listed(state, event, now, random);
    case "opened":
      return state.now.phase === "watching"
        ? [{ ...state, problem: undefined, now: { ...state.now, openedAt: now } }, []]
        : [state, []];
    case "changed":
      return [heard(state, event.resourceVersion), [{ type: "put", object: event.object }]];
    case "deleted":
      return [heard(state, event.resourceVersion), [{ type: "remove", object: event.object }]];
    case "bookmark":
      return [heard(state, event.resourceVersion), []];
    case "refused":
      return refused(state, event, now, random);
    case "lost":
      return wait(lasted(state.now, now) ? { ...state, attempts: 0 } : state, event.message, {
        now,
        random,
        longest: PAUSE_MS_MAX,
      });
    case "ended":
      return ended(state, now, random);
    case "clock":
      return clock(state, now, random);
  }
}

function listed(
  state: State,
  { items, resourceVersion, continueToken }: Extract<Event, { type: "page" }>,
  now: Instant,
  random: Random,
): readonly [State, readonly Effect[]] {
  if (state.now.phase !== "listing") return [state, []];
  const all = [...state.now.items, ...items];
  if (continueToken !== "")
    return [{ ...state, now: { phase: "listing", items: all } }, [{ type: "list", continueToken }]];
  const done = { ...state, resourceVersion, attempts: 0, synced: true, problem: undefined, refused: false };
  const [watching, effects] = watch(done, now, random);
  return [watching, [{ type: "replace", items: all }, ...effects]];
}

function heard(state: State, resourceVersion: string): State {
  return { ...state, resourceVersion, attempts: 0 };
}

function ended(state: State, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  const phase = state.now;
  if (phase.phase !== "watching") return [state, []];
  // A server, or something in front of it, that ends every watch at once must not be asked without a pause.
  if (!lasted(phase, now))
    return wait(state, "the API server ends the watch as soon as it has begun", { now, random, longest: PAUSE_MS_MAX });
  return watch({ ...state, attempts: 0 }, now, random);
}

function lasted(phase: Phase, now: Instant): boolean {
  return phase.phase === "watching" && phase.openedAt !== undefined && now >= later(phase.openedAt, WATCH_MS_MIN);
}

function refused(
  state: State,
  { status, message, retryAfterSeconds = 0 }: Extract<Event, { type: "refused" }>,
  now: Instant,
  random: Random,
): readonly [State, readonly Effect[]] {
  // What we know is too old to go on from, which is the server's business, not a failure.
  if (status === HTTP.gone) {
    const relist = { ...state, resourceVersion: undefined };
    return wait(relist, state.problem, { now, random, longest: PAUSE_MS_MAX });
  }
  const forbidden = status === HTTP.forbidden || status === HTTP.notFound;
  const longest = forbidden ? REFUSED_MS_MAX : PAUSE_MS_MAX;
  // A server that was away until now refuses everybody until it has read its roles: it is asked again soon, however long it was away.
  const attempts = forbidden && !state.refused ? 0 : state.attempts;
  const told = { ...state, attempts, refused: forbidden };
  return wait(told, explain(status, message), { now, random, longest, shortest: retryAfterSeconds * 1000 });
}

/** In the words of an operator, whether it is read or written. */
export const UNKNOWN_KIND =
  "the API server does not know this kind (404); install the custom resource definitions of this release";

function explain(status: number, message: string): string {
  switch (status) {
    case HTTP.unauthorized:
      return `the API server does not know us (401): ${message}; is the token or certificate still valid?`;
    case HTTP.forbidden:
      return `${message} (403); give this program the role that is made for it`;
    case HTTP.notFound:
      return UNKNOWN_KIND;
    case HTTP.tooMany:
      return `the API server asks for patience (429): ${message}`;
    default:
      return `the API server answers ${status}: ${message}`;
  }
}

function clock(state: State, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  const phase = state.now;
  if (phase.phase === "waiting" && phase.until <= now) return resume(state, now, random);
  if (phase.phase !== "watching" || phase.endsBy > now) return [state, []];
  const [waiting] = wait(state, "the watch is silent, and was not ended when it should have been", {
    now,
    random,
    longest: PAUSE_MS_MAX,
  });
  return [waiting, [{ type: "abort" }]];
}

function resume(state: State, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  if (state.resourceVersion !== undefined) return watch(state, now, random);
  return [{ ...state, now: { phase: "listing", items: [] } }, [{ type: "list", continueToken: "" }]];
}

/** Watches of many programs must not end together. */
function watch(state: State, now: Instant, random: Random): readonly [State, readonly Effect[]] {
  const { resourceVersion } = state;
  if (resourceVersion === undefined) return resume(state, now, random);
  const timeoutSeconds = Math.round(jittered(WATCH_SECONDS, 0.2, random));
  const endsBy = later(now, timeoutSeconds * 1000 + WATCH_GRACE_MS);
  return [
    { ...state, now: { phase: "watching", openedAt: undefined, endsBy } },
    [{ type: "watch", resourceVersion, timeoutSeconds }],
  ];
}

interface Patience {
  readonly now: Instant;
  readonly random: Random;
  readonly longest: number;
  readonly shortest?: number;
}

function wait(
  state: State,
  problem: string | undefined,
  { now, random, longest, shortest = 0 }: Patience,
): readonly [State, readonly Effect[]] {
  const step = Math.min(PAUSE_MS * 2 ** Math.min(state.attempts, 16), longest);
  // Never more than `longest`, and spread over half of it: hundreds of nodes lose the server in the same moment.
  const pause = Math.max(step * (0.5 + random() / 2), shortest);
  return [{ ...state, attempts: state.attempts + 1, problem, now: { phase: "waiting", until: later(now, pause) } }, []];
}
