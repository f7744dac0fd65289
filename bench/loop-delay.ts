/**
 * Loaded into a measured program beside its own code (`node --import`): for how long its event loop was away at most, written
 * again and again into the file that the environment names. Whoever removes the file starts a new measurement.
 *
 * Two numbers: by the clock, and in processor time of the thread, which is the same on a machine that others use too. Where
 * modules were loaded in between, that is counted by itself: no input is handled before they are there.
 */
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { isMainThread } from "node:worker_threads";

export interface LoopDelay {
  /** Milliseconds. */
  readonly longest: number;
  readonly longestProcessorTime: number;
  /** The longest in which modules were loaded. */
  readonly loading: number;
}

const file = process.env["FAIRLEAD_BENCH_LOOP_DELAY"];
const RESOLUTION_MS = 5;
const WRITE_MS = 100;
const NOTHING: LoopDelay = { longest: 0, longestProcessorTime: 0, loading: 0 };

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
  let before = { at: performance.now(), processor: processorTime(), loads };
  setInterval(() => {
    const now = { at: performance.now(), processor: processorTime(), loads };
    const away = now.at - before.at - RESOLUTION_MS;
    const worked = now.processor - before.processor;
    found =
      now.loads === before.loads
        ? {
            ...found,
            longest: Math.max(found.longest, away),
            longestProcessorTime: Math.max(found.longestProcessorTime, worked),
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

function processorTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
