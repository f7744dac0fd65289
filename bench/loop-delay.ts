/**
 * Loaded into a measured program beside its own code (`node --import`): for how long its event loop was away at most, written
 * again and again into the file that the environment names. Whoever removes the file starts a new measurement.
 *
 * Two numbers: by the clock, and in processor time of the thread, which is the same on a machine that others use too.
 */
import { existsSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

export interface LoopDelay {
  /** Milliseconds. */
  readonly longest: number;
  readonly longestProcessorTime: number;
}

const file = process.env["FAIRLEAD_BENCH_LOOP_DELAY"];
const RESOLUTION_MS = 5;
const WRITE_MS = 100;

if (file !== undefined && isMainThread) measure(file);

function measure(path: string): void {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let longestProcessorTime = 0;
  let before = processorTime();
  setInterval(() => {
    const now = processorTime();
    longestProcessorTime = Math.max(longestProcessorTime, now - before);
    before = now;
  }, RESOLUTION_MS).unref();
  let started = false;
  setInterval(() => {
    if (started && !existsSync(path)) {
      histogram.reset();
      longestProcessorTime = 0;
    }
    started = true;
    const longest = Math.max(0, histogram.max / 1e6 - RESOLUTION_MS);
    writeFileSync(path, JSON.stringify({ longest, longestProcessorTime } satisfies LoopDelay));
  }, WRITE_MS).unref();
}

function processorTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
