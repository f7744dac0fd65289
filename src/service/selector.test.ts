import assert from "node:assert/strict";
import { test } from "node:test";
import { duplicatesInSelectors, labelSelectorSchema, matches, matchesAny } from "./selector.ts";

const LABELS = { app: "web", tier: "gold" };

const rows = [
  { name: "nothing", selector: {}, matches: true },
  { name: "an equal label", selector: { matchLabels: { app: "web" } }, matches: true },
  { name: "another value", selector: { matchLabels: { app: "db" } }, matches: false },
  { name: "a missing label", selector: { matchLabels: { zone: "" } }, matches: false },
  { name: "one label of two", selector: { matchLabels: { app: "web", tier: "tin" } }, matches: false },
  {
    name: "a name every object inherits",
    selector: { matchExpressions: [{ key: "constructor", operator: "Exists" }] },
    matches: false,
  },
  {
    name: "In with the value",
    selector: { matchExpressions: [{ key: "app", operator: "In", values: ["db", "web"] }] },
    matches: true,
  },
  {
    name: "In without the value",
    selector: { matchExpressions: [{ key: "app", operator: "In", values: ["db"] }] },
    matches: false,
  },
  {
    name: "In on a missing label",
    selector: { matchExpressions: [{ key: "zone", operator: "In", values: ["a"] }] },
    matches: false,
  },
  {
    name: "NotIn with the value",
    selector: { matchExpressions: [{ key: "app", operator: "NotIn", values: ["web"] }] },
    matches: false,
  },
  {
    name: "NotIn on a missing label",
    selector: { matchExpressions: [{ key: "zone", operator: "NotIn", values: ["a"] }] },
    matches: true,
  },
  {
    name: "Exists on a missing label",
    selector: { matchExpressions: [{ key: "zone", operator: "Exists" }] },
    matches: false,
  },
  {
    name: "DoesNotExist on a label",
    selector: { matchExpressions: [{ key: "app", operator: "DoesNotExist" }] },
    matches: false,
  },
  {
    name: "DoesNotExist on a missing label",
    selector: { matchExpressions: [{ key: "zone", operator: "DoesNotExist" }] },
    matches: true,
  },
  {
    name: "a label and an expression that fails",
    selector: { matchLabels: { app: "web" }, matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] },
    matches: false,
  },
];

for (const row of rows) {
  test(`selector with ${row.name} ${row.matches ? "selects" : "does not select"} the object`, () => {
    assert.equal(matches(labelSelectorSchema.parse(row.selector), LABELS), row.matches);
  });
}

const refused = [
  { name: "an expression without a key", expression: { key: "", operator: "Exists" } },
  { name: "an expression without an operator", expression: { key: "a" } },
  { name: "an unknown operator", expression: { key: "a", operator: "Equals", values: ["b"] } },
  { name: "In without values", expression: { key: "a", operator: "In" } },
  { name: "NotIn with no values", expression: { key: "a", operator: "NotIn", values: [] } },
  { name: "Exists with values", expression: { key: "a", operator: "Exists", values: ["b"] } },
];

for (const row of refused) {
  test(`selector with ${row.name} is refused`, () => {
    assert.equal(labelSelectorSchema.safeParse({ matchExpressions: [row.expression] }).success, false);
  });
}

test("a list of selectors selects what any of them selects, and an empty list nothing", () => {
  assert.equal(matchesAny([{ matchLabels: { app: "db" } }, { matchLabels: { tier: "gold" } }], LABELS), true);
  assert.equal(matchesAny([{ matchLabels: { app: "db" } }], LABELS), false);
  assert.equal(matchesAny([], LABELS), false);
});

test("selectors that differ in one value are no duplicates", () => {
  const apart = [{ matchLabels: { a: "1" } }, { matchLabels: { a: "2" } }, {}];
  assert.deepEqual(duplicatesInSelectors(apart, "spec.nodeSelectors"), []);
  assert.deepEqual(
    duplicatesInSelectors([{}, { matchLabels: { a: "1" } }, {}], "spec.nodeSelectors").map(({ path }) => path),
    ["spec.nodeSelectors[2]"],
  );
});
