/**
 * With a real API server and etcd: how long a whole agent needs with a large cluster's objects until everything is programmed, what memory it
 * takes, and how long a change of an endpoint takes through the API server until it is in the map.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
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
const NODE_NETWORK = "10.200.0.0/16";
/** Of whoever stands for all nodes but the first. */
export const OTHERS_ADDRESS = "10.200.255.254";

/** On one network: the agent's own is that of the first. */
export function nodeAddress(number: number): string {
  return `10.200.${1 + (number >> 8)}.${number & 255}`;
}

export async function measureLargeCluster(
  size: ClusterSize & { readonly nodes: number },
  changes: number,
): Promise<LargeClusterResult> {
  const namespace = `fl-bench-${process.pid}`;
  const others = `${namespace}-others`;
  const children: ChildProcess[] = [];
  try {
    connectNamespaces(namespace, others);
    children.push(
      spawn("nsenter", [`--net=/run/netns/${others}`, process.execPath, join(import.meta.dirname, "probe-answers.ts")]),
    );
    const { stdout } = await promisify(execFile)(
      "nsenter",
      [
        `--net=/run/netns/${namespace}`,
        process.execPath,
        join(import.meta.dirname, "kubernetes-inside.ts"),
        JSON.stringify({ ...size, changes }),
      ],
      { timeout: MILLISECONDS_MAX },
    );
    return JSON.parse(stdout) as LargeClusterResult;
  } finally {
    for (const child of children) child.kill("SIGKILL");
    removeNamespaces([namespace, others]);
  }
}

/** The second stands for all the other nodes: their addresses are its own. */
export function connectNamespaces(namespace: string, others: string): void {
  for (const name of [namespace, others]) execFileSync("ip", ["netns", "add", name]);
  const ip = (name: string, ...args: readonly string[]): unknown => execFileSync("ip", ["-n", name, ...args]);
  ip(namespace, "link", "add", "node0", "type", "veth", "peer", "name", "others", "netns", others);
  ip(namespace, "address", "add", `${nodeAddress(0)}/16`, "dev", "node0");
  ip(namespace, "link", "set", "node0", "up");
  ip(others, "link", "set", "others", "up");
  ip(others, "link", "set", "lo", "up");
  ip(others, "address", "add", `${OTHERS_ADDRESS}/16`, "dev", "others");
  ip(others, "route", "add", "local", NODE_NETWORK, "dev", "lo");
  // All are local but one, and that in the table which is asked first.
  ip(others, "route", "add", `${nodeAddress(0)}/32`, "dev", "others", "table", "local");
}

export function removeNamespaces(names: readonly string[]): void {
  for (const name of names) execFileSync("ip", ["netns", "del", name]);
}
