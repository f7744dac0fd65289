/** Removes the namespaces and BPF file systems of benchmarks that were killed: their names end in the process's id. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isBpffs } from "../src/kernel/bpffs.ts";

const RUN = "/run/fairlead";
const NAME = /fl-bench-(\d+)/;

/** Names of what was removed. */
export function removeLeftovers(): string[] {
  const namespaces = existsSync("/run/netns") ? readdirSync("/run/netns").filter(isLeftOver) : [];
  for (const name of namespaces) {
    const pids = execFileSync("ip", ["netns", "pids", name], { encoding: "utf8" }).split("\n").filter(Boolean);
    for (const pid of pids) process.kill(Number(pid), "SIGKILL");
    execFileSync("ip", ["netns", "del", name]);
  }
  const mounts = existsSync(RUN) ? readdirSync(RUN).filter(isLeftOver) : [];
  for (const name of mounts) removeBpffs(join(RUN, name));
  return [...namespaces, ...mounts];
}

/** Unmounts a BPF file system and removes where it was; that it is gone already is success. */
export function removeBpffs(directory: string): void {
  if (!existsSync(directory)) return;
  if (isBpffs(directory)) execFileSync("umount", ["--lazy", directory]);
  rmSync(directory, { recursive: true, force: true });
}

/** As {@link removeLeftovers} names things: it belongs to a process that is no more. */
function isLeftOver(name: string): boolean {
  const pid = NAME.exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}
