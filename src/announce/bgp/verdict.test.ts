/** MetalLB's rows (BGP controller unit tests and end-to-end tests of v0.16) that are decisions about one Service on one node. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { announcedBy, EXCLUDED, reasons, said, type AnnounceRow } from "./desired.fixture.ts";
import { goodPeer } from "./configuration.fixture.ts";

const IP = "192.0.2.1";
const BASE: AnnounceRow = {
  peers: { peer: goodPeer() },
  ads: { ad: {} },
  pools: { pool: { addresses: ["192.0.2.0/28"] } },
  services: { web: { ips: [IP] } },
};
const UNAVAILABLE = { iris1: { networkUnavailable: true } };

interface Row {
  readonly name: string;
  readonly row: AnnounceRow;
  /** `undefined`: the address is announced. */
  readonly reason: string | undefined;
}

const service = (fields: object): AnnounceRow => ({ ...BASE, services: { web: { ips: [IP], ...fields } } });

const rows: readonly Row[] = [
  { name: "LB assigned", row: BASE, reason: undefined },
  { name: "another load balancer's", row: service({ loadBalancerClass: "other.io/lb" }), reason: "otherClass" },
  { name: "no ingress yet", row: service({ ips: [] }), reason: "noAddress" },
  { name: "an ingress that is no address", row: service({ ips: ["lb.example.com"] }), reason: "invalidIP" },
  { name: "one of two that is no address", row: service({ ips: [IP, "lb"] }), reason: "invalidIP" },
  { name: "an address of no pool", row: service({ ips: ["198.51.100.1"] }), reason: "ipNotAllowed" },
  {
    name: "two addresses of two pools",
    row: {
      ...service({ ips: [IP, "2001:db8::1"] }),
      pools: { pool: { addresses: ["192.0.2.0/28"] }, six: { addresses: ["2001:db8::/124"] } },
    },
    reason: "ipNotAllowed",
  },
  { name: "no advertisement at all", row: { ...BASE, ads: {} }, reason: "notOwner" },
  {
    name: "an advertisement of another pool",
    row: { ...BASE, ads: { ad: { ipAddressPools: ["other"] } } },
    reason: "notOwner",
  },
  {
    name: "an advertisement for another node",
    row: { ...BASE, ads: { ad: { nodeSelectors: [{ matchLabels: { rack: "2" } }] } }, nodes: { iris1: {} } },
    reason: "notOwner",
  },
  {
    name: "node selectors are alternatives",
    row: {
      ...BASE,
      ads: { ad: { nodeSelectors: [{ matchLabels: { rack: "2" } }, { matchLabels: { rack: "1" } }] } },
      nodes: { iris1: { labels: { rack: "1" } } },
    },
    reason: undefined,
  },
  {
    name: "a service selector that does not match",
    row: { ...BASE, ads: { ad: { serviceSelectors: [{ matchLabels: { app: "web" } }] } } },
    reason: "noMatchingAdvertisement",
  },
  {
    name: "a service selector that matches",
    row: {
      ...service({ labels: { app: "web" } }),
      ads: { ad: { serviceSelectors: [{ matchLabels: { app: "dns" } }, { matchLabels: { app: "web" } }] } },
    },
    reason: undefined,
  },
  {
    name: "matching advertisements with different LOCAL_PREFs, of which one selects Services",
    row: {
      ...service({ labels: { app: "web" } }),
      ads: {
        a: { localPref: 100, serviceSelectors: [{ matchLabels: { app: "web" } }] },
        b: { localPref: 200 },
      },
    },
    reason: "conflictingAdvertisements",
  },
  {
    name: "the same to different peers",
    row: {
      ...service({ labels: { app: "web" } }),
      ads: {
        a: { localPref: 100, serviceSelectors: [{ matchLabels: { app: "web" } }], peers: ["peer"] },
        b: { localPref: 200, peers: ["other"] },
      },
    },
    reason: undefined,
  },
  {
    name: "the same where the one is for another Service",
    row: {
      ...service({ labels: { app: "dns" } }),
      ads: {
        a: { localPref: 100, serviceSelectors: [{ matchLabels: { app: "web" } }] },
        b: { localPref: 200 },
      },
    },
    reason: undefined,
  },
  { name: "NetworkUnavailable", row: { ...BASE, nodes: UNAVAILABLE }, reason: "nodeNetworkUnavailable" },
  {
    name: "NetworkUnavailable False",
    row: { ...BASE, nodes: { iris1: { networkUnavailable: false } } },
    reason: undefined,
  },
  {
    name: "the exclusion label",
    row: { ...BASE, nodes: { iris1: { labels: EXCLUDED } } },
    reason: "nodeLabeledExcludeBalancers",
  },
  {
    name: "the exclusion label and NetworkUnavailable: the network comes first",
    row: { ...BASE, nodes: { iris1: { labels: EXCLUDED, networkUnavailable: true } } },
    reason: "nodeNetworkUnavailable",
  },
  { name: "no Node object for this node", row: { ...BASE, nodes: { iris2: {} } }, reason: undefined },
  {
    name: "ETP Local, endpoint elsewhere",
    row: service({ policy: "Local", endpoints: ["iris2"] }),
    reason: "noLocalEndpoints",
  },
  {
    name: "ETP Local, no endpoint at all",
    row: service({ policy: "Local", endpoints: [] }),
    reason: "noLocalEndpoints",
  },
  {
    name: "ETP Local, new endpoint here",
    row: service({ policy: "Local", endpoints: ["iris2", "iris1"] }),
    reason: undefined,
  },
  {
    name: "ETP Local, some unready on our node",
    row: service({ policy: "Local", endpoints: ["iris1 notReady", "iris1"] }),
    reason: undefined,
  },
  {
    name: "ETP Local, all unready on our node",
    row: service({ policy: "Local", endpoints: ["iris1 notReady", "iris2"] }),
    reason: "noLocalEndpoints",
  },
  { name: "endpoint list is empty", row: service({ endpoints: [] }), reason: "noEndpoints" },
  {
    name: "only unhealthy",
    row: service({ endpoints: ["iris1 notReady", "iris2 notReadyUnset"] }),
    reason: "noEndpoints",
  },
  { name: "some unhealthy", row: service({ endpoints: ["iris1 notReady", "iris2"] }), reason: undefined },
  { name: "serving, not ready", row: service({ endpoints: ["iris1 serving"] }), reason: undefined },
  { name: "ready, not serving", row: service({ endpoints: ["iris1 readyNotServing"] }), reason: undefined },
  { name: "ready unset, not serving", row: service({ endpoints: ["iris1 unsetNotServing"] }), reason: undefined },
  { name: "both unset", row: service({ endpoints: ["iris2 unset"] }), reason: undefined },
];

