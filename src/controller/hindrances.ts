/**
 * What keeps this controller from its work although it runs: the API server refuses the Lease, a status, a Secret. Each is named in the
 * log when it begins and when it ends, is counted, and stands in a condition of the ConfigurationState `controller` - the one place that
 * people look at which takes other rights than those that are missing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { Problem } from "../net/problem.ts";
import type { Connection } from "../source/kubernetes/connection.ts";
import { Unwritten } from "../source/kubernetes/unreachable.ts";
import { applyOwn } from "../source/kubernetes/writer.ts";
import { clipped } from "./conditions.ts";

/** What cannot be done. */
export type Work = "the Lease" | "statuses" | "events" | "the agents' key" | "the webhook's certificates";

export interface HindrancesOptions {
  readonly log: Pick<Logger, "info" | "warn">;
  /** What is wrong with what is read: an API server that is away keeps it from everything, and is named there. */
  readonly problems: () => readonly Problem[];
  /** Told how many there are. */
  readonly counted: (count: number) => void;
}

/** Of ConfigurationState. True, and only then present. */
const HINDERED = "fairlead.io/Hindered";
/** Our condition beside those that are written with every verdict. */
const FIELD_MANAGER = "fairlead-controller-hindrances";
const RETRY_MS = 3000;

export class Hindrances {
  readonly #options: HindrancesOptions;
  readonly #found = new Map<Work, string>();
  readonly #unwritten = new Map<Work, Unwritten>();
  /** Since when there is any. */
  #since = new Date(0);
  #changed = Promise.withResolvers<void>();

  constructor(options: HindrancesOptions) {
    this.#options = options;
  }

  /** Told after every try; `undefined`: it can be done again. */
  note(work: Work, message: string | undefined): void {
    const { log, counted } = this.#options;
    const before = this.#found.get(work);
    if (!this.#isToBeSaid(work, message) || before === message) return;
    if (message === undefined) {
      this.#found.delete(work);
      log.info({ event: "hindranceEnded", work }, `Solved: ${before}`);
    } else {
      if (this.#found.size === 0) this.#since = new Date();
      this.#found.set(work, message);
      log.warn({ event: "hindrance", work }, message);
    }
    counted(this.#found.size);
    this.writeAnew();
  }

  #isToBeSaid(work: Work, message: string | undefined): boolean {
    const unwritten = this.#unwritten.getOrInsertComputed(work, () => new Unwritten());
    const failures = message === undefined ? [] : [{ message }];
    const said = unwritten.toSay(failures, this.#options.problems(), performance.now());
    return said.length === failures.length;
  }

  /** Somebody else may have written it: whoever begins to act says what is true now. */
  writeAnew(): void {
    this.#changed.resolve();
  }

  /** Keeps the condition as it should be, until the signal. */
  async report(connection: Pick<Connection, "request">, namespace: string, signal: AbortSignal): Promise<void> {
    const ended = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    while (!signal.aborted) {
      await Promise.race([this.#changed.promise, ended]);
      if (signal.aborted) return;
      this.#changed = Promise.withResolvers();
      try {
        await this.#write(connection, namespace);
      } catch {
        // Where this right is missing too, the log has said everything already.
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
        this.writeAnew();
      }
    }
  }

  async #write(connection: Pick<Connection, "request">, namespace: string): Promise<void> {
    const apiVersion = "metallb.io/v1beta1";
    const path = `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/configurationstates/controller`;
    const labels = { "metallb.io/component-type": "controller" };
    const metadata = { name: "controller", namespace, labels };
    const conditions = this.#found.size === 0 ? [] : [this.#condition()];
    await applyOwn(
      connection,
      path,
      { apiVersion, kind: "ConfigurationState", metadata, status: { conditions } },
      FIELD_MANAGER,
    );
  }

  #condition(): unknown {
    const message = clipped([...this.#found.values()].join("\n"));
    return {
      type: HINDERED,
      status: "True",
      reason: "Refused",
      message,
      lastTransitionTime: this.#since.toISOString(),
    };
  }
}
