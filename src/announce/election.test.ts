import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { endpointSliceSchema, SERVICE_NAME_LABEL, serviceSchema, type EndpointSlice } from "../service/objects.ts";
import {
  ad,
  elect,
  EXCLUDED,
  LOCAL,
  node,
  onNode,
  outcome,
  pool,
  service,
  sha256,
  slice,
  web,
  world,
  type Shape,
} from "./cluster.fixture.ts";
import { announcementsOf, electAddresses } from "./announcements.ts";
import { electAnnouncers, type Election, emptyElectionMemo } from "./election.ts";

describe("the order of nodes", () => {
  /** MetalLB's, by SHA-256 of `node#address`. */
  const vectors = [
    { ip: "10.0.0.1", order: ["node-b", "node-a", "node-c"] },
    { ip: "10.0.0.2", order: ["node-b", "node-c", "node-a"] },
    { ip: "10.20.30.1", order: ["iris2", "iris1"] },
    { ip: "10.20.30.2", order: ["iris1", "iris2"] },
    { ip: "192.168.10.1", order: ["iris2", "node-c", "iris1", "node-b", "node-a"] },
    { ip: "2001:db8::1", order: ["node-b", "node-a", "iris2", "iris1", "node-c"] },
    { ip: "fc00::1", order: ["node-b", "iris2", "node-c", "node-a", "iris1"] },
  ];
  for (const { ip, order } of vectors) {
    test(`for ${ip} is ${order.join(", ")}`, () => {
      const elected = order.map((_, index) =>
        outcome(
          web({
            ip,
            nodes: order.toSorted().map((name) => node(name)),
            slices: [slice("web", { x: null })],
            alive: order.slice(index),
          }),
        ),
      );
      assert.deepEqual(elected, order);
    });
  }

  const prefixes = [
    { text: "iris2#10.20.30.1", start: "af6cb4e7605814d2" },
    { text: "iris1#10.20.30.1", start: "e42ad61a4159fa2d" },
    { text: "node-a#2001:db8::1", start: "3c9f88a7e2ef52a1" },
  ];
  for (const { text, start } of prefixes) {
    test(`starts from the SHA-256 of ${text}`, () =>
      assert.equal(Buffer.from(sha256(text)).toString("hex").slice(0, 16), start));
  }

  test("is that of the canonical text, however the status spells the address", () => {
    const spelled = web({ ip: "2001:0DB8:0:0::1", nodes: ["node-a", "node-b", "node-c"].map((name) => node(name)) });
    assert.equal(outcome(spelled), "node-b");
  });

  test("is that of the first address for all addresses of a Service", () => {
    const both = (ips: readonly string[]): Shape => ({ ...web({}), services: [service("web", ips)] });
    assert.equal(outcome(both(["10.20.30.1", "10.20.30.2"])), "iris2");
    assert.equal(outcome(both(["10.20.30.2", "10.20.30.1"])), "iris1");
  });

  test("is decided by the rest of the hash where 32 bits are equal", () => {
    const constant = (rest: number) => Uint8Array.of(1, 2, 3, 4, rest, 0);
    const hash = (text: string): Uint8Array => constant(text.startsWith("iris1") ? 9 : 7);
    const elected = electAnnouncers(world(web({})), { alive: new Set(["iris1", "iris2"]) }, hash);
    assert.equal(elected.get("default/web")?.announcer, "iris2");
  });
});

