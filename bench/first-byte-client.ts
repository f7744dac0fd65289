/** The client of `first-byte.ts`, in its namespace: for every address on stdin, when the first byte of an answer came. */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const PORT = 80;
/** A request that nobody answers is tried again; those before it go on waiting, as their addresses may be found meanwhile. */
const AGAIN_MS = 20;

for await (const address of createInterface(process.stdin)) {
  const first = Promise.withResolvers<number>();
  let answered = false;
  void first.promise.then(() => (answered = true));
  while (!answered) {
    const socket = connect({ host: address, port: PORT });
    socket.once("connect", () => socket.write("GET / HTTP/1.0\r\n\r\n"));
    socket.once("data", () => {
      first.resolve(performance.timeOrigin + performance.now());
      socket.destroy();
    });
    socket.once("error", () => socket.destroy());
    await Promise.race([first.promise, sleep(AGAIN_MS)]);
  }
  process.stdout.write(`${await first.promise}\n`);
}
