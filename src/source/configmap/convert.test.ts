import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAllDocuments, stringify } from "yaml";
import { convertConfiguration } from "./convert.ts";

interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

function resources(text: string): readonly Resource[] {
  return [...parseAllDocuments(text)].map((document) => document.toJS() as Resource);
}

/** `kind name` → spec. */
function specs(text: string): Readonly<Record<string, unknown>> {
  return Object.fromEntries(resources(text).map(({ kind, metadata, spec }) => [`${kind} ${metadata.name}`, spec]));
}

const pool = { name: "p", protocol: "layer2", addresses: ["10.0.0.0/24"] };
const peer = { "my-asn": 64512, "peer-asn": 64513, "peer-address": "10.1.1.1" };

/** Everything the old format could say. */
const everything = `
peers:
- peer-address: 10.0.0.1
  peer-asn: 64512
  my-asn: 64512
  peer-port: 1179
  source-address: 10.0.0.2
  hold-time: 120s
  keepalive-time: 30s
  router-id: 1.2.3.4
  password: "yes"
  bfd-profile: fast
  ebgp-multihop: false
  node-selectors:
  - match-labels: {kubernetes.io/hostname: prod-01, spare: true}
    match-expressions:
    - {key: arch, operator: In, values: [amd64, arm]}
address-pools:
- name: routed
  protocol: bgp
  addresses: [192.168.10.0/24, 192.168.20.0/24]
  avoid-buggy-ips: true
  auto-assign: false
  bgp-advertisements:
  - {aggregation-length: 32, localpref: 100, communities: [64512:1, no-export]}
  - {aggregation-length: 24, aggregation-length-v6: 64}
- {name: plain, protocol: bgp, addresses: [192.168.30.0/24]}
- {name: local, protocol: layer2, addresses: [192.168.40.10-192.168.40.20]}
bgp-communities:
  no-export: 65535:65281
bfd-profiles:
- name: fast
  receive-interval: 280
  transmit-interval: 270
  echo-interval: 62
  echo-mode: false
  passive-mode: true
  minimum-ttl: 254
  detect-multiplier: 200
`;

const converted = {
  "IPAddressPool routed": {
    addresses: ["192.168.10.0/24", "192.168.20.0/24"],
    autoAssign: false,
    avoidBuggyIPs: true,
  },
  "BGPAdvertisement routed": {
    ipAddressPools: ["routed"],
    aggregationLength: 32,
    localPref: 100,
    communities: ["64512:1", "no-export"],
  },
  "BGPAdvertisement routed-2": { ipAddressPools: ["routed"], aggregationLength: 24, aggregationLengthV6: 64 },
  "IPAddressPool plain": { addresses: ["192.168.30.0/24"] },
  "BGPAdvertisement plain": { ipAddressPools: ["plain"] },
  "IPAddressPool local": { addresses: ["192.168.40.10-192.168.40.20"] },
  "L2Advertisement local": { ipAddressPools: ["local"] },
  "Community communities": { communities: [{ name: "no-export", value: "65535:65281" }] },
  "BFDProfile fast": {
    receiveInterval: 280,
    transmitInterval: 270,
    echoInterval: 62,
    echoMode: false,
    passiveMode: true,
    minimumTtl: 254,
    detectMultiplier: 200,
  },
  "BGPPeer peer1": {
    myASN: 64512,
    peerASN: 64512,
    peerAddress: "10.0.0.1",
    sourceAddress: "10.0.0.2",
    peerPort: 1179,
    holdTime: "120s",
    keepaliveTime: "30s",
    routerID: "1.2.3.4",
    nodeSelectors: [
      {
        matchLabels: { "kubernetes.io/hostname": "prod-01", spare: "true" },
        matchExpressions: [{ key: "arch", operator: "In", values: ["amd64", "arm"] }],
      },
    ],
    password: "yes",
    bfdProfile: "fast",
    ebgpMultiHop: false,
  },
};

test("convert: everything the old format could say becomes objects that say the same", () => {
  const { text, objects, complaints } = convertConfiguration(everything);
  assert.deepEqual(specs(text), converted);
  // LOCAL_PREF 100 and none, told apart by the aggregation length alone: as before.
  assert.deepEqual(complaints, []);
  assert.equal(objects, 10);
});

test("convert: versions and namespaces of the objects", () => {
  const [first] = resources(convertConfiguration(everything).text);
  assert.deepEqual([first?.apiVersion, first?.metadata.namespace], ["metallb.io/v1beta1", "metallb-system"]);
  const peers = resources(convertConfiguration(everything).text).filter(({ kind }) => kind === "BGPPeer");
  assert.deepEqual(
    peers.map(({ apiVersion }) => apiVersion),
    ["metallb.io/v1beta2"],
  );
});

