/**
 * Where the kernel would send a packet, and to which link-layer address: two questions to rtnetlink(7), answered within the call, in
 * some microseconds. For people there is routes.ts.
 */
import { addressBytes, addressFromBytes, type Address } from "../net/address.ts";
import { SystemError } from "./error.ts";
import { close, ifIndex, lastErrno, recv, sendto, socket } from "./libc.ts";
import { AF, SOCK_CLOEXEC } from "./socket-options.ts";

export interface Neighborhood extends Disposable {
  /** The way to an address, through `device` if it is said; `undefined`: there is none. */
  wayTo(address: Address, device?: string): WayTo | undefined;
  /** The link-layer address of a neighbor; `undefined`: not known at the moment. */
  linkAddress(ifindex: number, neighbor: Address): Uint8Array | undefined;
  close(): void;
}

export interface WayTo {
  readonly ifindex: number;
  /** Which of our addresses would be the source. */
  readonly source: Address | undefined;
  /** No router in between. */
  readonly onLink: boolean;
}

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const MSG_DONTWAIT = 0x40;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
const RTM_GETROUTE = 26;
const RTM_GETNEIGH = 30;
/** Attributes of a route and of a neighbor. */
const RTA = { destination: 1, device: 4, gateway: 5, source: 7, via: 18 } as const;
const NDA = { destination: 1, linkAddress: 2 } as const;
/** struct nlmsghdr 16, then struct rtmsg or ndmsg 12, then attributes. */
const ATTRIBUTES_AT = 28;
const BUFFER_BYTES = 8192;

/** Throws {@link SystemError} where the kernel has no netlink. */
export function openNeighborhood(): Neighborhood {
  let fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) {
    const attempt = "open a netlink socket";
    throw new SystemError({ call: "socket", errno: lastErrno(), subject: "rtnetlink", attempt });
  }
  const ask = (request: Uint8Array): Attributes | undefined => askKernel(fd, request);
  const closeOnce = (): void => {
    if (fd >= 0) close(fd);
    fd = -1;
  };
  return {
    wayTo: (to, device) => {
      const scope = device === undefined ? [] : [attribute(RTA.device, words(ifIndex(device)))];
      const header = Uint8Array.of(AF[to.family], to.family === "IPv4" ? 32 : 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
      const found = ask(message(RTM_GETROUTE, header, [attribute(RTA.destination, nameBytes(to)), ...scope]));
      const ifindex = number(found?.get(RTA.device));
      if (found === undefined || ifindex === 0) return undefined;
      const source = found.get(RTA.source);
      return {
        ifindex,
        source: source === undefined ? undefined : fromName(source),
        onLink: !found.has(RTA.gateway) && !found.has(RTA.via),
      };
    },
    linkAddress: (ifindex, neighbor) => {
      const header = Uint8Array.of(AF[neighbor.family], 0, 0, 0, ...words(ifindex), 0, 0, 0, 0);
      return ask(message(RTM_GETNEIGH, header, [attribute(NDA.destination, nameBytes(neighbor))]))?.get(
        NDA.linkAddress,
      );
    },
    close: closeOnce,
    [Symbol.dispose]: closeOnce,
  };
}

type Attributes = ReadonlyMap<number, Uint8Array>;

/** The kernel answers while it is asked. `undefined`: with a refusal. */
function askKernel(fd: number, request: Uint8Array): Attributes | undefined {
  const kernel = new Uint8Array(12); // struct sockaddr_nl
  new DataView(kernel.buffer).setUint16(0, AF_NETLINK, true);
  if (sendto(fd, request, request.length, 0, kernel, kernel.length) < 0) return undefined;
  const buffer = new Uint8Array(BUFFER_BYTES);
  const got = recv(fd, buffer, buffer.length, MSG_DONTWAIT);
  const view = new DataView(buffer.buffer);
  if (got < ATTRIBUTES_AT || view.getUint16(4, true) === NLMSG_ERROR) return undefined;
  return attributesIn(buffer.subarray(ATTRIBUTES_AT, Math.min(got, view.getUint32(0, true))));
}

function attributesIn(bytes: Uint8Array): Attributes {
  const found = new Map<number, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = view.getUint16(at, true);
    if (length < 4) break;
    found.set(view.getUint16(at + 2, true), bytes.slice(at + 4, at + length));
    at += aligned(length);
  }
  return found;
}

function message(type: number, header: Uint8Array, attributes: readonly Uint8Array[]): Uint8Array {
  const body = [...header, ...attributes.flatMap((one) => [...one])];
  const bytes = new Uint8Array(16 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, NLM_F_REQUEST, true);
  bytes.set(body, 16);
  return bytes;
}

function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(aligned(4 + value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, 4);
  return bytes;
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function words(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function number(bytes: Uint8Array | undefined): number {
  return bytes?.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : 0;
}

function nameBytes(address: Address): Uint8Array {
  return address.family === "IPv4" ? addressBytes(address).subarray(12) : addressBytes(address);
}

function fromName(bytes: Uint8Array): Address {
  return bytes.length === 4
    ? { family: "IPv4", value: BigInt(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)) }
    : addressFromBytes(bytes);
}
