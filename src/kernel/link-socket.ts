/**
 * IP packets out of one device to a neighbor that the caller names by its link-layer address, whatever the routes say, and those that
 * come in on it: a packet socket. It sees what the kernel's own IP would refuse, as a packet from one of our addresses.
 */
import koffi from "koffi";
import type { Family } from "../net/address.ts";
import { SystemError } from "./error.ts";
import { bind, close, lastErrno, recv, sendto, socket } from "./libc.ts";
import { attachUdpFilter, SOCK_CLOEXEC, SOCK_NONBLOCK } from "./socket-options.ts";

export interface LinkSocket extends Disposable {
  /** A whole IP packet. Returns why it could not be sent (an errno); 0: it was. */
  send(packet: Uint8Array, to: Uint8Array): number;
  close(): void;
}

export interface LinkSocketOptions {
  readonly ifindex: number;
  readonly family: Family;
  /** Only UDP to this port, with this TTL or more, is received: all else is dropped, unseen. */
  readonly port: number;
  readonly leastTtl: number;
  readonly onPacket: (packet: Uint8Array) => void;
}

const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const ETHERTYPE = { IPv4: 0x0800, IPv6: 0x86dd } as const satisfies Record<Family, number>;
/** struct sockaddr_ll: family 2, protocol 2, ifindex 4, hatype 2, pkttype 1, halen 1, address 8. */
const SOCKADDR_LL_BYTES = 20;
const PACKET_MAX = 1500;
/** In one turn, so that a flood does not starve the timers. */
const PACKETS_A_TURN = 64;

/** Throws {@link SystemError}: EPERM, ENODEV. */
export function openLinkSocket(options: LinkSocketOptions): LinkSocket {
  const { ifindex, family, port, leastTtl, onPacket } = options;
  const subject = `device ${ifindex}`;
  let fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const failure = (call: string): SystemError =>
    new SystemError({ call, errno: lastErrno(), subject, attempt: `send and receive ${family} packets on ${subject}` });
  if (fd < 0) throw failure("socket");
  // Before bind(): until then the socket receives nothing.
  const refused = attachUdpFilter(fd, family, port, leastTtl) < 0 ? "setsockopt" : undefined;
  const where = linkAddress(ifindex, family, new Uint8Array(0));
  const failed = refused ?? (bind(fd, where, where.length) < 0 ? "bind" : undefined);
  if (failed !== undefined) {
    const error = failure(failed);
    close(fd);
    throw error;
  }
  const buffer = new Uint8Array(PACKET_MAX);
  const poll = koffi.node.poll(fd, { readable: true }, () => {
    for (let i = 0; i < PACKETS_A_TURN && fd >= 0; i += 1) {
      const got = recv(fd, buffer, buffer.length, 0);
      if (got < 0) return;
      onPacket(buffer.slice(0, got));
    }
  });
  const closeOnce = (): void => {
    if (fd < 0) return;
    poll.close();
    close(fd);
    fd = -1;
  };
  return {
    send: (packet, to) => {
      const name = linkAddress(ifindex, family, to);
      return sendto(fd, packet, packet.length, 0, name, name.length) < 0 ? lastErrno() : 0;
    },
    close: closeOnce,
    [Symbol.dispose]: closeOnce,
  };
}

function linkAddress(ifindex: number, family: Family, address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(SOCKADDR_LL_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETHERTYPE[family]);
  view.setInt32(4, ifindex, true);
  view.setUint8(11, address.length);
  bytes.set(address, 12);
  return bytes;
}
