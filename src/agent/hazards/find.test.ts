import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DeviceSettings, HazardFacts } from "./facts.ts";
import { findHazards, hazardsTo } from "./find.ts";

const STRICT_ARP = { arpIgnore: 1, arpAnnounce: 2 };
const SETTINGS: DeviceSettings = {
  rpFilter: 0,
  arpIgnore: 0,
  arpAnnounce: 0,
  forwardsIPv4: true,
  forwardsIPv6: true,
};

type Device = HazardFacts["devices"][number];

const device = (name: string, settings: Partial<DeviceSettings> = {}, more: Partial<Device> = {}): Device => ({
  name,
  mtu: 1500,
  xdp: "native",
  settings: { ...SETTINGS, ...settings },
  ...more,
});

/** A node with one device that announces one address of each family, and nothing wrong. */
const WELL: HazardFacts = {
  devices: [device("eth0")],
  unwatched: [],
  links: [
    { name: "lo", addresses: ["127.0.0.1/8", "::1/128"] },
    { name: "eth0", addresses: ["192.168.10.201/24", "fc00::201/64"] },
  ],
  addresses: new Map([
    ["192.168.10.0", ["default/web"]],
    ["192.168.10.1", ["default/api"]],
    ["fc00::f0", ["default/web"]],
  ]),
  announced: [
    { address: "192.168.10.0", devices: ["eth0"] },
    { address: "fc00::f0", devices: ["eth0"] },
  ],
  routed: false,
  families: { IPv4: true, IPv6: true },
  defaultDevices: ["eth0"],
  backendWays: [{ node: "worker2", device: "eth0", mtu: 1500 }],
  lostBackends: [],
  bfdPriority: "realTime",
  answers: [],
};

const holding = (name: string, ...addresses: readonly string[]): Pick<HazardFacts, "links"> => ({
  links: [...WELL.links, { name, addresses }],
});

interface Row {
  readonly name: string;
  readonly facts: Partial<HazardFacts>;
  /** `level check subject`, and words that its message has. */
  readonly found: readonly (readonly [string, RegExp])[];
}

