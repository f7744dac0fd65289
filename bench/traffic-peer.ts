/**
 * The two ends of a traffic benchmark, each a process in its namespace, on blocking system calls: Node's own sockets cost more than the
 * network under test.
 *   traffic-peer.ts server PORT                       "c" and it answers 128 bytes and closes; "b" and it reads to the end
 *   traffic-peer.ts connections ADDRESS PORT SECONDS  connects, asks, reads, resets; prints {count, failed, microseconds: {p50, p99}}
 *   traffic-peer.ts bulk ADDRESS PORT SECONDS         sends; prints {megabitsPerSecond}
 */
import koffi from "koffi";
import { address, addressBytes } from "../src/net/address.ts";
import { quantile } from "./statistics.ts";

const libc = koffi.load("libc.so.6");
type Call<T extends unknown[]> = (...args: T) => number;
const socket: Call<[number, number, number]> = libc.func("int socket(int domain, int type, int protocol)");
const connect: Call<[number, Uint8Array, number]> = libc.func("int connect(int fd, const void *addr, uint32_t len)");
const bind: Call<[number, Uint8Array, number]> = libc.func("int bind(int fd, const void *addr, uint32_t len)");
const listen: Call<[number, number]> = libc.func("int listen(int fd, int backlog)");
const accept: Call<[number, null, null]> = libc.func("int accept(int fd, void *addr, void *len)");
const send: Call<[number, Uint8Array, number, number]> = libc.func(
  "int64_t send(int fd, const void *buf, size_t len, int flags)",
);
const recv: Call<[number, Uint8Array, number, number]> = libc.func(
  "int64_t recv(int fd, void *buf, size_t len, int flags)",
);
const close: Call<[number]> = libc.func("int close(int fd)");
const setsockopt: Call<[number, number, number, Uint8Array, number]> = libc.func(
  "int setsockopt(int fd, int level, int name, const void *value, uint32_t len)",
);

const AF_INET = 2;
const SOCK_STREAM = 1;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const OPTION = { reuseAddress: 2, sendTimeout: 21, receiveTimeout: 20, linger: 13 } as const;
const ASK = { connection: 0x63, bulk: 0x62 } as const;
const BUFFER_BYTES = 256 << 10;
/** struct timeval: a lost SYN must not stand for a slow network. */
const TIMEOUT = new Uint8Array(BigInt64Array.of(2n, 0n).buffer);
/** struct linger: closing resets, so no TIME_WAIT piles up. */
const RESET = new Uint8Array(Int32Array.of(1, 0).buffer);

const [mode, ...rest] = process.argv.slice(2);
if (mode === "server") serve(Number(rest[0]));
else if (mode === "connections") print(measureConnections(rest[0] ?? "", Number(rest[1]), Number(rest[2])));
else if (mode === "bulk") print(measureBulk(rest[0] ?? "", Number(rest[1]), Number(rest[2])));
else throw new Error(`Unknown mode "${mode}": server, connections or bulk`);

function serve(port: number): void {
  const listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, OPTION.reuseAddress, new Uint8Array(Int32Array.of(1).buffer), 4);
  const any = socketAddress("0.0.0.0", port);
  if (bind(listener, any, any.length) < 0 || listen(listener, 4096) < 0)
    throw new Error(`Cannot listen on port ${port}: errno ${koffi.errno()}`);
  console.log("listening");
  const buffer = new Uint8Array(BUFFER_BYTES);
  const answer = new Uint8Array(128).fill(0x61);
  for (;;) {
    const fd = accept(listener, null, null);
    if (fd < 0) continue;
    setsockopt(fd, SOL_SOCKET, OPTION.receiveTimeout, TIMEOUT, TIMEOUT.length);
    const length = recv(fd, buffer, buffer.length, 0);
    if (length > 0 && buffer[0] === ASK.connection) send(fd, answer, answer.length, MSG_NOSIGNAL);
    else if (length > 0) while (recv(fd, buffer, buffer.length, 0) > 0);
    close(fd);
  }
}

interface Connections {
  readonly count: number;
  readonly failed: number;
  readonly microseconds: { readonly p50: number; readonly p99: number };
}

function measureConnections(to: string, port: number, seconds: number): Connections {
  const target = socketAddress(to, port);
  const buffer = new Uint8Array(4096);
  const request = Uint8Array.of(ASK.connection);
  const times: number[] = [];
  let failed = 0;
  const end = performance.now() + seconds * 1000;
  for (let now = performance.now(); now < end;) {
    const fd = open();
    const good =
      connect(fd, target, target.length) === 0 &&
      send(fd, request, 1, MSG_NOSIGNAL) === 1 &&
      recv(fd, buffer, buffer.length, 0) > 0;
    close(fd);
    const after = performance.now();
    if (good) times.push((after - now) * 1000);
    else failed += 1;
    now = after;
  }
  if (times.length === 0) return { count: 0, failed, microseconds: { p50: 0, p99: 0 } };
  return { count: times.length, failed, microseconds: { p50: quantile(times, 0.5), p99: quantile(times, 0.99) } };
}

function measureBulk(to: string, port: number, seconds: number): { megabitsPerSecond: number } {
  const target = socketAddress(to, port);
  const buffer = new Uint8Array(BUFFER_BYTES).fill(ASK.bulk);
  const fd = open();
  if (connect(fd, target, target.length) < 0)
    throw new Error(`Cannot connect to ${to}:${port}: errno ${koffi.errno()}`);
  const start = performance.now();
  let sent = 0;
  while (performance.now() < start + seconds * 1000) {
    const written = send(fd, buffer, buffer.length, MSG_NOSIGNAL);
    if (written < 0) throw new Error(`Cannot send to ${to}:${port}: errno ${koffi.errno()}`);
    sent += written;
  }
  const elapsed = (performance.now() - start) / 1000;
  close(fd);
  return { megabitsPerSecond: (sent * 8) / elapsed / 1e6 };
}

function open(): number {
  const fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, OPTION.sendTimeout, TIMEOUT, TIMEOUT.length);
  setsockopt(fd, SOL_SOCKET, OPTION.receiveTimeout, TIMEOUT, TIMEOUT.length);
  setsockopt(fd, SOL_SOCKET, OPTION.linger, RESET, RESET.length);
  return fd;
}

/** struct sockaddr_in */
function socketAddress(text: string, port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(addressBytes(address(text)).subarray(12), 4);
  return bytes;
}

function print(result: object): void {
  console.log(JSON.stringify(result));
}
