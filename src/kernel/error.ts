/**
 * What a refused system call looks like: one class, made only in this folder. Callers branch on `code`, people read the
 * message: `Cannot attach XDP program to "eth1": Device or resource busy (EBUSY)`.
 */
import { getSystemErrorName } from "node:util";
import { strerror } from "./libc.ts";

export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The function that failed, e.g. `bpf_link_create`. */
  readonly call: string;
  /** Positive, as in errno(3). */
  readonly errno: number;
  /** `EBUSY`; `E524` where libc has no name (the kernel's ENOTSUPP escapes from some BPF calls). */
  readonly code: string;
  /** What it was done to: a device, a file, a map. */
  readonly subject: string;

  constructor(failure: Failure) {
    const code = errorCode(failure.errno);
    const detail = failure.detail === undefined ? "" : `\n${failure.detail}`;
    super(`Cannot ${failure.attempt}: ${errorText(failure.errno)} (${code})${detail}`);
    this.call = failure.call;
    this.errno = Math.abs(failure.errno);
    this.code = code;
    this.subject = failure.subject;
  }
}

export interface Failure {
  readonly call: string;
  /** Either sign: libbpf returns -errno. */
  readonly errno: number;
  readonly subject: string;
  /** After "Cannot ": what was attempted on what. */
  readonly attempt: string;
  /** Further lines, e.g. the end of a verifier log. */
  readonly detail?: string;
}

/** Returns what a call returned, or throws when that is negative (libbpf's -errno). */
export function checked(result: number, failure: Omit<Failure, "errno">): number {
  if (result < 0) throw new SystemError({ ...failure, errno: -result });
  return result;
}

/** The kernel's own ENOTSUPP, which is not meant to reach user space but does. */
const ENOTSUPP = 524;

/** Linux has one number for both names; the kernel's sources and everybody's logs use this one. */
const EOPNOTSUPP = 95;

function errorCode(errno: number): string {
  if (Math.abs(errno) === ENOTSUPP) return "ENOTSUPP";
  if (Math.abs(errno) === EOPNOTSUPP) return "EOPNOTSUPP";
  const name = getSystemErrorName(-Math.abs(errno));
  return name.startsWith("Unknown") ? `E${Math.abs(errno)}` : name;
}

function errorText(errno: number): string {
  return Math.abs(errno) === ENOTSUPP ? "Operation not supported by the kernel" : strerror(Math.abs(errno));
}
