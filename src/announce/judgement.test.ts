/** One row for each case about pools and L2 advertisements of MetalLB's configuration and webhook tests, named after it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem } from "../net/problem.ts";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import { objectKey } from "../service/objects.ts";
import { bgpObjects, goodPeer, type BgpRow, type Specs } from "./bgp/configuration.fixture.ts";
import { judgeConfiguration, suspicions, type ConfigurationObjects } from "./judgement.ts";
import { l2AdvertisementSchema } from "./objects.ts";

interface Row extends BgpRow {
  readonly l2?: Specs;
}

function objectsOf({ l2 = {}, ...row }: Row): ConfigurationObjects {
  const l2Advertisements = Object.entries(l2).map(([name, spec]) =>
    l2AdvertisementSchema.parse({ metadata: { name, namespace: "metallb-system" }, spec }),
  );
  return { ...bgpObjects(row), l2Advertisements: new Map(l2Advertisements.map((ad) => [objectKey(ad), ad])) };
}

const pool = (...addresses: readonly string[]): Specs => ({ p: { addresses } });
const P = "IPAddressPool metallb-system/p";

const rows: readonly (Row & { readonly name: string; readonly says: readonly string[] })[] = [
  { name: "empty config", says: [] },
  {
    name: "pool with no address",
    pools: pool(),
    says: [`${P}: spec.addresses: the pool has no addresses; add a CIDR or a range start-end`],
  },
  {
    name: "invalid pool CIDR",
    pools: pool("100.200.300.400/24"),
    says: [`${P}: spec.addresses[0]: "100.200.300.400/24" is neither a CIDR nor a range start-end`],
  },
  {
    name: "invalid pool CIDR prefix length",
    pools: pool("1.2.3.0/33"),
    says: [`${P}: spec.addresses[0]: "1.2.3.0/33" is neither a CIDR nor a range start-end`],
  },
  {
    name: "bare address",
    pools: pool("1.2.3.4"),
    says: [
      `${P}: spec.addresses[0]: "1.2.3.4" is neither a CIDR nor a range start-end; for one address write 1.2.3.4/32`,
    ],
  },
  {
    name: "blanks around a CIDR",
    pools: pool(" 1.2.3.0/24"),
    says: [`${P}: spec.addresses[0]: " 1.2.3.0/24" is neither a CIDR nor a range start-end`],
  },
  {
    name: "invalid pool range: first after second",
    pools: pool("1.2.3.10-1.2.3.1"),
    says: [`${P}: spec.addresses[0]: range 1.2.3.10-1.2.3.1 ends before it starts`],
  },
  {
    name: "range from one family into the other",
    pools: pool("1.2.3.4-fc00::1"),
    says: [`${P}: spec.addresses[0]: range 1.2.3.4-fc00::1 starts in IPv4 and ends in IPv6`],
  },
  {
    name: "duplicate pool definition",
    pools: {
      p: { addresses: ["10.0.0.0/24"] },
      q: { metadata: { name: "p", namespace: "other" }, addresses: ["10.1.0.0/24"] },
    },
    says: ["IPAddressPool other/p: metadata.name: pool metallb-system/p has the same name"],
  },
  {
    name: "duplicate CIDR",
    pools: { p: { addresses: ["10.0.0.0/24"] }, q: { addresses: ["10.0.0.0/24"] } },
    says: [
      "IPAddressPool metallb-system/q: spec.addresses[0]: 10.0.0.0/24 overlaps with 10.0.0.0/24 of pool metallb-system/p",
    ],
  },
  {
    name: "overlapping CIDRs",
    pools: { p: { addresses: ["10.0.0.0/8"] }, q: { addresses: ["10.0.0.0/16"] } },
    says: [
      "IPAddressPool metallb-system/q: spec.addresses[0]: 10.0.0.0/16 overlaps with 10.0.0.0/8 of pool metallb-system/p",
    ],
  },
  {
    name: "L2 advertisement with duplicate pools",
    l2: { a: { ipAddressPools: ["p", "p"] } },
    says: [
      'L2Advertisement metallb-system/a: spec.ipAddressPools[1]: duplicate definition of ipAddressPool "p"; remove one',
    ],
  },
  {
    name: "L2 advertisement with duplicate pool selectors",
    l2: { a: { ipAddressPoolSelectors: [{ matchLabels: { a: "b" } }, { matchLabels: { a: "b" } }] } },
    says: [
      'L2Advertisement metallb-system/a: spec.ipAddressPoolSelectors[1]: duplicate definition of selector "a=b"; remove one',
    ],
  },
  {
    name: "L2 advertisement with duplicate node selectors, values in another order",
    l2: {
      a: {
        nodeSelectors: [
          { matchExpressions: [{ key: "a", operator: "In", values: ["x", "y"] }] },
          { matchExpressions: [{ key: "a", operator: "In", values: ["y", "x"] }] },
        ],
      },
    },
    says: [
      'L2Advertisement metallb-system/a: spec.nodeSelectors[1]: duplicate definition of selector "a in (x,y)"; remove one',
    ],
  },
  {
    name: "L2 advertisement with duplicate service selectors",
    l2: { a: { serviceSelectors: [{ matchLabels: { a: "b" } }, { matchLabels: { a: "b" } }] } },
    says: [
      'L2Advertisement metallb-system/a: spec.serviceSelectors[1]: duplicate definition of selector "a=b"; remove one',
    ],
  },
  {
    name: "L2 advertisement with duplicate interfaces, which are tolerated",
    l2: { a: { interfaces: ["eth0", "eth0"] } },
    says: [],
  },
  {
    name: "L2 advertisement with duplicate preferences, which are not looked at",
    l2: {
      a: {
        preferredNodeSelectors: [
          { weight: 1, preference: {} },
          { weight: 1, preference: {} },
        ],
      },
    },
    says: [],
  },
  {
    name: "a peer and a pool, each with a mistake: both are reported",
    pools: pool("x"),
    peers: { a: goodPeer({ myASN: 0 }) },
    says: [
      `${P}: spec.addresses[0]: "x" is neither a CIDR nor a range start-end`,
      "BGPPeer metallb-system/a: spec.myASN: missing local ASN: 0 is none",
    ],
  },
];

for (const { name, says, ...row } of rows) {
  test(`configuration: ${name}`, () => {
    assert.deepEqual(judgeConfiguration(objectsOf(row)).map(formatProblem), says);
  });
}

test("configuration: a pool without a name is refused by its schema", () => {
  const parsed = ipAddressPoolSchema.safeParse({ metadata: { namespace: "metallb-system" }, spec: {} });
  assert.deepEqual(
    parsed.error?.issues.map(({ path }) => path.join(".")),
    ["metadata.name"],
  );
});

test("suspicions: names that nobody has and pools that nobody announces, and nothing else", () => {
  const row: Row = {
    pools: {
      ...pool("10.0.0.0/24"),
      q: { addresses: ["10.1.0.0/24"], metadata: { labels: { a: "b" } } },
      lost: { addresses: ["10.2.0.0/24"] },
    },
    peers: { r: goodPeer() },
    l2: { l: { ipAddressPools: ["p", "x"] } },
    ads: { b: { ipAddressPools: ["y"], ipAddressPoolSelectors: [{ matchLabels: { a: "b" } }], peers: ["r", "z"] } },
  };
  assert.deepEqual(suspicions(objectsOf(row)).map(formatProblem), [
    'L2Advertisement metallb-system/l: spec.ipAddressPools[1]: there is no IPAddressPool "x"',
    'BGPAdvertisement metallb-system/b: spec.ipAddressPools[0]: there is no IPAddressPool "y"',
    'BGPAdvertisement metallb-system/b: spec.peers[1]: there is no BGPPeer "z"',
    "IPAddressPool metallb-system/lost: no L2Advertisement and no BGPAdvertisement covers it: its addresses are assigned, but nobody announces them",
  ]);
  assert.deepEqual(suspicions(objectsOf({ pools: pool("10.0.0.0/24"), ads: { all: {} } })), []);
});

test("suspicions: an address that every router of a network has, where layer 2 announces it", () => {
  const pools = { ...pool("2001:db8:1::/120"), fine: { addresses: ["2001:db8:2::1-2001:db8:2::9"] } };
  assert.match(
    suspicions(objectsOf({ pools, l2: { all: {} } }))
      .map(formatProblem)
      .join("\n"),
    /^IPAddressPool metallb-system\/p: spec\.addresses: 2001:db8:1:: is the subnet-router anycast address of 2001:db8:1::\/64[^\n]*$/,
  );
  assert.deepEqual(suspicions(objectsOf({ pools, ads: { all: {} } })), []);
});
