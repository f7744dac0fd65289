/** Runs a reflector against the API server: sends its requests, feeds it the answers, and wakes it when it asks for it. */
import type { Clock } from "../../../time/clock.ts";
import type { Random } from "../../../time/jitter.ts";
import type { Connection, Response } from "../connection.ts";
import { deadline, initialState, step, type Effect, type Event, type Raw, type State } from "./machine.ts";

export interface ReflectorOptions {
  readonly connection: Pick<Connection, "request" | "watch">;
  /** Of the list: `/api/v1/services` */
  readonly path: string;
  /** Which objects: `fieldSelector`, `labelSelector`. */
  readonly selectors?: Readonly<Record<string, string>>;
  readonly clock: Clock;
  readonly random: Random;
  /** Called after every change of the copy or of what is said about it. */
  readonly onEffects: (changes: readonly Change[], state: Pick<State, "synced" | "problem" | "refused">) => void;
}

/** What became of the copy. */
export type Change = Extract<Effect, { type: "replace" | "put" | "remove" }>;

export interface Reflector {
  stop(): void;
}

/** A page is a few megabytes at most, and nobody has to build a list of 100,000 objects at once. */
const PAGE_LIMIT = 500;

export function startReflector(options: ReflectorOptions): Reflector {
  const { clock, random } = options;
  let state = initialState(clock.now());
  let cancel = (): void => {};
  let watch = new AbortController();
  let stopped = false;

  const handle = (event: Event): void => {
    if (stopped) return;
    const before = state;
    const [next, effects] = step(state, event, clock.now(), random);
    state = next;
    cancel();
    const due = deadline(state);
    if (due !== undefined) cancel = clock.at(due, () => handle({ type: "clock" }));
    const changes = effects.filter((effect): effect is Change => isChange(effect));
    if (changes.length > 0 || before.problem !== state.problem || before.synced !== state.synced)
      options.onEffects(changes, state);
    for (const effect of effects) perform(effect);
  };
  const perform = (effect: Effect): void => {
    if (effect.type === "abort") watch.abort();
    if (effect.type === "list") void list(options, effect.continueToken).then(handle);
    if (effect.type !== "watch") return;
    const mine = (watch = new AbortController());
    void follow(options, effect, mine, (event) => {
      // What an aborted watch still says is about the past.
      if (!mine.signal.aborted) handle(event);
    });
  };
  handle({ type: "clock" });
  return {
    stop: () => {
      stopped = true;
      cancel();
      watch.abort();
    },
  };
}

async function list({ connection, path, selectors }: ReflectorOptions, continueToken: string): Promise<Event> {
  const query = {
    limit: String(PAGE_LIMIT),
    ...(continueToken === "" ? {} : { continue: continueToken }),
    ...selectors,
  };
  return connection.request({ method: "GET", path, query }).then(pageOf, lost);
}

async function follow(
  { connection, path, selectors }: ReflectorOptions,
  { resourceVersion, timeoutSeconds }: Extract<Effect, { type: "watch" }>,
  watch: AbortController,
  hear: (event: Event) => void,
): Promise<void> {
  const query = {
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion,
    timeoutSeconds: String(timeoutSeconds),
    ...selectors,
  };
  const onLine = (line: string): void => {
    const event = lineOf(line);
    hear(event);
    if (event.type === "refused" || event.type === "lost") watch.abort();
  };
  const end = await connection
    .watch({ method: "GET", path, query }, { onOpen: () => hear({ type: "opened" }), onLine, signal: watch.signal })
    .then((refusal): Event => (refusal === undefined ? { type: "ended" } : refusedBy(refusal)), lost);
  hear(end);
}

function isChange(effect: Effect): effect is Change {
  return effect.type === "replace" || effect.type === "put" || effect.type === "remove";
}

function pageOf(response: Response): Event {
  if (response.status !== 200) return refusedBy(response);
  const { items, metadata } = asRecord(response.body);
  const { resourceVersion, continue: continueToken } = asRecord(metadata);
  // A list without objects may say null.
  if ((items !== null && items !== undefined && !Array.isArray(items)) || typeof resourceVersion !== "string")
    return { type: "lost", message: "the API server answered a list with something else" };
  return {
    type: "page",
    items: ((items ?? []) as readonly unknown[]).map(asRecord),
    resourceVersion,
    continueToken: typeof continueToken === "string" ? continueToken : "",
  };
}

function lineOf(line: string): Event {
  const { type, object: raw } = asRecord(tryParse(line));
  const object = asRecord(raw);
  const { resourceVersion } = asRecord(object["metadata"]);
  if (type === "ERROR")
    return refusedBy({ status: Number(object["code"]) || 500, retryAfterSeconds: undefined, body: raw });
  if (typeof resourceVersion === "string") {
    if (type === "ADDED" || type === "MODIFIED") return { type: "changed", object, resourceVersion };
    if (type === "DELETED") return { type: "deleted", object, resourceVersion };
    if (type === "BOOKMARK") return { type: "bookmark", resourceVersion };
  }
  return {
    type: "lost",
    message: `the API server sent a watch line that is none: ${JSON.stringify(line.slice(0, 80))}`,
  };
}

function refusedBy({ status, retryAfterSeconds, body }: Response): Event {
  const { message } = asRecord(body);
  const text = typeof message === "string" ? message : typeof body === "string" ? body : "no reason given";
  return { type: "refused", status, message: text.slice(0, 300), retryAfterSeconds };
}

function lost(error: unknown): Event {
  return { type: "lost", message: `the API server cannot be reached: ${describe(error)}` };
}

function describe(error: unknown): string {
  // Several addresses of one name are tried; each failure is inside.
  if (error instanceof AggregateError) return error.errors.map(describe).join("; ");
  return error instanceof Error ? error.message : String(error);
}

function tryParse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asRecord(value: unknown): Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}
