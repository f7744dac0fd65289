/**
 * TCP sockets with what Node.js cannot set, and what must be set before connect() or listen(): TCP MD5 signatures, TTL and the
 * least TTL accepted, device, source. A socket is made here and handed to `net.Socket` or `net.Server` by its number; from
 * then on it is theirs, and they close it.
 */
import type { Address, Family } from "../net/address.ts";
import { formatAddress } from "../net/address.ts";
import { addressBits, formatPrefix, type Prefix } from "../net/prefix.ts";
import { SystemError } from "./error.ts";
import { bind, close, lastErrno, setsockopt, socket } from "./libc.ts";
import {
  AF,
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

export interface TcpSocketOptions {
  readonly family: Family;
  /** Port 0: any. `device`: of a link-local address. */
  readonly source?: { readonly address: Address; readonly port: number; readonly device?: string };
  /** A VRF or an interface: the connection exists there only. */
  readonly bindDevice?: string;
  /** Of packets sent. */
  readonly ttl?: number;
  /** Packets that arrive with less are dropped by the kernel (RFC 5082). */
  readonly ttlMin?: number;
  /** Unacknowledged data ends the connection after so long (RFC 5482). */
  readonly userTimeoutMilliseconds?: number;
  /** SO_REUSEADDR: for a listener, which must not wait for the TIME_WAIT of its predecessor. */
  readonly reuseAddress?: boolean;
}

const SOCK_STREAM = 1;

/** Option levels and names of Linux. */
const SO_REUSEADDR = 2;
const IP_MINTTL = 21;
const IP_BIND_ADDRESS_NO_PORT = 24;
const IPPROTO_TCP = 6;
const TCP_MD5SIG = 14;
const TCP_USER_TIMEOUT = 18;
const TCP_MD5SIG_EXT = 32;
const IPV6_MINHOPCOUNT = 73;

/** struct tcp_md5sig: sockaddr_storage 128, flags 1, prefixlen 1, keylen 2, ifindex 4, key 80. */
const MD5SIG = { bytes: 216, flags: 128, prefixLength: 129, keyLength: 130, key: 136, keyMax: 80 } as const;
const TCP_MD5SIG_FLAG_PREFIX = 1;

/** Returns the number of the socket. Throws {@link SystemError}: EADDRNOTAVAIL, EADDRINUSE, ENODEV. */
export function openTcpSocket(options: TcpSocketOptions): number {
  const { family, source } = options;
  const fd = socket(AF[family], SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    throw new SystemError({
      call: "socket",
      errno: lastErrno(),
      subject: family,
      attempt: `open a TCP socket for ${family}`,
    });
  try {
    if (family === "IPv6") set(fd, IPPROTO_IPV6, IPV6_V6ONLY, int(1), "IPV6_V6ONLY");
    if (options.reuseAddress) set(fd, SOL_SOCKET, SO_REUSEADDR, int(1), "SO_REUSEADDR");
    setTcpOptions(fd, options);
    if (options.bindDevice !== undefined)
      set(
        fd,
        SOL_SOCKET,
        SO_BINDTODEVICE,
        new TextEncoder().encode(options.bindDevice),
        `device ${options.bindDevice}`,
      );
    if (source !== undefined) bindTo(fd, source);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** What may also be set on a connection that was accepted. */
export function setTcpOptions(
  fd: number,
  options: Omit<TcpSocketOptions, "source" | "bindDevice" | "reuseAddress">,
): void {
  const { family, ttl, ttlMin, userTimeoutMilliseconds } = options;
  const six = family === "IPv6";
  if (six) set(fd, IPPROTO_IPV6, IPV6_TCLASS, int(TOS_NETWORK_CONTROL), "IPV6_TCLASS");
  else set(fd, IPPROTO_IP, IP_TOS, int(TOS_NETWORK_CONTROL), "IP_TOS");
  if (ttl !== undefined) {
    if (six) set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, int(ttl), `hop limit ${ttl}`);
    else set(fd, IPPROTO_IP, IP_TTL, int(ttl), `TTL ${ttl}`);
  }
  if (ttlMin !== undefined) {
    if (six) set(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, int(ttlMin), `least hop limit ${ttlMin}`);
    else set(fd, IPPROTO_IP, IP_MINTTL, int(ttlMin), `least TTL ${ttlMin}`);
  }
  if (userTimeoutMilliseconds !== undefined)
    set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, int(userTimeoutMilliseconds), "TCP_USER_TIMEOUT");
}

/**
 * Signs and checks (RFC 2385) all segments from and to a peer; on a listener, for connections to come. `undefined` takes
 * the key away. Throws {@link SystemError}: ENOPROTOOPT where the kernel was built without.
 */
export function setMd5Key(fd: number, peer: Prefix, password: string | undefined): void {
  const key = new TextEncoder().encode(password ?? "");
  if (key.length > MD5SIG.keyMax)
    throw new RangeError(`A TCP MD5 password is at most ${MD5SIG.keyMax} bytes, got ${key.length}`);
  const whole = peer.length === addressBits(peer.family);
  const bytes = new Uint8Array(MD5SIG.bytes);
  bytes.set(socketAddress(peer, 0));
  const view = new DataView(bytes.buffer);
  if (!whole) {
    view.setUint8(MD5SIG.flags, TCP_MD5SIG_FLAG_PREFIX);
    view.setUint8(MD5SIG.prefixLength, peer.length);
  }
  view.setUint16(MD5SIG.keyLength, key.length, true);
  bytes.set(key, MD5SIG.key);
  const name = `a TCP MD5 key for ${formatPrefix(peer)}`;
  set(fd, IPPROTO_TCP, whole ? TCP_MD5SIG : TCP_MD5SIG_EXT, bytes, name);
}

function bindTo(fd: number, { address, port, device }: NonNullable<TcpSocketOptions["source"]>): void {
  // Port 0: connect() chooses it, so that two connections from one address may share a port.
  if (port === 0) set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, int(1), "IP_BIND_ADDRESS_NO_PORT");
  const where = socketAddress(address, port, device);
  if (bind(fd, where, where.length) === 0) return;
  const errno = lastErrno();
  const subject = `${formatAddress(address)}${device === undefined ? "" : `%${device}`} port ${port}`;
  throw new SystemError({ call: "bind", errno, subject, attempt: `use ${subject} as a local address` });
}

function set(fd: number, level: number, option: number, value: Uint8Array, what: string): void {
  if (setsockopt(fd, level, option, value, value.length) === 0) return;
  throw new SystemError({
    call: "setsockopt",
    errno: lastErrno(),
    subject: what,
    attempt: `set ${what} on a TCP socket`,
  });
}
