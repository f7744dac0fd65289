/** What a node says to each of its peers: MetalLB's rows (v0.16) that are decisions about sessions and routes, and what goes beyond them. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { goodPeer, type Spec } from "./configuration.fixture.ts";
import { announcedBy, bgpInput, EXCLUDED, reasons, routeText, said, type AnnounceRow } from "./desired.fixture.ts";
import { desiredBgp, emptyBgpMemo, peersOf } from "./desired.ts";
import type { Route } from "../../protocol/bgp/route.ts";

const POOLS = { pool: { addresses: ["192.0.2.0/24", "2001:db8::/112"] } };
const web = (ips: readonly string[], fields: object = {}): NonNullable<AnnounceRow["services"]> => ({
  web: { ips, ...fields },
});

interface Row {
  readonly name: string;
  readonly row: AnnounceRow;
  readonly routes: Readonly<Record<string, readonly string[]>>;
}

const TWO_PEERS = { a: goodPeer({}, 1), b: goodPeer({}, 2) };
const DUAL = goodPeer({ dualStackAddressFamily: true });

const rows: readonly Row[] = [
  { name: "no config", row: { services: web(["192.0.2.1"]) }, routes: {} },
  {
    name: "one peer, no services",
    row: { peers: { a: goodPeer() }, pools: POOLS, ads: { ad: {} } },
    routes: { a: [] },
  },
  {
    name: "LB assigned: one /32",
    row: { peers: { a: goodPeer() }, pools: POOLS, ads: { ad: {} }, services: web(["192.0.2.1"]) },
    routes: { a: ["192.0.2.1/32"] },
  },
  {
    name: "several ads: one route each, with their own aggregation and communities",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: {
        host: { localPref: 100, communities: ["64512:1"] },
        wide: { aggregationLength: 24, aggregationLengthV6: 124, communities: ["no-export"] },
      },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["192.0.2.0/24 no-export", "192.0.2.1/32 localPref 100 64512:1"] },
  },
  {
    name: "several ads, one only for my node, one only for another",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: {
        mine: { aggregationLength: 24, nodeSelectors: [{ matchLabels: { rack: "1" } }] },
        other: { aggregationLength: 26, nodeSelectors: [{ matchLabels: { rack: "2" } }] },
      },
      nodes: { iris1: { labels: { rack: "1" } } },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["192.0.2.0/24"] },
  },
  {
    name: "several ads, one with peer selector",
    row: {
      peers: TWO_PEERS,
      pools: POOLS,
      ads: { all: {}, some: { aggregationLength: 24, peers: ["b", "unknown"] } },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["192.0.2.1/32"], b: ["192.0.2.0/24", "192.0.2.1/32"] },
  },
  {
    name: "two ads to two peers: each peer only gets its ad's community",
    row: {
      peers: TWO_PEERS,
      pools: POOLS,
      ads: { x: { peers: ["a"], communities: ["64512:1"] }, y: { peers: ["b"], communities: ["64512:2"] } },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["192.0.2.1/32 64512:1"], b: ["192.0.2.1/32 64512:2"] },
  },
  {
    name: "several peers: the same set for each",
    row: { peers: TWO_PEERS, pools: POOLS, ads: { ad: {} }, services: web(["192.0.2.1"]) },
    routes: { a: ["192.0.2.1/32"], b: ["192.0.2.1/32"] },
  },
  {
    name: "second service without ingress is unaffected, with ingress added, sharing the IP one route",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: { ad: {} },
      services: { one: { ips: ["192.0.2.1"] }, two: { ips: ["192.0.2.1"] }, three: { ips: ["192.0.2.3"] }, four: {} },
    },
    routes: { a: ["192.0.2.1/32", "192.0.2.3/32"] },
  },
  {
    name: "an aggregate is announced once, as long as any service in it is",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: { ad: { aggregationLength: 24, aggregationLengthV6: 124 } },
      services: { one: { ips: ["192.0.2.1"], endpoints: [] }, two: { ips: ["192.0.2.77"] } },
    },
    routes: { a: ["192.0.2.0/24"] },
  },
  {
    name: "overlapping bgp advertisements union communities",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: { x: { communities: ["64512:2", "large:64512:1:2"] }, y: { communities: ["64512:1", "64512:2"] } },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["192.0.2.1/32 64512:1 64512:2 large:64512:1:2"] },
  },
  {
    name: "community from CR",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      communities: { names: { communities: [{ name: "site", value: "64512:7" }] } },
      ads: { ad: { communities: ["site"] } },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["192.0.2.1/32 64512:7"] },
  },
  {
    name: "split aggregation ads: selected service as host route, other covered by aggregate",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: { host: { serviceSelectors: [{ matchLabels: { app: "web" } }] }, wide: { aggregationLength: 24 } },
      services: { web: { ips: ["192.0.2.1"], labels: { app: "web" } }, dns: { ips: ["192.0.2.2"] } },
    },
    routes: { a: ["192.0.2.0/24", "192.0.2.1/32"] },
  },
  {
    name: "overlapping ads: community union only for the selected service",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: {
        selected: { serviceSelectors: [{ matchLabels: { app: "web" } }], communities: ["64512:1"] },
        all: { communities: ["64512:2"] },
      },
      services: { web: { ips: ["192.0.2.1"], labels: { app: "web" } }, dns: { ips: ["192.0.2.2"] } },
    },
    routes: { a: ["192.0.2.1/32 64512:1 64512:2", "192.0.2.2/32 64512:2"] },
  },
  {
    name: "pool selector: only addresses of the pools that it matches",
    row: {
      peers: { a: goodPeer() },
      pools: {
        red: { addresses: ["192.0.2.0/28"], metadata: { labels: { color: "red" } } },
        blue: { addresses: ["192.0.2.16/28"] },
      },
      ads: { ad: { ipAddressPoolSelectors: [{ matchLabels: { color: "red" } }] } },
      services: { one: { ips: ["192.0.2.1"] }, two: { ips: ["192.0.2.17"] } },
    },
    routes: { a: ["192.0.2.1/32"] },
  },
  {
    name: "peers limited to nodes: sessions only from selected nodes",
    row: {
      peers: { a: goodPeer(), b: goodPeer({ nodeSelectors: [{ matchLabels: { rack: "2" } }] }, 2) },
      pools: POOLS,
      ads: { ad: {} },
      nodes: { iris1: { labels: { rack: "1" } } },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["192.0.2.1/32"] },
  },
  {
    name: "a session carries the family of its addresses",
    row: {
      peers: { four: goodPeer(), six: goodPeer({ peerAddress: "2001:db8:1::1" }) },
      pools: POOLS,
      ads: { ad: {} },
      services: web(["192.0.2.1", "2001:db8::1"]),
    },
    routes: { four: ["192.0.2.1/32"], six: ["2001:db8::1/128"] },
  },
  {
    name: "Multiprotocol: dualStackAddressFamily carries the other family, via ipv4 and via ipv6, and unnumbered both",
    row: {
      peers: {
        four: DUAL,
        six: { ...DUAL, peerAddress: "2001:db8:1::1" },
        un: { ...DUAL, peerAddress: "", interface: "up0" },
      },
      pools: POOLS,
      ads: { ad: { aggregationLengthV6: 124 } },
      services: web(["192.0.2.1", "2001:db8::1"]),
    },
    routes: {
      four: ["192.0.2.1/32", "2001:db8::/124"],
      six: ["192.0.2.1/32", "2001:db8::/124"],
      un: ["192.0.2.1/32", "2001:db8::/124"],
    },
  },
  {
    name: "MED and AS path prepend by annotation; of two offers of a prefix the better one",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: {
        x: { metadata: { annotations: { "fairlead.io/med": "50", "fairlead.io/as-path-prepend": "3" } } },
        y: { metadata: { annotations: { "fairlead.io/med": "20", "fairlead.io/as-path-prepend": "1" } } },
      },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["192.0.2.1/32 med 20 prepend 1"] },
  },
  {
    name: "link bandwidth by ready endpoints on this node, in the peer's local AS",
    row: {
      peers: { a: goodPeer() },
      pools: POOLS,
      ads: { ad: { metadata: { annotations: { "fairlead.io/endpoint-bandwidth": "1000" } } } },
      services: {
        web: { ips: ["192.0.2.1"], endpoints: ["iris1", "iris1", "iris1 notReady", "iris2"] },
        none: { ips: ["192.0.2.2"], endpoints: ["iris2"] },
      },
    },
    routes: { a: ["192.0.2.1/32 lb:64512:2000", "192.0.2.2/32 lb:64512:1"] },
  },
  {
    name: "pod CIDRs of this node, to the peers of the advertisement, and no address of a pool",
    row: {
      peers: { a: { ...DUAL }, b: goodPeer({}, 2) },
      pools: POOLS,
      ads: {
        pods: {
          metadata: { annotations: { "fairlead.io/advertise": "pod-cidrs" } },
          communities: ["64512:9"],
          peers: ["a"],
        },
      },
      nodes: { iris1: { podCIDRs: ["10.244.0.0/24", "fd00:244::/64"] }, iris2: { podCIDRs: ["10.244.1.0/24"] } },
      services: web(["192.0.2.1"]),
    },
    routes: { a: ["10.244.0.0/24 64512:9", "fd00:244::/64 64512:9"], b: [] },
  },
];

describe("the routes of each session", () => {
  for (const { name, row, routes } of rows) test(name, () => assert.deepEqual(said(announcedBy(row)), routes));

  test("NodeSelectors: sessions start and stop with labels and selectors, which are alternatives", () => {
    const selector = (...racks: readonly string[]): Spec => ({
      nodeSelectors: racks.map((rack) => ({ matchLabels: { rack } })),
    });
    const memo = emptyBgpMemo();
    const sessions = (labels: Readonly<Record<string, string>>, ...racks: readonly string[]): readonly string[] =>
      announcedBy({ peers: { a: goodPeer(selector(...racks)) }, nodes: { iris1: { labels } } }, {}, memo).sessions.map(
        ({ config }) => config.name,
      );
    assert.deepEqual(sessions({}), ["a"]);
    assert.deepEqual(sessions({}, "1"), []);
    assert.deepEqual(sessions({ rack: "2" }, "1"), []);
    assert.deepEqual(sessions({ rack: "1" }, "1"), ["a"]);
    assert.deepEqual(sessions({ rack: "2" }, "1", "2"), ["a"]);
    assert.deepEqual(sessions({ rack: "3" }, "1", "2"), []);
    assert.deepEqual(sessions({ rack: "3" }), ["a"]);
  });
});

describe("ServiceBGPStatus: the peers a Service is announced to", () => {
  const base: AnnounceRow = { peers: TWO_PEERS, pools: POOLS, services: web(["192.0.2.1"]) };
  const of = (row: AnnounceRow, service = "default/web"): readonly string[] => peersOf(announcedBy(row), service);

  test("all peers", () => assert.deepEqual(of({ ...base, ads: { ad: {} } }), ["a", "b"]));
  test("unknown peer in ad ignored", () =>
    assert.deepEqual(of({ ...base, ads: { ad: { peers: ["b", "nobody"] } } }), ["b"]));
  test("removed peer disappears", () =>
    assert.deepEqual(of({ ...base, ads: { ad: {} }, peers: { a: goodPeer() } }), ["a"]));
  test("node deselected: none", () =>
    assert.deepEqual(of({ ...base, ads: { ad: { nodeSelectors: [{ matchLabels: { rack: "1" } }] } } }), []));
  test("a Service that is not there: none", () => assert.deepEqual(of({ ...base, ads: { ad: {} } }, "default/no"), []));
  test("by prefix: two services in one aggregate both show the union of its peers", () => {
    const ads = {
      x: { aggregationLength: 24, peers: ["a"], ipAddressPools: ["low"] },
      y: { peers: ["b"], ipAddressPools: ["high"], aggregationLength: 25 },
      z: { aggregationLength: 24, peers: ["b"], ipAddressPools: ["high"] },
    };
    const pools = { low: { addresses: ["192.0.2.0/25"] }, high: { addresses: ["192.0.2.128/25"] } };
    const row = { ...base, pools, ads, services: { one: { ips: ["192.0.2.1"] }, two: { ips: ["192.0.2.129"] } } };
    // 192.0.2.0/24 is wider than either pool: nobody may announce it.
    assert.deepEqual(of(row, "default/one"), []);
    const wide = { pool: { addresses: ["192.0.2.0/24"] } };
    const selecting = { x: { aggregationLength: 24, peers: ["a"] }, z: { aggregationLength: 24, peers: ["b"] } };
    assert.deepEqual(of({ ...row, pools: wide, ads: selecting }, "default/one"), ["a", "b"]);
    assert.deepEqual(of({ ...row, pools: wide, ads: selecting }, "default/two"), ["a", "b"]);
  });
  test("a family that the session does not carry is not announced to it", () =>
    assert.deepEqual(of({ ...base, ads: { ad: {} }, services: web(["2001:db8::1"]) }), []));
});

describe("with a memo", () => {
  const base: AnnounceRow = { peers: TWO_PEERS, pools: POOLS, ads: { ad: {} } };
  const one = { ips: ["192.0.2.1"] };
  const two = { ips: ["192.0.2.2"] };

  test("nothing changed: the very same routes", () => {
    const memo = emptyBgpMemo();
    const input = bgpInput({ ...base, services: { one, two } });
    const first = desiredBgp(input, { name: "iris1" }, memo);
    const second = desiredBgp(input, { name: "iris1" }, memo);
    assert.deepEqual(
      second.sessions.map((each, index) => each === first.sessions[index]),
      [true, true],
    );
  });

  test("a pool that the advertisements do not announce: the very same sessions, and what was said of Services", () => {
    const memo = emptyBgpMemo();
    const row = { ...base, ads: { ad: { ipAddressPools: ["pool"] } }, services: { one, two } };
    const before = desiredBgp(bgpInput(row), { name: "iris1" }, memo);
    const pools = { ...POOLS, another: { addresses: ["198.51.100.0/24"] } };
    const after = desiredBgp(bgpInput({ ...row, pools }), { name: "iris1" }, memo);
    assert.ok(before.verdicts.size === 2 && after.verdicts === before.verdicts);
    assert.ok(after.sessions.every((session, index) => session.routes === before.sessions[index]?.routes));
  });

  test("Services in one aggregate come and go: one route, the very same, till the last has gone", () => {
    const memo = emptyBgpMemo();
    const wide = { ...base, ads: { ad: { aggregationLength: 24, communities: ["64512:1"] } } };
    const routes = [{ one }, { one, two }, { two }, {}, { two }].map((services) => {
      const { sessions } = announcedBy({ ...wide, services }, {}, memo);
      return sessions[0]?.routes.get("192.0.2.0/24");
    });
    const [first, second, third, none, again] = routes;
    assert.ok(first !== undefined && first === second && second === third);
    assert.equal(none, undefined);
    assert.deepEqual(again, first);
  });

  test("one Service changed: the routes of the others are the same objects", () => {
    const memo = emptyBgpMemo();
    const input = bgpInput({ ...base, services: { one, two } });
    const before = desiredBgp(input, { name: "iris1" }, memo).sessions[0]?.routes.values().toArray() ?? [];
    const moved = bgpInput({ ...base, services: { two: { ips: ["192.0.2.3"] } } }).services.get("default/two");
    assert.ok(moved !== undefined);
    const services = new Map([...input.services, ["default/two", moved]]);
    const after =
      desiredBgp({ ...input, services }, { name: "iris1" }, memo)
        .sessions[0]?.routes.values()
        .toArray() ?? [];
    assert.deepEqual(after.map(routeText).toSorted(), ["192.0.2.1/32", "192.0.2.3/32"]);
    const kept = (routes: readonly Route[]): unknown => routes.find((route) => routeText(route) === "192.0.2.1/32");
    assert.equal(kept(after), kept(before));
  });

  test("one Service deleted: its route goes, the others are the same objects", () => {
    const memo = emptyBgpMemo();
    const input = bgpInput({ ...base, services: { one, two } });
    const before = desiredBgp(input, { name: "iris1" }, memo).sessions[0]?.routes.values().toArray() ?? [];
    const services = new Map([...input.services].filter(([key]) => key !== "default/two"));
    const after =
      desiredBgp({ ...input, services }, { name: "iris1" }, memo)
        .sessions[0]?.routes.values()
        .toArray() ?? [];
    assert.deepEqual(after.map(routeText), ["192.0.2.1/32"]);
    assert.ok(after.every((route) => before.includes(route)));
  });

  test("a heartbeat of the Node object changes nothing, its labels do", () => {
    const memo = emptyBgpMemo();
    const input = bgpInput({ ...base, services: { one } });
    const first = desiredBgp(input, { name: "iris1" }, memo);
    const beaten = new Map([...input.nodes].map(([name, node]) => [name, structuredClone(node)]));
    assert.equal(desiredBgp({ ...input, nodes: beaten }, { name: "iris1" }, memo).sessions[0], first.sessions[0]);
    const labeled = bgpInput({ ...base, nodes: { iris1: { labels: EXCLUDED } } }).nodes;
    assert.deepEqual(said(desiredBgp({ ...input, nodes: labeled }, { name: "iris1" }, memo)), { a: [], b: [] });
  });

  test("every step of a long walk through changes says what a fresh look says", () => {
    const memo = emptyBgpMemo();
    const steps: readonly AnnounceRow[] = [
      base,
      { ...base, services: { one } },
      { ...base, services: { one, two } },
      {
        ...base,
        services: { one: { ...one, endpoints: ["iris2"] }, two: { ...two, policy: "Local", endpoints: ["iris2"] } },
      },
      { ...base, services: { one, two }, ads: { ad: { communities: ["64512:1"] } } },
      { ...base, services: { one, two }, ads: { ad: { communities: ["64512:1"], peers: ["a"] } } },
      { ...base, services: { one, two }, ads: { ad: { aggregationLength: 24 } } },
      { ...base, services: { one, two }, peers: { b: goodPeer({}, 2) } },
      { ...base, services: { one, two }, nodes: { iris1: { networkUnavailable: true } } },
      { ...base, services: { one: two, two: one } },
      { ...base, services: {} },
    ];
    for (const row of steps) {
      const [remembered, fresh] = [announcedBy(row, {}, memo), announcedBy(row)];
      assert.deepEqual(said(remembered), said(fresh));
      assert.deepEqual(reasons(remembered), reasons(fresh));
    }
  });
});