describe("a node announces a Service by BGP, or says why not", () => {
  for (const { name, row, reason } of rows) {
    test(name, () => {
      const desired = announcedBy(row);
      assert.deepEqual(reasons(desired), reason === undefined ? {} : { "default/web": reason });
      assert.equal((said(desired)["peer"] ?? []).length > 0, reason === undefined);
    });
  }

  test("a Service that may span pools is judged address by address", () => {
    const annotations = { "fairlead.io/dual-stack-pools": "span" };
    const pools = { four: { addresses: ["192.0.2.0/28"] }, six: { addresses: ["2001:db8::/124"] } };
    const peers = { peer: goodPeer({ dualStackAddressFamily: true }) };
    const spanning = { ...service({ ips: [IP, "2001:db8::1"], annotations }), pools, peers };
    const prefixes = (row: AnnounceRow): readonly string[] =>
      (said(announcedBy(row))["peer"] ?? []).map((route) => route.split(" ")[0] ?? "");
    assert.deepEqual(prefixes(spanning), ["192.0.2.1/32", "2001:db8::1/128"]);
    assert.deepEqual(prefixes({ ...spanning, ads: { ad: { ipAddressPools: ["six"] } } }), ["2001:db8::1/128"]);
    const neither = { ...spanning, ads: { ad: { ipAddressPools: ["other"] } } };
    assert.deepEqual(reasons(announcedBy(neither)), { "default/web": "notOwner" });
  });
  test("a Service that is not an LB is not judged", () => {
    assert.equal(announcedBy(service({ type: "ClusterIP" })).verdicts.size, 0);
  });
  test("the ignore flag overrules the exclusion label, and so does leaving: then the speaker says that others are to be preferred", () => {
    const labeled = { ...BASE, nodes: { iris1: { labels: EXCLUDED } } };
    assert.deepEqual(reasons(announcedBy(labeled, { ignoreExcludeLabel: true })), {});
    assert.deepEqual(reasons(announcedBy(labeled, { leaving: true })), {});
  });
  test("a drained node announces while it leaves, then nothing, whatever the ignore flag says", () => {
    assert.deepEqual(reasons(announcedBy(BASE, { draining: true, leaving: true })), {});
    const gone = announcedBy(BASE, { draining: true, ignoreExcludeLabel: true });
    assert.deepEqual(reasons(gone), { "default/web": "nodeDraining" });
  });
  test("a Service that is not in the tables is not announced, for the reason that comes first", () => {
    const unforwarded = new Set(["default/web"]);
    assert.deepEqual(reasons(announcedBy(BASE, { unforwarded })), { "default/web": "notForwarded" });
    assert.deepEqual(reasons(announcedBy({ ...BASE, ads: {} }, { unforwarded })), { "default/web": "notOwner" });
  });
});
