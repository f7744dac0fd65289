import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import { nodeSchema } from "../service/objects.ts";
import { admit, type Admission, type Proposal } from "./admission.ts";
import { bfdProfileSchema, bgpAdvertisementSchema, bgpPeerSchema, communitySchema } from "./bgp/objects.ts";
import type { ConfigurationObjects } from "./judgement.ts";
import { l2AdvertisementSchema } from "./objects.ts";

const SCHEMAS = {
  IPAddressPool: { collection: "ipAddressPools", schema: ipAddressPoolSchema },
  L2Advertisement: { collection: "l2Advertisements", schema: l2AdvertisementSchema },
  BGPAdvertisement: { collection: "bgpAdvertisements", schema: bgpAdvertisementSchema },
  BGPPeer: { collection: "bgpPeers", schema: bgpPeerSchema },
  BFDProfile: { collection: "bfdProfiles", schema: bfdProfileSchema },
  Community: { collection: "communities", schema: communitySchema },
} as const;

type Kind = keyof typeof SCHEMAS;
/** Kind, name, spec. */
type Row = readonly [Kind, string, object];

/** Older objects first, as they were created. */
function clusterOf(rows: readonly Row[]): ConfigurationObjects {
  const none = { ipAddressPools: new Map(), bgpAdvertisements: new Map(), bgpPeers: new Map(), bfdProfiles: new Map() };
  const objects = { ...none, communities: new Map(), l2Advertisements: new Map() } as Record<
    string,
    Map<string, unknown>
  >;
  for (const [index, [kind, name, spec]] of rows.entries())
    objects[SCHEMAS[kind].collection]?.set(`sys/${name}`, objectOf(kind, name, spec, index));
  // Filled by the schemas of their kinds.
  return { ...objects, namespaces: new Map(), nodes: new Map(), secrets: new Map() } as unknown as ConfigurationObjects;
}

function nodesOf(labels: Readonly<Record<string, object>>): ConfigurationObjects["nodes"] {
  return new Map(
    Object.entries(labels).map(([name, own]) => [name, nodeSchema.parse({ metadata: { name, labels: own } })]),
  );
}

function objectOf(kind: Kind, name: string, spec: object, second: number): object {
  const creationTimestamp = new Date(second * 1000).toISOString();
  return SCHEMAS[kind].schema.parse({ metadata: { name, namespace: "sys", creationTimestamp }, spec });
}

function proposal([kind, name, spec]: Row, operation: "CREATE" | "UPDATE" = "CREATE"): Proposal {
  const { collection } = SCHEMAS[kind];
  return { operation, kind, collection, key: `sys/${name}`, object: objectOf(kind, name, spec, 1000) };
}

const peer = { myASN: 64512, peerASN: 64513, peerAddress: "10.0.0.1" };
const pool = (name: string, ...addresses: readonly string[]): Row => ["IPAddressPool", name, { addresses }];

interface Case {
  readonly name: string;
  readonly there?: readonly Row[];
  /** Their labels. */
  readonly nodes?: Readonly<Record<string, object>>;
  readonly proposed: Row;
  readonly operation?: "UPDATE";
  /** One for each refusal, in order; none: it is allowed. */
  readonly refused: readonly RegExp[];
}

