/** Where BTF comes from: a compiled object, or the kernel's copy of what a map was created with. */
import koffi from "koffi";
import { parseBtf, type Btf } from "./btf.ts";
import { SystemError } from "./error.ts";
import * as libbpf from "./libbpf.ts";
import { lastErrno } from "./libc.ts";

/** BTF of a compiled BPF object. */
export function readObjectBtf(path: string): Btf {
  const btf = libbpf.btf__parse_elf(path, null);
  if (btf === null)
    throw new SystemError({
      call: "btf__parse_elf",
      errno: lastErrno(),
      subject: path,
      attempt: `read the BTF of ${path}`,
    });
  try {
    return parseBtf(btfBytes(btf, path));
  } finally {
    libbpf.btf__free(btf);
  }
}

/** Copies BTF out of libbpf's memory. */
export function btfBytes(btf: libbpf.Pointer | null, subject: string): Uint8Array {
  const size = new Uint32Array(1);
  const data = btf === null ? null : libbpf.btf__raw_data(btf, size);
  if (data === null) throw new Error(`${subject} carries no BTF: it must be compiled with -g`);
  return koffi.decode(data, koffi.array("uint8_t", size[0] ?? 0, "Typed")) as Uint8Array;
}
