/** The events of the state folder: a bounded v1 List, newest last; the same event again only counts up. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { EventWrite } from "../source.ts";
import { writeAtomically } from "./state.ts";

/** A cluster forgets events after an hour; a folder keeps as many as somebody may want to scroll through. */
const EVENTS_MAX = 1000;
const WRITE_DELAY_MS = 100;

export interface EventFileOptions {
  readonly folder: string;
  readonly file: string;
  /** Whose events they are: `source.component`. */
  readonly component: string;
}

const eventSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  involvedObject: z.object({
    kind: z.string(),
    namespace: z.string(),
    name: z.string(),
    uid: z.string().optional(),
  }),
  type: z.enum(["Normal", "Warning"]),
  reason: z.string(),
  message: z.string(),
  source: z.object({ component: z.string() }),
  count: z.number().int(),
  firstTimestamp: z.string(),
  lastTimestamp: z.string(),
});

type Event = z.infer<typeof eventSchema>;

export class EventFile {
  readonly #options: EventFileOptions;
  readonly #events: Map<string, Event>;
  /** The next write, which has not begun. */
  #pending: Promise<void> | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  /** Continues the file of an earlier run, if it can be read. */
  constructor(options: EventFileOptions) {
    this.#options = options;
    const path = join(options.folder, options.file);
    this.#events = new Map(readEvents(path).map((event) => [event.metadata.name, event]));
  }

  /** Resolves when the event is in the file; several are written together. */
  write(event: EventWrite, now: Date): Promise<void> {
    const { regarding, type, reason, message } = event;
    const identity = JSON.stringify([regarding.kind, regarding.namespace, regarding.name, type, reason, message]);
    const name = `${regarding.name}.${createHash("sha256").update(identity).digest("hex").slice(0, 16)}`;
    const before = this.#events.get(name);
    const time = now.toISOString();
    // Deleted and set again, so that the newest is last.
    this.#events.delete(name);
    this.#events.set(name, {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace: regarding.namespace },
      involvedObject: { ...regarding },
      type,
      reason,
      message,
      source: { component: this.#options.component },
      count: (before?.count ?? 0) + 1,
      firstTimestamp: before?.firstTimestamp ?? time,
      lastTimestamp: time,
    });
    for (const oldest of this.#events.keys()) {
      if (this.#events.size <= EVENTS_MAX) break;
      this.#events.delete(oldest);
    }
    this.#pending ??= this.#flushSoon();
    return this.#pending;
  }

  /** Resolves when nothing is waiting to be written. */
  async settled(): Promise<void> {
    await this.#pending;
    await this.#writing;
  }

  async #flushSoon(): Promise<void> {
    const before = this.#writing;
    await new Promise((resolve) => setTimeout(resolve, WRITE_DELAY_MS));
    // Of the one before its own callers know.
    await before.catch(() => {});
    this.#pending = undefined;
    const { folder, file } = this.#options;
    this.#writing = writeAtomically(folder, file, {
      apiVersion: "v1",
      kind: "List",
      items: [...this.#events.values()],
    });
    await this.#writing;
  }
}

/** An unreadable file is started anew: events are a convenience, not state. */
function readEvents(path: string): readonly Event[] {
  try {
    const parsed = z.object({ items: z.array(eventSchema) }).safeParse(JSON.parse(readFileSync(path, "utf8")));
    return parsed.success ? parsed.data.items : [];
  } catch {
    return [];
  }
}
