/** The few functions of libc that Node.js does not offer. Raw: results and errno are turned into errors by the callers. */
import koffi from "koffi";

const libc = koffi.load("libc.so.6");

export const MAP_FAILED = 0xffff_ffff_ffff_ffffn;
export const PROT = { read: 1, write: 2 } as const;
export const MAP_SHARED = 1;

export const strerror: (errno: number) => string = libc.func("const char *strerror(int errnum)");
export const close: (fd: number) => number = libc.func("int close(int fd)");
export const mmap: (
  address: null,
  length: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
) => bigint = libc.func("void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)");
export const munmap: (address: bigint, length: number) => number = libc.func("int munmap(void *addr, size_t length)");
export const vsnprintf: (text: Uint8Array, size: number, format: bigint, args: bigint) => number = libc.func(
  "int vsnprintf(void *str, size_t size, void *format, void *ap)",
);
export const socket: (domain: number, type: number, protocol: number) => number = libc.func(
  "int socket(int domain, int type, int protocol)",
);
export const bind: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  "int bind(int fd, const void *addr, uint32_t addrlen)",
);
export const sendto: (
  fd: number,
  bytes: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array,
  addressLength: number,
) => number = libc.func(
  "int64_t sendto(int fd, const void *buf, size_t len, int flags, const void *addr, uint32_t addrlen)",
);
export const send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  "int64_t send(int fd, const void *buf, size_t len, int flags)",
);
export const recv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number = libc.func(
  "int64_t recv(int fd, void *buf, size_t len, int flags)",
);
export const recvfrom: (
  fd: number,
  bytes: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array,
  addressLength: Uint32Array,
) => number = libc.func(
  "int64_t recvfrom(int fd, _Out_ void *buf, size_t len, int flags, _Out_ void *addr, _Inout_ void *addrlen)",
);
export const setsockopt: (fd: number, level: number, option: number, value: Uint8Array, length: number) => number =
  libc.func("int setsockopt(int fd, int level, int optname, const void *optval, uint32_t optlen)");
/** 0: there is none of this name. */
export const ifIndex: (name: string) => number = libc.func("uint32_t if_nametoindex(const char *ifname)");
export const setns: (fd: number, type: number) => number = libc.func("int setns(int fd, int nstype)");

export const schedSetscheduler: (pid: number, policy: number, parameters: Uint8Array) => number = libc.func(
  "int sched_setscheduler(int pid, int policy, const void *param)",
);

/** errno of the last call of this thread. */
export function lastErrno(): number {
  return koffi.errno();
}
