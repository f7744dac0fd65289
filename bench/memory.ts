/** Where the resident memory of a process lies, as the kernel counts it: /proc/PID/smaps put together by what is mapped. */
import { readFileSync } from "node:fs";

export interface MemorySample {
  /** Megabytes, all of them. */
  readonly resident: number;
  /** The most that was ever resident. */
  readonly peak: number;
  /** Memory of nobody but this process: V8's heaps, buffers, what malloc holds, stacks. */
  readonly private: number;
  /** Maps of the datapath: the kernel's memory, counted here because it is mapped. */
  readonly mappedTables: number;
  /** Program text and data: Node.js itself, libraries. Shared with every other Node.js process of the machine. */
  readonly files: number;
}

const BPF_MAP = /bpf[-_]map/;

export function memoryOf(pid: number): MemorySample {
  const sums = { private: 0, mappedTables: 0, files: 0 };
  for (const { name, resident, anonymous } of mappings(readFileSync(`/proc/${pid}/smaps`, "utf8"))) {
    sums.private += anonymous;
    if (BPF_MAP.test(name)) sums.mappedTables += resident - anonymous;
    else sums.files += resident - anonymous;
  }
  const peak = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  const megabytes = (kilobytes: number): number => kilobytes / 1024;
  return {
    resident: megabytes(sums.private + sums.mappedTables + sums.files),
    peak: megabytes(Number(peak)),
    private: megabytes(sums.private),
    mappedTables: megabytes(sums.mappedTables),
    files: megabytes(sums.files),
  };
}

interface Mapping {
  readonly name: string;
  /** Kilobytes. */
  readonly resident: number;
  readonly anonymous: number;
}

const HEADER = /^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$/;

function* mappings(smaps: string): Generator<Mapping> {
  for (const block of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const name = HEADER.exec(block.slice(0, block.indexOf("\n")))?.[1];
    if (name === undefined) continue;
    const kilobytes = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(block)?.[1] ?? 0);
    yield { name, resident: kilobytes("Rss"), anonymous: kilobytes("Anonymous") };
  }
}
