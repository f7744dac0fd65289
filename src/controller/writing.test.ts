import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatusWriter } from "../source/source.ts";
import { writeAll, type Write } from "./writing.ts";

const AWAY = "the API server cannot be reached: it hung up";
const QUIET = { info: () => {}, warn: () => {}, error: () => {} };
const NOTHING_KEPT = { add: () => {} };
const NOBODY_STOPS = new AbortController().signal;

function service(
  key: string,
  { releases = [], takes = [] }: Partial<Record<"releases" | "takes", string[]>> = {},
): Write {
  return { type: "service", key, write: { ingress: [], conditions: [], annotations: {} }, releases, takes };
}

function event(name: string, message: string): Write {
  const regarding = { kind: "Service", namespace: "default", name };
  return { type: "event", write: { regarding, type: "Normal", reason: "IPAllocated", message } };
}

/** A writer whose writes end when they are let; `log` has what began (`+`) and what ended (`-`). */
class SlowWriter implements StatusWriter {
  readonly log: string[] = [];
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();
  #most = 0;

  get most(): number {
    return this.#most;
  }

  async writeService(key: string): Promise<void> {
    return this.#write(key.replace("default/", ""));
  }

  async writePool(key: string): Promise<void> {
    return this.#write(`pool ${key}`);
  }

  async writeEvent({ message }: { readonly message: string }): Promise<void> {
    this.log.push(`event ${message}`);
  }

  async writeConfigurationState(): Promise<void> {}

  async merged(): Promise<void> {}

  async forgetDeleted(): Promise<void> {
    this.log.push("forget");
  }

  async #write(name: string): Promise<void> {
    this.log.push(`+${name}`);
    const waiting = Promise.withResolvers<void>();
    this.#waiting.set(name, waiting);
    this.#most = Math.max(this.#most, this.#waiting.size);
    await waiting.promise;
    this.#waiting.delete(name);
    this.log.push(`-${name}`);
  }

  /** The write ends; with a reason it fails. Waits until it has begun. */
  async end(name: string, failure?: string): Promise<void> {
    while (!this.#waiting.has(name)) await turn();
    const waiting = this.#waiting.get(name);
    if (failure === undefined) waiting?.resolve();
    else waiting?.reject(new Error(failure));
    this.#waiting.delete(name);
    await turn();
  }

  /** Until nothing new begins by itself. */
  async begun(): Promise<string[]> {
    for (let turns = 0; turns < 10; turns += 1) await turn();
    return this.log.splice(0);
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("several Services are written at a time, so many and no more", async () => {
  const source = new SlowWriter();
  const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
  const done = writeAll(names.map((name) => service(`default/${name}`)), { source, log: QUIET, untold: NOTHING_KEPT }, NOBODY_STOPS); // prettier-ignore
  for (const name of names) await source.end(name);
  assert.equal(await done, undefined);
  assert.equal(source.most, 8);
  assert.equal(source.log.at(-1), "forget");
});

test("whoever gives an address up is written alone, and whoever takes it when that has ended", async () => {
  const source = new SlowWriter();
  const writes = [
    service("default/before", { takes: ["10.0.0.9"] }),
    service("default/giver", { releases: ["10.0.0.1"] }),
    service("default/taker", { takes: ["10.0.0.1"] }),
  ];
  const done = writeAll(writes, { source, log: QUIET, untold: NOTHING_KEPT }, NOBODY_STOPS);
  assert.deepEqual(await source.begun(), ["+before"]);
  await source.end("before");
  assert.deepEqual(await source.begun(), ["-before", "+giver"]);
  await source.end("giver");
  assert.deepEqual(await source.begun(), ["-giver", "+taker"]);
  await source.end("taker");
  assert.equal(await done, undefined);
});

test("an address that could not be given up is taken by nobody, and nobody is told that it was", async () => {
  const source = new SlowWriter();
  const writes = [
    service("default/giver", { releases: ["10.0.0.1"] }),
    event("giver", "given up"),
    service("default/taker", { takes: ["10.0.0.1"] }),
    event("taker", "taken"),
    service("default/other", { takes: ["10.0.0.2"] }),
    event("other", "taken by another"),
  ];
  const done = writeAll(writes, { source, log: QUIET, untold: NOTHING_KEPT }, NOBODY_STOPS);
  await source.end("giver", "the disk is full");
  await source.end("other");
  assert.equal(await done, "Cannot write the status of Service default/giver: the disk is full");
  assert.deepEqual(source.log, ["+giver", "+other", "-other", "event taken by another", "forget"]);
});

test("an event comes after the write that it explains, and not at all when that failed", async () => {
  const source = new SlowWriter();
  const writes = [service("default/a"), event("a", "of a"), service("default/b"), event("b", "of b")];
  const done = writeAll(writes, { source, log: QUIET, untold: NOTHING_KEPT }, NOBODY_STOPS);
  assert.deepEqual(await source.begun(), ["+a", "+b"]);
  await source.end("b", "refused");
  await source.end("a");
  assert.equal(await done, "Cannot write the status of Service default/b: refused");
  assert.deepEqual(source.log, ["-a", "event of a", "forget"]);
});

test("after the signal what was begun is finished, and nothing else is begun", async () => {
  const source = new SlowWriter();
  const stop = new AbortController();
  const names = Array.from({ length: 20 }, (_, i) => `s${i}`);
  const done = writeAll(names.map((name) => service(`default/${name}`)), { source, log: QUIET, untold: NOTHING_KEPT }, stop.signal); // prettier-ignore
  assert.equal((await source.begun()).length, 8);
  stop.abort();
  for (const name of names.slice(0, 8)) await source.end(name);
  assert.equal(await done, undefined);
  assert.deepEqual(
    source.log,
    names.slice(0, 8).map((name) => `-${name}`),
  );
});

test("what cannot be written because the API server is away counts, and is not a line each", async () => {
  const lines: unknown[] = [];
  let count = 0;
  const source = new SlowWriter();
  source.writePool = async (key) => Promise.reject(new Error(key === "b" ? "forbidden (403)" : AWAY));
  const write = { conditions: [], assignedIPv4: 0n, assignedIPv6: 0n, availableIPv4: 0n, availableIPv6: 0n };
  const writes = ["a", "b", "c"].map((key): Write => ({ type: "pool", key, write }));
  const log = { ...QUIET, error: (_: unknown, text?: string) => void lines.push(text) };
  const parts = { source, log, untold: NOTHING_KEPT, writeFailed: () => void (count += 1) };
  const failure = await writeAll(writes, parts, NOBODY_STOPS);
  assert.deepEqual(
    [lines, count, failure],
    [
      ["Cannot write the status of IPAddressPool b: forbidden (403)"],
      3,
      `Cannot write the status of IPAddressPool c: ${AWAY}`,
    ],
  );
});
