/** Whole Ethernet frames out of one device, and into it where an EtherType is named: gratuitous and probing ARP and NDP. */
import { SystemError } from "./error.ts";
import { bind, close, lastErrno, recv, send, socket } from "./libc.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
/** struct sockaddr_ll: family, protocol (0: receive nothing), ifindex, the rest zero. */
const SOCKADDR_LL_BYTES = 20;
/** What is longer is cut off: ARP is not. */
const FRAME_BYTES_MAX = 2048;

export interface PacketSocket extends Disposable {
  /** Throws {@link SystemError}: ENETDOWN, ENXIO when the device is gone, ENOBUFS when its queue is full. */
  send(frame: Uint8Array): void;
  /** A frame that has come in since the socket was opened; `undefined`: no more. */
  receive(): Uint8Array | undefined;
  close(): void;
}

/** Receives frames of `ethertype`; 0: none. */
export function openPacketSocket(ifindex: number, ethertype = 0): PacketSocket {
  const subject = `device ${ifindex}`;
  let fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw failure("socket", subject, "open a packet socket");
  const target = new Uint8Array(SOCKADDR_LL_BYTES);
  const view = new DataView(target.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ethertype); // in network order
  view.setInt32(4, ifindex, true);
  if (bind(fd, target, target.length) < 0) {
    const error = failure("bind", subject, `bind a packet socket to ${subject}`);
    close(fd);
    throw error;
  }
  const closeOnce = (): void => {
    if (fd >= 0) close(fd);
    fd = -1;
  };
  return {
    send(frame) {
      if (fd < 0) throw new Error(`Packet socket of ${subject} was used after it was closed`);
      if (send(fd, frame, frame.length, 0) < 0)
        throw failure("send", subject, `send a frame of ${frame.length} bytes out of ${subject}`);
    },
    receive() {
      const buffer = new Uint8Array(FRAME_BYTES_MAX);
      const length = recv(fd, buffer, buffer.length, 0);
      return length < 0 ? undefined : buffer.subarray(0, length);
    },
    close: closeOnce,
    [Symbol.dispose]: closeOnce,
  };
}

function failure(call: string, subject: string, attempt: string): SystemError {
  return new SystemError({ call, errno: lastErrno(), subject, attempt });
}
