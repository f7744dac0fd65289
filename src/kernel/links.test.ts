import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { watchLinks } from "./link-watch.ts";
import { listLinks, parseLinks } from "./links.ts";
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

const QUIET_MS = 200;

/** Counts reports from before `command` until there was one and then none for a while. */
async function reportsOf(command: string): Promise<number> {
  let reports = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = watchLinks(() => {
    reports += 1;
    resolve();
  });
  const hold = setInterval(() => undefined, 1000); // a watcher alone does not keep the process alive
  sandbox.run(command);
  await promise;
  for (let before = 0; before !== reports;) {
    before = reports;
    await sleep(QUIET_MS);
  }
  clearInterval(hold);
  stop();
  stop();
  return reports;
}

for (const { name, command } of [
  { name: "a new link", command: "ip link add new0 type veth peer name new1" },
  { name: "a link that comes up", command: "ip link set new0 up" },
  { name: "another MAC", command: "ip link set new0 address 02:00:00:00:00:07" },
  { name: "a new IPv4 address", command: "ip address add 10.9.9.9/32 dev lo" },
  { name: "a new IPv6 address", command: "ip address add fd00:9::9/128 dev lo" },
  { name: "an address that goes", command: "ip address del 10.9.9.9/32 dev lo" },
  { name: "a link that goes", command: "ip link del new0" },
]) {
  test(`${name} is noticed`, async () => assert.ok((await reportsOf(command)) >= 1));
}

test("many changes at once are reported together", async () => {
  const many = Array.from({ length: 100 }, (_, i) => `address add 10.8.0.${i}/32 dev lo`).join("\n");
  const reports = await reportsOf(`ip -batch - <<'LINES'\n${many}\nLINES`);
  assert.ok(reports < 50, `${reports} reports of 100 changes`);
});

test("nothing is reported when nothing changes, or after the watcher is stopped", async () => {
  const idle = watchLinks(() => assert.fail("nothing changed"));
  await sleep(QUIET_MS);
  idle();
  const stopped = watchLinks(() => assert.fail("it was stopped"));
  stopped();
  sandbox.run("ip address add 10.9.9.8/32 dev lo");
  await sleep(QUIET_MS);
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
