/**
 * UDP sockets with what Node.js cannot set: TTL, traffic class, device, and a filter that drops what came from too far away
 * (RFC 5082) - for UDP the kernel has no other way, and Node.js does not tell a datagram's TTL. A receiving socket is handed
 * to `node:dgram` by its number; a sending one stays here.
 */
import koffi from "koffi";
import { addressBytes, formatAddress, type Address, type Family } from "../net/address.ts";
import { SystemError } from "./error.ts";
import { bind, close, ifIndex, lastErrno, sendto, setsockopt, socket } from "./libc.ts";

export interface UdpSocketOptions {
  readonly family: Family;
  /** Default: all. */
  readonly address?: Address;
  readonly port: number;
  /** Bound to it, and the scope of a link-local `address`. */
  readonly device?: string;
  /** Of what is sent. */
  readonly ttl?: number;
  /** Of what is received: less is dropped, unseen. */
  readonly ttlMin?: number;
}

const AF = { IPv4: 2, IPv6: 10 } as const satisfies Record<Family, number>;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const SO_ATTACH_FILTER = 26;
const IPPROTO_IP = 0;
const IP_TOS = 1;
const IP_TTL = 2;
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_V6ONLY = 26;
const IPV6_TCLASS = 67;

/** CS6, "network control". */
const TOS_NETWORK_CONTROL = 0xc0;
/** Where classic BPF finds the network header, and the TTL in it. */
const SKF_NET_OFF = -0x100000;
const TTL_OFFSET = { IPv4: 8, IPv6: 7 } as const satisfies Record<Family, number>;

/** The number of the socket. Throws {@link SystemError}: EADDRINUSE, EADDRNOTAVAIL, ENODEV. */
export function openUdpSocket(options: UdpSocketOptions): number {
  const { family, device, ttl, ttlMin } = options;
  const where = describe(options);
  const fd = socket(AF[family], SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) throw failure("socket", where, `open ${where}`);
  try {
    const six = family === "IPv6";
    const [level, tos, hops] = six ? [IPPROTO_IPV6, IPV6_TCLASS, IPV6_UNICAST_HOPS] : [IPPROTO_IP, IP_TOS, IP_TTL];
    if (six) set(fd, level, IPV6_V6ONLY, int(1), where);
    set(fd, level, tos, int(TOS_NETWORK_CONTROL), where);
    if (ttl !== undefined) set(fd, level, hops, int(ttl), where);
    if (device !== undefined) set(fd, SOL_SOCKET, SO_BINDTODEVICE, new TextEncoder().encode(device), where);
    // Before bind(): nothing may slip in between.
    if (ttlMin !== undefined) attachTtlFilter(fd, family, ttlMin, where);
    const address = options.address ?? { family, value: 0n };
    const name = socketAddress(address, options.port, device);
    if (bind(fd, name, name.length) < 0) throw failure("bind", where, `use ${where}`);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

export interface UdpSender extends Disposable {
  /** Returns why it could not be sent (an errno); 0: it was. */
  send(bytes: Uint8Array): number;
  close(): void;
}

/** Sends to one destination, from an own address and port. */
export function openUdpSender(
  options: UdpSocketOptions,
  destination: { readonly address: Address; readonly port: number; readonly device?: string },
): UdpSender {
  let fd = openUdpSocket(options);
  const to = socketAddress(destination.address, destination.port, destination.device);
  const closeOnce = (): void => {
    if (fd >= 0) close(fd);
    fd = -1;
  };
  return {
    send: (bytes) => (sendto(fd, bytes, bytes.length, 0, to, to.length) < 0 ? lastErrno() : 0),
    close: closeOnce,
    [Symbol.dispose]: closeOnce,
  };
}

/** struct sockaddr_in, sockaddr_in6. */
function socketAddress(address: Address, port: number, device: string | undefined): Uint8Array {
  const six = address.family === "IPv6";
  const bytes = new Uint8Array(six ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF[address.family], true);
  view.setUint16(2, port);
  if (six) {
    bytes.set(addressBytes(address), 8);
    view.setUint32(24, device === undefined ? 0 : ifIndex(device), true);
  } else view.setUint32(4, Number(address.value));
  return bytes;
}

const FILTER_PROGRAM = koffi.struct("sock_fprog", { len: "uint16_t", filter: "void *" });
const attachFilter: (fd: number, level: number, option: number, program: object, length: number) => number = koffi
  .load("libc.so.6")
  .func("int setsockopt(int fd, int level, int optname, sock_fprog *optval, uint32_t optlen)");

/** Load the TTL, compare, keep all or nothing. */
function attachTtlFilter(fd: number, family: Family, least: number, subject: string): void {
  const program = Uint8Array.from([
    ...instruction(0x30, 0, 0, SKF_NET_OFF + TTL_OFFSET[family]),
    ...instruction(0x35, 0, 1, least),
    ...instruction(0x06, 0, 0, -1),
    ...instruction(0x06, 0, 0, 0),
  ]);
  const length = koffi.sizeof(FILTER_PROGRAM);
  if (attachFilter(fd, SOL_SOCKET, SO_ATTACH_FILTER, { len: program.length / 8, filter: program }, length) < 0)
    throw failure("setsockopt", subject, `filter ${subject} by TTL`);
}

/** struct sock_filter. */
function instruction(code: number, jumpTrue: number, jumpFalse: number, k: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, code, true);
  view.setUint8(2, jumpTrue);
  view.setUint8(3, jumpFalse);
  view.setInt32(4, k, true);
  return bytes;
}

function set(fd: number, level: number, option: number, value: Uint8Array, subject: string): void {
  if (setsockopt(fd, level, option, value, value.length) < 0) throw failure("setsockopt", subject, `set up ${subject}`);
}

function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

function describe({ family, address, port, device }: UdpSocketOptions): string {
  const where = address === undefined ? family : formatAddress(address);
  return `UDP port ${port} of ${where}${device === undefined ? "" : ` on ${device}`}`;
}

function failure(call: string, subject: string, attempt: string): SystemError {
  return new SystemError({ call, errno: lastErrno(), subject, attempt });
}
