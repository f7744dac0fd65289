import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { internetChecksum } from "../bytes/checksum.ts";
import { Writer } from "../bytes/writer.ts";
import { address, addressBytes, formatAddress } from "../net/address.ts";
import { SystemError } from "./error.ts";
import { openIcmpv6Socket, type Icmpv6Socket } from "./icmpv6-socket.ts";
import { openPacketSocket } from "./packet-socket.ts";
import { openSandbox, type Sandbox } from "./sandbox.fixture.ts";

const ALL_NODES = address("ff02::1");
const ALL_ROUTERS = address("ff02::2");
const A = address("fe80::a");
const ADVERTISEMENT = Uint8Array.of(134, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

let sandbox: Sandbox;
let a: Icmpv6Socket;
let b: Icmpv6Socket;
before(() => {
  sandbox = openSandbox();
  sandbox.run(
    "ip link set lo up; ip link add name left type veth peer name right; ip link set left addrgenmode none; ip link set left up; ip link set right up",
  );
  sandbox.run("ip -6 addr add fe80::a/64 dev left nodad");
  a = openIcmpv6Socket("left", [], []);
  b = openIcmpv6Socket("right", [133, 134], [ALL_ROUTERS]);
});
after(() => {
  a.close();
  b.close();
  sandbox[Symbol.dispose]();
});

async function next(socket: Icmpv6Socket): Promise<string | undefined> {
  for (let round = 0; round < 30; round += 1) {
    const message = socket.receive();
    if (message !== undefined && formatAddress(message.source) === formatAddress(A)) return String(message.bytes[0]);
    // oxlint-disable-next-line no-await-in-loop
    await sleep(10);
  }
  return undefined;
}

/** As somebody else would send it, with any hop limit. */
function frame(hopLimit: number): Uint8Array {
  const pseudo = new Writer(40)
    .bytes(addressBytes(A))
    .bytes(addressBytes(ALL_NODES))
    .u32(ADVERTISEMENT.length)
    .u32(58)
    .finish();
  const checksum = internetChecksum(Uint8Array.from([...pseudo, ...ADVERTISEMENT]));
  const message = ADVERTISEMENT.slice();
  new DataView(message.buffer).setUint16(2, checksum);
  return new Writer(14 + 40 + message.length)
    .bytes(Uint8Array.of(0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 10))
    .u16(0x86dd)
    .u32(0x6000_0000)
    .u16(message.length)
    .u8(58)
    .u8(hopLimit)
    .bytes(addressBytes(A))
    .bytes(addressBytes(ALL_NODES))
    .bytes(message)
    .finish();
}

describe("an ICMPv6 socket", () => {
  test("hears what is sent to all nodes and to the group it joined, with its sender", async () => {
    for (const group of [ALL_NODES, ALL_ROUTERS]) {
      assert.equal(a.send(ADVERTISEMENT, group), 0);
      assert.equal(await next(b), "134");
    }
  });

  test("says when something has come", async () => {
    const came = new Promise<void>((resolve) => b.onReadable(resolve));
    assert.equal(a.send(ADVERTISEMENT, ALL_NODES), 0);
    await came;
    assert.equal(await next(b), "134");
  });

  test("does not hear other types", async () => {
    assert.equal(a.send(Uint8Array.of(135, ...ADVERTISEMENT.slice(1)), ALL_NODES), 0);
    assert.equal(a.send(ADVERTISEMENT, ALL_NODES), 0);
    assert.equal(await next(b), "134");
  });

  test("does not hear what a router may have passed on: a hop limit below 255", async () => {
    using packets = openPacketSocket(sandbox.device("left").ifindex);
    packets.send(frame(254));
    assert.equal(await next(b), undefined);
    packets.send(frame(255));
    assert.equal(await next(b), "134");
  });

  test("of a device that does not exist is refused", () =>
    assert.throws(
      () => openIcmpv6Socket("nosuch", [], []),
      (error) => error instanceof SystemError && error.code === "ENODEV",
    ));

  test("says that its device is gone when it sends", () => {
    sandbox.run("ip link add name gone type veth peer name other; ip link set gone up; ip link set other up");
    using c = openIcmpv6Socket("gone", [], []);
    sandbox.run("ip link del gone");
    assert.notEqual(c.send(ADVERTISEMENT, ALL_NODES), 0);
  });
});
