/**
 * Gives memory back after large passes: reading and programming ten thousand Services leaves a heap twice as large as what
 * lives in it, and V8 sees no reason to shrink it while there is memory in the machine. The datapath does not wait for us.
 */
import { flushCompileCache } from "node:module";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Pauses before each collection. After the last large pass: soon, and again when what it set off (announcing thousands of addresses) is over.
 * Everything stops for a collection, so it is several times a short one, and not once what V8 calls its last resort: that is up to seven in a row.
 */
const PAUSES_MS = { large: [3000, 2000, 9000, 1000, 1000], small: [15_000] } as const;
/** A heap that has grown by less since the last collection is not worth stopping for. */
const GROWTH_MIN = 1.05;
let timer: NodeJS.Timeout | undefined;
/** After the last collection. */
let usedBefore = 0;

/** Collects once nothing has asked for it again for a while. A cluster that changes all the time needs no help: V8 collects by itself. */
export function trimMemorySoon(after: keyof typeof PAUSES_MS): void {
  clearTimeout(timer);
  // After a large pass there is more to find than what the heap has grown by.
  collectAfter(PAUSES_MS[after], after === "large" ? () => true : hasGrown);
}

function collectAfter([pause, ...more]: readonly number[], isWorthIt: () => boolean): void {
  if (pause === undefined) return;
  timer = setTimeout(() => {
    if (isWorthIt()) collect();
    collectAfter(more, isWorthIt);
  }, pause).unref();
}

function collect(): void {
  // What was loaded on the way is kept for the next agent also where this one does not end in peace.
  setImmediate(flushCompileCache);
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { type: "major" }) => void;
  gc({ type: "major" });
  usedBefore = getHeapStatistics().used_heap_size;
}

function hasGrown(): boolean {
  return getHeapStatistics().used_heap_size > usedBefore * GROWTH_MIN;
}
