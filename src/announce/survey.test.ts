import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  ad,
  elect,
  EXCLUDED,
  members,
  node,
  service,
  sha256,
  slice,
  web,
  world,
  type Shape,
} from "./cluster.fixture.ts";
import { mayAnnounce, surveyElection, type Survey } from "./survey.ts";

function survey(shape: Shape): Survey {
  return surveyElection("default/web", world(shape), members(shape), sha256);
}

test("a survey says of each node why it is out, and puts those that are in first, in their order", () => {
  const found = survey(
    web({
      nodes: [
        node("excluded", EXCLUDED),
        node("gone"),
        node("iris1"),
        node("iris2"),
        node("preferred", { best: "" }),
        node("uncovered", { os: "other" }),
      ],
      alive: ["excluded", "iris1", "iris2", "preferred", "uncovered"],
      ads: [
        ad({
          nodeSelectors: [{ matchExpressions: [{ key: "os", operator: "DoesNotExist" }] }],
          preferredNodeSelectors: [{ weight: 5, preference: { matchLabels: { best: "" } } }],
          interfaces: ["eth1"],
        }),
      ],
    }),
  );
  assert.deepEqual(
    found.nodes
      .slice(0, 3)
      .map(({ name, score, interfaces }) => `${name} ${score} ${interfaces === "all" ? "all" : interfaces.join()}`),
    ["preferred 5 eth1", "iris2 0 eth1", "iris1 0 eth1"],
  );
  const out = new Map(found.nodes.slice(3).map((each) => [each.name, each]));
  assert.equal(out.get("excluded")?.obstacle, "excluded");
  assert.equal(out.get("gone")?.obstacle, "gone");
  assert.equal(out.get("uncovered")?.covered, false);
});

test("a survey says of each advertisement why it does not speak for the Service, and which nodes it covers", () => {
  const found = survey(
    web({
      ads: [
        ad({ ipAddressPools: ["other"] }, "a"),
        ad({ serviceSelectors: [{ matchLabels: { app: "x" } }] }, "b"),
        ad({ nodeSelectors: [{ matchLabels: { name: "iris1" } }] }, "c"),
      ],
    }),
  );
  assert.deepEqual(found.advertisements, [
    { key: "metallb-system/a", unconcerned: "otherPool", covers: ["iris1", "iris2"] },
    { key: "metallb-system/b", unconcerned: "otherService", covers: ["iris1", "iris2"] },
    { key: "metallb-system/c", unconcerned: undefined, covers: ["iris1"] },
  ]);
});

test("a Service that is not there has an empty survey", () => {
  assert.deepEqual(survey({ ...web({}), services: [] }).nodes, []);
});

test("a survey and the election never disagree", () => {
  const names = ["n1", "n2", "n3"];
  const labelled = fc.record({ edge: fc.boolean(), excluded: fc.boolean(), unavailable: fc.boolean() });
  const selector = fc.constantFrom([], [{ matchLabels: { edge: "" } }], [{ matchLabels: { nothing: "" } }]);
  const advertisement = fc.record({
    nodeSelectors: selector,
    ipAddressPools: fc.constantFrom([], ["all"], ["other"]),
    serviceSelectors: fc.constantFrom([], [{ matchLabels: { app: "x" } }]),
    preferredNodeSelectors: fc.constantFrom([], [{ weight: 3, preference: { matchLabels: { edge: "" } } }]),
    interfaces: fc.constantFrom([], ["eth1"]),
  });
  const shape = fc.record({
    nodes: fc.tuple(labelled, labelled, labelled),
    ads: fc.array(advertisement, { maxLength: 3 }),
    alive: fc.subarray(names),
    away: fc.dictionary(fc.constantFrom(...names), fc.subarray(names), { maxKeys: 2 }),
    ignoreExcludeLabel: fc.boolean(),
    endpoints: fc.subarray(names),
    policy: fc.constantFrom("Cluster", "Local"),
    labels: fc.constantFrom({}, { app: "x" }),
    annotations: fc.constantFrom({}, { "metallb.io/allow-shared-ip": "k" }),
    ips: fc.constantFrom([], ["10.0.0.1"], ["10.0.0.1", "fc00::1"]),
  });
  fc.assert(
    fc.property(shape, ({ nodes, ads, endpoints, policy, labels, annotations, ips, ...rest }) => {
      const made: Shape = {
        ...rest,
        nodes: nodes.map(({ edge, excluded, unavailable }, index) =>
          node(
            names[index] ?? "",
            { ...(edge ? { edge: "" } : {}), ...(excluded ? EXCLUDED : {}) },
            unavailable ? [{ type: "NetworkUnavailable", status: "True" }] : [],
          ),
        ),
        ads: ads.map((spec, index) => ad(spec, `ad${index}`)),
        services: [service("web", ips, { labels, annotations, externalTrafficPolicy: policy })],
        slices: [slice("web", Object.fromEntries(endpoints.map((name) => [name, null])))],
      };
      const election = elect(made).get("default/web");
      const found = survey(made);
      const [first] = found.nodes;
      const expected =
        ips.length > 0 && found.hasEndpoint && !found.sharedBySelector && first !== undefined && mayAnnounce(first)
          ? first
          : undefined;
      assert.equal(election?.announcer, expected?.name);
      if (election?.announcer !== undefined) assert.deepEqual(election.interfaces, expected?.interfaces);
    }),
    { numRuns: 500 },
  );
});
