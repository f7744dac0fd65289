/**
 * Gives memory back after large passes: reading and programming ten thousand Services leaves a heap twice as large as what
 * lives in it, and V8 sees no reason to shrink it while there is memory in the machine. The datapath does not wait for us.
 */
import { flushCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** After the last large pass: soon, and once more when what it set off (announcing thousands of addresses) is over. */
const QUIET_MS = { large: [3000, 15_000], small: [15_000] } as const;
let timers: readonly NodeJS.Timeout[] = [];

/** Collects once nothing has asked for it again for a while. A cluster that changes all the time needs no help: V8 collects by itself. */
export function trimMemorySoon(after: keyof typeof QUIET_MS): void {
  for (const timer of timers) clearTimeout(timer);
  timers = QUIET_MS[after].map((delay) => setTimeout(collect, delay).unref());
}

function collect(): void {
  // What was loaded on the way is kept for the next agent also where this one does not end in peace.
  flushCompileCache();
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { type: "major"; flavor: "last-resort" }) => void;
  gc({ type: "major", flavor: "last-resort" });
}