const ROWS: readonly Row[] = [
  { name: "a node that is well", facts: {}, found: [] },

  // StrictARP
  {
    name: "kube-proxy's addresses without strictARP: the datapath keeps the kernel silent",
    facts: holding("kube-ipvs0", "10.96.0.1/32", "192.168.10.0/32", "192.168.10.1/32"),
    found: [
      ["advice StrictARP kube-ipvs0", /192\.168\.10\.0 \(default\/web\), 192\.168\.10\.1 \(default\/api\).*keeps/],
    ],
  },
  {
    name: "the same beside a device that was left out",
    facts: { ...holding("kube-ipvs0", "192.168.10.0/32"), unwatched: [device("eth1")] },
    found: [["problem StrictARP kube-ipvs0", /answers ARP for that on eth1$/]],
  },
  {
    name: "arp_ignore without arp_announce: requests still claim the address",
    facts: { ...holding("kube-ipvs0", "192.168.10.0/32"), devices: [device("eth0", { arpIgnore: 1 })] },
    found: [["advice StrictARP kube-ipvs0", /without strictARP/]],
  },
  {
    name: "kube-proxy's addresses with strictARP",
    facts: {
      ...holding("kube-ipvs0", "192.168.10.0/32"),
      devices: [device("eth0", STRICT_ARP)],
      unwatched: [device("eth1", STRICT_ARP)],
    },
    found: [],
  },
  { name: "kube-proxy with cluster IPs only", facts: holding("kube-ipvs0", "10.96.0.1/32"), found: [] },
  {
    name: "kube-proxy's IPv6: a solicitation is answered on the device that has the address only",
    facts: { ...holding("kube-ipvs0", "fc00::f0/128"), unwatched: [device("eth1")] },
    found: [],
  },

  // AddressHeld
  {
    name: "an address of a Service on a device without a segment, every other one watched",
    facts: holding("dummy0", "192.168.10.1/32"),
    found: [["advice AddressHeld dummy0", /192\.168\.10\.1 \(default\/api\).*goes nowhere else/]],
  },
  {
    name: "the same, spelled otherwise, on a device with the datapath: its owner may announce it",
    facts: holding("eth0", "FC00:0::00F0/64"),
    found: [["problem AddressHeld eth0", /fc00::f0 .*may announce it/]],
  },
  {
    name: "the same beside a device that was left out",
    facts: { ...holding("dummy0", "192.168.10.1/32"), unwatched: [device("eth1"), device("eth2", STRICT_ARP)] },
    found: [["problem AddressHeld dummy0", /the kernel answers for that on eth1$/]],
  },
  {
    name: "arp_ignore=1, and it is the device's own",
    facts: { ...holding("eth1", "192.168.10.1/32"), unwatched: [device("eth1", STRICT_ARP)] },
    found: [["problem AddressHeld eth1", /answers for that on eth1$/]],
  },
  {
    name: "arp_ignore=8: the kernel answers nothing",
    facts: { ...holding("dummy0", "192.168.10.1/32"), unwatched: [device("eth1", { arpIgnore: 8 })] },
    found: [["advice AddressHeld dummy0", /goes nowhere else/]],
  },
  {
    name: "arp_ignore=8 on a device that was left out and has it: its owner may announce it",
    facts: { ...holding("eth1", "192.168.10.1/32"), unwatched: [device("eth1", { arpIgnore: 8 })] },
    found: [["problem AddressHeld eth1", /may announce it/]],
  },
  {
    name: "IPv6 beside a device that was left out: only the device that has it answers",
    facts: { ...holding("dummy0", "fc00::f0/128"), unwatched: [device("eth1")] },
    found: [["advice AddressHeld dummy0", /goes nowhere else/]],
  },
  { name: "an address of no Service of ours", facts: holding("eth0", "192.168.10.99/32"), found: [] },

  // AddressAnswered
  {
    name: "another node that answers",
    facts: {
      answers: [
        { address: "192.168.10.0", device: "eth0", mac: "02:00:00:00:00:09", node: "worker2" },
        { address: "fc00::f0", device: "eth0", mac: "02:00:00:00:00:09", node: "worker2" },
      ],
    },
    found: [["problem AddressAnswered eth0 02:00:00:00:00:09", /node worker2 .* answers for it as well/]],
  },
  {
    name: "two strangers that answer for one address",
    facts: {
      answers: ["02:00:00:00:00:08", "02:00:00:00:00:09"].map((mac) => ({
        address: "192.168.10.0",
        device: "eth0",
        mac,
        node: undefined,
      })),
    },
    found: [
      ["problem AddressAnswered eth0 02:00:00:00:00:08", /and 02:00:00:00:00:08 answers/],
      ["problem AddressAnswered eth0 02:00:00:00:00:09", /and 02:00:00:00:00:09 answers/],
    ],
  },

  // ReversePathFilter
  {
    name: "a strict filter where the default route is elsewhere",
    facts: { devices: [device("eth0", { rpFilter: 1 })], defaultDevices: ["eth1"] },
    found: [["problem ReversePathFilter eth0", /rp_filter.*leads over eth1/]],
  },
  {
    name: "a strict filter without a default route",
    facts: { devices: [device("eth0", { rpFilter: 1 })], defaultDevices: [] },
    found: [["problem ReversePathFilter eth0", /there is none/]],
  },
  { name: "a strict filter on the default route", facts: { devices: [device("eth0", { rpFilter: 1 })] }, found: [] },
  {
    name: "a loose filter",
    facts: { devices: [device("eth0", { rpFilter: 2 })], defaultDevices: ["eth1"] },
    found: [],
  },
  {
    name: "a strict filter where only IPv6 is announced",
    facts: {
      devices: [device("eth0", { rpFilter: 1 })],
      defaultDevices: ["eth1"],
      announced: [{ address: "fc00::f0", devices: ["eth0"] }],
    },
    found: [],
  },
  {
    name: "a strict filter on a device where nothing is announced",
    facts: { devices: [device("eth0"), device("eth1", { rpFilter: 1 })] },
    found: [],
  },
  {
    name: "the same with routes: they come where the router sends them",
    facts: { devices: [device("eth0"), device("eth1", { rpFilter: 1 })], announced: [], routed: true },
    found: [["problem ReversePathFilter eth1", /leads over eth0/]],
  },

  // Forwarding
  {
    name: "no forwarding of either family",
    facts: { devices: [device("eth0", { forwardsIPv4: false, forwardsIPv6: false })] },
    found: [
      ["problem Forwarding eth0 IPv4", /net\.ipv4\.conf\.eth0\.forwarding is 0/],
      ["problem Forwarding eth0 IPv6", /net\.ipv6\.conf\.eth0\.forwarding is 0/],
    ],
  },
  {
    name: "no forwarding of a family nobody uses",
    facts: { devices: [device("eth0", { forwardsIPv6: false })], families: { IPv4: true, IPv6: false } },
    found: [],
  },

  // MTU
  {
    name: "a narrower way to pods",
    facts: {
      backendWays: [
        { node: "worker2", device: "vxlan0", mtu: 1450 },
        { node: "worker3", device: "vxlan0", mtu: 1450 },
        { node: "worker3", device: "vxlan0", mtu: 1450 },
        { node: "worker4", device: "eth0", mtu: 1500 },
      ],
    },
    found: [["advice MTU eth0 vxlan0", /1500 bytes.*worker2, worker3 takes 1450/]],
  },
  {
    name: "a wider way to pods",
    facts: { backendWays: [{ node: "worker2", device: "eth1", mtu: 9000 }] },
    found: [],
  },
  {
    name: "a narrower way on a node that announces nothing",
    facts: { announced: [], backendWays: [{ node: "worker2", device: "vxlan0", mtu: 1450 }] },
    found: [],
  },

  // BackendUnreachable
  {
    name: "no way to pods of another node",
    facts: { lostBackends: [{ node: "worker3", address: "10.244.3.3", refusal: "No route to host" }] },
    found: [["problem BackendUnreachable worker3 IPv4", /no way to its pods \(10\.244\.3\.3: No route to host\)/]],
  },
  {
    name: "the same on a node that announces nothing yet",
    facts: {
      announced: [],
      lostBackends: [{ node: "worker3", address: "10.244.3.3", refusal: "Invalid argument" }],
    },
    found: [["advice BackendUnreachable worker3 IPv4", /Invalid argument/]],
  },

  // SubnetRouterAnycast
  {
    name: "the first address of the segment's network",
    facts: { announced: [{ address: "fc00::", devices: ["eth0"] }] },
    found: [["advice SubnetRouterAnycast eth0", /^fc00:: is the first address of a network of eth0/]],
  },
  {
    name: "the same address on a device that has no part in that network",
    facts: { announced: [{ address: "fc00::", devices: ["eth1"] }] },
    found: [],
  },

  // BFDPriority
  {
    name: "BFD that waits for its turn",
    facts: { bfdPriority: "ordinary" },
    found: [["advice BFDPriority bfd", /refuses real-time scheduling for BFD \(it is ordinary now\)/]],
  },
  { name: "no BFD at all", facts: { bfdPriority: undefined }, found: [] },

  // GenericXDP
  {
    name: "a driver without XDP",
    facts: { devices: [device("eth0", {}, { xdp: "none" })] },
    found: [["advice GenericXDP eth0", /no native XDP \(none\)/]],
  },
];