test("convert: readers of YAML 1.1 find text where text was", () => {
  const { text } = convertConfiguration(everything);
  assert.match(text, /- "64512:1"\n/);
  assert.match(text, /password: "yes"\n/);
  const old = [...parseAllDocuments(text, { version: "1.1" })].map((document) => document.toJS() as Resource);
  assert.deepEqual(old, resources(text));
});

const configMap = (config: string, namespace = "lb"): string =>
  stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace }, data: { config } });

const wrappings: readonly { readonly name: string; readonly text: string }[] = [
  { name: "a ConfigMap", text: configMap(everything) },
  {
    name: "a ConfigMap among other documents",
    text: `kind: Namespace\nmetadata: {name: lb}\n---\n${configMap(everything)}---\nkind: ConfigMap\ndata: {other: x}\n`,
  },
  {
    name: "a List from kubectl",
    text: stringify({
      kind: "List",
      items: [{ kind: "ConfigMap", metadata: { namespace: "lb" }, data: { config: everything } }],
    }),
  },
];

for (const { name, text } of wrappings) {
  test(`convert: ${name} is the same, in its own namespace`, () => {
    const found = convertConfiguration(text);
    assert.deepEqual(found.complaints, []);
    assert.deepEqual(specs(found.text), converted);
    assert.deepEqual(new Set(resources(found.text).map(({ metadata }) => metadata.namespace)), new Set(["lb"]));
  });
}

const complaining: readonly {
  readonly name: string;
  readonly old: unknown;
  readonly says: RegExp;
  readonly kinds: readonly string[];
}[] = [
  {
    name: "a key that means nothing",
    old: { "address-pool": [] },
    says: /^address-pool: is no part of the configuration/,
    kinds: [],
  },
  {
    name: "peer autodiscovery",
    old: { "peer-autodiscovery": {} },
    says: /^peer-autodiscovery: .*write a BGPPeer with nodeSelectors/,
    kinds: [],
  },
  {
    name: "a field that means nothing",
    old: { peers: [{ ...peer, colour: "red" }] },
    says: /^peers\[0\]\.colour: is no field here and left out/,
    kinds: ["BGPPeer"],
  },
  {
    name: "a field that means nothing, deep inside",
    old: { peers: [{ ...peer, "node-selectors": [{ matchLabels: {} }] }] },
    says: /^peers\[0\]\.node-selectors\[0\]\.matchLabels: is no field here.*match-labels/,
    kinds: ["BGPPeer"],
  },
  {
    name: "a value of the wrong type",
    old: { peers: [{ ...peer, "my-asn": "x" }, peer] },
    says: /^peers\[0\]\.my-asn: .*the item is left out/,
    kinds: ["BGPPeer"],
  },
  { name: "a list that is none", old: { peers: {} }, says: /^peers: is not a list/, kinds: [] },
  { name: "no map", old: [1], says: /holds no configuration/, kinds: [] },
  { name: "nothing at all", old: null, says: /holds no configuration/, kinds: [] },
  {
    name: "an unknown protocol",
    old: { "address-pools": [{ ...pool, protocol: "ospf" }] },
    says: /protocol: is neither layer2 nor bgp, found "ospf": nobody announces/,
    kinds: ["IPAddressPool"],
  },
  {
    name: "advertisements in a layer2 pool",
    old: { "address-pools": [{ ...pool, "bgp-advertisements": [{}] }] },
    says: /bgp-advertisements: cannot be in a layer2 pool/,
    kinds: ["IPAddressPool", "L2Advertisement"],
  },
  {
    name: "a pool that no object can be called after",
    old: { "address-pools": [{ ...pool, name: "My Pool" }] },
    says: /"My Pool" is no name for an object and becomes "my-pool"/,
    kinds: ["IPAddressPool", "L2Advertisement"],
  },
  {
    name: "a pool without a name",
    old: { "address-pools": [{ ...pool, name: undefined }] },
    says: /becomes "unnamed-1"/,
    kinds: ["IPAddressPool", "L2Advertisement"],
  },
  {
    name: "two pools of one name",
    old: { "address-pools": [pool, { ...pool, addresses: ["10.1.0.0/24"] }] },
    says: /written twice/,
    kinds: ["IPAddressPool", "L2Advertisement", "IPAddressPool", "L2Advertisement"],
  },
  {
    name: "overlapping pools",
    old: { "address-pools": [pool, { ...pool, name: "q" }] },
    says: /IPAddressPool metallb-system\/q: spec.addresses\[0\]: 10.0.0.0\/24 overlaps/,
    kinds: ["IPAddressPool", "L2Advertisement", "IPAddressPool", "L2Advertisement"],
  },
  {
    name: "a pool without addresses",
    old: { "address-pools": [{ ...pool, addresses: [] }] },
    says: /the pool has no addresses/,
    kinds: ["IPAddressPool", "L2Advertisement"],
  },
  {
    name: "a missing local ASN",
    old: { peers: [{ ...peer, "my-asn": 0 }] },
    says: /BGPPeer metallb-system\/peer1: spec.myASN: missing local ASN/,
    kinds: ["BGPPeer"],
  },
  {
    name: "a hold time that is none",
    old: { peers: [{ ...peer, "hold-time": "soon" }] },
    says: /spec.holdTime: is not a duration/,
    kinds: ["BGPPeer"],
  },
  {
    name: "an interval that no profile may have",
    old: { "bfd-profiles": [{ name: "x", "receive-interval": 2 }] },
    says: /spec.receiveInterval: Too small/,
    kinds: ["BFDProfile"],
  },
];

