/** Runs a reflector against the API server: sends its requests, feeds it the answers, and wakes it when it asks for it. */
import type { Clock } from "../../../time/clock.ts";
import type { Random } from "../../../time/jitter.ts";
import { forEach, inSlices } from "../../../time/slices.ts";
import type { Connection, Response } from "../connection.ts";
import { deadline, initialState, step, type Effect, type Event, type Raw, type State } from "./machine.ts";

export interface ReflectorOptions {
  readonly connection: Pick<Connection, "request" | "watch">;
  /** Of the list: `/api/v1/services` */
  readonly path: string;
  /** Which objects: `fieldSelector`, `labelSelector`. */
  readonly selectors?: Readonly<Record<string, string>>;
  /** The same for a server that does not know such a selector, and answers 400. */
  readonly selectorsElse?: Readonly<Record<string, string>>;
  /** Reads an object of a list as soon as its page is here; what it returns stands for the object. */
  readonly ahead?: (object: Raw) => Raw;
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

/** The first page: not much, however large its objects are. */
const PAGE_LIMIT = 100;
const PAGE_LIMIT_MAX = 1000;
/** Pages are asked for as large as this: they are parsed in one go, in about ten milliseconds. */
const PAGE_BYTES = 1024 * 1024;
/** So many objects are read between two pauses. */
const OBJECTS_A_STEP = 5;

export function startReflector(options: ReflectorOptions): Reflector {
  const { clock, random } = options;
  let state = initialState(clock.now());
  let cancel = (): void => {};
  let watch = new AbortController();
  let stopped = false;
  const asking: Asking = { limit: PAGE_LIMIT, selectors: options.selectors };

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
    if (effect.type === "list") void list(options, asking, effect.continueToken).then(handle);
    if (effect.type !== "watch") return;
    const mine = (watch = new AbortController());
    void follow({ ...options, selectors: asking.selectors }, effect, mine, (event) => {
      // What an aborted watch still says is about the past.
      if (!mine.signal.aborted) handle(widened(options, asking, event));
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

/** How the next page is asked for. */
interface Asking {
  limit: number;
  selectors: ReflectorOptions["selectors"];
}

async function list(options: ReflectorOptions, asking: Asking, continueToken: string): Promise<Event> {
  const { connection, path, ahead, selectorsElse } = options;
  const { limit, selectors } = asking;
  const query = { limit: String(limit), ...(continueToken === "" ? {} : { continue: continueToken }), ...selectors };
  try {
    const response = await connection.request({ method: "GET", path, query });
    if (response.status === BAD_REQUEST && selectorsElse !== undefined && selectors !== selectorsElse) {
      asking.selectors = selectorsElse;
      return await list(options, asking, "");
    }
    asking.limit = nextLimit(limit, response.bytes ?? 0);
    const page = pageOf(response);
    if (page.type !== "page" || ahead === undefined) return page;
    const items: Raw[] = [];
    await inSlices(forEach(page.items, OBJECTS_A_STEP, (item) => items.push(ahead(item))));
    return { ...page, items };
  } catch (error) {
    return lost(error);
  }
}

/** As many objects as make a page of the right size, going by the last. */
export function nextLimit(limit: number, bytes: number): number {
  return Math.min(PAGE_LIMIT_MAX, Math.max(1, Math.floor((limit * PAGE_BYTES) / Math.max(bytes, 1))));
}

const BAD_REQUEST = 400;
const GONE = 410;

/** A server that lists by a selector and does not watch by it: what is known is too narrow to go on from, as if it were too old. */
function widened({ selectorsElse }: ReflectorOptions, asking: Asking, event: Event): Event {
  if (event.type !== "refused" || event.status !== BAD_REQUEST) return event;
  if (selectorsElse === undefined || asking.selectors === selectorsElse) return event;
  asking.selectors = selectorsElse;
  return { ...event, status: GONE };
}

async function follow(
  { connection, path, selectors = {} }: Pick<ReflectorOptions, "connection" | "path"> & Pick<Asking, "selectors">,
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
  return { type: "lost", message: error instanceof Error ? error.message : String(error) };
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
