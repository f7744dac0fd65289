/** Events in `events.k8s.io/v1`: one object per thing that is said, a repetition only counts up in its series. */
import { createHash } from "node:crypto";
import type { EventWrite } from "../source.ts";
import type { Connection } from "./connection.ts";
import { refusalOf } from "./writer.ts";

/** Events are about these, and about kinds of our own. */
const CORE_KINDS: ReadonlySet<string> = new Set(["Service", "Node"]);
/** Longer notes are refused by the API server. */
const NOTE_BYTES_MAX = 1024;
/** Kubernetes' own clients begin a new series after this pause. */
const SERIES_MS = 6 * 60_000;
/** Of what was said lately; the oldest is forgotten, and would begin a series anew. */
const KNOWN_MAX = 4096;

/** So many are written at a time: thousands of Services that come together shall not wait behind what is said about them. */
const LANES = 2;

interface Said {
  readonly path: string;
  readonly count: number;
  readonly at: number;
}

export class EventWriter {
  readonly #connection: Pick<Connection, "request">;
  readonly #component: string;
  readonly #instance: string;
  readonly #said = new Map<string, Said>();
  /** The last of each: the next event goes where one ended longest ago. */
  readonly #lanes = Array.from({ length: LANES }, () => Promise.resolve());

  /** `component`: who says it, `fairlead-controller`; `instance`: which of them. */
  constructor(connection: Pick<Connection, "request">, component: string, instance: string) {
    this.#connection = connection;
    this.#component = component;
    this.#instance = instance;
  }

  /** `now` in milliseconds since 1970. Rejects with what the API server found. */
  async write(event: EventWrite, now: number): Promise<void> {
    const before = this.#lanes.shift() ?? Promise.resolve();
    const written = before.catch(() => {}).then(() => this.#write(event, now));
    this.#lanes.push(written);
    await written;
  }

  async #write(event: EventWrite, now: number): Promise<void> {
    const identity = JSON.stringify(event);
    const before = this.#said.get(identity);
    const written =
      before !== undefined && now - before.at < SERIES_MS
        ? ((await this.#repeat(before, now)) ?? (await this.#create(event, identity, now)))
        : await this.#create(event, identity, now);
    this.#said.delete(identity);
    this.#said.set(identity, written);
    const [oldest] = this.#said.keys();
    if (this.#said.size > KNOWN_MAX && oldest !== undefined) this.#said.delete(oldest);
  }

  async #create({ regarding, type, reason, message }: EventWrite, identity: string, now: number): Promise<Said> {
    const namespace = regarding.namespace === "" ? "default" : regarding.namespace;
    const digest = createHash("sha256").update(`${identity}${this.#instance}${now}`).digest("hex").slice(0, 16);
    const name = `${regarding.name.slice(0, 200)}.${digest}`;
    const collection = `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`;
    const apiVersion = CORE_KINDS.has(regarding.kind) ? "v1" : "metallb.io/v1beta1";
    const response = await this.#connection.request({
      method: "POST",
      path: collection,
      body: {
        apiVersion: "events.k8s.io/v1",
        kind: "Event",
        metadata: { name, namespace },
        eventTime: microTime(now),
        reportingController: this.#component,
        reportingInstance: this.#instance,
        action: "Reconcile",
        reason,
        type,
        note: clip(message),
        regarding: { apiVersion, ...regarding },
      },
    });
    if (response.status !== 201) throw new Error(refusalOf(response));
    return { path: `${collection}/${encodeURIComponent(name)}`, count: 1, at: now };
  }

  /** Undefined: the API server has forgotten the event meanwhile, as it does after an hour. */
  async #repeat(before: Said, now: number): Promise<Said | undefined> {
    const count = before.count + 1;
    const response = await this.#connection.request({
      method: "PATCH",
      path: before.path,
      contentType: "application/merge-patch+json",
      body: { series: { count, lastObservedTime: microTime(now) } },
    });
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw new Error(refusalOf(response));
    return { path: before.path, count, at: now };
  }
}

/** metav1.MicroTime wants six digits. */
function microTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace("Z", "000Z");
}

function clip(message: string): string {
  const bytes = Buffer.from(message);
  return bytes.length <= NOTE_BYTES_MAX ? message : `${bytes.subarray(0, NOTE_BYTES_MAX - 8).toString("utf8")}…`;
}
