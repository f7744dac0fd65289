/** The rows of MetalLB's own tests of its layer-2 controller, by their names there, on the same two nodes. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { endpointSliceSchema, SERVICE_NAME_LABEL, type EndpointSlice } from "../service/objects.ts";
import { announcementsOf, electAddresses } from "./announcements.ts";
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
} from "./cluster.fixture.ts";
import { electAnnouncers, emptyElectionMemo } from "./election.ts";
import { surveyElection } from "./survey.ts";

interface Row {
  readonly name: string;
  readonly shape: Parameters<typeof web>[0];
  readonly outcome: string;
}

function run(rows: readonly Row[]): void {
  for (const row of rows) test(row.name, () => assert.equal(outcome(web(row.shape)), row.outcome));
}

/** Endpoints as `node: ready`, one after the other; a node may have several. */
function endpoints(...list: readonly (readonly [node: string, conditions: object])[]): readonly EndpointSlice[] {
  const made = endpointSliceSchema.parse({
    metadata: { name: "web", labels: { [SERVICE_NAME_LABEL]: "web" } },
    addressType: "IPv4",
    endpoints: list.map(([nodeName, conditions], index) => ({
      addresses: [`10.244.0.${index + 1}`],
      nodeName,
      conditions,
    })),
  });
  return [made];
}

const READY = { ready: true };
const UNREADY = { ready: false };
const labelled = (labels: object, annotations: object = {}): Parameters<typeof service>[2] => ({ labels, annotations });
const FOO = [{ matchLabels: { app: "foo" } }];
const BAR = [{ matchLabels: { app: "bar" } }];

describe("ShouldAnnounce", () => {
  run([
    {
      name: "one service, Local, endpoint on iris1: c1 announces",
      shape: { spec: LOCAL, slices: endpoints(["iris1", READY]) },
      outcome: "iris1",
    },
    {
      name: "neither endpoint ready: nobody",
      shape: { slices: endpoints(["iris1", UNREADY], ["iris2", UNREADY]) },
      outcome: "noEndpoints",
    },
    {
      name: "endpoints on both, 10.20.30.1: c2 by hash",
      shape: { spec: LOCAL, slices: endpoints(["iris1", READY], ["iris2", READY]) },
      outcome: "iris2",
    },
    {
      name: "endpoints on both, c2's unready: c1",
      shape: { spec: LOCAL, slices: endpoints(["iris1", READY], ["iris2", UNREADY]) },
      outcome: "iris1",
    },
    {
      name: "three endpoints, two on one host, all ready: the hash decides, not the number",
      shape: { spec: LOCAL, slices: endpoints(["iris1", READY], ["iris1", READY], ["iris2", READY]) },
      outcome: "iris2",
    },
    {
      name: "three endpoints, two on one host, one of them unready: still the hash",
      shape: { spec: LOCAL, slices: endpoints(["iris2", UNREADY], ["iris2", READY], ["iris1", READY]) },
      outcome: "iris2",
    },
    {
      name: "three endpoints, two on one host, both of them unready: the other host",
      shape: { spec: LOCAL, slices: endpoints(["iris2", UNREADY], ["iris2", UNREADY], ["iris1", READY]) },
      outcome: "iris1",
    },
    { name: "advertisement restricted to iris1: c1", shape: { ads: [ad(onNode("iris1"))] }, outcome: "iris1" },
    {
      name: "advertisement restricted to iris2: c2",
      shape: { ip: "10.20.30.2", ads: [ad(onNode("iris2"))] },
      outcome: "iris2",
    },
    {
      name: "advertisements of both, split: c2 by hash",
      shape: { ads: [ad(onNode("iris1"), "a"), ad(onNode("iris2"), "b")] },
      outcome: "iris2",
    },
    {
      name: "Local, endpoint outside the advertisement: nobody",
      shape: { spec: LOCAL, slices: endpoints(["iris2", READY]), ads: [ad(onNode("iris1"))] },
      outcome: "noEligibleNode",
    },
    {
      name: "exclusion label on iris2: c1",
      shape: { nodes: [node("iris1"), node("iris2", EXCLUDED)] },
      outcome: "iris1",
    },
    {
      name: "exclusion label on both: nobody",
      shape: { nodes: [node("iris1", EXCLUDED), node("iris2", EXCLUDED)] },
      outcome: "noEligibleNode",
    },
    {
      name: "exclusion label on both, ignored, Local endpoint on iris1: c1",
      shape: {
        spec: LOCAL,
        slices: endpoints(["iris1", READY]),
        nodes: [node("iris1", EXCLUDED), node("iris2", EXCLUDED)],
        ignoreExcludeLabel: true,
      },
      outcome: "iris1",
    },
    {
      name: "no advertisement for service and node: noMatchingAdvertisement",
      shape: { ads: [ad({ ...onNode("nobody") })] },
      outcome: "noMatchingAdvertisement",
    },
    {
      name: "preferred node wins",
      shape: {
        ads: [ad({ preferredNodeSelectors: [{ weight: 10, preference: { matchLabels: { name: "iris1" } } }] })],
      },
      outcome: "iris1",
    },
    {
      name: "Local drops a preferred node without endpoint",
      shape: {
        spec: LOCAL,
        slices: endpoints(["iris2", READY]),
        ads: [ad({ preferredNodeSelectors: [{ weight: 10, preference: { matchLabels: { name: "iris1" } } }] })],
      },
      outcome: "iris2",
    },
    {
      name: "preferred failover: the next best when the preferred leaves",
      shape: {
        alive: ["iris1"],
        ads: [ad({ preferredNodeSelectors: [{ weight: 10, preference: { matchLabels: { name: "iris2" } } }] })],
      },
      outcome: "iris1",
    },
  ]);

  test("two services 10.20.30.1 and .2, endpoints on both: c2 and c1", () => {
    const elections = elect({
      ...web({}),
      services: [service("web", ["10.20.30.1"]), service("two", ["10.20.30.2"])],
      slices: ["web", "two"].map((name) => slice(name, { iris1: null, iris2: null })),
    });
    assert.deepEqual([...elections].map(([key, { announcer }]) => `${key} ${announcer}`).toSorted(), [
      "default/two iris1",
      "default/web iris2",
    ]);
  });

  for (const where of ["iris1", "iris2", "elsewhere"])
    test(`ClusterPolicy, endpoint on ${where}: exactly one announces`, () =>
      assert.equal(outcome(web({ slices: endpoints([where, READY]) })), "iris2"));
});