const cases: readonly Case[] = [
  { name: "a first pool", proposed: pool("a", "10.0.0.0/24"), refused: [] },
  { name: "a pool beside another", there: [pool("a", "10.0.0.0/24")], proposed: pool("b", "10.0.1.0/24"), refused: [] },
  {
    name: "an overlapping pool",
    there: [pool("a", "10.0.0.0/24")],
    proposed: pool("b", "10.0.0.0/25"),
    refused: [/^IPAddressPool sys\/b: .*overlaps/],
  },
  {
    name: "every mistake of a pool",
    proposed: pool("a", "x", "10.0.0.9-10.0.0.1"),
    refused: [/"x"/, /ends before it starts/],
  },
  {
    name: "a pool in the place of itself",
    there: [pool("a", "10.0.0.0/24")],
    proposed: pool("a", "10.0.0.0/25"),
    operation: "UPDATE",
    refused: [],
  },
  {
    name: "a pool that grows into another",
    there: [pool("a", "10.0.0.0/25"), pool("b", "10.0.0.128/25")],
    proposed: pool("a", "10.0.0.0/24"),
    operation: "UPDATE",
    refused: [/overlaps/],
  },
  {
    name: "a pool that becomes too small for an advertisement",
    there: [pool("a", "10.0.0.0/24"), ["BGPAdvertisement", "ad", { aggregationLength: 26 }]],
    proposed: pool("a", "10.0.0.0/28"),
    operation: "UPDATE",
    refused: [/^BGPAdvertisement sys\/ad: .*invalid aggregation length 26/],
  },
  {
    name: "a good pool while another is wrong",
    there: [pool("a", "x")],
    proposed: pool("b", "10.0.1.0/24"),
    refused: [],
  },
  {
    name: "a peer with a Secret to come",
    proposed: ["BGPPeer", "p", { ...peer, passwordSecret: { name: "s" } }],
    refused: [],
  },
  {
    name: "a peer with a BFD profile to come",
    proposed: ["BGPPeer", "p", { ...peer, bfdProfile: "fast" }],
    refused: [],
  },
  {
    name: "a peer with two passwords",
    proposed: ["BGPPeer", "p", { ...peer, password: "a", passwordSecret: { name: "s" } }],
    refused: [/can not have both password and secret ref/],
  },
  { name: "an alias to come", proposed: ["BGPAdvertisement", "ad", { communities: ["later"] }], refused: [] },
  {
    name: "a literal that is none",
    proposed: ["BGPAdvertisement", "ad", { communities: ["1:99999"] }],
    refused: [/invalid community value/],
  },
  {
    name: "an alias that is there twice",
    there: [["Community", "c", { communities: [{ name: "a", value: "1:1" }] }]],
    proposed: ["Community", "d", { communities: [{ name: "a", value: "1:2" }] }],
    refused: [/duplicate definition of community "a"/],
  },
  {
    name: "an alias that is there twice, large",
    there: [["Community", "c", { communities: [{ name: "a", value: "large:1:1:1" }] }]],
    proposed: ["Community", "d", { communities: [{ name: "a", value: "large:1:1:2" }] }],
    refused: [/duplicate definition of community "a"/],
  },
  {
    name: "a Community that becomes invalid on update, legacy",
    there: [["Community", "c", { communities: [{ name: "a", value: "1:1" }] }]],
    proposed: ["Community", "c", { communities: [{ name: "a", value: "99999999:1" }] }],
    operation: "UPDATE",
    refused: [/invalid community value: invalid section/],
  },
  {
    name: "a Community that becomes invalid on update, large",
    there: [["Community", "c", { communities: [{ name: "a", value: "large:1:1:1" }] }]],
    proposed: ["Community", "c", { communities: [{ name: "a", value: "lrge:1:1:1" }] }],
    operation: "UPDATE",
    refused: [/expected community to be of format large/],
  },
  {
    name: "two peers of one address with overlapping node selectors",
    there: [["BGPPeer", "p", { ...peer, nodeSelectors: [{ matchLabels: { rack: "a" } }] }]],
    proposed: ["BGPPeer", "q", peer],
    refused: [/duplicate definition of peer/],
  },
  {
    name: "two peers of one address with disjoint node selectors",
    there: [["BGPPeer", "p", { ...peer, nodeSelectors: [{ matchLabels: { rack: "a" } }] }]],
    nodes: { n1: { rack: "a" }, n2: { rack: "b" } },
    proposed: ["BGPPeer", "q", { ...peer, nodeSelectors: [{ matchLabels: { rack: "b" } }] }],
    refused: [],
  },
  {
    name: "a peer whose address is none",
    proposed: ["BGPPeer", "p", { ...peer, peerAddress: "10.0.0" }],
    refused: [/invalid BGPPeer address "10.0.0"/],
  },
  {
    name: "serviceSelectors with another aggregation length",
    proposed: ["BGPAdvertisement", "ad", { serviceSelectors: [{ matchLabels: { a: "b" } }], aggregationLength: 24 }],
    refused: [/serviceSelectors/],
  },
  {
    name: "an L2Advertisement that names a pool twice",
    proposed: ["L2Advertisement", "l2", { ipAddressPools: ["p", "p"] }],
    refused: [/duplicate definition of ipAddressPool "p"/],
  },
  {
    name: "an update of an object that does not count twice",
    there: [["Community", "c", { communities: [{ name: "a", value: "1:1" }] }]],
    proposed: ["Community", "c", { communities: [{ name: "a", value: "1:2" }] }],
    operation: "UPDATE",
    refused: [],
  },
];

describe("an object that is proposed", () => {
  for (const { name, there = [], nodes = {}, proposed, operation, refused } of cases)
    it(`${refused.length === 0 ? "is allowed" : "is refused"}: ${name}`, () => {
      const { refusals } = admit(proposal(proposed, operation), { ...clusterOf(there), nodes: nodesOf(nodes) });
      assert.equal(refusals.length, refused.length, refusals.join("\n"));
      for (const [index, words] of refused.entries()) assert.match(refusals[index] ?? "", words);
    });
});

describe("an object that is to be deleted", () => {
  const remove = (kind: Kind, name: string, there: readonly Row[]): Admission =>
    admit({ operation: "DELETE", kind, collection: SCHEMAS[kind].collection, key: `sys/${name}` }, clusterOf(there));
  const user: Row = ["BGPPeer", "user", { ...peer, bfdProfile: "fast" }];

  it("is kept where it is a BFD profile that a peer uses", () => {
    const { refusals } = remove("BFDProfile", "fast", [["BFDProfile", "fast", {}], user]);
    assert.deepEqual(refusals, ["failed to delete BFDProfile fast, used by BGPPeer user"]);
  });

  it("goes where nobody uses it", () => {
    assert.deepEqual(remove("BFDProfile", "slow", [["BFDProfile", "slow", {}], user]).refusals, []);
  });

  it("goes with a warning where others refer to it", () => {
    const alias: Row = ["Community", "c", { communities: [{ name: "a", value: "1:1" }] }];
    const { refusals, warnings } = remove("Community", "c", [
      alias,
      ["BGPAdvertisement", "ad", { communities: ["a"] }],
    ]);
    assert.deepEqual(refusals, []);
    assert.match(warnings.join("\n"), /BGPAdvertisement sys\/ad: .*no Community object defines an alias/);
  });
});

it("a BFDProfile may come before the Secret with its key", () => {
  const annotations = { "fairlead.io/authentication": "keyed-sha1", "fairlead.io/authentication-secret": "later" };
  const object = bfdProfileSchema.parse({ metadata: { name: "b", namespace: "sys", annotations }, spec: {} });
  const proposed: Proposal = {
    operation: "CREATE",
    kind: "BFDProfile",
    collection: "bfdProfiles",
    key: "sys/b",
    object,
  };
  assert.deepEqual(admit(proposed, clusterOf([])).refusals, []);
});
