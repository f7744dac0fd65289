/** How a measured program is told to measure its event loop, and what it found (`loop-delay.ts`). */
import { readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { LoopDelay } from "./loop-delay.ts";

export type { LoopDelay };

/** Its environment. */
export function measuringLoopDelay(folder: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_OPTIONS: `--import=${new URL("loop-delay.ts", import.meta.url).href}`,
    FAIRLEAD_BENCH_LOOP_DELAY: fileOf(folder),
  };
}

/** Since it started, or since this was called. */
export function readLoopDelay(folder: string): LoopDelay {
  const found = JSON.parse(readFileSync(fileOf(folder), "utf8")) as LoopDelay;
  rmSync(fileOf(folder));
  return found;
}

/** When the measured program has ended. */
export function forgetLoopDelay(folder: string): void {
  rmSync(fileOf(folder), { force: true });
}

/** In memory: who measures must not wait for the disk either. */
function fileOf(folder: string): string {
  return join("/dev/shm", `${basename(folder)}.delay`);
}
