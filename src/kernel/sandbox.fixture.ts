/** Where the tests of this folder play: a network namespace and a BPF file system of their own, both gone afterwards. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { ensureBpffs } from "./bpffs.ts";
import type { Device } from "./link.ts";
import { enterNamespace } from "./namespace.ts";

export interface Sandbox extends Disposable {
  /** A directory in bpffs. */
  readonly pins: string;
  /** Runs a command line in the namespace. */
  run(command: string): string;
  device(name: string): Device;
}

export const objectPath = (name: string): string => new URL(`../../bpf/build/${name}.bpf.o`, import.meta.url).pathname;

/** Moves this thread into the namespace until it is disposed of. */
export function openSandbox(): Sandbox {
  const name = `fl-kt-${process.pid}`;
  const pins = `/run/fairlead/bpf-${name}`;
  execFileSync("ip", ["netns", "add", name]);
  const leave = enterNamespace(`/run/netns/${name}`);
  ensureBpffs(pins);
  const run = (command: string): string => execFileSync("sh", ["-ec", command], { encoding: "utf8" });
  return {
    pins,
    run,
    device(device) {
      const [row] = JSON.parse(run(`ip -j link show dev ${device}`)) as { ifindex: number }[];
      return { name: device, ifindex: row?.ifindex ?? 0 };
    },
    [Symbol.dispose]() {
      leave();
      execFileSync("umount", [pins]);
      rmSync(pins, { recursive: true });
      execFileSync("ip", ["netns", "del", name]);
    },
  };
}