describe("a Service is announced by", () => {
  const rows: { name: string; shape: Shape; outcome: string }[] = [
    { name: "the first node by hash", shape: web({}), outcome: "iris2" },
    { name: "the other for the other address", shape: web({ ip: "10.20.30.2" }), outcome: "iris1" },
    {
      name: "a node without endpoints, policy Cluster",
      shape: web({ slices: [slice("web", { elsewhere: null })] }),
      outcome: "iris2",
    },
    {
      name: "a node with endpoints, policy Local",
      shape: web({ spec: LOCAL, slices: [slice("web", { iris1: null })] }),
      outcome: "iris1",
    },
    {
      name: "the node whose endpoint is ready, policy Local",
      shape: web({ spec: LOCAL, slices: [slice("web", { iris1: null, iris2: { ready: false } })] }),
      outcome: "iris1",
    },
    {
      name: "a node whose endpoint still serves, policy Local",
      shape: web({
        spec: LOCAL,
        slices: [slice("web", { iris2: { ready: false, serving: true, terminating: true } })],
      }),
      outcome: "iris2",
    },
    {
      name: "a node whose endpoint says nothing, policy Local",
      shape: web({ spec: LOCAL, slices: [slice("web", { iris2: {} })] }),
      outcome: "iris2",
    },
    {
      name: "the first by hash, however many endpoints the other has",
      shape: web({
        spec: LOCAL,
        slices: [
          slice("web", { iris1: null, iris2: null }),
          endpointSliceSchema.parse({
            ...slice("web", { iris1: null }),
            metadata: { name: "more", labels: { [SERVICE_NAME_LABEL]: "web" } },
          }),
        ],
      }),
      outcome: "iris2",
    },
    { name: "the only node of the advertisement", shape: web({ ads: [ad(onNode("iris1"))] }), outcome: "iris1" },
    {
      name: "a node of any of the advertisements",
      shape: web({ ads: [ad(onNode("iris1"), "a"), ad(onNode("iris2"), "b")] }),
      outcome: "iris2",
    },
    {
      name: "a node any selector of the advertisement selects",
      shape: web({
        ads: [ad({ nodeSelectors: [{ matchLabels: { name: "nobody" } }, { matchLabels: { name: "iris1" } }] })],
      }),
      outcome: "iris1",
    },
    { name: "the node that is alive", shape: web({ alive: ["iris1"] }), outcome: "iris1" },
    {
      name: "the node that is not excluded",
      shape: web({ nodes: [node("iris1"), node("iris2", EXCLUDED)] }),
      outcome: "iris1",
    },
    {
      name: "an excluded node where the label is to be ignored",
      shape: web({ nodes: [node("iris1"), node("iris2", EXCLUDED)], ignoreExcludeLabel: true }),
      outcome: "iris2",
    },
    {
      name: "the node that has a network",
      shape: web({ nodes: [node("iris1"), node("iris2", {}, [{ type: "NetworkUnavailable", status: "True" }])] }),
      outcome: "iris1",
    },
    {
      name: "a node whose network is not known to be away",
      shape: web({ nodes: [node("iris1"), node("iris2", {}, [{ type: "NetworkUnavailable", status: "Unknown" }])] }),
      outcome: "iris2",
    },
    {
      name: "a node that is not Ready or cordoned: its Service may be",
      shape: web({ nodes: [node("iris1"), node("iris2", {}, [{ type: "Ready", status: "False" }])] }),
      outcome: "iris2",
    },
    {
      name: "the preferred node",
      shape: web({
        ads: [ad({ preferredNodeSelectors: [{ weight: 1, preference: { matchLabels: { name: "iris1" } } }] })],
      }),
      outcome: "iris1",
    },
    {
      name: "the node with the greater sum of weights",
      shape: web({
        nodes: [node("iris1", { edge: "", fast: "" }), node("iris2", { best: "" })],
        ads: [
          ad({
            preferredNodeSelectors: [
              { weight: 30, preference: { matchLabels: { edge: "" } } },
              { weight: 30, preference: { matchLabels: { fast: "" } } },
              { weight: 50, preference: { matchLabels: { best: "" } } },
            ],
          }),
        ],
      }),
      outcome: "iris1",
    },
    {
      name: "the node preferred by two advertisements together",
      shape: web({
        ads: [
          ad({ preferredNodeSelectors: [{ weight: 40, preference: { matchLabels: { name: "iris1" } } }] }, "a"),
          ad({ preferredNodeSelectors: [{ weight: 40, preference: { matchLabels: { name: "iris1" } } }] }, "b"),
          ad({ preferredNodeSelectors: [{ weight: 70, preference: { matchLabels: { name: "iris2" } } }] }, "c"),
        ],
      }),
      outcome: "iris1",
    },
    {
      name: "the hash among nodes of equal preference",
      shape: web({ ads: [ad({ preferredNodeSelectors: [{ weight: 9, preference: {} }] })] }),
      outcome: "iris2",
    },
    {
      name: "another when the preferred has no endpoint, policy Local",
      shape: web({
        spec: LOCAL,
        slices: [slice("web", { iris2: null })],
        ads: [ad({ preferredNodeSelectors: [{ weight: 1, preference: { matchLabels: { name: "iris1" } } }] })],
      }),
      outcome: "iris2",
    },
    {
      name: "another when the preferred is gone",
      shape: web({
        alive: ["iris2"],
        ads: [ad({ preferredNodeSelectors: [{ weight: 100, preference: { matchLabels: { name: "iris1" } } }] })],
      }),
      outcome: "iris2",
    },
    {
      name: "a node of an advertisement for its pool by name",
      shape: web({ ads: [ad({ ipAddressPools: ["all"] })] }),
      outcome: "iris2",
    },
    {
      name: "a node of an advertisement for its pool by label",
      shape: web({
        pools: [pool("all", ["10.0.0.0/8"], { zone: "a" })],
        ads: [ad({ ipAddressPoolSelectors: [{ matchLabels: { zone: "a" } }] })],
      }),
      outcome: "iris2",
    },
    {
      name: "a node of an advertisement that names another pool and selects its own",
      shape: web({
        pools: [pool("all", ["10.0.0.0/8"], { zone: "a" })],
        ads: [ad({ ipAddressPools: ["other"], ipAddressPoolSelectors: [{ matchLabels: { zone: "a" } }] })],
      }),
      outcome: "iris2",
    },
    {
      name: "a node of an advertisement that selects it",
      shape: web({
        spec: { labels: { app: "x" } },
        ads: [ad({ serviceSelectors: [{ matchLabels: { app: "y" } }, { matchLabels: { app: "x" } }] })],
      }),
      outcome: "iris2",
    },
    {
      name: "a node though its pool has a problem: what was assigned stays",
      shape: web({ pools: [pool("all", ["10.0.0.0/8", "nonsense"])] }),
      outcome: "iris2",
    },
    {
      name: "a node with a shared address, where no advertisement selects Services",
      shape: web({ spec: { annotations: { "metallb.io/allow-shared-ip": "k" } } }),
      outcome: "iris2",
    },
    // edge-a is preferred by an advertisement that covers the edge only; worker-a by one that does not concern the Service.
    {
      name: "one node for all, with advertisements of different nodes and preferences",
      shape: web({
        nodes: [node("edge-a", { edge: "" }), node("edge-b", { edge: "" }), node("worker-a"), node("worker-b")],
        ads: [
          ad(
            {
              nodeSelectors: [{ matchLabels: { edge: "" } }],
              preferredNodeSelectors: [{ weight: 100, preference: { matchLabels: { name: "edge-a" } } }],
            },
            "edge",
          ),
          ad({}, "everywhere"),
          ad(
            {
              ipAddressPools: ["other"],
              preferredNodeSelectors: [{ weight: 100, preference: { matchLabels: { name: "worker-a" } } }],
            },
            "other",
          ),
        ],
      }),
      outcome: "edge-a",
    },
  ];
  for (const row of rows) test(row.name, () => assert.equal(outcome(row.shape), row.outcome));
});

