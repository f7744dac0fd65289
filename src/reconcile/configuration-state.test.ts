import assert from "node:assert/strict";
import { test } from "node:test";
import type { Problem } from "../net/problem.ts";
import { aboutKinds, configurationVerdict, sameVerdict } from "./configuration-state.ts";

const TYPE = "configReconcilerValid";
const NOON = new Date("2026-11-26T12:00:00Z");
const LATER = new Date("2026-11-26T13:00:00Z");
const problem = (n: number): Problem => ({
  subject: `BGPPeer lb/p${n}`,
  path: "spec.myASN",
  message: "missing local ASN",
});

test("a configuration without problems is valid", () => {
  assert.deepEqual(configurationVerdict(TYPE, [], undefined, NOON), {
    result: "Valid",
    errorSummary: "",
    conditions: [
      { type: TYPE, status: "True", reason: "Reconciled", message: "", lastTransitionTime: "2026-11-26T12:00:00.000Z" },
    ],
  });
});

test("every problem is in the summary, one a line, with MetalLB's words in front", () => {
  const verdict = configurationVerdict(TYPE, [problem(1), problem(2)], undefined, NOON);
  assert.equal(verdict.result, "Invalid");
  assert.deepEqual(verdict.errorSummary.split("\n"), [
    "configuration error: BGPPeer lb/p1: spec.myASN: missing local ASN",
    "configuration error: BGPPeer lb/p2: spec.myASN: missing local ASN",
  ]);
  const [condition] = verdict.conditions;
  assert.deepEqual([condition?.status, condition?.reason], ["False", "ConfigurationError"]);
  assert.equal(condition?.message, verdict.errorSummary);
});

test("a configuration that has not been read is unknown, and no error", () => {
  const { result, errorSummary } = configurationVerdict("poolReconcilerValid", undefined, undefined, NOON);
  assert.deepEqual([result, errorSummary], ["Unknown", ""]);
});

test("the time of a verdict is when it changed, not when it was given again", () => {
  const times = [[], [problem(1)], [problem(2)], []].map((problems, index, all) => {
    const before = index === 0 ? undefined : configurationVerdict(TYPE, all[index - 1], undefined, NOON);
    return configurationVerdict(TYPE, problems, before, LATER).conditions[0]?.lastTransitionTime;
  });
  assert.deepEqual(
    times,
    [LATER, LATER, NOON, LATER].map((time) => time.toISOString()),
  );
});

test("a thousand problems are a hundred and a number", () => {
  const many = Array.from({ length: 1000 }, (_, n) => problem(n));
  const lines = configurationVerdict(TYPE, many, undefined, NOON).errorSummary.split("\n");
  assert.deepEqual([lines.length, lines.at(-1)], [101, "and 900 more"]);
  const long = [{ subject: "x", message: "y".repeat(40_000) }];
  assert.ok(configurationVerdict(TYPE, long, undefined, NOON).errorSummary.length < 32_768);
});

test("verdicts are the same when they say the same", () => {
  const [a, b] = [problem(1), problem(2)].map((p) => configurationVerdict(TYPE, [p], undefined, NOON));
  assert.ok(a !== undefined && b !== undefined);
  assert.deepEqual(
    [sameVerdict(a, { ...a, conditions: [] }), sameVerdict(a, b), sameVerdict(undefined, a)],
    [true, false, false],
  );
});

const subjects = [
  { subject: "BGPPeer lb/p", message: "x", counts: true },
  { subject: "/etc/a.yaml document 2 (BGPPeer lb/p)", message: "x", counts: true },
  { subject: "/etc/a.yaml document 2", message: "is not YAML", counts: true },
  { subject: "/etc", message: "cannot be listed", counts: true },
  { subject: "Service default/web", message: "x", counts: false },
  { subject: "/etc/a.yaml document 1 (Service default/web)", message: "x", counts: false },
  {
    subject: "/etc/a.yaml document 1 (Thing x)",
    message: "kind Thing of x/v1 is not read by Fairlead and ignored",
    counts: false,
  },
  {
    subject: "Kubernetes: bgppeers",
    message: "bgppeers is forbidden (403); what was last read stays in force",
    counts: true,
  },
  {
    subject: "Kubernetes",
    message: "the API server cannot be reached: it hung up; nothing is taken away until it was read",
    counts: true,
  },
  {
    subject: "Kubernetes",
    message: "the API server cannot be reached: it hung up; what was last read stays in force",
    counts: false,
  },
];

for (const { subject, message, counts } of subjects) {
  test(`a problem of ${JSON.stringify(subject)} that ${JSON.stringify(message)} ${counts ? "may be" : "is not"} one of the configuration`, () => {
    assert.equal(aboutKinds([{ subject, message }], ["BGPPeer", "Node"]).length, counts ? 1 : 0);
  });
}
