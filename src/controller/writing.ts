/**
 * Writes what was planned: several objects at a time, because each write is mostly waiting. Order counts where addresses change
 * hands, so whoever gives one up is written alone; and an event follows the write that it explains.
 *
 *     takes only  ─┬─► write ─► events        up to WRITES_AT_ONCE
 *                  └─► write ─► events
 *     gives up    ──── when all of those have ended, by itself ────►
 */
import type { Logger } from "pino";
import { isUnreachable } from "../source/kubernetes/unreachable.ts";
import type { ConfigurationStateWrite, EventWrite, StatusWriter } from "../source/source.ts";
import { Slices, type Pace } from "../time/slices.ts";
import type { Operation, ServiceOperation } from "./plan.ts";
import type { UntoldEvents } from "./untold.ts";

export type Write = Operation | { readonly type: "configuration"; readonly write: ConfigurationStateWrite };

export interface WritingParts {
  readonly source: StatusWriter;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  /** Told of everything that could not be written: the metrics. */
  readonly writeFailed?: () => void;
  /** Keeps the events that could not be written. */
  readonly untold: Pick<UntoldEvents, "add">;
  readonly pace?: Pace;
}

/** Enough that a disk or an API server is not waited for one object at a time, and few enough that it has time for others. */
const WRITES_AT_ONCE = 8;

/**
 * Resolves with the last of what could not be written. One failure does not keep the others from being written. After the signal,
 * what was begun is finished, and nothing else is begun.
 */
export async function writeAll(
  writes: readonly Write[],
  parts: WritingParts,
  signal: AbortSignal,
): Promise<string | undefined> {
  const slices = new Slices(parts.pace);
  const writer = new Writer(parts);
  for (const write of writes) {
    if (slices.due) await slices.pause();
    if (signal.aborted) break;
    if (write.type === "event") writer.tell(write);
    else if (write.type === "service" && write.releases.length === 0) await writer.begin(write);
    else await writer.alone(write);
  }
  await writer.ended();
  if (!signal.aborted) await writer.attempt("that deleted objects are forgotten", () => parts.source.forgetDeleted());
  return writer.failure;
}

class Writer {
  failure: string | undefined;
  readonly #parts: WritingParts;
  readonly #stuck = new StuckAddresses();
  /** By Service. */
  readonly #begun = new Map<string, Promise<void>>();
  readonly #events: Promise<unknown>[] = [];

  constructor(parts: WritingParts) {
    this.#parts = parts;
  }

  /** Resolves when there is room for the next. */
  async begin(write: ServiceOperation): Promise<void> {
    const writing = this.#write(write).finally(() => this.#begun.delete(write.key));
    this.#begun.set(write.key, writing);
    if (this.#begun.size >= WRITES_AT_ONCE) await Promise.race(this.#begun.values());
  }

  async alone(write: Exclude<Write, { readonly type: "event" }>): Promise<void> {
    await Promise.all(this.#begun.values());
    await this.#write(write);
  }

  /** A source may collect events for a moment; nothing waits for that. */
  tell(event: Extract<Write, { readonly type: "event" }>): void {
    this.#events.push(this.#tell(event));
  }

  async ended(): Promise<void> {
    await Promise.all(this.#begun.values());
    await Promise.all(this.#events);
  }

  /** Resolves with why it failed. */
  async attempt(what: string, write: () => Promise<void>): Promise<string | undefined> {
    try {
      await write();
      return undefined;
    } catch (error) {
      const failure = `Cannot write ${what}: ${error instanceof Error ? error.message : String(error)}`;
      // Of an API server that is away the source says so once; where it does not, a hindrance does.
      if (!isUnreachable(failure)) this.#parts.log.error({ event: "writeFailed" }, failure);
      this.#parts.writeFailed?.();
      this.failure = failure;
      return failure;
    }
  }

  async #write(write: Exclude<Write, { readonly type: "event" }>): Promise<void> {
    if (this.#stuck.stops(write)) return;
    const failure = await this.attempt(nameOf(write), () => perform(write, this.#parts.source));
    if (failure !== undefined) this.#stuck.add(write);
  }

  async #tell(event: Extract<Write, { readonly type: "event" }>): Promise<void> {
    const { kind, namespace, name } = event.write.regarding;
    await (kind === "Service" ? this.#begun.get(`${namespace}/${name}`) : undefined);
    if (this.#stuck.stops(event)) return;
    logEvent(event.write, this.#parts.log);
    const failure = await this.attempt(nameOf(event), () => perform(event, this.#parts.source));
    if (failure !== undefined) this.#parts.untold.add(event, failure, Date.now());
  }
}

/**
 * Addresses that a Service should have given up, and its status could not be written: who takes one has to wait until it can.
 * Of a Service whose status was not written no event tells either.
 */
class StuckAddresses {
  readonly #addresses = new Set<string>();
  readonly #services = new Set<string>();

  stops(operation: Write): boolean {
    if (operation.type === "event") {
      const { kind, namespace, name } = operation.write.regarding;
      return kind === "Service" && this.#services.has(`${namespace}/${name}`);
    }
    if (operation.type !== "service" || !operation.takes.some((address) => this.#addresses.has(address))) return false;
    this.add(operation);
    return true;
  }

  add(operation: Write): void {
    if (operation.type !== "service") return;
    this.#services.add(operation.key);
    for (const address of operation.releases) this.#addresses.add(address);
  }
}

async function perform(operation: Write, writer: StatusWriter): Promise<void> {
  switch (operation.type) {
    case "service":
      return writer.writeService(operation.key, operation.write);
    case "pool":
      return writer.writePool(operation.key, operation.write);
    case "configuration":
      return writer.writeConfigurationState(operation.write);
    case "event":
      return writer.writeEvent(operation.write);
  }
}

function nameOf(operation: Write): string {
  switch (operation.type) {
    case "service":
      return `the status of Service ${operation.key}`;
    case "pool":
      return `the status of IPAddressPool ${operation.key}`;
    case "configuration":
      return "the ConfigurationState controller";
    case "event":
      return `event ${operation.write.reason} about ${operation.write.regarding.kind} ${operation.write.regarding.name}`;
  }
}

function logEvent({ regarding, type, reason, message }: EventWrite, log: WritingParts["log"]): void {
  const object = {
    event: "kubernetesEvent",
    object: `${regarding.kind} ${regarding.namespace}/${regarding.name}`,
    reason,
  };
  if (type === "Warning") log.warn(object, message);
  else log.info(object, message);
}
