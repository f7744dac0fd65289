/** Settings of the network stack of this namespace. Small files in memory: read at once, on the calling thread, whose namespace counts. */
import { readFileSync } from "node:fs";

/** `net/ipv4/conf/eth0/rp_filter` → 1; undefined: there is none of this name, or it is no number. */
export function readSysctl(path: string): number | undefined {
  try {
    const value = Number.parseInt(readFileSync(`/proc/sys/${path}`, "utf8"), 10);
    return Number.isNaN(value) ? undefined : value;
  } catch {
    return undefined;
  }
}
