import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bfdProfileSchema,
  bgpAdvertisementSchema,
  bgpPeerSchema,
  bgpPeerV1Beta1Schema,
  communitySchema,
} from "./objects.ts";

const metadata = { name: "a", namespace: "metallb-system" };
const peer = { myASN: 64512, peerASN: 64513, peerAddress: "10.0.0.1" };

test("BGPPeer: absent fields have MetalLB's defaults", () => {
  const { spec } = bgpPeerSchema.parse({ metadata, spec: peer });
  assert.deepEqual(spec, {
    ...peer,
    interface: "",
    sourceAddress: "",
    peerPort: 179,
    routerID: "",
    nodeSelectors: [],
    password: "",
    passwordSecret: { name: "", namespace: "" },
    bfdProfile: "",
    enableGracefulRestart: false,
    ebgpMultiHop: false,
    vrf: "",
    disableMP: false,
    dualStackAddressFamily: false,
  });
});

test("BGPPeer: durations become milliseconds", () => {
  const { spec } = bgpPeerSchema.parse({
    metadata,
    spec: { ...peer, holdTime: "1m30s", keepaliveTime: "0s", connectTime: "500ms" },
  });
  assert.deepEqual([spec.holdTime, spec.keepaliveTime, spec.connectTime], [90_000, 0, 500]);
});

test("BGPPeer v1beta1 is read as v1beta2", () => {
  const old = { ...peer, holdTime: "90s", ebgpMultiHop: true, nodeSelectors: [{ matchLabels: { rack: "1" } }] };
  assert.deepEqual(bgpPeerV1Beta1Schema.parse({ metadata, spec: old }), bgpPeerSchema.parse({ metadata, spec: old }));
});

test("BGPPeer v1beta1: timers that were left out stay left out, unlike MetalLB's zero", () => {
  const { spec } = bgpPeerV1Beta1Schema.parse({ metadata, spec: peer });
  assert.deepEqual([spec.holdTime, spec.keepaliveTime], [undefined, undefined]);
  assert.equal(bgpPeerV1Beta1Schema.parse({ metadata, spec: { ...peer, holdTime: "0s" } }).spec.holdTime, 0);
});

test("BGPPeer v1beta1: port 0 and no port are 179", () => {
  for (const written of [{}, { peerPort: 0 }, { peerPort: 179 }])
    assert.equal(bgpPeerV1Beta1Schema.parse({ metadata, spec: { ...peer, ...written } }).spec.peerPort, 179);
});

test("BGPAdvertisement: absent fields have MetalLB's defaults, also without a spec", () => {
  const lists = { communities: [], ipAddressPools: [], ipAddressPoolSelectors: [], nodeSelectors: [], peers: [] };
  const expected = { aggregationLength: 32, aggregationLengthV6: 128, localPref: 0, ...lists, serviceSelectors: [] };
  assert.deepEqual(bgpAdvertisementSchema.parse({ metadata, spec: {} }).spec, expected);
  assert.deepEqual(bgpAdvertisementSchema.parse({ metadata }).spec, expected);
});

test("BFDProfile: nothing is made up for absent intervals", () => {
  assert.deepEqual(bfdProfileSchema.parse({ metadata, spec: {} }).spec, { echoMode: false, passiveMode: false });
});

const schemas = {
  BGPPeer: bgpPeerSchema,
  "BGPPeer v1beta1": bgpPeerV1Beta1Schema,
  BGPAdvertisement: bgpAdvertisementSchema,
  BFDProfile: bfdProfileSchema,
  Community: communitySchema,
};

type Spec = Readonly<Record<string, unknown>>;

const v1beta1Selector = (expression: Spec): Spec => ({ ...peer, nodeSelectors: [{ matchExpressions: [expression] }] });

