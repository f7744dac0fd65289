/** One row for each case about peers and passwords of MetalLB's configuration tests, named after it; and ours beyond them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { configure, goodPeer, problemTexts, type BgpRow, type Spec, type Specs } from "./configuration.fixture.ts";

interface Refused extends BgpRow {
  readonly name: string;
  /** In this order: what is reported. */
  readonly says: readonly RegExp[];
  /** Names of the peers that are used all the same. */
  readonly used?: readonly string[];
}

const one = (fields: Spec): Specs => ({ a: goodPeer(fields) });
const PEER = "^BGPPeer metallb-system/a: ";
const peerSays = (path: string, text: string): RegExp =>
  new RegExp(`${PEER}${path.replace(/[.[\]]/g, "\\$&")}: ${text}`);

const peers: readonly Refused[] = [
  {
    name: "invalid address",
    peers: one({ peerAddress: "1.2.3.400" }),
    says: [peerSays("spec.peerAddress", 'invalid BGPPeer address "1.2.3.400"')],
  },
  { name: "missing myASN", peers: one({ myASN: 0 }), says: [peerSays("spec.myASN", "missing local ASN")] },
  {
    name: "missing peerASN",
    peers: one({ peerASN: 0 }),
    says: [peerSays("spec.peerASN", "missing peer ASN and dynamicASN")],
  },
  {
    name: "both ASNs",
    peers: one({ dynamicASN: "external" }),
    says: [peerSays("spec.dynamicASN", "both peer ASN and dynamicASN specified")],
  },
  {
    name: "ebgp-multihop on iBGP",
    peers: one({ peerASN: 64512, ebgpMultiHop: true }),
    says: [peerSays("spec.ebgpMultiHop", "invalid ebgp-multihop parameter set for an ibgp peer")],
  },
  {
    name: "ebgp-multihop with dynamicASN internal",
    peers: one({ peerASN: 0, dynamicASN: "internal", ebgpMultiHop: true }),
    says: [peerSays("spec.ebgpMultiHop", "invalid ebgp-multihop parameter set for an ibgp peer")],
  },
  {
    name: "keepalive above hold",
    peers: one({ holdTime: "30s", keepaliveTime: "90s" }),
    says: [peerSays("spec.keepaliveTime", "invalid keepaliveTime 1m30s: must not exceed the holdTime 30s")],
  },
  {
    name: "hold of 1s",
    peers: one({ holdTime: "1s" }),
    says: [peerSays("spec.holdTime", "invalid hold time 1s: must be 0, or")],
  },
  {
    name: "hold of 2.9s",
    peers: one({ holdTime: "2900ms" }),
    says: [peerSays("spec.holdTime", "invalid hold time 2.9s")],
  },
  {
    name: "negative hold",
    peers: one({ holdTime: "-90s" }),
    says: [peerSays("spec.holdTime", "invalid hold time -1m30s")],
  },
  {
    name: "hold beyond 16 bits",
    peers: one({ holdTime: "65536s" }),
    says: [peerSays("spec.holdTime", "invalid hold time")],
  },
  {
    name: "negative keepalive",
    peers: one({ holdTime: "90s", keepaliveTime: "-1s" }),
    says: [peerSays("spec.keepaliveTime", "invalid keepaliveTime -1s: is negative")],
  },
  {
    name: "connect time 0",
    peers: one({ connectTime: "0s" }),
    says: [peerSays("spec.connectTime", "connectTime should be between 1s")],
  },
  {
    name: "connect time 65536s",
    peers: one({ connectTime: "65536s" }),
    says: [peerSays("spec.connectTime", "connectTime should be between 1s and 65535s")],
  },
  {
    name: "connect time of half seconds",
    peers: one({ connectTime: "1500ms" }),
    says: [peerSays("spec.connectTime", "connectTime should contain a whole number of seconds")],
  },
  {
    name: "invalid router ID",
    peers: one({ routerID: "oh god how do I BGP" }),
    says: [peerSays("spec.routerID", 'invalid router ID "oh god')],
  },
  {
    name: "IPv6 router ID",
    peers: one({ routerID: "fc00::1" }),
    says: [peerSays("spec.routerID", "invalid router ID: a BGP identifier is")],
  },
  {
    name: "router ID 0.0.0.0",
    peers: one({ routerID: "0.0.0.0" }),
    says: [peerSays("spec.routerID", "invalid router ID")],
  },
  {
    name: "invalid source",
    peers: one({ sourceAddress: "here" }),
    says: [peerSays("spec.sourceAddress", 'invalid source IP "here"')],
  },
  {
    name: "source of the other family",
    peers: one({ sourceAddress: "fc00::1" }),
    says: [peerSays("spec.sourceAddress", "invalid source IP: it is IPv6 and the peer address IPv4")],
  },
  {
    name: "neither address nor interface",
    peers: one({ peerAddress: "" }),
    says: [peerSays("spec.peerAddress", "peer has no Address or Interface specified")],
  },
  {
    name: "address and interface",
    peers: one({ interface: "eth0" }),
    says: [peerSays("spec.interface", "peer has both Address and Interface specified")],
  },
  {
    name: "interface that cannot be one",
    peers: one({ peerAddress: "", interface: "a/b" }),
    says: [peerSays("spec.interface", '"a/b" is not the name of a network device')],
  },
  {
    name: "vrf that cannot be one",
    peers: one({ vrf: "x".repeat(16) }),
    says: [peerSays("spec.vrf", '"x+" is not the name')],
  },
  {
    name: "link-local address without device",
    peers: one({ peerAddress: "fe80::1" }),
    says: [peerSays("spec.peerAddress", 'invalid BGPPeer address "fe80::1": it is link-local')],
  },
  {
    name: "device behind a global address",
    peers: one({ peerAddress: "fc00::1%eth0" }),
    says: [peerSays("spec.peerAddress", "invalid BGPPeer address .*only a link-local address")],
  },
  {
    name: "multicast address",
    peers: one({ peerAddress: "ff02::1" }),
    says: [peerSays("spec.peerAddress", "invalid BGPPeer address")],
  },
  {
    name: "address 0.0.0.0",
    peers: one({ peerAddress: "0.0.0.0" }),
    says: [peerSays("spec.peerAddress", "invalid BGPPeer address")],
  },
  {
    name: "every mistake at once",
    peers: one({ myASN: 0, peerASN: 0, peerAddress: "x", routerID: "y", holdTime: "1s" }),
    says: [
      /missing local ASN/,
      /missing peer ASN/,
      /invalid BGPPeer address/,
      /invalid router ID/,
      /invalid hold time/,
    ],
  },
  {
    name: "missing BFD profile",
    peers: one({ bfdProfile: "fast" }),
    says: [peerSays("spec.bfdProfile", 'peer a referencing non existing bfd profile "fast"')],
  },
  {
    name: "duplicate value in an expression",
    peers: one({ nodeSelectors: [{ matchExpressions: [{ key: "k", operator: "In", values: ["a", "a"] }] }] }),
    says: [
      /nodeSelectors\[0\]\.matchExpressions\[0\]\.values\[1\]: duplicate definition of match expression value "a"/,
    ],
    used: ["a"],
  },
  {
    name: "duplicate node selectors",
    peers: one({ nodeSelectors: [{ matchLabels: { a: "1" } }, { matchLabels: { a: "1" } }] }),
    says: [/nodeSelectors\[1\]: duplicate definition of selector "a=1"/],
    used: ["a"],
  },
];

