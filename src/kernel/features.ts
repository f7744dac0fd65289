/** What the datapath needs of a kernel, tried rather than guessed from its version where that is possible. */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { libbpf_probe_bpf_helper, libbpf_probe_bpf_map_type, libbpf_probe_bpf_prog_type } from "./libbpf.ts";
import { MAP_TYPE } from "./map.ts";

export interface MissingFeature {
  /** As the kernel calls it. */
  readonly name: string;
  readonly why: string;
}

const PROGRAM_TYPE = { schedCls: 3, xdp: 6 } as const;

/** enum bpf_func_id */
const HELPERS = [
  { id: 23, name: "bpf_redirect", program: "schedCls" },
  { id: 69, name: "bpf_fib_lookup", program: "xdp" },
  { id: 130, name: "bpf_ringbuf_output", program: "xdp" },
  { id: 152, name: "bpf_redirect_neigh", program: "schedCls" },
  { id: 155, name: "bpf_redirect_peer", program: "schedCls" },
  { id: 160, name: "bpf_ktime_get_coarse_ns", program: "xdp" },
] as const satisfies readonly {
  readonly id: number;
  readonly name: string;
  readonly program: keyof typeof PROGRAM_TYPE;
}[];

/** tcx links came with 6.6, BPF_FIB_LOOKUP_SRC with 6.7: neither shows before it is used on a device. */
const VERSION_MIN = [6, 7] as const;

/** Empty: everything is there. Needs root; without it most is reported missing. */
export function missingFeatures(): readonly MissingFeature[] {
  const missing: MissingFeature[] = [];
  if (!versionAtLeast(release(), VERSION_MIN)) {
    missing.push({
      name: `Linux ${VERSION_MIN.join(".")} (this is ${release()})`,
      why: "tcx links and BPF_FIB_LOOKUP_SRC",
    });
  }
  if (!existsSync("/sys/kernel/btf/vmlinux"))
    missing.push({ name: "CONFIG_DEBUG_INFO_BTF", why: "layouts of maps are checked against the kernel's BTF" });
  if (!jitEnabled())
    missing.push({
      name: "CONFIG_BPF_JIT",
      why: "interpreted programs are many times slower (net.core.bpf_jit_enable=1)",
    });
  for (const [name, type] of Object.entries(PROGRAM_TYPE)) {
    if (libbpf_probe_bpf_prog_type(type, null) !== 1)
      missing.push({ name: `BPF program type ${name}`, why: "the datapath consists of them" });
  }
  for (const [name, type] of Object.entries(MAP_TYPE)) {
    if (libbpf_probe_bpf_map_type(type, null) !== 1)
      missing.push({ name: `BPF map type ${name}`, why: "bpf/maps.h declares one" });
  }
  for (const { id, name, program } of HELPERS) {
    if (libbpf_probe_bpf_helper(PROGRAM_TYPE[program], id, null) === 0)
      missing.push({ name, why: `the ${program} program calls it` });
  }
  return missing;
}

export function versionAtLeast(kernel: string, [major, minor]: readonly [number, number]): boolean {
  const [, foundMajor, foundMinor] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  if (foundMajor === undefined) return false;
  return Number(foundMajor) > major || (Number(foundMajor) === major && Number(foundMinor) >= minor);
}

function jitEnabled(): boolean {
  const file = "/proc/sys/net/core/bpf_jit_enable";
  return !existsSync(file) || readFileSync(file, "utf8").trim() !== "0";
}
