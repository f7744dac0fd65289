import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bfdProfileSchema,
  bgpAdvertisementSchema,
  bgpPeerSchema,
  bgpPeerV1Beta1Schema,
  communitySchema,
} from "./objects.ts";
import { ipAddressPoolSchema } from "../../pool/objects.ts";
import { l2AdvertisementSchema } from "../objects.ts";
import { REFUSED_BY_SCHEMA } from "./objects.fixture.ts";

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
  IPAddressPool: ipAddressPoolSchema,
  L2Advertisement: l2AdvertisementSchema,
  BGPPeer: bgpPeerSchema,
  "BGPPeer v1beta1": bgpPeerV1Beta1Schema,
  BGPAdvertisement: bgpAdvertisementSchema,
  BFDProfile: bfdProfileSchema,
  Community: communitySchema,
};

for (const row of REFUSED_BY_SCHEMA) {
  test(`${row.kind} with ${row.name} is refused at ${row.path}`, () => {
    const parsed = schemas[row.kind].safeParse({ metadata, spec: row.spec });
    assert.deepEqual(
      parsed.error?.issues.map((issue) => issue.path.join(".")),
      [row.path],
    );
  });
}