const secret = (fields: Spec): Specs => ({ s: { type: "kubernetes.io/basic-auth", ...fields } });
const viaSecret = one({ passwordSecret: { name: "s" } });

const passwords: readonly Refused[] = [
  {
    name: "both set",
    peers: one({ password: "x", passwordSecret: { name: "s" } }),
    secrets: secret({ stringData: { password: "x" } }),
    says: [
      peerSays("spec.passwordSecret", "can not have both password and secret ref set in peer config metallb-system/a"),
    ],
  },
  {
    name: "wrong Secret type",
    peers: viaSecret,
    secrets: { s: { type: "Opaque", stringData: { password: "x" } } },
    says: [peerSays("spec.passwordSecret", 'secret type mismatch on metallb-system/s: .*found "Opaque"')],
  },
  {
    name: "Secret without password",
    peers: viaSecret,
    secrets: secret({ stringData: { username: "x" } }),
    says: [peerSays("spec.passwordSecret", "password not specified in the secret metallb-system/s")],
  },
  {
    name: "Secret with an empty password",
    peers: viaSecret,
    secrets: secret({ data: { password: "" } }),
    says: [peerSays("spec.passwordSecret", "password not specified")],
  },
  {
    name: "Secret that is not base64",
    peers: viaSecret,
    secrets: secret({ data: { password: "!" } }),
    says: [peerSays("spec.passwordSecret", "password not specified")],
  },
  {
    name: "missing Secret",
    peers: viaSecret,
    says: [peerSays("spec.passwordSecret", "secret ref not found for peer config metallb-system/a")],
  },
  {
    name: "Secret in the namespace that the reference names, which does not count",
    peers: one({ passwordSecret: { name: "s", namespace: "other" } }),
    secrets: {
      s: { metadata: { namespace: "other" }, type: "kubernetes.io/basic-auth", stringData: { password: "x" } },
    },
    says: [peerSays("spec.passwordSecret", "secret ref not found")],
  },
  {
    name: "password of 81 bytes",
    peers: one({ password: "x".repeat(81) }),
    says: [peerSays("spec.password", "the password has 81 bytes; TCP MD5 takes up to 80")],
  },
];

