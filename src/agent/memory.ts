/**
 * Gives memory back after large passes: reading and programming ten thousand Services leaves a heap twice as large as what
 * lives in it, and V8 sees no reason to shrink it while there is memory in the machine. The datapath does not wait for us.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const QUIET_MS = 3000;
let timer: NodeJS.Timeout | undefined;

/** Collects once nothing has asked for it again for a while. */
export function trimMemorySoon(): void {
  clearTimeout(timer);
  timer = setTimeout(collect, QUIET_MS).unref();
}

function collect(): void {
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as (options: { type: "major"; flavor: "last-resort" }) => void;
  gc({ type: "major", flavor: "last-resort" });
}
