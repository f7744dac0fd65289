/**
 * Router advertisements and solicitations of one device, out and in: raw ICMPv6. The kernel makes the checksum and drops what has
 * come from beyond the link.
 */
import koffi from "koffi";
import { addressFromBytes, addressBytes, type Address } from "../net/address.ts";
import { SystemError } from "./error.ts";
import { close, ifIndex, lastErrno, recvfrom, sendto, setsockopt, socket } from "./libc.ts";
import {
  AF,
  attachTtlFilter,
  int,
  IPPROTO_IPV6,
  SO_BINDTODEVICE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  socketAddress,
  SOL_SOCKET,
} from "./socket-options.ts";

const SOCK_RAW = 3;
const IPPROTO_ICMPV6 = 58;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_JOIN_GROUP = 20;
const ICMPV6_FILTER = 1;
const ENODEV = 19;
/** Nothing comes from beyond the link with it (RFC 4861 §6.1). */
const HOP_LIMIT = 255;

/** struct sockaddr_in6 */
const NAME = { bytes: 28, address: 8 } as const;
/** Longer than any advertisement we care for; what is longer is cut off, and then no advertisement. */
const MESSAGE_MAX = 1500;

export interface Icmpv6Socket extends Disposable {
  /** Returns why it could not be sent (an errno); 0: it was. */
  send(bytes: Uint8Array, to: Address): number;
  /** Calls back when something has come: `receive` until there is no more. */
  onReadable(callback: () => void): void;
  /** One message that has come; `undefined`: none. */
  receive(): { readonly bytes: Uint8Array; readonly source: Address } | undefined;
  close(): void;
}

/** Receives the given ICMPv6 types only, sent to the groups or to us. Throws {@link SystemError}: ENODEV, EPERM. */
export function openIcmpv6Socket(device: string, types: readonly number[], groups: readonly Address[]): Icmpv6Socket {
  const subject = `device ${device}`;
  const index = ifIndex(device);
  if (index === 0) throw failure("if_nametoindex", subject, ENODEV);
  const fd = socket(AF.IPv6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (fd < 0) throw failure("socket", subject);
  const set = (level: number, option: number, value: Uint8Array): void => {
    if (setsockopt(fd, level, option, value, value.length) === 0) return;
    const error = failure("setsockopt", subject);
    close(fd);
    throw error;
  };
  set(IPPROTO_ICMPV6, ICMPV6_FILTER, passing(types));
  set(SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(device));
  set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, int(HOP_LIMIT));
  set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, int(0));
  for (const group of groups) set(IPPROTO_IPV6, IPV6_JOIN_GROUP, membership(group, index));
  if (attachTtlFilter(fd, "IPv6", HOP_LIMIT) < 0) {
    const error = failure("setsockopt", subject);
    close(fd);
    throw error;
  }
  return new Icmpv6(fd, device);
}

class Icmpv6 implements Icmpv6Socket {
  #fd: number;
  readonly #device: string;
  #poll: { close(): void } | undefined;
  readonly #buffer = new Uint8Array(MESSAGE_MAX);
  readonly #name = new Uint8Array(NAME.bytes);

  constructor(fd: number, device: string) {
    this.#fd = fd;
    this.#device = device;
  }

  send(bytes: Uint8Array, to: Address): number {
    const name = socketAddress(to, 0, this.#device);
    return sendto(this.#fd, bytes, bytes.length, 0, name, name.length) < 0 ? lastErrno() : 0;
  }

  receive(): { readonly bytes: Uint8Array; readonly source: Address } | undefined {
    const length = Uint32Array.of(NAME.bytes);
    const got = recvfrom(this.#fd, this.#buffer, this.#buffer.length, 0, this.#name, length);
    if (got < 0) return undefined;
    const source = addressFromBytes(this.#name.subarray(NAME.address, NAME.address + 16));
    return { bytes: this.#buffer.slice(0, got), source };
  }

  onReadable(callback: () => void): void {
    this.#poll?.close();
    this.#poll = koffi.node.poll(this.#fd, { readable: true }, callback);
  }

  close(): void {
    this.#poll?.close();
    this.#poll = undefined;
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

function failure(call: string, subject: string, errno: number = lastErrno()): SystemError {
  return new SystemError({ call, errno, subject, attempt: `open an ICMPv6 socket on ${subject}` });
}