describe("a Service is announced by nobody:", () => {
  const selects = { serviceSelectors: [{ matchLabels: { app: "x" } }] };
  const rows: { name: string; shape: Shape; reason: string }[] = [
    {
      name: "another load balancer's class, though its address is of a pool",
      shape: { ...web({}), services: [service("web", ["10.20.30.1"], { loadBalancerClass: "other.io/lb" })] },
      reason: "otherClass",
    },
    { name: "it has no address", shape: { ...web({}), services: [service("web", [])] }, reason: "noAddress" },
    { name: "its address is none", shape: web({ ip: "10.20.30.400" }), reason: "invalidIP" },
    {
      name: "one of its addresses is none",
      shape: { ...web({}), services: [service("web", ["10.20.30.1", "lb"])] },
      reason: "invalidIP",
    },
    {
      name: "its address is a host name",
      shape: {
        ...web({}),
        services: [
          serviceSchema.parse({
            ...service("web", []),
            status: { loadBalancer: { ingress: [{ hostname: "lb.example" }] } },
          }),
        ],
      },
      reason: "invalidIP",
    },
    { name: "there is no pool", shape: web({ pools: [] }), reason: "ipNotAllowed" },
    {
      name: "its address lies in no pool",
      shape: web({ pools: [pool("p", ["192.168.0.0/16"])] }),
      reason: "ipNotAllowed",
    },
    {
      name: "its addresses lie in different pools",
      shape: {
        ...web({ pools: [pool("a", ["10.0.0.0/8"]), pool("b", ["fc00::/8"])] }),
        services: [service("web", ["10.0.0.1", "fc00::1"])],
      },
      reason: "ipNotAllowed",
    },
    {
      name: "one of its addresses lies in no pool",
      shape: { ...web({ pools: [pool("a", ["10.0.0.0/8"])] }), services: [service("web", ["10.0.0.1", "fc00::1"])] },
      reason: "ipNotAllowed",
    },
    { name: "it has no slices", shape: web({ slices: [] }), reason: "noEndpoints" },
    { name: "it has no endpoints", shape: web({ slices: [slice("web", {})] }), reason: "noEndpoints" },
    {
      name: "its endpoints are not ready, policy Cluster too",
      shape: web({ slices: [slice("web", { iris1: { ready: false }, iris2: { ready: false, serving: false } })] }),
      reason: "noEndpoints",
    },
    {
      name: "only another Service has endpoints",
      shape: web({ slices: [slice("web2", { iris1: null })] }),
      reason: "noEndpoints",
    },
    { name: "there is no advertisement", shape: web({ ads: [] }), reason: "noMatchingAdvertisement" },
    {
      name: "the advertisement is for another pool by name",
      shape: web({ ads: [ad({ ipAddressPools: ["other"] })] }),
      reason: "noMatchingAdvertisement",
    },
    {
      name: "the advertisement is for another pool by label",
      shape: web({ ads: [ad({ ipAddressPoolSelectors: [{ matchLabels: { zone: "a" } }] })] }),
      reason: "noMatchingAdvertisement",
    },
    {
      name: "the advertisement is for other Services",
      shape: web({ spec: { labels: { app: "z" } }, ads: [ad(selects)] }),
      reason: "noMatchingAdvertisement",
    },
    {
      name: "the advertisement covers no node",
      shape: web({ ads: [ad(onNode("nobody"))] }),
      reason: "noMatchingAdvertisement",
    },
    {
      name: "the advertisement that is for it covers no node, the one that covers nodes is not for it",
      shape: web({ ads: [ad(onNode("nobody"), "a"), ad({ ipAddressPools: ["other"] }, "b")] }),
      reason: "noMatchingAdvertisement",
    },
    {
      name: "it may share its address, and an advertisement selects Services",
      shape: web({
        spec: { labels: { app: "x" }, annotations: { "metallb.io/allow-shared-ip": "k" } },
        ads: [ad(selects)],
      }),
      reason: "sharedIPWithServiceSelector",
    },
    {
      name: "the same with the old prefix and an empty value",
      shape: web({
        spec: { labels: { app: "x" }, annotations: { "metallb.universe.tf/allow-shared-ip": "" } },
        ads: [ad({}, "all"), ad(selects)],
      }),
      reason: "sharedIPWithServiceSelector",
    },
    { name: "no node is alive", shape: web({ alive: [] }), reason: "noEligibleNode" },
    {
      name: "the members alive are no nodes of the cluster",
      shape: web({ alive: ["stranger"] }),
      reason: "noEligibleNode",
    },
    {
      name: "the only node covered is gone",
      shape: web({ ads: [ad(onNode("iris1"))], alive: ["iris2"] }),
      reason: "noEligibleNode",
    },
    {
      name: "all nodes are excluded",
      shape: web({ nodes: [node("iris1", EXCLUDED), node("iris2", EXCLUDED)] }),
      reason: "noEligibleNode",
    },
    {
      name: "policy Local, and the endpoints are where the advertisement is not",
      shape: web({ spec: LOCAL, slices: [slice("web", { iris2: null })], ads: [ad(onNode("iris1"))] }),
      reason: "noEligibleNode",
    },
    {
      name: "policy Local, and the endpoints' node is gone",
      shape: web({ spec: LOCAL, slices: [slice("web", { iris2: null })], alive: ["iris1"] }),
      reason: "noEligibleNode",
    },
    {
      name: "policy Local, and nobody knows where the endpoints are",
      shape: web({
        spec: LOCAL,
        slices: [endpointSliceSchema.parse({ ...slice("web", {}), endpoints: [{ addresses: ["10.244.0.1"] }] })],
      }),
      reason: "noEligibleNode",
    },
  ];
  for (const row of rows) test(`${row.name} (${row.reason})`, () => assert.equal(outcome(row.shape), row.reason));

  test("it is of another type, and not even listed", () => {
    assert.deepEqual(
      [...elect({ ...web({}), services: [service("web", ["10.20.30.1"], { type: "ClusterIP" })] }).keys()],
      [],
    );
  });
});

