/**
 * Loaded into a measured program beside its own code (`node --import`): for how long its event loop was away at most, written
 * again and again into the file that the environment names. Whoever removes the file starts a new measurement.
 *
 * Two numbers: by the clock, and without the time in which the thread could have run and had no processor, which is the same on
 * a machine that others use too; what it waited for a disk or for other threads of its own is in both. Where modules were loaded
 * in between, that is counted by itself: no input is handled before they are there.
 */
import { existsSync, openSync, readSync, renameSync, writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { isMainThread } from "node:worker_threads";

export interface LoopDelay {
  /** Milliseconds. */
  readonly longest: number;
  readonly longestOwn: number;
  /** The longest in which modules were loaded. */
  readonly loading: number;
}

const file = process.env["FAIRLEAD_BENCH_LOOP_DELAY"];
const RESOLUTION_MS = 5;
const WRITE_MS = 100;
const NOTHING: LoopDelay = { longest: 0, longestOwn: 0, loading: 0 };

if (file !== undefined && isMainThread) measure(file);

function measure(path: string): void {
  let loads = 0;
  registerHooks({
    load: (url, context, next) => {
      loads += 1;
      return next(url, context);
    },
  });
  let found = NOTHING;
  const waited = readingWaits();
  let before = { at: performance.now(), waited: waited(), loads };
  setInterval(() => {
    const now = { at: performance.now(), waited: waited(), loads };
    const away = now.at - before.at - RESOLUTION_MS;
    const own = away - (now.waited - before.waited);
    found =
      now.loads === before.loads
        ? {
            ...found,
            longest: Math.max(found.longest, away),
            longestOwn: Math.max(found.longestOwn, own),
          }
        : { ...found, loading: Math.max(found.loading, away) };
    before = now;
  }, RESOLUTION_MS).unref();
  let started = false;
  setInterval(() => {
    if (started && !existsSync(path)) found = NOTHING;
    started = true;
    // Whoever reads it never finds half of it.
    writeFileSync(`${path}.new`, JSON.stringify(found));
    renameSync(`${path}.new`, path);
  }, WRITE_MS).unref();
}

/** Milliseconds in which this thread has waited for a processor. */
function readingWaits(): () => number {
  const file = openSync("/proc/thread-self/schedstat", "r");
  const bytes = Buffer.alloc(64);
  return () => {
    const length = readSync(file, bytes, 0, bytes.length, 0);
    return Number(bytes.toString("latin1", 0, length).split(" ")[1]) / 1e6;
  };
}
