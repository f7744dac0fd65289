/** One row for each case about BGP advertisements, communities and BFD profiles of MetalLB's configuration tests, named after it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  configure,
  goodPeer,
  POOL,
  problemTexts,
  type BgpRow,
  type Spec,
  type Specs,
} from "./configuration.fixture.ts";
import { formatCommunity } from "../../protocol/bgp/community.ts";

interface Row extends BgpRow {
  readonly name: string;
  /** In this order: what is reported. Absent: nothing. */
  readonly says?: readonly RegExp[];
  /** Pools by advertisement; those left out are not here. */
  readonly announced: Readonly<Record<string, readonly string[]>>;
}

const ad = (fields: Spec = {}): Specs => ({ a: fields });
const two = (a: Spec, b: Spec): Specs => ({ a, b });
const RANGE: Specs = { pool: { addresses: ["3.3.3.2-3.3.3.254"] } };
const DUAL: Specs = { pool: { addresses: ["192.0.2.0/28", "fc00::/120"] } };
const labelled = (name: string): Specs => ({
  ...POOL,
  other: { addresses: ["198.51.100.0/28"], metadata: { labels: { name } } },
});
const on = (rack: string): Spec => ({ nodeSelectors: [{ matchLabels: { rack } }] });

const rows: readonly Row[] = [
  { name: "defaults", ads: ad(), pools: POOL, announced: { a: ["pool"] } },
  {
    name: "aggregation length 34",
    ads: ad({ aggregationLength: 34 }),
    pools: POOL,
    says: [
      /^BGPAdvertisement metallb-system\/a: spec.aggregationLength: invalid aggregation length "34": must be from 1 to 32$/,
    ],
    announced: {},
  },
  {
    name: "aggregation length V6 129",
    ads: ad({ aggregationLengthV6: 129 }),
    pools: POOL,
    says: [/spec.aggregationLengthV6: invalid aggregation length "129": must be from 1 to 128/],
    announced: {},
  },
  {
    name: "26 against a /28 entry",
    ads: ad({ aggregationLength: 26 }),
    pools: POOL,
    says: [
      /invalid aggregation length 26: prefix 28 in this pool is more specific than the aggregation length for addresses 192.0.2.0\/28/,
    ],
    announced: { a: [] },
  },
  {
    name: "26 against a /28 entry of one pool of two: the other is announced",
    ads: ad({ aggregationLength: 26 }),
    pools: { ...POOL, wide: { addresses: ["10.0.0.0/24"] } },
    says: [/of pool "pool"; the advertisement leaves this pool out/],
    announced: { a: ["wide"] },
  },
  {
    name: "26 against 3.3.3.2-3.3.3.254",
    ads: ad({ aggregationLength: 26 }),
    pools: RANGE,
    announced: { a: ["pool"] },
  },
  {
    name: "24 against 3.3.3.2-3.3.3.254",
    ads: ad({ aggregationLength: 24 }),
    pools: RANGE,
    says: [/invalid aggregation length 24: prefix 26 in this pool/],
    announced: { a: [] },
  },
  {
    name: "V6 length 100 against a /120",
    ads: ad({ aggregationLengthV6: 100 }),
    pools: DUAL,
    says: [/spec.aggregationLengthV6: invalid aggregation length 100: prefix 120/],
    announced: { a: [] },
  },
  {
    name: "LOCAL_PREF: same peers and nodes",
    ads: two({ localPref: 100 }, { localPref: 200 }),
    pools: POOL,
    says: [
      /^BGPAdvertisement metallb-system\/b: spec.localPref: invalid localPref 200: pool "pool" is announced with localPref 100 by metallb-system\/a/,
    ],
    announced: { a: ["pool"], b: [] },
  },
  {
    name: "LOCAL_PREF: another v4 length",
    ads: two({ localPref: 100 }, { localPref: 200, aggregationLength: 30 }),
    pools: POOL,
    announced: { a: ["pool"], b: ["pool"] },
  },
  {
    name: "LOCAL_PREF: another v4 length only, dual-stack pool",
    ads: two({ localPref: 100 }, { localPref: 200, aggregationLength: 30 }),
    pools: DUAL,
    says: [/invalid localPref 200/],
    announced: { a: ["pool"], b: [] },
  },
  {
    name: "LOCAL_PREF: both lengths differ, dual-stack pool",
    ads: two({ localPref: 100 }, { localPref: 200, aggregationLength: 30, aggregationLengthV6: 124 }),
    pools: DUAL,
    announced: { a: ["pool"], b: ["pool"] },
  },
  {
    name: "LOCAL_PREF: different nodes",
    ads: two({ localPref: 100, ...on("1") }, { localPref: 200, ...on("2") }),
    pools: POOL,
    nodes: { n1: { rack: "1" }, n2: { rack: "2" } },
    announced: { a: ["pool"], b: ["pool"] },
  },
  {
    name: "LOCAL_PREF: overlapping nodes",
    ads: two({ localPref: 100, ...on("1") }, { localPref: 200 }),
    pools: POOL,
    nodes: { n1: { rack: "1" } },
    says: [/invalid localPref 200/],
    announced: { a: ["pool"], b: [] },
  },
  {
    name: "LOCAL_PREF: different peers",
    ads: two({ localPref: 100, peers: ["x"] }, { localPref: 200, peers: ["y"] }),
    pools: POOL,
    announced: { a: ["pool"], b: ["pool"] },
  },
  {
    name: "LOCAL_PREF: one for all peers",
    ads: two({ localPref: 100, peers: ["x"] }, { localPref: 200 }),
    pools: POOL,
    says: [/invalid localPref 200/],
    announced: { a: ["pool"], b: [] },
  },
  {
    name: "LOCAL_PREF: service selectors are judged Service by Service",
    ads: two({ localPref: 100 }, { localPref: 200, serviceSelectors: [{ matchLabels: { a: "b" } }] }),
    pools: POOL,
    announced: { a: ["pool"], b: ["pool"] },
  },
  {
    name: "LOCAL_PREF: different pools",
    ads: two({ localPref: 100, ipAddressPools: ["pool"] }, { localPref: 200, ipAddressPools: ["other"] }),
    pools: labelled("x"),
    announced: { a: ["pool"], b: ["other"] },
  },
  {
    name: "duplicate pools",
    ads: ad({ ipAddressPools: ["pool", "pool"] }),
    pools: POOL,
    says: [/spec.ipAddressPools\[1\]: duplicate definition of ipAddressPool "pool"/],
    announced: { a: ["pool"] },
  },
  {
    name: "duplicate peers",
    ads: ad({ peers: ["x", "x"] }),
    pools: POOL,
    says: [/spec.peers\[1\]: duplicate definition of peer "x"/],
    announced: { a: ["pool"] },
  },
  {
    name: "duplicate communities",
    ads: ad({ communities: ["1:2", "1:2"] }),
    pools: POOL,
    says: [/spec.communities\[1\]: duplicate definition of community "1:2"/],
    announced: { a: ["pool"] },
  },
  {
    name: "community of one part that is no alias",
    ads: ad({ communities: ["flarb"] }),
    pools: POOL,
    says: [
      /spec.communities\[0\]: invalid community format: "flarb": .*no Community object defines an alias of that name/,
    ],
    announced: {},
  },
  {
    name: "community of three parts",
    ads: ad({ communities: ["1:2:3"] }),
    pools: POOL,
    says: [/invalid community format: "1:2:3"/],
    announced: {},
  },
  {
    name: "community section too big on the left",
    ads: ad({ communities: ["99999999:1"] }),
    pools: POOL,
    says: [/invalid community value: invalid section in "99999999:1"/],
    announced: {},
  },
  {
    name: "community section too big on the right",
    ads: ad({ communities: ["1:99999999"] }),
    pools: POOL,
    says: [/invalid community value: invalid section in "1:99999999"/],
    announced: {},
  },
  {
    name: "large community with another marker",
    ads: ad({ communities: ["lrg:1:2:3"] }),
    pools: POOL,
    says: [/invalid community value: expected community to be of format large/],
    announced: {},
  },
  {
    name: "large community section too big",
    ads: ad({ communities: ["large:1:2:4294967296"] }),
    pools: POOL,
    says: [/invalid community value: invalid section in "large:1:2:4294967296"/],
    announced: {},
  },
  {
    name: "201 communities",
    ads: ad({ communities: Array.from({ length: 201 }, (_, i) => `1:${i}`) }),
    pools: POOL,
    says: [/spec.communities: has 201 communities; 200 are possible/],
    announced: {},
  },
  {
    name: "pool selector that matches",
    ads: ad({ ipAddressPoolSelectors: [{ matchLabels: { name: "x" } }] }),
    pools: labelled("x"),
    announced: { a: ["other"] },
  },
  {
    name: "pool selector of a label nobody has",
    ads: ad({ ipAddressPoolSelectors: [{ matchLabels: { name: "y" } }] }),
    pools: labelled("x"),
    announced: { a: [] },
  },
  {
    name: "pool by name and selector",
    ads: ad({ ipAddressPools: ["pool"], ipAddressPoolSelectors: [{ matchLabels: { name: "x" } }] }),
    pools: labelled("x"),
    announced: { a: ["other", "pool"] },
  },
  { name: "unknown pool", ads: ad({ ipAddressPools: ["nobody"] }), pools: POOL, announced: { a: [] } },
  {
    name: "duplicate pool selectors",
    ads: ad({ ipAddressPoolSelectors: [{ matchLabels: { name: "x" } }, { matchLabels: { name: "x" } }] }),
    pools: labelled("x"),
    says: [/spec.ipAddressPoolSelectors\[1\]: duplicate definition of selector "name=x"/],
    announced: { a: ["other"] },
  },
  {
    name: "duplicate node selectors",
    ads: ad({ nodeSelectors: [{}, {}] }),
    pools: POOL,
    says: [/spec.nodeSelectors\[1\]: duplicate definition of selector ""/],
    announced: { a: ["pool"] },
  },
  {
    name: "duplicate service selectors",
    ads: ad({ serviceSelectors: [{ matchLabels: { a: "b" } }, { matchLabels: { a: "b" } }] }),
    pools: POOL,
    says: [/spec.serviceSelectors\[1\]: duplicate definition of selector "a=b"/],
    announced: { a: ["pool"] },
  },
  {
    name: "service selectors with another v4 length",
    ads: ad({ serviceSelectors: [{}], aggregationLength: 30 }),
    pools: POOL,
    says: [
      /spec.serviceSelectors: serviceSelectors cannot be combined with an aggregation length other than 32 and 128/,
    ],
    announced: {},
  },
  {
    name: "service selectors with another v6 length",
    ads: ad({ serviceSelectors: [{}], aggregationLengthV6: 124 }),
    pools: POOL,
    says: [/spec.serviceSelectors: /],
    announced: {},
  },
  {
    name: "service selectors with the default lengths spelled out",
    ads: ad({ serviceSelectors: [{}], aggregationLength: 32, aggregationLengthV6: 128 }),
    pools: POOL,
    announced: { a: ["pool"] },
  },
];

