import assert from "node:assert/strict";
import { after, test } from "node:test";
import { attachXdp } from "./link.ts";
import { loadObject } from "./object.ts";
import { openPacketSocket } from "./packet-socket.ts";
import { objectPath, openSandbox } from "./sandbox.fixture.ts";

const sandbox = openSandbox();
const object = loadObject({ path: objectPath("fixture") });
after(() => {
  object.close();
  sandbox[Symbol.dispose]();
});

test("a frame sent out of one end of a cable arrives at the other", () => {
  sandbox.run("ip link add near type veth peer name far; ip link set near up; ip link set far up");
  attachXdp(sandbox.device("far"), object.program("fixture_xdp"), `${sandbox.pins}/far`);
  const arrived = (): bigint => object.map("counted").perCpuSum(new Uint8Array(4));
  using socket = openPacketSocket(sandbox.device("near").ifindex);
  const before = arrived();
  const frame = new Uint8Array(60).fill(0xff, 0, 12);
  for (let i = 0; i < 10; i += 1) socket.send(frame);
  assert.ok(arrived() - before >= 10n); // the kernel sends router solicitations of its own
});

test("a device that is down, gone or never was is told by errno", () => {
  sandbox.run("ip link add down0 type veth peer name down1");
  const { ifindex } = sandbox.device("down0");
  const socket = openPacketSocket(ifindex);
  assert.throws(() => socket.send(new Uint8Array(60)), { code: "ENETDOWN" });
  sandbox.run("ip link del down0");
  assert.throws(() => socket.send(new Uint8Array(60)), { code: "ENXIO", call: "send" });
  socket.close();
  assert.throws(() => openPacketSocket(ifindex), { code: "ENODEV", call: "bind" });
});

test("a frame shorter than an Ethernet header, or longer than the device takes, is refused", () => {
  sandbox.run("ip link add tiny type veth peer name yniT; ip link set tiny up");
  using socket = openPacketSocket(sandbox.device("tiny").ifindex);
  assert.throws(() => socket.send(new Uint8Array(13)), { code: "EINVAL" });
  assert.throws(() => socket.send(new Uint8Array(3000)), { code: "EMSGSIZE" });
});

test("a closed socket is our own mistake", () => {
  sandbox.run("ip link add once type veth peer name ecno");
  const socket = openPacketSocket(sandbox.device("once").ifindex);
  socket.close();
  socket.close();
  assert.throws(() => socket.send(new Uint8Array(60)), /used after it was closed/);
});