describe("L2 preferred", () => {
  const preferring = (weight: number, name: string): object => ({
    preferredNodeSelectors: [{ weight, preference: { matchLabels: { name } } }],
  });
  const three = ["iris1", "iris2", "iris3"].map((name) => node(name));
  run([
    {
      name: "behave like baseline when no node matches",
      shape: { ads: [ad(preferring(100, "nobody"))] },
      outcome: "iris2",
    },
    {
      name: "behave like baseline with match-all",
      shape: { ads: [ad({ preferredNodeSelectors: [{ weight: 100, preference: {} }] })] },
      outcome: "iris2",
    },
    {
      name: "nodeSelectors are a hard filter, preferences order the eligible",
      shape: {
        nodes: three,
        ads: [
          ad({
            nodeSelectors: [{ matchLabels: { name: "iris1" } }, { matchLabels: { name: "iris3" } }],
            ...preferring(50, "iris1"),
          }),
        ],
      },
      outcome: "iris1",
    },
    {
      name: "announce from the nodeSelectors set when it is disjoint from the preferences",
      shape: { ads: [ad({ ...onNode("iris1"), ...preferring(100, "iris2") })] },
      outcome: "iris1",
    },
    {
      name: "sum weights across several L2Advertisements",
      shape: {
        ads: [ad(preferring(40, "iris1"), "a"), ad(preferring(40, "iris1"), "b"), ad(preferring(70, "iris2"), "c")],
      },
      outcome: "iris1",
    },
    {
      name: "scope preferences to services matching serviceSelectors: selected",
      shape: {
        spec: labelled({ app: "foo" }),
        ads: [ad({}, "a"), ad({ serviceSelectors: FOO, ...preferring(9, "iris1") }, "b")],
      },
      outcome: "iris1",
    },
    {
      name: "scope preferences to services matching serviceSelectors: not selected",
      shape: {
        spec: labelled({ app: "bar" }),
        ads: [ad({}, "a"), ad({ serviceSelectors: FOO, ...preferring(9, "iris1") }, "b")],
      },
      outcome: "iris2",
    },
    {
      name: "labelled node preferred: the label of a preference wins",
      shape: {
        nodes: [node("iris1", { edge: "" }), node("iris2")],
        ads: [ad({ preferredNodeSelectors: [{ weight: 100, preference: { matchLabels: { edge: "" } } }] })],
      },
      outcome: "iris1",
    },
    {
      name: "labelled node preferred, falls back when the label is removed",
      shape: {
        nodes: [node("iris1"), node("iris2")],
        ads: [ad({ preferredNodeSelectors: [{ weight: 100, preference: { matchLabels: { edge: "" } } }] })],
      },
      outcome: "iris2",
    },
    {
      name: "fail over when the preferred node is excluded",
      shape: { nodes: [node("iris1", EXCLUDED), node("iris2")], ads: [ad(preferring(100, "iris1"))] },
      outcome: "iris2",
    },
  ]);
});