for (const { name, says, used = [], ...row } of [...peers, ...passwords]) {
  test(`peer with ${name}: ${used.length === 0 ? "reported and left out" : "reported and used"}`, () => {
    const configuration = configure(row);
    const texts = problemTexts(configuration);
    assert.equal(texts.length, says.length, texts.join("\n"));
    for (const [index, pattern] of says.entries()) assert.match(texts[index] ?? "", pattern);
    assert.deepEqual([...configuration.peers.keys()], used);
  });
}

const accepted: readonly (BgpRow & { readonly name: string; readonly is: Readonly<Record<string, unknown>> })[] = [
  {
    name: "peer only",
    peers: one({}),
    is: { name: "a", key: "metallb-system/a", myASN: 64512, peerASN: 64513, port: 179 },
  },
  {
    name: "hold only: keepalive is a third",
    peers: one({ holdTime: "90s" }),
    is: { holdTimeSeconds: 90, keepaliveTimeSeconds: 30 },
  },
  {
    name: "keepalive only: hold is triple",
    peers: one({ keepaliveTime: "20s" }),
    is: { holdTimeSeconds: 60, keepaliveTimeSeconds: 20 },
  },
  {
    name: "both zero",
    peers: one({ holdTime: "0s", keepaliveTime: "0s" }),
    is: { holdTimeSeconds: 0, keepaliveTimeSeconds: 0 },
  },
  { name: "hold zero only", peers: one({ holdTime: "0s" }), is: { holdTimeSeconds: 0, keepaliveTimeSeconds: 0 } },
  {
    name: "neither: nothing is made up",
    peers: one({}),
    is: { holdTimeSeconds: undefined, keepaliveTimeSeconds: undefined },
  },
  {
    name: "parts of a second are cut off",
    peers: one({ holdTime: "9900ms", keepaliveTime: "3500ms" }),
    is: { holdTimeSeconds: 9, keepaliveTimeSeconds: 3 },
  },
  {
    name: "keepalive below a second",
    peers: one({ holdTime: "9s", keepaliveTime: "300ms" }),
    is: { holdTimeSeconds: 9, keepaliveTimeSeconds: undefined },
  },
  { name: "connect time", peers: one({ connectTime: "10s" }), is: { connectTimeSeconds: 10 } },
  {
    name: "router ID",
    peers: one({ routerID: "10.20.30.40" }),
    is: { routerId: { family: "IPv4", value: 0x0a141e28n } },
  },
  {
    name: "empty node selector",
    peers: one({ nodeSelectors: [{}] }),
    is: { nodeSelectors: [{ matchLabels: {}, matchExpressions: [] }] },
  },
  { name: "dynamic ASN", peers: one({ peerASN: 0, dynamicASN: "internal" }), is: { peerASN: "internal" } },
  {
    name: "interface only",
    peers: one({ peerAddress: "", interface: "eth0" }),
    is: { location: { type: "interface", device: "eth0" } },
  },
  {
    name: "link-local address with its device",
    peers: one({ peerAddress: "fe80::1%eth0" }),
    is: { location: { type: "address", address: { family: "IPv6", value: (0xfe80n << 112n) | 1n }, device: "eth0" } },
  },
  { name: "disableMP and localASN", peers: one({ disableMP: true, localASN: 65000 }), is: { localASN: 65000 } },
  {
    name: "multihop, VRF, graceful restart, dual stack",
    peers: one({ ebgpMultiHop: true, vrf: "red", enableGracefulRestart: true, dualStackAddressFamily: true }),
    is: { ebgpMultiHop: true, vrf: "red", enableGracefulRestart: true, dualStackAddressFamily: true },
  },
  { name: "BFD profile", peers: one({ bfdProfile: "fast" }), bfd: { fast: {} }, is: { bfdProfile: "fast" } },
  { name: "password", peers: one({ password: "nopass" }), is: { password: "nopass" } },
  {
    name: "password in a Secret, base64",
    peers: viaSecret,
    secrets: secret({ data: { password: "bm9wYXNz" } }),
    is: { password: "nopass" },
  },
  {
    name: "password in a Secret, plain",
    peers: viaSecret,
    secrets: secret({ stringData: { password: "nopäss" } }),
    is: { password: "nopäss" },
  },
];

