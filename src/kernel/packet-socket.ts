/** Sends whole Ethernet frames out of one device: gratuitous ARP and unsolicited neighbor advertisements. Receives nothing. */
import { SystemError } from "./error.ts";
import { bind, close, lastErrno, send, socket } from "./libc.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOCK_NONBLOCK = 0o4000;
/** struct sockaddr_ll: family, protocol (0: receive nothing), ifindex, the rest zero. */
const SOCKADDR_LL_BYTES = 20;

export interface PacketSocket extends Disposable {
  /** Throws {@link SystemError}: ENETDOWN, ENXIO when the device is gone, ENOBUFS when its queue is full. */
  send(frame: Uint8Array): void;
  close(): void;
}

export function openPacketSocket(ifindex: number): PacketSocket {
  const subject = `device ${ifindex}`;
  let fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) throw failure("socket", subject, "open a packet socket");
  const target = new Uint8Array(SOCKADDR_LL_BYTES);
  const view = new DataView(target.buffer);
  view.setUint16(0, AF_PACKET, true);
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
    close: closeOnce,
    [Symbol.dispose]: closeOnce,
  };
}

function failure(call: string, subject: string, attempt: string): SystemError {
  return new SystemError({ call, errno: lastErrno(), subject, attempt });
}