for (const { name, says = [], announced, ...row } of rows) {
  test(`BGPAdvertisement with ${name}: ${says.length === 0 ? "accepted" : "reported"}`, () => {
    const configuration = configure(row);
    expectProblems(problemTexts(configuration), says);
    const pools = [...configuration.advertisements.values()].map((a) => [a.name, [...a.pools].toSorted()]);
    assert.deepEqual(Object.fromEntries(pools), announced);
  });
}

const communities: readonly (BgpRow & {
  readonly name: string;
  readonly says?: readonly RegExp[];
  /** By alias. */
  readonly aliases: Readonly<Record<string, string>>;
})[] = [
  {
    name: "a classic and a large value",
    communities: {
      c: {
        communities: [
          { name: "x", value: "64512:1" },
          { name: "y", value: "large:1:2:3" },
        ],
      },
    },
    aliases: { x: "64512:1", y: "large:1:2:3" },
  },
  {
    name: "a well-known name and an extended value, which MetalLB has not",
    communities: {
      c: {
        communities: [
          { name: "x", value: "no-export" },
          { name: "y", value: "rt:64512:7" },
        ],
      },
    },
    aliases: { x: "no-export", y: "rt:64512:7" },
  },
  {
    name: "one part",
    communities: { c: { communities: [{ name: "x", value: "flarb" }] } },
    says: [/^Community metallb-system\/c: spec.communities\[0\].value: invalid community format: "flarb"/],
    aliases: {},
  },
  {
    name: "a section too big on the left",
    communities: { c: { communities: [{ name: "x", value: "99999999:1" }] } },
    says: [/invalid community value: invalid section/],
    aliases: {},
  },
  {
    name: "a section too big on the right",
    communities: { c: { communities: [{ name: "x", value: "1:99999999" }] } },
    says: [/invalid community value: invalid section/],
    aliases: {},
  },
  {
    name: "a large value with another marker",
    communities: { c: { communities: [{ name: "x", value: "lrg:1:2:3" }] } },
    says: [/invalid community value: expected community to be of format large/],
    aliases: {},
  },
  {
    name: "an alias without a name",
    communities: { c: { communities: [{ value: "1:2" }] } },
    says: [/spec.communities\[0\].name: the alias has no name/],
    aliases: {},
  },
  {
    name: "one alias twice inside an object",
    communities: {
      c: {
        communities: [
          { name: "x", value: "1:1" },
          { name: "x", value: "1:2" },
        ],
      },
    },
    says: [/spec.communities\[1\].name: duplicate definition of community "x"/],
    aliases: { x: "1:1" },
  },
  {
    name: "one alias in two objects",
    communities: {
      c: { communities: [{ name: "x", value: "1:1" }] },
      d: { communities: [{ name: "x", value: "large:1:2:3" }] },
    },
    says: [
      /^Community metallb-system\/d: spec.communities\[0\].name: duplicate definition of community "x": spec.communities\[0\] of metallb-system\/c has it too/,
    ],
    aliases: { x: "1:1" },
  },
  {
    name: "several mistakes: the good ones count",
    communities: {
      c: {
        communities: [
          { name: "x", value: "1" },
          { name: "y", value: "1:1" },
          { name: "z", value: "2" },
        ],
      },
    },
    says: [/communities\[0\]/, /communities\[2\]/],
    aliases: { y: "1:1" },
  },
];

