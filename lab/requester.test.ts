import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import type { RequestPlan, RequestResult } from "./requester.ts";

const execute = promisify(execFile);
const HOST = "127.0.0.1";

async function ask(plan: Omit<RequestPlan, "address">): Promise<RequestResult> {
  const words = [join(import.meta.dirname, "requester.ts"), JSON.stringify({ ...plan, address: HOST })];
  return JSON.parse((await execute(process.execPath, words)).stdout) as RequestResult;
}

/** What becomes of a request, and from which port the server was asked. */
async function askServer(behave: (socket: Socket) => void, timeoutMilliseconds: number) {
  const ports: (number | undefined)[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    ports.push(socket.remotePort);
    sockets.push(socket.on("error", () => undefined));
    behave(socket);
  });
  await once(server.listen(0, HOST), "listening");
  try {
    const { port } = server.address() as AddressInfo;
    return { result: await ask({ protocol: "HTTP", port, timeoutMilliseconds }), asked: ports[0] };
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

async function askDatagramServer(answer: string | undefined, timeoutMilliseconds: number) {
  const ports: number[] = [];
  const server = createSocket("udp4").on("message", (_data, { port }) => {
    ports.push(port);
    if (answer !== undefined) server.send(answer, port, HOST);
  });
  await once(server.bind(0, HOST), "listening");
  try {
    const { port } = server.address();
    return { result: await ask({ protocol: "UDP", port, timeoutMilliseconds }), asked: ports[0] };
  } finally {
    server.close();
  }
}

/** A port of a kind that nobody has. */
async function freePort(kind: "TCP" | "UDP"): Promise<number> {
  const taken = kind === "TCP" ? createServer().listen(0, HOST) : createSocket("udp4").bind(0, HOST);
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  taken.close();
  await once(taken, "close");
  return port;
}

const PATIENT = 10_000;
/** For a request that nobody will answer. */
const IMPATIENT = 1000;

describe("a request says the port that it came from", () => {
  const answers = (text: string) => (socket: Socket) => void socket.once("data", () => socket.end(text));
  const cases: readonly (readonly [string, (socket: Socket) => void, number, string | undefined])[] = [
    ["when it was answered", answers('HTTP/1.1 200 OK\r\n\r\n{"pod_name":"p"}\n'), PATIENT, undefined],
    ["when the answer is none", answers("{nonsense}"), PATIENT, "badAnswer"],
    ["when nobody answers in time", () => undefined, IMPATIENT, "timeout"],
    ["when the connection is closed instead", (socket) => void socket.end(), PATIENT, "closedWithoutAnswer"],
    ["when it is reset", (socket) => void socket.once("data", () => socket.resetAndDestroy()), PATIENT, "ECONNRESET"],
  ];
  for (const [when, behave, patience, error] of cases)
    test(when, async () => {
      const { result, asked } = await askServer(behave, patience);
      assert.equal(result.error, error);
      assert.equal(result.ok, error === undefined);
      assert.ok(asked !== undefined);
      assert.equal(result.sourcePort, asked);
    });

  test("when a datagram was answered, and when it was not", async () => {
    for (const [answer, patience] of [['{"pod_name":"p"}', PATIENT] as const, [undefined, IMPATIENT] as const]) {
      const { result, asked } = await askDatagramServer(answer, patience);
      assert.equal(result.error, answer === undefined ? "timeout" : undefined);
      assert.ok(asked !== undefined);
      assert.equal(result.sourcePort, asked);
    }
  });

  test("when nobody is there", async () => {
    for (const protocol of ["TCP", "UDP"] as const) {
      const result = await ask({ protocol, port: await freePort(protocol), timeoutMilliseconds: PATIENT });
      assert.equal(result.error, "ECONNREFUSED");
      assert.ok((result.sourcePort ?? 0) > 0, protocol);
    }
  });
});