describe("UsableNodes", () => {
  const rows: { name: string; slices: readonly EndpointSlice[]; usable: readonly string[] }[] = [
    {
      name: "two endpoints on two hosts",
      slices: endpoints(["iris1", READY], ["iris2", READY]),
      usable: ["iris1", "iris2"],
    },
    {
      name: "two endpoints on two hosts, in two slices",
      slices: [...endpoints(["iris1", READY]), ...endpoints(["iris2", READY])],
      usable: ["iris1", "iris2"],
    },
    {
      name: "two endpoints on the same host",
      slices: endpoints(["iris1", READY], ["iris1", READY]),
      usable: ["iris1"],
    },
    { name: "the same host, one unready", slices: endpoints(["iris1", READY], ["iris1", UNREADY]), usable: ["iris1"] },
    {
      name: "unready but serving",
      slices: endpoints(["iris1", READY], ["iris2", { ready: false, serving: true }]),
      usable: ["iris1", "iris2"],
    },
    {
      name: "ready but not serving",
      slices: endpoints(["iris1", READY], ["iris2", { ready: true, serving: false }]),
      usable: ["iris1", "iris2"],
    },
  ];
  for (const { name, slices, usable } of rows)
    test(name, () => {
      const shape = web({
        spec: LOCAL,
        slices: slices.map((each, index) => ({ ...each, metadata: { ...each.metadata, name: `s${index}` } })),
      });
      const members = { alive: new Set(["iris1", "iris2"]) };
      const { nodes } = surveyElection("default/web", world(shape), members, sha256);
      const found = nodes.filter((each) => !each.lacksEndpoint).map((each) => each.name);
      assert.deepEqual(found.toSorted(), usable);
    });
});

describe("service selectors", () => {
  run([
    { name: "empty: every service", shape: { ads: [ad({ serviceSelectors: [] })] }, outcome: "iris2" },
    {
      name: "match",
      shape: { spec: labelled({ app: "foo" }), ads: [ad({ serviceSelectors: FOO })] },
      outcome: "iris2",
    },
    {
      name: "mismatch",
      shape: { spec: labelled({ app: "foo" }), ads: [ad({ serviceSelectors: BAR })] },
      outcome: "noMatchingAdvertisement",
    },
    {
      name: "OR of several",
      shape: { spec: labelled({ app: "foo" }), ads: [ad({ serviceSelectors: [...BAR, ...FOO] })] },
      outcome: "iris2",
    },
    {
      name: "filter the candidates: svc-foo to iris1",
      shape: {
        spec: labelled({ app: "foo" }),
        ads: [
          ad({ serviceSelectors: FOO, ...onNode("iris1") }, "a"),
          ad({ serviceSelectors: BAR, ...onNode("iris2") }, "b"),
        ],
      },
      outcome: "iris1",
    },
    {
      name: "filter the candidates: svc-bar to iris2",
      shape: {
        spec: labelled({ app: "bar" }),
        ip: "10.20.30.2",
        ads: [
          ad({ serviceSelectors: FOO, ...onNode("iris1") }, "a"),
          ad({ serviceSelectors: BAR, ...onNode("iris2") }, "b"),
        ],
      },
      outcome: "iris2",
    },
    {
      name: "announce from exactly one node when both advertisements match",
      shape: {
        spec: labelled({ app: "foo" }),
        ads: [
          ad({ serviceSelectors: FOO, ...onNode("iris1") }, "a"),
          ad({ serviceSelectors: FOO, ...onNode("iris2") }, "b"),
        ],
      },
      outcome: "iris2",
    },
    {
      name: "not announce when no advertisement matches both service and node",
      shape: {
        spec: labelled({ app: "foo" }),
        ads: [ad({ serviceSelectors: FOO, ...onNode("ghost") }, "a"), ad({ serviceSelectors: BAR }, "b")],
      },
      outcome: "noMatchingAdvertisement",
    },
    {
      name: "shared IP: annotation and selectors denied",
      shape: {
        spec: labelled({ app: "foo" }, { "metallb.io/allow-shared-ip": "k" }),
        ads: [ad({ serviceSelectors: FOO })],
      },
      outcome: "sharedIPWithServiceSelector",
    },
    {
      name: "shared IP: annotation of the old prefix and selectors denied",
      shape: {
        spec: labelled({ app: "foo" }, { "metallb.universe.tf/allow-shared-ip": "k" }),
        ads: [ad({ serviceSelectors: FOO })],
      },
      outcome: "sharedIPWithServiceSelector",
    },
    {
      name: "shared IP: denied with mixed advertisements",
      shape: {
        spec: labelled({ app: "foo" }, { "metallb.io/allow-shared-ip": "k" }),
        ads: [ad({}, "a"), ad({ serviceSelectors: FOO }, "b")],
      },
      outcome: "sharedIPWithServiceSelector",
    },
    {
      name: "shared IP: annotation without selectors",
      shape: { spec: labelled({ app: "foo" }, { "metallb.io/allow-shared-ip": "k" }), ads: [ad()] },
      outcome: "iris2",
    },
    {
      name: "shared IP: selectors without annotation",
      shape: { spec: labelled({ app: "foo" }), ads: [ad({ serviceSelectors: FOO })] },
      outcome: "iris2",
    },
  ]);
});

