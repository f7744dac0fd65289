import assert from "node:assert/strict";
import { test } from "node:test";
import { meaningOf } from "./promql.ts";

const METRICS = new Map([
  ["up", new Set(["instance", "job"])],
  ["routes", new Set(["instance", "job", "peer"])],
  ["used", new Set(["instance", "job", "pool"])],
  ["all", new Set(["instance", "job", "pool"])],
]);
const meaning = (expression: string): ReturnType<typeof meaningOf> =>
  meaningOf(expression, (name) => METRICS.get(name));

const RESULTS: readonly (readonly [expression: string, labels: string])[] = [
  ["routes", "instance job peer"],
  ['routes{peer=~"a|b"} > 0', "instance job peer"],
  ["rate(routes[5m])", "instance job peer"],
  ["sum(routes)", ""],
  ["sum by (peer) (rate(routes[5m]))", "peer"],
  ["sum without (peer) (routes)", "instance job"],
  ["topk(3, sum by (peer, job) (routes))", "job peer"],
  ["100 * max by (pool) (used) / max by (pool) (all)", "pool"],
  ["used >= on(pool, instance) all", "instance pool"],
  ["routes and on(instance) up", "instance job peer"],
  ["absent(up == 1)", ""],
  ["up - time() < 7 * 86400", "instance job"],
];
for (const [expression, labels] of RESULTS)
  test(`the result of ${expression} has the labels ${labels === "" ? "of nothing" : labels}`, () => {
    const found = meaning(expression);
    assert.deepEqual(found.problems, []);
    assert.deepEqual([...found.labels].toSorted().join(" "), labels);
  });

const PROBLEMS: readonly (readonly [expression: string, problem: RegExp])[] = [
  ["down", /no metric down/],
  ['routes{pear="a"}', /routes has no label pear/],
  ["sum by (pool) (routes)", /has no label pool/],
  ["sum by (peer) (sum by (job) (routes))", /has no label peer/],
  ["routes / on(peer) up", /has no label peer/],
  ["sum by (peer (routes)", /not PromQL/],
  ["rate(routes[5m]) +", /not PromQL/],
];
for (const [expression, problem] of PROBLEMS)
  test(`${expression} cannot be`, () => assert.match(meaning(expression).problems.join("\n"), problem));

test("every metric of an expression is named", () => {
  assert.deepEqual(meaning("sum(used) / sum(all)").metrics, ["used", "all"]);
});