for (const { name, is, ...row } of accepted) {
  test(`peer with ${name}: accepted`, () => {
    const configuration = configure(row);
    assert.deepEqual(problemTexts(configuration), []);
    const peer: Readonly<Record<string, unknown>> = { ...configuration.peers.get("a") };
    assert.deepEqual(Object.fromEntries(Object.keys(is).map((field) => [field, peer[field]])), is);
  });
}

/** Of two peers `a` and `b`, `a` coming first. */
const pairs: readonly Refused[] = [
  {
    name: "the same router ID",
    peers: { a: goodPeer({ routerID: "10.0.0.9" }), b: goodPeer({ routerID: "10.0.0.9" }, 2) },
    says: [],
    used: ["a", "b"],
  },
  {
    name: "different router IDs",
    peers: { a: goodPeer({ routerID: "10.0.0.8" }), b: goodPeer({ routerID: "10.0.0.9" }, 2) },
    says: [/^BGPPeer metallb-system\/b: spec.routerID: .*of metallb-system\/a differs; both sessions run/],
    used: ["a", "b"],
  },
  {
    name: "one router ID missing",
    peers: { a: goodPeer({ routerID: "10.0.0.8" }), b: goodPeer({}, 2) },
    says: [/^BGPPeer metallb-system\/b: spec.routerID: /],
    used: ["a", "b"],
  },
  {
    name: "different myASN",
    peers: { a: goodPeer(), b: goodPeer({ myASN: 64999 }, 2) },
    says: [/^BGPPeer metallb-system\/b: spec.myASN: .*that of metallb-system\/a is 64512/],
    used: ["a", "b"],
  },
  {
    name: "different myASN in different VRFs",
    peers: { a: goodPeer(), b: goodPeer({ myASN: 64999, vrf: "red" }, 2) },
    says: [],
    used: ["a", "b"],
  },
  {
    name: "one address",
    peers: { a: goodPeer(), b: goodPeer() },
    says: [
      /^BGPPeer metallb-system\/b: spec.peerAddress: duplicate definition of peer: metallb-system\/a has the same peer \(10.0.0.1\)/,
    ],
    used: ["a"],
  },
  {
    name: "one address, different ports",
    peers: { a: goodPeer(), b: goodPeer({ peerPort: 1179 }) },
    says: [/duplicate definition of peer/],
    used: ["a"],
  },
  {
    name: "one address in different VRFs",
    peers: { a: goodPeer(), b: goodPeer({ vrf: "red" }) },
    says: [],
    used: ["a", "b"],
  },
  {
    name: "one address in one VRF",
    peers: { a: goodPeer({ vrf: "red" }), b: goodPeer({ vrf: "red" }) },
    says: [/has the same peer \(10.0.0.1-red\)/],
    used: ["a"],
  },
  {
    name: "different interfaces",
    peers: { a: goodPeer({ peerAddress: "", interface: "eth0" }), b: goodPeer({ peerAddress: "", interface: "eth1" }) },
    says: [],
    used: ["a", "b"],
  },
  {
    name: "one interface",
    peers: { a: goodPeer({ peerAddress: "", interface: "eth0" }), b: goodPeer({ peerAddress: "", interface: "eth0" }) },
    says: [/has the same peer \(eth0\)/],
    used: ["a"],
  },
  {
    name: "one address, disjoint selectors",
    peers: { a: goodPeer(on("1")), b: goodPeer(on("2")) },
    nodes: { n1: { rack: "1" }, n2: { rack: "2" } },
    says: [],
    used: ["a", "b"],
  },
  {
    name: "one address, overlapping selectors",
    peers: {
      a: goodPeer(on("1")),
      b: goodPeer({ nodeSelectors: [{ matchExpressions: [{ key: "rack", operator: "Exists" }] }] }),
    },
    nodes: { n1: { rack: "1" }, n2: { rack: "2" } },
    says: [/duplicate definition of peer/],
    used: ["a"],
  },
  {
    name: "one address, one without selectors",
    peers: { a: goodPeer(on("1")), b: goodPeer() },
    nodes: { n1: { rack: "1" } },
    says: [/duplicate definition of peer/],
    used: ["a"],
  },
  {
    name: "one address, no nodes known",
    peers: { a: goodPeer(on("1")), b: goodPeer(on("2")) },
    says: [/duplicate definition of peer/],
    used: ["a"],
  },
  {
    name: "one address, three disjoint",
    peers: { a: goodPeer(on("1")), b: goodPeer(on("2")), c: goodPeer(on("3")) },
    nodes: { n1: { rack: "1" }, n2: { rack: "2" }, n3: { rack: "3" } },
    says: [],
    used: ["a", "b", "c"],
  },
  {
    name: "one address, the third overlapping",
    peers: { a: goodPeer(on("1")), b: goodPeer(on("2")), c: goodPeer(on("2")) },
    nodes: { n1: { rack: "1" }, n2: { rack: "2" } },
    says: [/^BGPPeer metallb-system\/c: spec.peerAddress: duplicate definition of peer: metallb-system\/b/],
    used: ["a", "b"],
  },
  {
    name: "one address, alternatives that are disjoint",
    peers: { a: goodPeer(on("1", "2")), b: goodPeer(on("3", "4")) },
    nodes: { n1: { rack: "1" }, n3: { rack: "3" } },
    says: [],
    used: ["a", "b"],
  },
  {
    name: "one address, alternatives that overlap",
    peers: { a: goodPeer(on("1", "2")), b: goodPeer(on("2", "3")) },
    nodes: { n2: { rack: "2" } },
    says: [/duplicate definition of peer/],
    used: ["a"],
  },
  {
    name: "one name in two namespaces",
    peers: { a: goodPeer(), b: { ...goodPeer({}, 2), metadata: { name: "a", namespace: "other" } } },
    says: [
      /^BGPPeer other\/a: metadata.name: duplicate definition of peer "a": metallb-system\/a has the same name and counts/,
    ],
    used: ["a"],
  },
];