describe("a Service that may have addresses of two pools", () => {
  const SPANS = { annotations: { "fairlead.io/dual-stack-pools": "span" } };
  const pools = [pool("four", ["10.0.0.0/8"]), pool("six", ["fc00::/8"])];
  const shape = (ads: Shape["ads"], spec = SPANS, ips = ["10.20.30.1", "fc00::1"]): Shape => ({
    ...web({ pools, ads: ads ?? [] }),
    services: [service("web", ips, spec)],
  });
  const announcing = (made: Shape): readonly string[] => {
    const addresses = electAddresses(elect(made));
    return [...addresses].map(([text, { announcer }]) => `${text} ${announcer}`).toSorted();
  };

  test("is announced address by address, each by the advertisements of its pool", () => {
    const ads = [
      ad({ ipAddressPools: ["four"], ...onNode("iris1") }, "a"),
      ad({ ipAddressPools: ["six"], ...onNode("iris2"), interfaces: ["eth1"] }, "b"),
    ];
    assert.deepEqual(announcing(shape(ads)), ["10.20.30.1 iris1", "fc00::1 iris2"]);
    const [six] = announcementsOf("iris2", electAddresses(elect(shape(ads))));
    assert.deepEqual(six?.interfaces, ["eth1"]);
  });

  test("has one address announced where only that one's pool is advertised", () => {
    assert.deepEqual(announcing(shape([ad({ ipAddressPools: ["six"] })])), ["fc00::1 iris2"]);
  });

  test("has the reason of its first address where none is announced", () => {
    assert.equal(outcome(shape([])), "noMatchingAdvertisement");
    assert.equal(outcome(shape([ad()], SPANS, ["10.20.30.1", "192.0.2.1"])), "ipNotAllowed");
  });

  test("without the annotation is announced by nobody, as ever", () => {
    assert.equal(outcome(shape([ad()], { annotations: { "fairlead.io/dual-stack-pools": "no" } })), "ipNotAllowed");
  });

  test("with both addresses in one pool is announced by one node", () => {
    const one = { ...shape([ad()]), pools: [pool("both", ["10.0.0.0/8", "fc00::/8"])] };
    assert.deepEqual(announcing(one), ["10.20.30.1 iris2", "fc00::1 iris2"]);
  });
});

