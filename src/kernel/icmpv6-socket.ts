/**
 * Router advertisements and solicitations of one device, out and in: raw ICMPv6. The kernel makes the checksum and drops what has
 * come from beyond the link. Node.js cannot wait for such a socket: whoever wants to know what came asks now and then.
 */
import koffi from "koffi";
import { addressFromBytes, addressBytes, type Address } from "../net/address.ts";
import { SystemError } from "./error.ts";
import { close, ifIndex, lastErrno, recvfrom, sendto, setsockopt, socket } from "./libc.ts";

const AF_INET6 = 10;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const IPPROTO_ICMPV6 = 58;
const IPPROTO_IPV6 = 41;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_JOIN_GROUP = 20;
const ICMPV6_FILTER = 1;
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const SO_ATTACH_FILTER = 26;
const ENODEV = 19;

/** struct sockaddr_in6 */
const NAME = { bytes: 28, address: 8, scope: 24 } as const;
/** Longer than any advertisement we care for; what is longer is cut off, and then no advertisement. */
const MESSAGE_MAX = 1500;

export interface Icmpv6Socket extends Disposable {
  /** Returns why it could not be sent (an errno); 0: it was. */
  send(bytes: Uint8Array, to: Address): number;
  /** One message that has come; `undefined`: none. */
  receive(): { readonly bytes: Uint8Array; readonly source: Address } | undefined;
  close(): void;
}

/** Receives the given ICMPv6 types only, sent to the groups or to us. Throws {@link SystemError}: ENODEV, EPERM. */
export function openIcmpv6Socket(device: string, types: readonly number[], groups: readonly Address[]): Icmpv6Socket {
  const subject = `device ${device}`;
  const index = ifIndex(device);
  if (index === 0) throw failure("if_nametoindex", subject, ENODEV);
  const fd = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (fd < 0) throw failure("socket", subject);
  const set = (level: number, option: number, value: Uint8Array): void => {
    if (setsockopt(fd, level, option, value, value.length) === 0) return;
    const error = failure("setsockopt", subject);
    close(fd);
    throw error;
  };
  set(IPPROTO_ICMPV6, ICMPV6_FILTER, passing(types));
  set(SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(device));
  set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, int(255));
  set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, int(0));
  for (const group of groups) set(IPPROTO_IPV6, IPV6_JOIN_GROUP, membership(group, index));
  if (attachHopLimitFilter(fd) < 0) {
    const error = failure("setsockopt", subject);
    close(fd);
    throw error;
  }
  return new Icmpv6(fd, index);
}

class Icmpv6 implements Icmpv6Socket {
  #fd: number;
  readonly #index: number;
  readonly #buffer = new Uint8Array(MESSAGE_MAX);
  readonly #name = new Uint8Array(NAME.bytes);

  constructor(fd: number, index: number) {
    this.#fd = fd;
    this.#index = index;
  }

  send(bytes: Uint8Array, to: Address): number {
    const name = new Uint8Array(NAME.bytes);
    const view = new DataView(name.buffer);
    view.setUint16(0, AF_INET6, true);
    name.set(addressBytes(to), NAME.address);
    view.setUint32(NAME.scope, this.#index, true);
    return sendto(this.#fd, bytes, bytes.length, 0, name, name.length) < 0 ? lastErrno() : 0;
  }

  receive(): { readonly bytes: Uint8Array; readonly source: Address } | undefined {
    const length = Uint32Array.of(NAME.bytes);
    const got = recvfrom(this.#fd, this.#buffer, this.#buffer.length, 0, this.#name, length);
    if (got < 0) return undefined;
    const source = addressFromBytes(this.#name.subarray(NAME.address, NAME.address + 16));
    return { bytes: this.#buffer.slice(0, got), source };
  }

  close(): void {
    if (this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** struct icmp6_filter: a bit that is set blocks its type. */
function passing(types: readonly number[]): Uint8Array {
  const words = new Uint32Array(8).fill(0xffff_ffff);
  for (const type of types) words[type >> 5] = (words[type >> 5] ?? 0) & ~(1 << (type & 31));
  return new Uint8Array(words.buffer);
}

/** struct ipv6_mreq */
function membership(group: Address, index: number): Uint8Array {
  const bytes = new Uint8Array(20);
  bytes.set(addressBytes(group));
  new DataView(bytes.buffer).setUint32(16, index, true);
  return bytes;
}

const FILTER_PROGRAM = koffi.struct("icmpv6_sock_fprog", { len: "uint16_t", filter: "void *" });
const attachFilter: (fd: number, level: number, option: number, program: object, length: number) => number = koffi
  .load("libc.so.6")
  .func("int setsockopt(int fd, int level, int optname, icmpv6_sock_fprog *optval, uint32_t optlen)");

/** Whether its hop limit is 255 decides, in classic BPF: `ldb [net + 7]; jeq 255; ret all; ret 0`. */
function attachHopLimitFilter(fd: number): number {
  const program = new Uint8Array(32);
  const view = new DataView(program.buffer);
  const instructions = [
    [0x30, 0, 0, -0x100000 + 7],
    [0x15, 0, 1, 255],
    [0x06, 0, 0, -1],
    [0x06, 0, 0, 0],
  ] as const;
  for (const [row, [code, jumpTrue, jumpFalse, k]] of instructions.entries()) {
    view.setUint16(row * 8, code, true);
    view.setUint8(row * 8 + 2, jumpTrue);
    view.setUint8(row * 8 + 3, jumpFalse);
    view.setInt32(row * 8 + 4, k, true);
  }
  const value = { len: instructions.length, filter: program };
  return attachFilter(fd, SOL_SOCKET, SO_ATTACH_FILTER, value, koffi.sizeof(FILTER_PROGRAM));
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

function failure(call: string, subject: string, errno: number = lastErrno()): SystemError {
  return new SystemError({ call, errno, subject, attempt: `open an ICMPv6 socket on ${subject}` });
}
