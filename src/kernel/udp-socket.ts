/**
 * UDP sockets with what Node.js cannot set: TTL, traffic class, device, and a filter that drops what came from too far away
 * (RFC 5082) - for UDP the kernel has no other way, and Node.js does not tell a datagram's TTL. A receiving socket is handed
 * to `node:dgram` by its number; a sending one stays here.
 */
import { formatAddress, type Address, type Family } from "../net/address.ts";
import { SystemError } from "./error.ts";
import { bind, close, lastErrno, sendto, setsockopt, socket } from "./libc.ts";
import {
  AF,
  attachTtlFilter,
  int,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_TCLASS,
  IPV6_UNICAST_HOPS,
  IPV6_V6ONLY,
  SO_BINDTODEVICE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  socketAddress,
  SOL_SOCKET,
  TOS_NETWORK_CONTROL,
} from "./socket-options.ts";

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

const SOCK_DGRAM = 2;

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
    if (ttlMin !== undefined && attachTtlFilter(fd, family, ttlMin) < 0)
      throw failure("setsockopt", where, `filter ${where} by TTL`);
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

function set(fd: number, level: number, option: number, value: Uint8Array, subject: string): void {
  if (setsockopt(fd, level, option, value, value.length) < 0) throw failure("setsockopt", subject, `set up ${subject}`);
}

function describe({ family, address, port, device }: UdpSocketOptions): string {
  const where = address === undefined ? family : formatAddress(address);
  return `UDP port ${port} of ${where}${device === undefined ? "" : ` on ${device}`}`;
}

function failure(call: string, subject: string, attempt: string): SystemError {
  return new SystemError({ call, errno: lastErrno(), subject, attempt });
}