describe("the hazards of a node", () => {
  for (const { name, facts, found } of ROWS)
    test(`${name}: ${found.length === 0 ? "none" : found.map(([which]) => which).join(", ")}`, () => {
      const hazards = findHazards({ ...WELL, ...facts });
      assert.deepEqual(
        hazards.map(({ level, check, subject }) => `${level} ${check} ${subject}`),
        found.map(([which]) => which),
      );
      for (const [index, [, words]] of found.entries()) assert.match(hazards[index]?.message ?? "", words);
    });

  test("name a few addresses and count the rest, and hold all", () => {
    const addresses = new Map(Array.from({ length: 200 }, (_, index) => [`10.0.0.${index}`, [`default/s${index}`]]));
    const links = [{ name: "kube-ipvs0", addresses: [...addresses.keys()].map((each) => `${each}/32`) }];
    const [hazard] = findHazards({ ...WELL, addresses, links });
    assert.match(hazard?.message ?? "", /10\.0\.0\.2 \(default\/s2\) and 197 more/);
    assert.equal(hazard?.addresses.length, 200);
  });

  test("concern a Service that has one of the addresses, or every Service, and as advice none", () => {
    const facts: HazardFacts = {
      ...WELL,
      ...holding("eth0", "192.168.10.1/32"),
      devices: [device("eth0", { forwardsIPv6: false }, { xdp: "none" })],
    };
    const hazards = findHazards(facts);
    assert.equal(hazards.length, 3);
    const checks = (...addresses: readonly string[]): readonly string[] =>
      hazardsTo(new Set(addresses), hazards).map(({ check }) => check);
    assert.deepEqual(checks("192.168.10.0", "192.168.10.1"), ["AddressHeld", "Forwarding"]);
    assert.deepEqual(checks("192.168.10.0"), ["Forwarding"]);
  });

  test("are bounded, problems first", () => {
    const devices = Array.from({ length: 80 }, (_, index) =>
      device(`eth${index}`, { forwardsIPv4: index > 9 }, { xdp: "generic" }),
    );
    const hazards = findHazards({ ...WELL, devices });
    assert.equal(hazards.length, 50);
    assert.deepEqual(
      hazards.slice(0, 11).map(({ level }) => level),
      [...Array.from({ length: 10 }, () => "problem"), "advice"],
    );
  });
});
