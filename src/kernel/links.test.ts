import assert from "node:assert/strict";
import { after, test } from "node:test";
import { listLinks, parseLinks, watchLinks } from "./links.ts";
import { openSandbox } from "./sandbox.fixture.ts";

const sandbox = openSandbox();
after(() => sandbox[Symbol.dispose]());

test("links are read with what announcing needs to know of them", async () => {
  sandbox.run(`ip link add eth0 address 02:00:00:00:00:01 type veth peer name far0
    ip link add bridge0 type bridge; ip link set far0 master bridge0; ip link set eth0 arp off up
    ip address add 192.168.10.201/24 dev eth0; ip address add fd00::1/64 dev eth0 nodad`);
  const links = await listLinks();
  const named = (name: string): unknown => links.find((link) => link.name === name);
  const { ifindex } = sandbox.device("eth0");
  assert.deepEqual(named("eth0"), {
    name: "eth0",
    ifindex,
    mac: "02:00:00:00:00:01",
    up: true,
    loopback: false,
    noarp: true,
    mtu: 1500,
    master: undefined,
    kind: "veth",
    addresses: ["192.168.10.201/24", "fd00::1/64"],
  });
  assert.deepEqual(
    links
      .map(({ name, master, kind, up, loopback }) => ({ name, master, kind, up, loopback }))
      .filter(({ name }) => name !== "eth0"),
    [
      { name: "lo", master: undefined, kind: undefined, up: false, loopback: true },
      { name: "far0", master: "bridge0", kind: "veth", up: false, loopback: false },
      { name: "bridge0", master: undefined, kind: "bridge", up: false, loopback: false },
    ],
  );
});

test("a change of an address is noticed, and nothing after the watcher is stopped", async () => {
  const changes: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = watchLinks(() => {
    changes.push("change");
    resolve();
  });
  const nudge = setInterval(
    () => sandbox.run("ip address add 10.9.9.9/32 dev lo; ip address del 10.9.9.9/32 dev lo"),
    50,
  ); // until the listener listens
  await promise;
  clearInterval(nudge);
  stop();
  const { length } = changes;
  sandbox.run("ip address add 10.9.9.8/32 dev lo");
  await listLinks();
  assert.equal(changes.length, length);
});

for (const { name, json, links } of [
  { name: "no links", json: "[]", links: 0 },
  { name: "a link that went away while it was listed", json: '[{},{"ifname":"a","ifindex":2,"flags":[]}]', links: 1 },
  { name: "a link without an address", json: '[{"ifname":"tun0","ifindex":2,"flags":["UP"]}]', links: 1 },
]) {
  test(`${name}: ${links} understood`, () => assert.equal(parseLinks(json).length, links));
}

for (const { name, json } of [
  { name: "an object", json: "{}" },
  { name: "a number", json: "1" },
  { name: "nothing", json: "" },
  { name: "half an array", json: '[{"ifname":' },
]) {
  test(`${name} instead of a list of links is refused`, () => assert.throws(() => parseLinks(json)));
}
