/**
 * With a real API server and etcd: how long a whole agent needs with a large cluster's objects until everything is programmed, what memory it
 * takes, and how long a change of an endpoint takes through the API server until it is in the map.
 */
import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ClusterSize } from "./cluster.ts";
import type { MemorySample } from "./memory.ts";

export interface LargeClusterResult {
  /** From the start of the agent's process, with every object there before. */
  readonly readyMilliseconds: number;
  readonly changeMilliseconds: readonly number[];
  readonly settled: MemorySample;
  /** After the changes. */
  readonly later: MemorySample;
}

const MILLISECONDS_MAX = 900_000;

export async function measureLargeCluster(
  size: ClusterSize & { readonly nodes: number },
  changes: number,
): Promise<LargeClusterResult> {
  const namespace = `fl-bench-${process.pid}`;
  execFileSync("ip", ["netns", "add", namespace]);
  try {
    const inside = join(import.meta.dirname, "kubernetes-inside.ts");
    const { stdout } = await promisify(execFile)(
      "nsenter",
      [`--net=/run/netns/${namespace}`, process.execPath, inside, JSON.stringify({ ...size, changes })],
      { timeout: MILLISECONDS_MAX },
    );
    return JSON.parse(stdout) as LargeClusterResult;
  } finally {
    execFileSync("ip", ["netns", "del", namespace]);
  }
}
