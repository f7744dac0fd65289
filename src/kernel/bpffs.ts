/** The file system of pins. Distributions mount one at /sys/fs/bpf; an agent that is given another place mounts its own there. */
import { execFileSync } from "node:child_process";
import { mkdirSync, statfsSync } from "node:fs";

/** statfs(2): BPF_FS_MAGIC */
const BPF_FS_MAGIC = 0xcafe_4a11;

/** Makes `directory` one in which BPF objects can be pinned: mounts a BPF file system there unless it lies in one already. */
export function ensureBpffs(directory: string): "present" | "mounted" {
  mkdirSync(directory, { recursive: true });
  if (isBpffs(directory)) return "present";
  try {
    execFileSync("mount", ["-t", "bpf", "-o", "mode=0700", "bpf", directory], { stdio: ["ignore", "ignore", "pipe"] });
  } catch (error) {
    throw new Error(
      `Cannot mount a BPF file system at ${directory}: the agent must run as root and outside containers without CAP_SYS_ADMIN`,
      {
        cause: error,
      },
    );
  }
  return "mounted";
}

export function isBpffs(directory: string): boolean {
  return statfsSync(directory).type === BPF_FS_MAGIC;
}