for (const { name, says = [], aliases, ...row } of communities) {
  test(`Community with ${name}: ${says.length === 0 ? "accepted" : "reported"}`, () => {
    const configuration = configure(row);
    expectProblems(problemTexts(configuration), says);
    const found = [...configuration.aliases].map(([alias, { value }]) => [alias, formatCommunity(value)]);
    assert.deepEqual(Object.fromEntries(found), aliases);
  });
}

test("BGPAdvertisement: an entry is an alias first and a literal else; the list is canonical", () => {
  const configuration = configure({
    ads: ad({ communities: ["vpn-only", "64512:9", "large:1:2:3", "64512:1", "no-export"] }),
    communities: { c: { communities: [{ name: "vpn-only", value: "64512:5" }] } },
  });
  const [found] = configuration.advertisements.values();
  assert.deepEqual(found?.communities.map(formatCommunity), [
    "64512:1",
    "64512:5",
    "64512:9",
    "no-export",
    "large:1:2:3",
  ]);
});

test("asPathPrepend is a field of MetalLB since 0.16.2; our annotation goes before it", () => {
  const prependOf = (fields: Spec): number | undefined =>
    [...configure({ ads: ad({ asPathPrepend: 3, ...fields }) }).advertisements.values()][0]?.asPathPrepend;
  assert.equal(prependOf({}), 3);
  assert.equal(prependOf({ metadata: { annotations: { "fairlead.io/as-path-prepend": "0" } } }), 0);
});

