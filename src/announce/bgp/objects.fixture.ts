/** What the schemas of the configuration kinds refuse, and the CRDs made of them too: one row for each rule of a field. */

export type SchemaName =
  | "IPAddressPool"
  | "L2Advertisement"
  | "BGPPeer"
  | "BGPPeer v1beta1"
  | "BGPAdvertisement"
  | "BFDProfile"
  | "Community";

export interface RefusedBySchema {
  readonly kind: SchemaName;
  readonly name: string;
  readonly spec: Spec;
  /** Of the field that is wrong, joined by dots. */
  readonly path: string;
}

const peer = { myASN: 64512, peerASN: 64513, peerAddress: "10.0.0.1" };

type Spec = Readonly<Record<string, unknown>>;

const v1beta1Selector = (expression: Spec): Spec => ({ ...peer, nodeSelectors: [{ matchExpressions: [expression] }] });

const preferring = (preference: Spec): Spec => ({ preferredNodeSelectors: [preference] });

export const REFUSED_BY_SCHEMA: readonly RefusedBySchema[] = [
  {
    kind: "IPAddressPool",
    name: "addresses that are text",
    spec: { addresses: "10.0.0.0/24" },
    path: "spec.addresses",
  },
  {
    kind: "IPAddressPool",
    name: "autoAssign that is text",
    spec: { addresses: ["10.0.0.0/24"], autoAssign: "no" },
    path: "spec.autoAssign",
  },
  {
    kind: "IPAddressPool",
    name: "a fractional priority",
    spec: { addresses: ["10.0.0.0/24"], serviceAllocation: { priority: 1.5 } },
    path: "spec.serviceAllocation.priority",
  },
  {
    kind: "L2Advertisement",
    name: "weight 0",
    spec: preferring({ weight: 0, preference: {} }),
    path: "spec.preferredNodeSelectors.0.weight",
  },
  {
    kind: "L2Advertisement",
    name: "weight 101",
    spec: preferring({ weight: 101, preference: {} }),
    path: "spec.preferredNodeSelectors.0.weight",
  },
  {
    kind: "L2Advertisement",
    name: "a preference without weight",
    spec: preferring({ preference: {} }),
    path: "spec.preferredNodeSelectors.0.weight",
  },
  {
    kind: "L2Advertisement",
    name: "a weight without preference",
    spec: preferring({ weight: 1 }),
    path: "spec.preferredNodeSelectors.0.preference",
  },
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
  {
    kind: "BFDProfile",
    name: "receiveInterval 60001",
    spec: { receiveInterval: 60_001 },
    path: "spec.receiveInterval",
  },
  { kind: "BFDProfile", name: "transmitInterval 9", spec: { transmitInterval: 9 }, path: "spec.transmitInterval" },
  { kind: "BFDProfile", name: "echoInterval 60001", spec: { echoInterval: 60_001 }, path: "spec.echoInterval" },
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