describe("the interfaces of an announcement", () => {
  const rows = [
    { name: "are all without a list", ads: [ad()], interfaces: "all" },
    {
      name: "are those of the list, sorted, once each",
      ads: [ad({ interfaces: ["eth1", "eth0", "eth1"] })],
      interfaces: ["eth0", "eth1"],
    },
    {
      name: "are those of all advertisements together",
      ads: [ad({ interfaces: ["eth1"] }, "a"), ad({ interfaces: ["eth0"] }, "b")],
      interfaces: ["eth0", "eth1"],
    },
    {
      name: "are all where one advertisement has no list",
      ads: [ad({ interfaces: ["eth1"] }, "a"), ad({}, "b")],
      interfaces: "all",
    },
    {
      name: "are those of the advertisements that cover the announcer",
      ads: [ad({ interfaces: ["eth1"] }, "a"), ad({ ...onNode("iris1") }, "b")],
      interfaces: ["eth1"],
    },
    {
      name: "are those of the advertisements for its pool",
      ads: [ad({ interfaces: ["eth1"] }, "a"), ad({ ipAddressPools: ["other"], interfaces: ["eth2"] }, "b")],
      interfaces: ["eth1"],
    },
  ];
  for (const row of rows) {
    test(row.name, () => {
      const election = elect(web({ ads: row.ads })).get("default/web");
      assert.ok(election?.announcer !== undefined);
      assert.deepEqual([election.announcer, election.interfaces], ["iris2", row.interfaces]);
    });
  }
});