test("BGPAdvertisement annotations: MED and prepended AS numbers", () => {
  const configuration = configure({
    ads: ad({ metadata: { annotations: { "fairlead.io/med": "50", "fairlead.io/as-path-prepend": "2" } } }),
  });
  const [found] = configuration.advertisements.values();
  assert.deepEqual([found?.med, found?.asPathPrepend, configuration.problems], [50, 2, []]);
});

const echo = { peers: { p: goodPeer({ bfdProfile: "b" }) }, bfd: { b: { echoMode: true } } };

const bfd: readonly (BgpRow & { readonly name: string; readonly says?: readonly RegExp[] })[] = [
  { name: "default", ...echo, bfd: { b: {} }, ads: ad(), pools: DUAL },
  {
    name: "echo and an IPv6 pool",
    ...echo,
    ads: ad(),
    pools: DUAL,
    says: [/^BGPPeer metallb-system\/p: spec.bfdProfile: pool "pool" has an ipv6 CIDR .*"b" has echoMode/],
  },
  { name: "echo and an IPv6 pool announced to others", ...echo, ads: ad({ peers: ["q"] }), pools: DUAL },
  { name: "echo and an IPv4 pool", ...echo, ads: ad(), pools: POOL },
  {
    name: "one name in two namespaces",
    bfd: { b: {}, c: { metadata: { name: "b", namespace: "other" } } },
    says: [/^BFDProfile other\/b: metadata.name: duplicate definition of bfdProfile "b"/],
  },
  {
    name: "an annotation that means nothing there",
    bfd: { b: { metadata: { annotations: { "fairlead.io/fast": "true" } } } },
    says: [/is no annotation of a BFDProfile: there are authentication, /],
  },
];

