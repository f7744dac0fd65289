import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { serviceSchema } from "../../service/objects.ts";
import type { ExplainStep } from "../status.ts";
import { explain, type Branch } from "./explain.ts";
import type { Facts } from "./facts.ts";

/** A Service with an address and a ready endpoint: whether it is reachable is up to the protocols. */
const FACTS: Facts = {
  service: "default/web",
  node: "me",
  object: serviceSchema.parse({
    metadata: { name: "web" },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
    status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } },
  }),
  namesakes: [],
  problems: [],
  pools: [],
  survey: { pools: ["demo"], advertisements: [], sharedBySelector: false, hasEndpoint: true, nodes: [] },
  announcers: new Map(),
  settled: true,
  isolated: false,
  endpoints: [{ address: "10.244.0.2", pod: "web-1", node: "me", state: "active", nodeGone: false }],
  bgp: undefined,
  here: {
    stampSeconds: 60,
    announcements: [],
    links: [],
    announced: [],
    frontends: [{ frontend: "192.0.2.1:80/TCP", wanted: ["10.244.0.2 port 80"], programmed: ["10.244.0.2 port 80"] }],
    tableProblems: [],
    routes: [],
    trials: [],
    hazards: [],
  },
};

function branch(protocol: string, ...results: readonly ExplainStep["result"][]): Branch {
  return () =>
    results.map((result, index) => ({ step: `${protocol}${index}`, protocol, result, found: "", details: [] }));
}

describe("the protocols of an explanation", () => {
  const rows: { name: string; branches: readonly Branch[]; steps: readonly string[]; reachable: boolean }[] = [
    {
      name: "one that fails fails it",
      branches: [branch("l2", "ok", "failed")],
      steps: ["l20 ok", "l21 failed"],
      reachable: false,
    },
    {
      name: "two that fail fail it, at the first",
      branches: [branch("l2", "failed", "skipped"), branch("bgp", "failed")],
      steps: ["l20 failed", "l21 skipped", "bgp0 failed"],
      reachable: false,
    },
    {
      name: "one that does not advertise it is passed over where another is well",
      branches: [branch("l2", "failed", "skipped"), branch("bgp", "ok", "elsewhere")],
      steps: ["l20 skipped", "l21 skipped", "bgp0 ok", "bgp1 elsewhere"],
      reachable: true,
    },
    {
      name: "one that does not advertise it is passed over where another does and fails",
      branches: [branch("l2", "failed", "skipped"), branch("bgp", "ok", "failed")],
      steps: ["l20 skipped", "l21 skipped", "bgp0 ok", "bgp1 failed"],
      reachable: false,
    },
    {
      name: "one that advertises it and fails is a warning where another is well",
      branches: [branch("l2", "ok", "failed"), branch("bgp", "ok")],
      steps: ["l20 ok", "l21 warning", "bgp0 ok"],
      reachable: true,
    },
  ];
  for (const { name, branches, steps, reachable } of rows)
    test(name, () => {
      const document = explain(FACTS, branches);
      const found = document.steps.filter(({ protocol }) => protocol !== undefined);
      assert.deepEqual(
        found.map(({ step, result }) => `${step} ${result}`),
        steps,
      );
      assert.equal(document.reachable, reachable);
    });
});

describe("hazards of the node", () => {
  const hazard = {
    check: "AddressAnswered",
    level: "problem",
    subject: "eth0",
    message: "words",
    todo: "more words",
  } as const;
  const explained = (hazards: Facts["here"]["hazards"]): ExplainStep | undefined =>
    explain({ ...FACTS, here: { ...FACTS.here, hazards } }, [branch("l2", "ok")]).steps.find(
      ({ step }) => step === "node",
    );

  test("are no step where there are none", () => assert.equal(explained([]), undefined));

  test("are one step that warns of the first and lists the others", () => {
    assert.deepEqual(explained([hazard, { ...hazard, subject: "eth1" }]), {
      step: "node",
      result: "warning",
      found: "AddressAnswered eth0: words",
      details: ["AddressAnswered eth1: words"],
      todo: "more words",
    });
  });
});

describe("backends without a way to them", () => {
  const explained = (refusal: string | undefined, policy: "Cluster" | "Local"): ExplainStep | undefined => {
    const { object } = FACTS;
    assert.ok(object !== undefined);
    const routes = [{ backend: "10.244.2.2", way: "none", refusal }];
    const facts = {
      ...FACTS,
      object: { ...object, spec: { ...object.spec, externalTrafficPolicy: policy } },
      here: { ...FACTS.here, routes },
    };
    return explain(facts, [branch("l2", "elsewhere")]).steps.find(({ step }) => step === "endpoints");
  };

  test("are a warning on a node that announces nothing: it may be the next", () => {
    const step = explained("No route to host", "Cluster");
    assert.deepEqual([step?.result, step?.found], ["warning", "1 backend of 1 cannot be reached from here"]);
    assert.ok(step?.details.includes("10.244.2.2: No route to host"));
  });

  test("are none where there is a way, nor where a node forwards to its own pods only", () => {
    assert.equal(explained(undefined, "Cluster")?.result, "ok");
    assert.equal(explained("No route to host", "Local")?.result, "ok");
  });
});
