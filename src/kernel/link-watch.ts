/**
 * Says when links or addresses of this namespace change: rtnetlink(7) multicast. The messages are not read, only that there were any; whoever
 * listens reads everything anew, so one that the kernel had to drop (ENOBUFS) is no loss.
 */
import koffi from "koffi";
import { SystemError } from "./error.ts";
import { bind, close, lastErrno, recv, socket } from "./libc.ts";

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const MSG_DONTWAIT = 0x40;
/** RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR */
const GROUPS = 0x1 | 0x10 | 0x100;
const BUFFER_BYTES = 64 << 10;
/** A device that comes up reports itself several times. */
const SETTLE_MS = 30;

/** Calls `onChange` 30 ms after a change, several changes at once. Returns the function that stops it. Does not keep the process alive. */
export function watchLinks(onChange: () => void): () => void {
  const fd = openRouteSocket();
  const buffer = new Uint8Array(BUFFER_BYTES);
  let timer: NodeJS.Timeout | undefined;
  const handle = koffi.node.poll(fd, { readable: true }, () => {
    while (recv(fd, buffer, buffer.length, MSG_DONTWAIT) > 0);
    timer ??= setTimeout(() => {
      timer = undefined;
      onChange();
    }, SETTLE_MS).unref();
  });
  handle.unref();
  let open = true;
  return () => {
    if (!open) return;
    open = false;
    clearTimeout(timer);
    handle.close();
    close(fd);
  };
}

function openRouteSocket(): number {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw failure("socket", "open a netlink socket");
  const groups = new Uint8Array(12); // struct sockaddr_nl
  const view = new DataView(groups.buffer);
  view.setUint16(0, AF_NETLINK, true);
  view.setUint32(8, GROUPS, true);
  if (bind(fd, groups, groups.length) < 0) {
    const error = failure("bind", "listen for changes of links and addresses");
    close(fd);
    throw error;
  }
  return fd;
}

function failure(call: string, attempt: string): SystemError {
  return new SystemError({ call, errno: lastErrno(), subject: "rtnetlink", attempt });
}
