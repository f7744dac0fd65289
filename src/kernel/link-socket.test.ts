import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { internetChecksum } from "../bytes/checksum.ts";
import { address, formatAddress, type Family } from "../net/address.ts";
import { parseMac } from "../net/mac.ts";
import { ifIndex } from "./libc.ts";
import { openLinkSocket } from "./link-socket.ts";
import { openNeighborhood } from "./neighbor.ts";
import { openSandbox } from "./sandbox.fixture.ts";

const sandbox = openSandbox();
sandbox.run(`
ip link set lo up
ip link add near type veth peer name far address 02:00:00:00:00:0f
ip link set near up; ip link set far up
ip address add 10.0.0.1/24 dev near; ip address add 10.0.0.9/32 dev near
ip -6 address add fd00::1/64 dev near nodad
ip route add 10.9.0.0/16 via 10.0.0.2; ip -6 route add fd09::/64 via fd00::2
ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev near nud permanent
ip -6 neigh add fd00::2 lladdr 02:00:00:00:00:06 dev near nud permanent
`);
after(() => sandbox[Symbol.dispose]());

describe("what the kernel knows of a neighbor", () => {
  const rows = [
    { family: "IPv4", near: "10.0.0.2", own: "10.0.0.1", mac: "02:00:00:00:00:02", far: "10.9.1.1", none: "10.8.0.1" },
    { family: "IPv6", near: "fd00::2", own: "fd00::1", mac: "02:00:00:00:00:06", far: "fd09::1", none: "fd08::1" },
  ] as const;
  for (const { family, near, own, mac, far, none } of rows) {
    test(`of ${family}: its device, our address towards it, and its link-layer address`, () => {
      using neighborhood = openNeighborhood();
      const way = neighborhood.wayTo(address(near));
      assert.ok(way?.source);
      assert.deepEqual([way.ifindex, formatAddress(way.source), way.onLink], [ifIndex("near"), own, true]);
      assert.deepEqual(neighborhood.linkAddress(way.ifindex, address(near)), parseMac(mac));
    });
    test(`of ${family}: behind a router it is none, and elsewhere it is nowhere`, () => {
      using neighborhood = openNeighborhood();
      assert.equal(neighborhood.wayTo(address(far))?.onLink, false);
      assert.equal(neighborhood.wayTo(address(none)), undefined);
      assert.equal(neighborhood.linkAddress(ifIndex("near"), address(none)), undefined);
      assert.equal(neighborhood.linkAddress(9999, address(near)), undefined);
    });
  }
});

for (const family of ["IPv4", "IPv6"] as const) {
  test(`a link socket of ${family} carries packets from one of our addresses, and hears UDP to its port alone`, async () => {
    const heard: Uint8Array[] = [];
    const options = { family, port: 3785, leastTtl: 254 };
    using far = openLinkSocket({ ...options, ifindex: ifIndex("far"), onPacket: (packet) => heard.push(packet) });
    using near = openLinkSocket({ ...options, ifindex: ifIndex("near"), onPacket: () => {} });
    const to = parseMac("02:00:00:00:00:0f");
    assert.ok(to);
    const good = packet(family, { ttl: 254, port: 3785 });
    for (const other of [
      packet(family, { ttl: 253, port: 3785 }),
      packet(family, { ttl: 255, port: 3784 }),
      packet(family, { ttl: 255, port: 3785, protocol: 6 }),
    ])
      assert.equal(near.send(other, to), 0);
    assert.equal(near.send(good, to), 0);
    assert.equal(near.send(packet(family, { ttl: 255, port: 3785 }), to), 0);
    // Sent last: when they are here, the others would be.
    while (heard.length < 2) await sleep(5);
    assert.deepEqual(heard[0], good);
    assert.equal(heard.length, 2);
    far.close();
    assert.equal(near.send(good, to), 0);
    near.close();
    assert.notEqual(near.send(good, to), 0);
  });
}

/** From and to our address. */
function packet(family: Family, { ttl = 255, port = 3785, protocol = 17 }): Uint8Array {
  const four = Uint8Array.of(0x45, 0, 0, 28, 0, 0, 0, 0, ttl, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 1);
  new DataView(four.buffer).setUint16(10, internetChecksum(four));
  const name = [0xfd, 0, ...Array.from({ length: 13 }, () => 0), 1];
  const six = [0x60, 0, 0, 0, 0, 8, protocol, ttl, ...name, ...name];
  return Uint8Array.from([...(family === "IPv4" ? four : six), 0xc3, 0x50, port >> 8, port & 255, 0, 8, 0, 0]);
}
