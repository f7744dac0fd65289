/**
 * What it costs an agent that every node probes every other: the membership of one node among hundreds that answer, at rest. Its probes go
 * through the loopback device to one process that answers for all, so the network's own part is as small as it can be.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

export interface MembershipResult {
  /** Of one processor: the worker and the agent's side of it. */
  readonly cpuPercent: number;
  readonly probesPerSecond: number;
}

const MILLISECONDS_MAX = 120_000;

export async function measureMembership(nodes: number, seconds: number): Promise<MembershipResult> {
  const namespace = `fl-bench-${process.pid}`;
  execFileSync("ip", ["netns", "add", namespace]);
  const within = [`--net=/run/netns/${namespace}`, process.execPath];
  execFileSync("ip", ["-n", namespace, "link", "set", "lo", "up"]);
  execFileSync("ip", ["-n", namespace, "route", "add", "local", "10.200.0.0/16", "dev", "lo"]);
  const others = spawn("nsenter", [...within, join(import.meta.dirname, "probe-answers.ts")], { stdio: "inherit" });
  try {
    const inside = join(import.meta.dirname, "membership-inside.ts");
    const args = [...within, inside, JSON.stringify({ nodes, seconds })];
    const { stdout } = await promisify(execFile)("nsenter", args, { timeout: MILLISECONDS_MAX });
    return JSON.parse(stdout) as MembershipResult;
  } finally {
    others.kill("SIGKILL");
    execFileSync("ip", ["netns", "del", namespace]);
  }
}