/** Selects racks. */
function on(...racks: readonly string[]): Spec {
  return { nodeSelectors: racks.map((rack) => ({ matchLabels: { rack } })) };
}

for (const { name, says, used = [], ...row } of pairs) {
  test(`peers with ${name}: ${says.length === 0 ? "accepted" : "reported"}`, () => {
    const configuration = configure(row);
    const texts = problemTexts(configuration);
    assert.equal(texts.length, says.length, texts.join("\n"));
    for (const [index, pattern] of says.entries()) assert.match(texts[index] ?? "", pattern);
    assert.deepEqual([...configuration.peers.keys()], used);
  });
}

test("peer of a node: those of other nodes are neither used nor reported there", () => {
  const row: BgpRow = {
    peers: { a: goodPeer(on("1")), b: goodPeer({ ...on("2"), myASN: 0 }) },
    nodes: { n1: { rack: "1" }, n2: { rack: "2" } },
  };
  const first = configure(row, { node: "n1" });
  assert.deepEqual([problemTexts(first), [...first.peers.keys()]], [[], ["a"]]);
  const second = configure(row, { node: "n2" });
  assert.match(problemTexts(second).join(), /^BGPPeer metallb-system\/b: spec.myASN: missing local ASN[^,]*$/);
  assert.deepEqual([...second.peers.keys()], []);
});

