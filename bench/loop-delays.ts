/** How a measured program is told to measure its event loop, and what it found (`loop-delay.ts`). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { LoopDelay } from "./loop-delay.ts";

export type { LoopDelay };

/** Its environment. */
export function measuringLoopDelay(folder: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_OPTIONS: `--import=${new URL("loop-delay.ts", import.meta.url).href}`,
    FAIRLEAD_BENCH_LOOP_DELAY: join(folder, "delay"),
  };
}

/** Since it started, or since the file was removed. */
export function readLoopDelay(folder: string): LoopDelay {
  return JSON.parse(readFileSync(join(folder, "delay"), "utf8")) as LoopDelay;
}
