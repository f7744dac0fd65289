/**
 * Loaded into a measured program beside its own code (`node --import`): for how long its event loop was away at most, written
 * again and again into the file that the environment names. Whoever removes the file starts a new measurement.
 */
import { existsSync, writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

const file = process.env["FAIRLEAD_BENCH_LOOP_DELAY"];
const RESOLUTION_MS = 5;

if (file !== undefined && isMainThread) {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let started = false;
  setInterval(() => {
    if (started && !existsSync(file)) histogram.reset();
    started = true;
    writeFileSync(file, String(Math.max(0, histogram.max / 1e6 - RESOLUTION_MS)));
  }, 100).unref();
}