test("peers that conflict on one node are left in peace on the others", () => {
  const row: BgpRow = {
    peers: { a: goodPeer(on("1")), b: goodPeer(on("1", "2")) },
    nodes: { n1: { rack: "1" }, n2: { rack: "2" } },
  };
  assert.deepEqual([...configure(row, { node: "n1" }).peers.keys()], ["a"]);
  assert.deepEqual([...configure(row, { node: "n2" }).peers.keys()], ["b"]);
});

test("peer annotations: what Fairlead can do beyond MetalLB", () => {
  const annotations = {
    "fairlead.io/passive": "true",
    "fairlead.io/ttl-security-hops": "1",
    "fairlead.io/role": "rs-client",
    "fairlead.io/role-required": "true",
    "fairlead.io/received-prefixes-max": "100",
    "fairlead.io/bfd-strict": "true",
    "fairlead.io/restart-time": "2m",
    "fairlead.io/long-lived-restart-time": "1h",
    "example.com/mine": "x",
  };
  const configuration = configure({ peers: one({ metadata: { annotations } }) });
  assert.deepEqual(problemTexts(configuration), []);
  const {
    passive,
    ttlSecurityHops,
    role,
    roleRequired,
    receivedPrefixesMax,
    bfdStrict,
    restartTimeSeconds,
    longLivedSeconds,
  } = configuration.peers.get("a") ?? {};
  assert.deepEqual(
    [
      passive,
      ttlSecurityHops,
      role,
      roleRequired,
      receivedPrefixesMax,
      bfdStrict,
      restartTimeSeconds,
      longLivedSeconds,
    ],
    [true, 1, "routeServerClient", true, 100, true, 120, 3600],
  );
});

test("peer annotation peer-prefix takes the place of an address", () => {
  const annotations = { "fairlead.io/peer-prefix": "10.1.0.0/24", "fairlead.io/sessions-max": "7" };
  const { peers: found } = configure({ peers: one({ peerAddress: "", metadata: { annotations } }) });
  const prefix = { family: "IPv4", value: 0x0a010000n, length: 24 };
  assert.deepEqual(found.get("a")?.location, { type: "prefix", prefix, sessionsMax: 7 });
  const both = configure({ peers: one({ metadata: { annotations } }) });
  assert.match(problemTexts(both).join(), /peer has an Address or Interface beside the annotation/);
});

const slips = [
  ["passive", "yes", /"yes" is not "true" or "false"; it has no effect/],
  ["passive", "constructor", /is not "true" or "false"/],
  ["role", "king", /"king" is not one of provider, rs-server, rs-client, customer, peer/],
  ["ttl-security-hops", "0", /"0" is not a whole number from 1 to 254/],
  ["restart-time", "4096s", /is not a duration of whole seconds up to 4095s/],
  ["peer-prefix", "10.0.0.1", /is not a CIDR/],
  ["pasive", "true", /is no annotation of a BGPPeer: there are passive, /],
] as const;

for (const [key, value, says] of slips) {
  test(`peer annotation ${key}: ${value} is reported and has no effect`, () => {
    const configuration = configure({ peers: one({ metadata: { annotations: { [`fairlead.io/${key}`]: value } } }) });
    const plain = configure({ peers: one({}) });
    assert.equal(configuration.problems[0]?.path, `metadata.annotations["fairlead.io/${key}"]`);
    assert.match(configuration.problems[0]?.message ?? "", says);
    assert.deepEqual(configuration.peers, plain.peers);
  });
}