describe("elections", () => {
  const names = ["n1", "n2", "n3", "n4"];
  const alive = fc.subarray(names);

  test("do not move a Service when somebody else goes or comes back", () => {
    const services = Array.from({ length: 20 }, (_, index) => service(`s${index}`, [`10.0.0.${index}`]));
    const slices = services.map(({ metadata }) => slice(metadata.name, { n1: null }));
    const nodes = names.map((name) => node(name));
    fc.assert(
      fc.property(alive, alive, (before, after) => {
        const then = elect({ nodes, services, slices, alive: before });
        const now = elect({ nodes, services, slices, alive: after });
        for (const [key, { announcer }] of now) {
          const old = then.get(key)?.announcer;
          if (old === undefined || announcer === old) continue;
          assert.ok(
            !after.includes(old) || !before.includes(announcer ?? ""),
            `${key} moved from ${old} to ${announcer} though both were there all the time`,
          );
        }
      }),
    );
  });

  test("are the same with a memo, whatever happened before", () => {
    const memo = emptyElectionMemo();
    const nodes = names.map((name) => node(name));
    const services = fc.subarray([1, 2, 3]).map((list) => list.map((n) => service(`s${n}`, [`10.0.0.${n}`])));
    const slices = fc.subarray([1, 2, 3]).map((list) => list.map((n) => slice(`s${n}`, { n1: null })));
    const ads = fc.constantFrom([ad()], [], [ad(onNode("n2"))]);
    fc.assert(
      fc.property(
        alive,
        services,
        slices,
        ads,
        fc.boolean(),
        fc.option(alive, { nil: undefined }),
        (members, someServices, someSlices, someAds, ignoreExcludeLabel, before) => {
          const shape = {
            nodes,
            services: someServices,
            slices: someSlices,
            ads: someAds,
            alive: members,
            ignoreExcludeLabel,
            ...(before === undefined ? {} : { away: { n2: before } }),
          };
          assert.deepEqual(elect(shape, memo), elect(shape));
        },
      ),
    );
  });

  test("keep their identity with a memo when nothing about them changed", () => {
    const memo = emptyElectionMemo();
    const shape = {
      ...web({}),
      services: [service("web", ["10.20.30.1"]), service("other", ["10.20.30.2"])],
      ads: [ad()],
      pools: [],
    };
    const pools = world({}).ipAddressPools;
    const run = (slices: readonly EndpointSlice[]): ReadonlyMap<string, Election> =>
      electAnnouncers(
        { ...world({ ...shape, slices }), ipAddressPools: pools },
        { alive: new Set(["iris1"]) },
        sha256,
        memo,
      );
    const kept = slice("other", { iris1: null });
    const first = run([slice("web", { iris1: null }), kept]);
    const second = run([slice("web", { iris1: { ready: false } }), kept]);
    assert.equal(second.get("default/other"), first.get("default/other"));
    assert.equal(second.get("default/web")?.reason, "noEndpoints");
  });
});
