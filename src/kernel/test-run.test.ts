import assert from "node:assert/strict";
import { after, test } from "node:test";
import { attachXdp, detachPinned } from "./link.ts";
import { loadObject } from "./object.ts";
import { openRingBuffer } from "./ringbuf.ts";
import { objectPath, openSandbox } from "./sandbox.fixture.ts";
import { testRun } from "./test-run.ts";

const sandbox = openSandbox();
const object = loadObject({ path: objectPath("fixture") });
after(() => {
  object.close();
  sandbox[Symbol.dispose]();
});

test("what XDP leaves in front of the packet is told apart from the packet", () => {
  const packet = Uint8Array.from({ length: 64 }, (_, i) => i);
  const { metadata, data } = testRun(object.program("fixture_meta"), packet);
  assert.equal(new TextDecoder().decode(metadata), "abcd");
  assert.deepEqual(data, packet);
});

test("metadata given is in front of the packet when the program starts", () => {
  const { metadata } = testRun(object.program("fixture_meta"), new Uint8Array(64), {
    metadata: Uint8Array.of(1, 2, 3, 4),
  });
  assert.equal(new TextDecoder().decode(metadata.subarray(0, 4)), "abcd");
  assert.deepEqual([...metadata.subarray(4)], [1, 2, 3, 4]);
});

test("a tc program sees the device the packet is said to have come by", () => {
  sandbox.run("ip link add veth0 type veth peer name veth1");
  const { ifindex } = sandbox.device("veth0");
  const ring = openRingBuffer(object.map("reports"));
  const seen: number[][] = [];
  const result = testRun(object.program("fixture_tc"), new Uint8Array(77), { ingressIfindex: ifindex });
  ring.consume((record) => seen.push([...new Uint32Array(record.slice().buffer)]));
  ring.close();
  assert.equal(result.retval, -1);
  assert.deepEqual(seen, [[ifindex, 77]]);
});

test("repeats are counted by the program, and the average time is told", () => {
  const before = object.map("counted").perCpuSum(new Uint8Array(4));
  const { durationNs } = testRun(object.program("fixture_xdp"), new Uint8Array(64), { repeat: 1000 });
  assert.ok(object.map("counted").perCpuSum(new Uint8Array(4)) - before >= 1000n); // more when a signal made it start again
  assert.ok(durationNs > 0);
});

test("live frames are really sent on", () => {
  sandbox.run("ip link add live0 type veth peer name live1; ip link set live0 up; ip link set live1 up");
  const pins = ["live0", "live1"].map((name) => `${sandbox.pins}/${name}`);
  for (const [i, name] of ["live0", "live1"].entries())
    attachXdp(sandbox.device(name), object.program("fixture_xdp"), pins[i] ?? "");
  new BigUint64Array(object.map("shared").mmap())[0] = 3n; // XDP_TX
  testRun(object.program("fixture_xdp"), new Uint8Array(64), {
    ingressIfindex: sandbox.device("live0").ifindex,
    repeat: 128,
    liveBatch: 64,
  });
  const [row] = JSON.parse(sandbox.run("ip -j -s link show dev live0")) as { stats64: { tx: { packets: number } } }[];
  assert.ok((row?.stats64.tx.packets ?? 0) >= 128);
  new BigUint64Array(object.map("shared").mmap())[0] = 1n;
  pins.forEach(detachPinned);
});

for (const { name, length, options, code } of [
  { name: "a packet shorter than an Ethernet header", length: 13, options: {}, code: "EINVAL" },
  { name: "an empty packet", length: 0, options: {}, code: "EINVAL" },
  { name: "a device that is not there", length: 64, options: { ingressIfindex: 9999 }, code: "ENODEV" },
  {
    name: "metadata of a length no driver gives",
    length: 64,
    options: { metadata: new Uint8Array(3) },
    code: "EINVAL",
  },
]) {
  test(`${name} is refused by the kernel`, () => {
    assert.throws(() => testRun(object.program("fixture_xdp"), new Uint8Array(length), options), {
      code,
      subject: "fixture_xdp",
      call: "bpf_prog_test_run_opts",
    });
  });
}
