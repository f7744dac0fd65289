/** What sockets of all kinds share: names in bytes, options in bytes, and the filter by TTL that only TCP does not need. */
import koffi from "koffi";
import { addressBytes, type Address, type Family } from "../net/address.ts";
import { ifIndex } from "./libc.ts";

export const AF = { IPv4: 2, IPv6: 10 } as const satisfies Record<Family, number>;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_BINDTODEVICE = 25;
const SO_ATTACH_FILTER = 26;
export const IPPROTO_IP = 0;
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IPPROTO_IPV6 = 41;
export const IPV6_UNICAST_HOPS = 16;
export const IPV6_V6ONLY = 26;
export const IPV6_TCLASS = 67;

/** CS6, "network control": routers queue their own protocols there. */
export const TOS_NETWORK_CONTROL = 0xc0;

/** struct sockaddr_in, sockaddr_in6. `device`: the scope of a link-local address. */
export function socketAddress(address: Address, port: number, device?: string): Uint8Array {
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

export function int(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}

/** Where classic BPF finds the network header, and the TTL in it. */
const SKF_NET_OFF = -0x100000;
const TTL_OFFSET = { IPv4: 8, IPv6: 7 } as const satisfies Record<Family, number>;

const FILTER_PROGRAM = koffi.struct("sock_fprog", { len: "uint16_t", filter: "void *" });
const attachFilter: (fd: number, level: number, option: number, program: object, length: number) => number = koffi
  .load("libc.so.6")
  .func("int setsockopt(int fd, int level, int optname, sock_fprog *optval, uint32_t optlen)");

/** What has come with less is dropped, unseen. Negative: refused, see errno. Load the TTL, compare, keep all or nothing. */
export function attachTtlFilter(fd: number, family: Family, least: number): number {
  return attachProgram(fd, [
    instruction(LOAD_BYTE, 0, 0, SKF_NET_OFF + TTL_OFFSET[family]),
    instruction(AT_LEAST, 0, 1, least),
    KEEP,
    DROP,
  ]);
}

/** The same for a packet socket, which sees all: UDP to one port, without options or extension headers, with this TTL or more. */
export function attachUdpFilter(fd: number, family: Family, port: number, leastTtl: number): number {
  const { firstByte, protocol, portAt } = UDP_IN[family];
  return attachProgram(fd, [
    instruction(LOAD_BYTE, 0, 0, SKF_NET_OFF),
    instruction(AND, 0, 0, firstByte.mask),
    instruction(EQUAL, 0, 7, firstByte.value),
    instruction(LOAD_BYTE, 0, 0, SKF_NET_OFF + protocol),
    instruction(EQUAL, 0, 5, PROTOCOL_UDP),
    instruction(LOAD_BYTE, 0, 0, SKF_NET_OFF + TTL_OFFSET[family]),
    instruction(AT_LEAST, 0, 3, leastTtl),
    instruction(LOAD_HALF, 0, 0, SKF_NET_OFF + portAt),
    instruction(EQUAL, 0, 1, port),
    KEEP,
    DROP,
  ]);
}

/** Version and, where it varies, header length; where the protocol and UDP's destination port are. */
const UDP_IN = {
  IPv4: { firstByte: { mask: 0xff, value: 0x45 }, protocol: 9, portAt: 22 },
  IPv6: { firstByte: { mask: 0xf0, value: 0x60 }, protocol: 6, portAt: 42 },
} as const satisfies Record<Family, object>;
const PROTOCOL_UDP = 17;

/** Classic BPF, of which this is all that the filters need. */
const LOAD_BYTE = 0x30;
const LOAD_HALF = 0x28;
const AND = 0x54;
const EQUAL = 0x15;
const AT_LEAST = 0x35;
const KEEP = instruction(0x06, 0, 0, -1);
const DROP = instruction(0x06, 0, 0, 0);

function attachProgram(fd: number, instructions: readonly Uint8Array[]): number {
  const value = { len: instructions.length, filter: Uint8Array.from(instructions.flatMap((one) => [...one])) };
  return attachFilter(fd, SOL_SOCKET, SO_ATTACH_FILTER, value, koffi.sizeof(FILTER_PROGRAM));
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