describe("IPAdvertisementFor", () => {
  const rows: { name: string; ads: readonly object[]; interfaces: readonly string[] | "all" }[] = [
    { name: "all interfaces", ads: [{}], interfaces: "all" },
    { name: "one", ads: [{ interfaces: ["eth0"] }], interfaces: ["eth0"] },
    { name: "union", ads: [{ interfaces: ["eth0"] }, { interfaces: ["eth1"] }], interfaces: ["eth0", "eth1"] },
    { name: "all wins", ads: [{ interfaces: ["eth0"] }, {}], interfaces: "all" },
    {
      name: "election over all advertisements, interfaces of the node's own only",
      ads: [
        { interfaces: ["eth0"], ...onNode("iris1") },
        { interfaces: ["eth1"], ...onNode("iris2") },
      ],
      interfaces: ["eth1"],
    },
  ];
  for (const { name, ads, interfaces } of rows)
    test(name, () => {
      const elections = elect(web({ ads: ads.map((spec, index) => ad(spec, `ad${index}`)) }));
      const [announcement] = announcementsOf("iris2", electAddresses(elections));
      assert.deepEqual(announcement?.interfaces, interfaces);
    });
});

describe("SortL2Candidates and PreferredScores", () => {
  const edges = ["edge-a", "edge-b", "worker-a", "worker-b"].map((name) => node(name));
  const preferring = (name: string, weight: number): object => ({
    preferredNodeSelectors: [{ weight, preference: { matchLabels: { name } } }],
  });
  const order = (ads: readonly object[], ip = "10.20.30.1"): readonly string[] => {
    const shape = web({ ip, nodes: edges, ads: ads.map((spec, index) => ad(spec, `ad${index}`)) });
    const members = { alive: new Set(edges.map(({ metadata }) => metadata.name)) };
    return surveyElection("default/web", world(shape), members, sha256).nodes.map(
      ({ name, score }) => `${name} ${score}`,
    );
  };

  test("edge-a first with score 100, then by hash: edge-b, worker-a, worker-b", () =>
    assert.deepEqual(order([preferring("edge-a", 100)]), ["edge-a 100", "edge-b 0", "worker-a 0", "worker-b 0"]));
  test("equal scores fall back to the hash", () =>
    assert.deepEqual(
      order([{ preferredNodeSelectors: [{ weight: 7, preference: {} }] }]).map((each) => each.split(" ")[0]),
      order([{}]).map((each) => each.split(" ")[0]),
    ));
  test("scores of several advertisements add up: 100 and 50", () =>
    assert.equal(order([preferring("worker-b", 100), preferring("worker-b", 50)])[0], "worker-b 150"));
  test("none and no match score 0", () => assert.deepEqual(order([preferring("nobody", 100)]), order([{}])));
});

