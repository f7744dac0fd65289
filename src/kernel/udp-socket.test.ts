import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { address } from "../net/address.ts";
import { openSandbox } from "./sandbox.fixture.ts";
import { openUdpSender, openUdpSocket, type UdpSocketOptions } from "./udp-socket.ts";

const sandbox = openSandbox();
sandbox.run("ip link set lo up; ip link add near type veth peer name far; ip link set near up; ip link set far up");
after(() => sandbox[Symbol.dispose]());

for (const [family, here] of [
  ["IPv4", "127.0.0.1"],
  ["IPv6", "::1"],
] as const) {
  describe(`a UDP socket of ${family}`, () => {
    test("hears what comes with enough TTL and nothing else, and is told the sender's own port", async () => {
      const rows = [
        { ttlMin: 255, heard: [255] },
        { ttlMin: 254, heard: [254, 255] },
        { ttlMin: 1, heard: [1, 64, 254, 255] },
      ];
      for (const { ttlMin, heard } of rows) {
        await using ears = listen({ family, port: 3784, ttlMin });
        for (const ttl of [1, 64, 254, 255]) {
          using sender = openUdpSender(
            { family, address: address(here), port: 50_000 + ttl, ttl },
            { address: address(here), port: 3784 },
          );
          assert.equal(sender.send(Uint8Array.of(ttl)), 0);
        }
        // Sent last and let through by every filter: when it is here, so is the rest.
        using last = openUdpSender(
          { family, address: address(here), port: 51_000, ttl: 255 },
          { address: address(here), port: 3784 },
        );
        last.send(Uint8Array.of(0));
        await ears.until(51_000);
        assert.deepEqual(
          ears.ports.slice(0, -1),
          heard.map((ttl) => 50_000 + ttl),
        );
      }
    });

    test("whose port another has is told so", async () => {
      await using _ = listen({ family, port: 3785 });
      assert.throws(() => openUdpSocket({ family, port: 3785 }), { code: "EADDRINUSE", call: "bind" });
    });
  });
}

test("a UDP socket of an address or a device that is not here is refused by name", () => {
  const elsewhere = { family: "IPv4", address: address("192.0.2.1"), port: 50_000 } as const;
  assert.throws(() => openUdpSocket(elsewhere), {
    code: "EADDRNOTAVAIL",
    message: /^Cannot use UDP port 50000 of 192\.0\.2\.1: /,
  });
  assert.throws(() => openUdpSocket({ family: "IPv6", port: 50_000, device: "nowhere" }), { code: "ENODEV" });
});

test("a sender tells why it cannot send, and goes on", () => {
  using sender = openUdpSender({ family: "IPv4", port: 50_001 }, { address: address("192.0.2.1"), port: 3784 });
  const ENETUNREACH = 101;
  assert.equal(sender.send(Uint8Array.of(1)), ENETUNREACH);
  sandbox.run("ip route add 192.0.2.0/24 dev near");
  assert.equal(sender.send(Uint8Array.of(1)), 0);
});

/** `ports`: from which something was heard, in order. */
function listen(options: UdpSocketOptions) {
  const socket = createSocket(options.family === "IPv4" ? "udp4" : "udp6");
  const ports: number[] = [];
  socket.on("message", (_, from) => ports.push(from.port));
  socket.bind({ fd: openUdpSocket(options) });
  return {
    ports,
    async until(port: number): Promise<void> {
      while (!ports.includes(port)) await sleep(5);
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => void socket.close(() => resolve()));
    },
  };
}
