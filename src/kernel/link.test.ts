import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, afterEach, before, test } from "node:test";
import { attachTcx, attachXdp, detachPinned, listPinnedLinks } from "./link.ts";
import { loadObject } from "./object.ts";
import { objectPath, openSandbox } from "./sandbox.fixture.ts";

const sandbox = openSandbox();
const object = loadObject({ path: objectPath("fixture") });
const successor = loadObject({ path: objectPath("fixture") });
const xdp = object.program("fixture_xdp");
const tc = object.program("fixture_tc");
const pin = (name: string): string => `${sandbox.pins}/links/${name}`;

before(() =>
  sandbox.run(
    "ip link add veth0 type veth peer name veth1; ip link add bridge0 type bridge; ip link set veth0 up; ip link set veth1 up",
  ),
);
afterEach(() => listPinnedLinks(`${sandbox.pins}/links`).forEach((link) => detachPinned(link.pin)));
after(() => {
  object.close();
  successor.close();
  sandbox[Symbol.dispose]();
});

interface Shown {
  readonly xdp?: { readonly mode: number; readonly prog: { readonly id: number } };
}

function shownByIp(device: string): Shown {
  const [row] = JSON.parse(sandbox.run(`ip -j link show dev ${device}`)) as Shown[];
  return row ?? {};
}

test("XDP runs in the driver where the driver can", () => {
  assert.deepEqual(attachXdp(sandbox.device("veth0"), xdp, pin("native")), { result: "created", mode: "native" });
  assert.equal(shownByIp("veth0").xdp?.mode, 1);
  detachPinned(pin("native"));
  assert.equal(shownByIp("veth0").xdp, undefined);
});

test("XDP falls back to generic mode where the driver cannot, and says why", () => {
  const { result, mode, refusal } = attachXdp(sandbox.device("bridge0"), xdp, pin("generic"));
  assert.deepEqual({ result, mode, code: refusal?.code }, { result: "created", mode: "generic", code: "EOPNOTSUPP" });
  assert.equal(shownByIp("bridge0").xdp?.mode, 2);
  assert.deepEqual(attachXdp(sandbox.device("bridge0"), xdp, pin("generic")), { result: "updated", mode: "generic" });
});

test("a pinned link is kept and its program swapped", () => {
  const device = sandbox.device("veth0");
  attachXdp(device, xdp, pin("swap"));
  attachTcx(device, "ingress", tc, pin("swap-ingress"));
  const before = listPinnedLinks(`${sandbox.pins}/links`).map(({ programId }) => programId);
  assert.deepEqual(attachXdp(device, successor.program("fixture_xdp"), pin("swap")), {
    result: "updated",
    mode: "native",
  });
  assert.deepEqual(attachTcx(device, "ingress", successor.program("fixture_tc"), pin("swap-ingress")), {
    result: "updated",
  });
  const links = listPinnedLinks(`${sandbox.pins}/links`);
  assert.equal(links.length, 2);
  assert.ok(links.every(({ programId }) => !before.includes(programId)));
  assert.equal(shownByIp("veth0").xdp?.prog.id, links.find(({ kind }) => kind === "xdp")?.programId);
});

test("links are listed with their kind and device", () => {
  const device = sandbox.device("veth0");
  attachXdp(device, xdp, pin("list-xdp"));
  attachTcx(device, "ingress", tc, pin("list-in"));
  attachTcx(device, "egress", tc, pin("list-out"));
  const listed = listPinnedLinks(`${sandbox.pins}/links`).map(({ kind, ifindex }) => ({ kind, ifindex }));
  assert.deepEqual(
    listed.toSorted((a, b) => a.kind.localeCompare(b.kind)),
    ["egress", "ingress", "xdp"].map((kind) => ({ kind, ifindex: device.ifindex })),
  );
  for (const name of ["list-xdp", "list-in", "list-out"]) detachPinned(pin(name));
  assert.deepEqual(listPinnedLinks(`${sandbox.pins}/links`), []);
  assert.deepEqual(listPinnedLinks(`${sandbox.pins}/nowhere`), []);
});

test("a link whose device is gone is seen, and replaced on the device that took its name", () => {
  sandbox.run("ip link add gone0 type veth peer name gone1");
  attachXdp(sandbox.device("gone0"), xdp, pin("gone"));
  attachTcx(sandbox.device("gone0"), "egress", tc, pin("gone-out"));
  sandbox.run("ip link del gone0");
  assert.deepEqual(
    listPinnedLinks(`${sandbox.pins}/links`).map(({ ifindex }) => ifindex),
    [undefined, undefined],
  );
  sandbox.run("ip link add gone0 type veth peer name gone1");
  assert.deepEqual(attachXdp(sandbox.device("gone0"), xdp, pin("gone")), { result: "replaced", mode: "native" });
  assert.deepEqual(attachTcx(sandbox.device("gone0"), "egress", tc, pin("gone-out")), { result: "replaced" });
  sandbox.run("ip link del gone0");
  for (const name of ["gone", "gone-out"]) detachPinned(pin(name));
  assert.ok(!existsSync(pin("gone")));
});

test("a pin that holds the link of another device is replaced", () => {
  attachXdp(sandbox.device("veth0"), xdp, pin("other"));
  assert.equal(attachXdp(sandbox.device("veth1"), xdp, pin("other")).result, "replaced");
  assert.equal(shownByIp("veth0").xdp, undefined);
});

test("another program on the device is left alone and reported", () => {
  attachXdp(sandbox.device("veth0"), xdp, pin("first"));
  assert.throws(() => attachXdp(sandbox.device("veth0"), xdp, pin("second")), {
    code: "EBUSY",
    message: 'Cannot attach XDP program to "veth0" (native mode): Device or resource busy (EBUSY)',
  });
  assert.ok(!existsSync(pin("second")));
});

const absent = { name: "absent", ifindex: 9999 };
for (const { name, attach, code } of [
  { name: "XDP", attach: () => attachXdp(absent, xdp, pin("absent")), code: "EINVAL" },
  { name: "tc", attach: () => attachTcx(absent, "egress", tc, pin("absent")), code: "ENODEV" },
]) {
  test(`${name} on a device that is not there is refused by name`, () => {
    assert.throws(attach, { code, subject: "absent" });
    assert.ok(!existsSync(pin("absent")));
  });
}

test("a program of the wrong kind is refused", () => {
  assert.throws(() => attachTcx(sandbox.device("veth0"), "ingress", xdp, pin("wrong")), { code: "EINVAL" });
});

test("detaching what is not pinned is success", () => {
  detachPinned(pin("never"));
});