describe("Dedup and attachment of L2 advertisements", () => {
  const scores = (...ads: readonly object[]): string => {
    const [pool0, ...others] = [
      pool("pool", ["10.20.30.0/24"], { tier: "gold" }),
      pool("other", ["10.20.31.0/24"], { tier: "tin" }),
    ];
    const shape = web({ pools: [pool0 ?? {}, ...others], ads: ads.map((spec, index) => ad(spec, `ad${index}`)) });
    const { nodes } = surveyElection("default/web", world(shape), { alive: new Set(["iris1", "iris2"]) }, sha256);
    return nodes.map(({ name, score }) => `${name} ${score}`).join(", ");
  };
  const preferring = { preferredNodeSelectors: [{ weight: 50, preference: { matchLabels: { name: "iris1" } } }] };
  const rows: readonly { name: string; ads: readonly object[]; scores: string }[] = [
    { name: "equal advertisements without preferences: as one", ads: [{}, {}], scores: "iris2 0, iris1 0" },
    {
      name: "equal advertisements with preferences are never merged",
      ads: [preferring, preferring],
      scores: "iris1 100, iris2 0",
    },
    {
      name: "one by name and selector attaches once",
      ads: [{ ...preferring, ipAddressPools: ["pool"], ipAddressPoolSelectors: [{ matchLabels: { tier: "gold" } }] }],
      scores: "iris1 50, iris2 0",
    },
    {
      name: "one with two selectors that match attaches once",
      ads: [{ ...preferring, ipAddressPoolSelectors: [{ matchLabels: { tier: "gold" } }, {}] }],
      scores: "iris1 50, iris2 0",
    },
    {
      name: "one with two preferences sums",
      ads: [
        {
          preferredNodeSelectors: [
            { weight: 50, preference: { matchLabels: { name: "iris1" } } },
            { weight: 7, preference: {} },
          ],
        },
      ],
      scores: "iris1 57, iris2 7",
    },
    {
      name: "an advertisement of another pool adds nothing",
      ads: [preferring, { ...preferring, ipAddressPools: ["other"] }],
      scores: "iris1 50, iris2 0",
    },
    {
      name: "preferences disjoint from the nodeSelectors of their advertisement score nothing",
      ads: [{}, { ...preferring, ...onNode("iris2") }],
      scores: "iris2 0, iris1 0",
    },
  ];
  for (const { name, ads, scores: expected } of rows) test(name, () => assert.equal(scores(...ads), expected));
});

test("re-elect when spec changes at runtime", () => {
  const preferring = (name: string): object => ({
    preferredNodeSelectors: [{ weight: 1, preference: { matchLabels: { name } } }],
  });
  const memo = emptyElectionMemo();
  const announcers = ["iris1", "iris2", "iris1"].map(
    (name) => elect(web({ ads: [ad(preferring(name))] }), memo).get("default/web")?.announcer,
  );
  assert.deepEqual(announcers, ["iris1", "iris2", "iris1"]);
});

test("split brain with mixed advertisements: exactly edge-a announces, from every node's point of view", () => {
  const names = ["edge-a", "edge-b", "worker-a", "worker-b"];
  const shape = web({
    spec: labelled({ app: "foo" }),
    nodes: names.map((name) => node(name, name.startsWith("edge") ? { edge: "" } : {})),
    ads: [
      ad(
        {
          nodeSelectors: [{ matchLabels: { edge: "" } }],
          preferredNodeSelectors: [{ weight: 100, preference: { matchLabels: { name: "edge-a" } } }],
        },
        "edge",
      ),
      ad({}, "all"),
      ad(
        {
          serviceSelectors: BAR,
          preferredNodeSelectors: [{ weight: 100, preference: { matchLabels: { name: "worker-a" } } }],
        },
        "other",
      ),
    ],
  });
  const announcing = names.filter((name) => {
    // Every node computes for itself, with a memo of its own.
    const elections = electAnnouncers(world(shape), { alive: new Set(names) }, sha256);
    return announcementsOf(name, electAddresses(elections)).length > 0;
  });
  assert.deepEqual(announcing, ["edge-a"]);
});

test("different services sharing the same ip are announced by one node, with the ports of both", () => {
  const annotations = { "metallb.io/allow-shared-ip": "k" };
  const elections = elect({
    ...web({}),
    services: [
      service("web", ["10.20.30.1"], { ...LOCAL, annotations }),
      service("two", ["10.20.30.1"], { ...LOCAL, annotations }),
    ],
    slices: ["web", "two"].map((name) => slice(name, { iris1: null, iris2: null })),
  });
  const addresses = electAddresses(elections);
  assert.deepEqual(
    ["iris1", "iris2"].map((name) => announcementsOf(name, addresses).map(({ services }) => services)),
    [[], [["default/two", "default/web"]]],
  );
});