for (const { name, says = [], ...row } of bfd) {
  test(`BFDProfile with ${name}: ${says.length === 0 ? "accepted" : "reported"}`, () => {
    const configuration = configure(row);
    expectProblems(problemTexts(configuration), says);
    assert.deepEqual([...configuration.bfdProfiles.keys()], ["b"]);
  });
}

test("BFDProfile: its fields in units, nothing made up for those that are absent", () => {
  const fields = { receiveInterval: 50, transmitInterval: 60, detectMultiplier: 5, echoInterval: 70, minimumTtl: 250 };
  const found = configure({ bfd: { b: { ...fields, passiveMode: true }, c: {} } }).bfdProfiles;
  const named = (name: string): object => ({ name, key: `metallb-system/${name}`, echoMode: false });
  assert.deepEqual(found.get("b"), {
    ...named("b"),
    receiveIntervalMilliseconds: 50,
    transmitIntervalMilliseconds: 60,
    detectMultiplier: 5,
    echoIntervalMilliseconds: 70,
    minimumTtl: 250,
    passiveMode: true,
  });
  assert.deepEqual(found.get("c"), { ...named("c"), passiveMode: false });
});

const guarded = (annotations: Readonly<Record<string, string>>, password = "s3cret"): BgpRow => ({
  bfd: { b: { metadata: { annotations } } },
  secrets: { s: { type: "kubernetes.io/basic-auth", stringData: { password } } },
});
const sha1 = { "fairlead.io/authentication": "keyed-sha1", "fairlead.io/authentication-secret": "s" };

test("BFDProfile annotations: packets are authenticated by a key from a Secret", () => {
  const row = guarded({ ...sha1, "fairlead.io/authentication-key-id": "7" });
  const { bfdProfiles, problems } = configure(row);
  assert.deepEqual(problems, []);
  const secret = new TextEncoder().encode("s3cret");
  assert.deepEqual(bfdProfiles.get("b")?.authentication, { type: "keyedSha1", keyId: 7, secret });
});

const unguarded: readonly { readonly name: string; readonly row: BgpRow; readonly says: RegExp }[] = [
  {
    name: "no Secret",
    row: { ...guarded(sha1), secrets: {} },
    says: /secret ref not found for bfd profile metallb-system\/b/,
  },
  {
    name: "a key of 21 bytes",
    row: guarded(sha1, "x".repeat(21)),
    says: /the key has 21 bytes; this authentication takes up to 20/,
  },
  {
    name: "a key of 17 bytes for MD5",
    row: guarded({ ...sha1, "fairlead.io/authentication": "keyed-md5" }, "x".repeat(17)),
    says: /up to 16/,
  },
  {
    name: "a Secret and no kind",
    row: guarded({ "fairlead.io/authentication-secret": "s" }),
    says: /go together: set both/,
  },
  {
    name: "a kind and no Secret",
    row: guarded({ "fairlead.io/authentication": "keyed-sha1" }),
    says: /go together: set both/,
  },
];

for (const { name, row, says } of unguarded) {
  test(`BFDProfile with authentication and ${name}: reported, and nobody runs without it`, () => {
    const { bfdProfiles, problems } = configure(row);
    assert.match(problems.map(({ message }) => message).join(), says);
    assert.equal(bfdProfiles.size, 0);
    const before = configure(guarded(sha1));
    assert.deepEqual(configure(row, { before }).bfdProfiles, before.bfdProfiles);
  });
}

function expectProblems(texts: readonly string[], says: readonly RegExp[]): void {
  assert.equal(texts.length, says.length, texts.join("\n"));
  for (const [index, pattern] of says.entries()) assert.match(texts[index] ?? "", pattern);
}
