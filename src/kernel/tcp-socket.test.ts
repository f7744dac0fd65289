import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, Socket, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { address } from "../net/address.ts";
import { hostPrefix, parsePrefix, type Prefix } from "../net/prefix.ts";
import { SystemError } from "./error.ts";
import { close } from "./libc.ts";
import { openSandbox, type Sandbox } from "./sandbox.fixture.ts";
import { parseTcpCounters, tcpCounters } from "./tcp-counters.ts";
import { openTcpSocket, setMd5Key, type TcpSocketOptions } from "./tcp-socket.ts";

const PORT = 1179;
const NODES = { IPv4: ["10.0.0.1", "10.0.0.2"], IPv6: ["fd00::1", "fd00::2"] } as const;

let sandbox: Sandbox;
before(() => {
  sandbox = openSandbox();
  sandbox.run("ip link set lo up; ip addr add 10.0.0.1/32 dev lo; ip addr add 10.0.0.2/32 dev lo");
  sandbox.run("ip -6 addr add fd00::1/128 dev lo nodad; ip -6 addr add fd00::2/128 dev lo nodad");
});
after(() => sandbox[Symbol.dispose]());

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  assert.ok(parsed);
  return parsed;
}

interface Ends {
  readonly family: "IPv4" | "IPv6";
  readonly listener?: Partial<TcpSocketOptions>;
  readonly caller?: Partial<TcpSocketOptions>;
  /** For whom the listener has which key. */
  readonly keys?: readonly (readonly [Prefix, string])[];
  readonly key?: string;
}

/** Whether what the caller sends arrives within half a second: loopback needs none of it. */
async function talks({ family, listener = {}, caller = {}, keys = [], key }: Ends): Promise<boolean> {
  const [from, to] = NODES[family];
  const listening = openTcpSocket({
    family,
    source: { address: address(to), port: PORT },
    reuseAddress: true,
    ...listener,
  });
  for (const [peer, password] of keys) setMd5Key(listening, peer, password);
  let heard = "";
  const server: Server = createServer((socket) =>
    socket.on("data", (chunk) => (heard += String(chunk))).on("error", () => {}),
  );
  server.listen({ fd: listening });
  const calling = openTcpSocket({ family, source: { address: address(from), port: 0 }, ...caller });
  if (key !== undefined) setMd5Key(calling, hostPrefix(address(to)), key);
  const socket = new Socket({ fd: calling, readable: true, writable: true });
  socket.pause();
  socket.on("error", () => {});
  socket.connect({ host: to, port: PORT });
  socket.write("hello");
  for (let round = 0; round < 50 && heard === ""; round += 1) {
    // oxlint-disable-next-line no-await-in-loop
    await sleep(10);
  }
  socket.destroy();
  server.close();
  return heard === "hello";
}

for (const family of ["IPv4", "IPv6"] as const) {
  const [from] = NODES[family];
  const whole = hostPrefix(address(from));
  const wide = prefix(family === "IPv4" ? "10.0.0.0/24" : "fd00::/64");

  describe(`TCP over ${family}`, () => {
    test("is TCP", async () => assert.ok(await talks({ family })));

    test("with one MD5 key on both sides talks, also where the listener's is for a prefix", async () => {
      assert.ok(await talks({ family, keys: [[whole, "secret"]], key: "secret" }));
      assert.ok(await talks({ family, keys: [[wide, "secret"]], key: "secret" }));
    });

    const silent: readonly (Ends & {
      readonly name: string;
      readonly counted: "md5Failure" | "md5NotFound" | "md5Unexpected" | "ttlTooSmall";
    })[] = [
      { name: "another MD5 key", family, keys: [[whole, "secret"]], key: "Secret", counted: "md5Failure" },
      { name: "no MD5 key where one is wanted", family, keys: [[wide, "secret"]], counted: "md5NotFound" },
      {
        name: "a smaller TTL than wanted",
        family,
        listener: { ttlMin: 255 },
        caller: { ttl: 254 },
        counted: "ttlTooSmall",
      },
    ];
    for (const { name, counted, ...ends } of silent)
      test(`with ${name} is silence, and counted`, async () => {
        const before = tcpCounters()[counted];
        assert.equal(await talks(ends), false);
        assert.ok(tcpCounters()[counted] > before);
      });

    test("with the TTL that is wanted talks", async () =>
      assert.ok(await talks({ family, listener: { ttlMin: 255, ttl: 255 }, caller: { ttl: 255, ttlMin: 255 } })));
  });
}

describe("a TCP socket", () => {
  const refused: readonly {
    readonly name: string;
    readonly options: TcpSocketOptions;
    readonly code: string;
    readonly message: RegExp;
  }[] = [
    {
      name: "an address of somebody else",
      options: { family: "IPv4", source: { address: address("192.0.2.1"), port: 0 } },
      code: "EADDRNOTAVAIL",
      message: /use 192\.0\.2\.1 port 0 as a local address/,
    },
    {
      name: "a device that does not exist",
      options: { family: "IPv4", bindDevice: "vrf-blue" },
      code: "ENODEV",
      message: /device vrf-blue/,
    },
    { name: "a TTL of 300", options: { family: "IPv4", ttl: 300 }, code: "EINVAL", message: /TTL 300/ },
  ];
  for (const { name, options, code, message } of refused)
    test(`with ${name} is refused with ${code}`, () =>
      assert.throws(
        () => openTcpSocket(options),
        (error) => error instanceof SystemError && error.code === code && message.test(error.message),
      ));

  test("takes an MD5 key of 80 bytes, not of 81", () => {
    const fd = openTcpSocket({ family: "IPv4" });
    setMd5Key(fd, prefix("10.0.0.1/32"), "x".repeat(80));
    assert.throws(() => setMd5Key(fd, prefix("10.0.0.1/32"), "x".repeat(81)), RangeError);
    close(fd);
  });

  test("accepts on the port it is bound to and closes with its server", async () => {
    const fd = openTcpSocket({
      family: "IPv4",
      source: { address: address("10.0.0.2"), port: PORT },
      reuseAddress: true,
    });
    const server = createServer().listen({ fd });
    await once(server, "listening");
    server.close();
    await once(server, "close");
    assert.ok(close(fd) < 0);
  });
});

describe("the kernel's counters", () => {
  test("are found by name, wherever they stand; what is not counted is 0", () => {
    const text = "TcpExt: A TCPMD5Failure B TCPMinTTLDrop\nTcpExt: 1 2 3 4\nIpExt: TCPMD5NotFound\nIpExt: 9\n";
    assert.deepEqual(parseTcpCounters(text), { md5Failure: 2, md5NotFound: 0, md5Unexpected: 0, ttlTooSmall: 4 });
  });
});