const refused: readonly {
  readonly kind: keyof typeof schemas;
  readonly name: string;
  readonly spec: Spec;
  readonly path: string;
}[] = [
  { kind: "BGPPeer", name: "no spec.myASN", spec: { peerASN: 1, peerAddress: "10.0.0.1" }, path: "spec.myASN" },
  { kind: "BGPPeer", name: "myASN of 33 bits", spec: { ...peer, myASN: 4_294_967_296 }, path: "spec.myASN" },
  { kind: "BGPPeer", name: "negative myASN", spec: { ...peer, myASN: -1 }, path: "spec.myASN" },
  { kind: "BGPPeer", name: "peerASN of 33 bits", spec: { ...peer, peerASN: 4_294_967_296 }, path: "spec.peerASN" },
  { kind: "BGPPeer", name: "fractional peerASN", spec: { ...peer, peerASN: 1.5 }, path: "spec.peerASN" },
  {
    kind: "BGPPeer",
    name: "dynamicASN of an unknown kind",
    spec: { ...peer, dynamicASN: "any" },
    path: "spec.dynamicASN",
  },
  { kind: "BGPPeer", name: "localASN 0", spec: { ...peer, localASN: 0 }, path: "spec.localASN" },
  { kind: "BGPPeer", name: "peerPort 0", spec: { ...peer, peerPort: 0 }, path: "spec.peerPort" },
  { kind: "BGPPeer", name: "peerPort 16385", spec: { ...peer, peerPort: 16_385 }, path: "spec.peerPort" },
  { kind: "BGPPeer", name: "holdTime without unit", spec: { ...peer, holdTime: "90" }, path: "spec.holdTime" },
  { kind: "BGPPeer", name: "holdTime as a number", spec: { ...peer, holdTime: 90 }, path: "spec.holdTime" },
  {
    kind: "BGPPeer",
    name: "keepaliveTime that is a word",
    spec: { ...peer, keepaliveTime: "often" },
    path: "spec.keepaliveTime",
  },
  { kind: "BGPPeer v1beta1", name: "no peerASN", spec: { myASN: 1, peerAddress: "10.0.0.1" }, path: "spec.peerASN" },
  { kind: "BGPPeer v1beta1", name: "no peerAddress", spec: { myASN: 1, peerASN: 2 }, path: "spec.peerAddress" },
  { kind: "BGPPeer v1beta1", name: "peerPort 16385", spec: { ...peer, peerPort: 16_385 }, path: "spec.peerPort" },
  {
    kind: "BGPPeer v1beta1",
    name: "an expression without values",
    spec: v1beta1Selector({ key: "rack", operator: "In", values: [] }),
    path: "spec.nodeSelectors.0.matchExpressions.0.values",
  },
  {
    kind: "BGPPeer v1beta1",
    name: "operator Exists, which v1beta1 cannot say",
    spec: v1beta1Selector({ key: "rack", operator: "Exists", values: ["a"] }),
    path: "spec.nodeSelectors.0.matchExpressions.0.operator",
  },
  {
    kind: "BGPAdvertisement",
    name: "aggregationLength 0",
    spec: { aggregationLength: 0 },
    path: "spec.aggregationLength",
  },
  {
    kind: "BGPAdvertisement",
    name: "localPref of 33 bits",
    spec: { localPref: 4_294_967_296 },
    path: "spec.localPref",
  },
  { kind: "BGPAdvertisement", name: "negative localPref", spec: { localPref: -1 }, path: "spec.localPref" },
  { kind: "BFDProfile", name: "receiveInterval 2", spec: { receiveInterval: 2 }, path: "spec.receiveInterval" },
  {
    kind: "BFDProfile",
    name: "transmitInterval 90000",
    spec: { transmitInterval: 90_000 },
    path: "spec.transmitInterval",
  },
  { kind: "BFDProfile", name: "echoInterval 9", spec: { echoInterval: 9 }, path: "spec.echoInterval" },
  { kind: "BFDProfile", name: "detectMultiplier 1", spec: { detectMultiplier: 1 }, path: "spec.detectMultiplier" },
  { kind: "BFDProfile", name: "detectMultiplier 256", spec: { detectMultiplier: 256 }, path: "spec.detectMultiplier" },
  { kind: "BFDProfile", name: "minimumTtl 0", spec: { minimumTtl: 0 }, path: "spec.minimumTtl" },
  { kind: "BFDProfile", name: "minimumTtl 255", spec: { minimumTtl: 255 }, path: "spec.minimumTtl" },
  {
    kind: "Community",
    name: "a value that is a number",
    spec: { communities: [{ name: "a", value: 1 }] },
    path: "spec.communities.0.value",
  },
];

for (const row of refused) {
  test(`${row.kind} with ${row.name} is refused at ${row.path}`, () => {
    const parsed = schemas[row.kind].safeParse({ metadata, spec: row.spec });
    assert.deepEqual(
      parsed.error?.issues.map((issue) => issue.path.join(".")),
      [row.path],
    );
  });
}