for (const { name, old, says, kinds } of complaining) {
  test(`convert: ${name} is reported, and the rest converted`, () => {
    const { text, complaints } = convertConfiguration(stringify(old));
    assert.match(
      complaints.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("\n"),
      new RegExp(says, "m"),
    );
    assert.deepEqual(
      resources(text).map(({ kind }) => kind),
      kinds,
    );
  });
}

test("convert: what is not YAML, or not in the ConfigMap, is said", () => {
  for (const text of ["kind: [", configMap("peers: ["), "\t"])
    assert.match(convertConfiguration(text).complaints[0]?.message ?? "", /is not YAML|holds no configuration/, text);
});

test("convert: references to a renamed BFD profile follow it", () => {
  const old = { peers: [{ ...peer, "bfd-profile": "Very Fast" }], "bfd-profiles": [{ name: "Very Fast" }] };
  const { text, complaints } = convertConfiguration(stringify(old));
  assert.deepEqual(complaints, []);
  assert.deepEqual(specs(text)["BFDProfile very-fast"], {});
  assert.match(text, /bfdProfile: very-fast/);
});

test("convert: a configuration that MetalLB took becomes manifests without a problem, one object for each thing it said", () => {
  const octet = fc.integer({ min: 0, max: 255 });
  const anyPool = fc.record({
    protocol: fc.constantFrom("layer2", "bgp"),
    ads: fc.integer({ min: 0, max: 3 }),
    buggy: fc.boolean(),
  });
  const anyPeer = fc.record({
    asn: fc.integer({ min: 1, max: 4_294_967_295 }),
    hold: fc.integer({ min: 3, max: 65_535 }),
    label: fc.string(),
  });
  fc.assert(
    fc.property(
      fc.array(anyPool, { maxLength: 8 }),
      fc.array(anyPeer, { maxLength: 8 }),
      octet,
      (pools, peers, value) => {
        fc.pre(pools.length + peers.length > 0);
        const old = {
          "address-pools": pools.map(({ protocol, ads, buggy }, i) => ({
            ...{ name: `pool-${i}`, protocol, addresses: [`10.${i}.0.0/16`], "avoid-buggy-ips": buggy },
            ...(protocol === "bgp"
              ? {
                  "bgp-advertisements": Array.from({ length: ads }, (_, n) => ({
                    "aggregation-length": 32 - n,
                    communities: [`${value}:${n}`, "vip"],
                  })),
                }
              : {}),
          })),
          peers: peers.map(({ asn, hold, label }, i) => ({
            ...{ "my-asn": 64512, "peer-asn": asn, "peer-address": `192.0.2.${i + 1}`, "hold-time": `${hold}s` },
            "node-selectors": [{ "match-labels": { label } }],
          })),
          "bgp-communities": { vip: `${value}:9999` },
        };
        const { text, objects, complaints } = convertConfiguration(configMap(stringify(old)));
        assert.deepEqual(complaints, []);
        assert.equal(resources(text).length, objects);
        const advertisements = pools.map(({ protocol, ads }) => (protocol === "bgp" ? Math.max(1, ads) : 1));
        assert.equal(objects, pools.length + advertisements.reduce((a, b) => a + b, 0) + peers.length + 1);
      },
    ),
    { numRuns: 60 },
  );
});

test("convert: any text has an answer", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.json(), fc.string({ unit: fc.constantFrom(..."peers:-[]{} \n\taddress") })),
      (text) => {
        const found = convertConfiguration(text);
        assert.ok(found.objects > 0 || found.complaints.length > 0);
      },
    ),
    { numRuns: 300 },
  );
});
