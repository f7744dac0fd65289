/** Hazards found in a real network stack: settings as they take effect, and neighbours that answer for our addresses. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { findHazards } from "../../src/agent/hazards/find.ts";
import { gatherFacts, readSettings } from "../../src/agent/hazards/gather.ts";
import { probeAddresses, type Answer, type Probe } from "../../src/agent/hazards/probe.ts";
import { emptyMemo } from "../../src/agent/desired.ts";
import { runPass } from "../../src/agent/pass.ts";
import { initialState, type AgentState } from "../../src/agent/state.ts";
import { eth0, memoryMaps, sha256, world } from "../../src/agent/world.fixture.ts";
import { openSandbox, type Sandbox } from "../../src/kernel/sandbox.fixture.ts";
import { listDefaultDevices, listNeighbors } from "../../src/kernel/routes.ts";
import { address } from "../../src/net/address.ts";
import { parseMac } from "../../src/net/mac.ts";
import { seeing } from "../../src/protocol/swim/view.fixture.ts";

const OTHER = `fl-kt-other-${process.pid}`;
const MINE = "02:00:00:00:00:01";
const THEIRS = "02:00:00:00:00:02";
const sandbox: Sandbox = openSandbox();

const inOther = (command: string): string =>
  execFileSync("ip", ["netns", "exec", OTHER, "sh", "-ec", command]).toString();

before(() => {
  execFileSync("ip", ["netns", "add", OTHER]);
  sandbox.run(`ip link set lo up
    ip link add eth0 address ${MINE} type veth peer name eth0 address ${THEIRS} netns ${OTHER}
    ip link set eth0 up; ip address add 192.168.10.201/24 dev eth0; ip address add fc00::201/64 dev eth0 nodad
    sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1`);
  inOther("ip link set lo up; ip link set eth0 up; ip address add 192.168.10.9/24 dev eth0");
});
after(() => {
  sandbox[Symbol.dispose]();
  execFileSync("ip", ["netns", "del", OTHER]);
});

const WAIT_MS = 100;

describe("neighbours that are asked for our addresses", () => {
  const asked = ["192.168.10.0", "192.168.10.1", "fc00::f0"];
  const ask = async (own: readonly string[] = [MINE]): Promise<readonly Answer[]> => {
    const mac = parseMac(MINE) ?? assert.fail();
    const probes = asked.map((text): Probe => ({ address: address(text), device: { ...sandbox.device("eth0"), mac } }));
    return (await probeAddresses(probes, new Set(own), WAIT_MS)).toSorted((a, b) => (a.address < b.address ? -1 : 1));
  };
  const theirs = (text: string): Answer => ({ address: text, device: "eth0", mac: THEIRS });

  test("say nothing when they have none of them, also when they speak of others", async () => {
    const speaking = ask();
    inOther("ip address add 192.168.10.77/24 dev eth0; ip neigh flush all");
    assert.deepEqual(await speaking, []);
  });

  test("are found by both families, and no more when they have given them up", async () => {
    inOther("ip address add 192.168.10.1/32 dev lo; ip address add fc00::f0/64 dev eth0 nodad");
    assert.deepEqual(await ask(), [theirs("192.168.10.1"), theirs("fc00::f0")]);
    assert.deepEqual(await ask([MINE, THEIRS]), [], "a device of this node is nobody else");
    inOther("sysctl -qw net.ipv4.conf.all.arp_ignore=1");
    assert.deepEqual(await ask(), [theirs("fc00::f0")], "what strictARP does");
    inOther("sysctl -qw net.ipv4.conf.all.arp_ignore=0; ip address del 192.168.10.1/32 dev lo");
    inOther("ip address del fc00::f0/64 dev eth0");
    assert.deepEqual(await ask(), []);
  });

  test("learn nothing from being asked", async () => {
    inOther("ip neigh flush all");
    await ask();
    assert.doesNotMatch(inOther("ip neigh show"), /192\.168\.10\.[01]\b/);
  });

  test("are not asked on a device that is down or gone, and others still are", async () => {
    sandbox.run("ip link add down0 type veth peer name down1");
    const mac = parseMac(MINE) ?? assert.fail();
    inOther("ip address add 192.168.10.1/32 dev lo");
    const probes: Probe[] = [
      { address: address("192.168.10.1"), device: { ...sandbox.device("down0"), mac } },
      { address: address("192.168.10.1"), device: { name: "gone0", ifindex: 4242, mac } },
      { address: address("fc00::f0"), device: { name: "gone0", ifindex: 4242, mac } },
      { address: address("192.168.10.1"), device: { ...sandbox.device("eth0"), mac } },
    ];
    assert.deepEqual(await probeAddresses(probes, new Set([MINE]), WAIT_MS), [theirs("192.168.10.1")]);
    inOther("ip address del 192.168.10.1/32 dev lo");
    sandbox.run("ip link del down0");
  });
});

test("settings are read as they take effect together with those of all devices", () => {
  const set = (...settings: readonly string[]): void => {
    for (const setting of settings) sandbox.run(`sysctl -qw ${setting}`);
  };
  set("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=1", "net.ipv4.conf.all.arp_ignore=1");
  set("net.ipv4.conf.eth0.arp_announce=2", "net.ipv6.conf.eth0.forwarding=0");
  assert.deepEqual(readSettings("eth0"), {
    rpFilter: 1,
    arpIgnore: 1,
    arpAnnounce: 2,
    forwardsIPv4: true,
    forwardsIPv6: false,
  });
  set("net.ipv4.conf.all.rp_filter=2", "net.ipv4.conf.all.arp_ignore=0");
  set("net.ipv4.conf.eth0.arp_announce=0", "net.ipv6.conf.eth0.forwarding=1", "net.ipv4.conf.eth0.forwarding=0");
  assert.deepEqual(readSettings("eth0"), {
    rpFilter: 2,
    arpIgnore: 0,
    arpAnnounce: 0,
    forwardsIPv4: false,
    forwardsIPv6: true,
  });
  set("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0", "net.ipv4.conf.eth0.forwarding=1");
});

test("of default routes the preferred ones count, with all their next hops", async () => {
  assert.deepEqual(await listDefaultDevices(), []);
  sandbox.run(`ip link add eth1 type veth peer name far1; ip link set eth1 up; ip link set far1 up
    ip address add 10.1.0.1/24 dev eth1
    ip route add default via 192.168.10.9 metric 200; ip route add default via 10.1.0.2 metric 100`);
  assert.deepEqual(await listDefaultDevices(), ["eth1"]);
  sandbox.run(`ip route del default metric 100; ip route del default metric 200
    ip route add default nexthop via 192.168.10.9 nexthop via 10.1.0.2`);
  assert.deepEqual(await listDefaultDevices(), ["eth0", "eth1"]);
  sandbox.run(
    "ip route del default; ip link del eth1; ip neigh replace 192.168.10.9 lladdr 02:00:00:00:00:09 dev eth0",
  );
  assert.ok(
    (await listNeighbors()).some(({ address: text, mac }) => text === "192.168.10.9" && mac === "02:00:00:00:00:09"),
  );
});

describe("a node whose stack is looked at", () => {
  /** `me` announces 192.168.10.0 on eth0; a backend is at 10.244.1.2, on `peer`. */
  function running(): AgentState {
    const state = initialState({ node: "me", version: "0.1.0", maps: memoryMaps() });
    state.membership = () => seeing(["me"]);
    const devices = [{ name: "eth0", ifindex: 2, mac: MINE, xdp: "native" as const, tc: true, addresses: [] }];
    const me = {
      nodeName: "me",
      sha256,
      devices: { exclude: /^lo$/, only: undefined },
      ignoreExcludeLabel: false,
      handover: false,
    };
    const attacher = { apply: () => ({ devices, problems: [] }) };
    runPass(
      { state, me, memo: emptyMemo(), attacher, announce: () => {} },
      { ...world({ web: "192.168.10.0" }), links: [eth0] },
    );
    return state;
  }
  const found = async (): Promise<readonly string[]> =>
    findHazards(await gatherFacts(running(), [])).map(({ check, subject }) => `${check} ${subject}`);

  const rows: readonly { readonly check: string; readonly does: string; readonly undoes: string }[] = [
    {
      check: "AddressHeld lo",
      does: "ip address add 192.168.10.0/32 dev lo",
      undoes: "ip address del 192.168.10.0/32 dev lo",
    },
    {
      check: "ReversePathFilter eth0",
      does: "sysctl -qw net.ipv4.conf.eth0.rp_filter=1",
      undoes: "sysctl -qw net.ipv4.conf.eth0.rp_filter=0",
    },
    {
      check: "Forwarding eth0 IPv4",
      does: "sysctl -qw net.ipv4.conf.eth0.forwarding=0",
      undoes: "sysctl -qw net.ipv4.conf.eth0.forwarding=1",
    },
    {
      check: "MTU eth0 eth0",
      does: "ip route replace 10.244.1.0/24 via 192.168.10.9 mtu 1400",
      undoes: "ip route replace 10.244.1.0/24 via 192.168.10.9",
    },
    {
      check: "BackendUnreachable peer IPv4",
      does: "ip route del 10.244.1.0/24",
      undoes: "ip route add 10.244.1.0/24 via 192.168.10.9",
    },
    {
      check: "MTU eth0 tunnel0",
      does: `ip link add tunnel0 mtu 1450 type veth peer name tunnel1; ip link set tunnel0 up
        ip route replace 10.244.1.0/24 dev tunnel0`,
      undoes: "ip link del tunnel0; ip route add 10.244.1.0/24 via 192.168.10.9",
    },
    {
      check: "AddressHeld away0",
      does: `ip link add away0 type veth peer name veth1; ip link set away0 up
        ip address add 192.168.10.0/32 dev away0`,
      undoes: "ip link del away0",
    },
  ];
  before(() => sandbox.run("ip route add 10.244.1.0/24 via 192.168.10.9"));

  test("shows that its kernel answers on a device that was left out", async () => {
    sandbox.run(`ip link add left0 type veth peer name veth2; ip link set left0 up
      ip address add 192.168.10.0/32 dev lo; sysctl -qw net.ipv4.conf.all.arp_ignore=0`);
    const hazards = findHazards(await gatherFacts(running(), []));
    assert.deepEqual(
      hazards.map(({ level, subject }) => `${level} ${subject}`),
      ["problem lo"],
    );
    assert.match(hazards[0]?.message ?? "", /answers for that on left0$/);
    sandbox.run("ip link del left0; ip address del 192.168.10.0/32 dev lo");
  });

  test("shows BFD without real time while there is a session, and not when the last has gone", async () => {
    const state = running();
    const bfd = { sessions: [{}], priority: "nice" };
    state.bgp = {
      watch: { bfd: { view: () => bfd } },
      desired: { verdicts: new Map() },
    } as unknown as AgentState["bgp"];
    const checks = async (): Promise<readonly string[]> =>
      findHazards(await gatherFacts(state, [])).map(({ check }) => check);
    assert.deepEqual(await checks(), ["BFDPriority"]);
    bfd.sessions = [];
    assert.deepEqual(await checks(), []);
  });

  for (const { check, does, undoes } of rows)
    test(`shows ${check}, and no more when it is put right`, async () => {
      assert.deepEqual(await found(), []);
      sandbox.run(does);
      assert.deepEqual(await found(), [check]);
      sandbox.run(undoes);
      assert.deepEqual(await found(), []);
    });
});
