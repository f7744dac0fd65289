/** Alerts and dashboard are about metrics that the programs have, and the labels of these. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { DASHBOARD, dashboardText } from "./generate-dashboard.ts";
import { documentedMetrics } from "./documented-metrics.ts";
import { meaningOf, type Meaning } from "./promql.ts";
import { readProjectFile } from "./tree.ts";

/** Whatever scrapes says where it found a metric. */
const OF_THE_SCRAPE = ["instance", "job", "namespace", "pod"];
const known = new Map(
  [...documentedMetrics()].map(([metric, labels]) => [metric, new Set([...labels, ...OF_THE_SCRAPE])] as const),
);
/** Of prom-client, in every program. */
known.set("process_resident_memory_bytes", new Set(OF_THE_SCRAPE));
const meaning = (expression: string): Meaning => meaningOf(expression, (metric) => known.get(metric));

interface Alert {
  readonly value: string;
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<"summary" | "description", string>>;
}
const alerts = parse(readProjectFile("deploy/helm/fairlead/files/alerts.yaml")) as readonly Alert[];
const usage = readProjectFile("deploy/helm/fairlead/templates/prometheus-rule.yaml");

/** `{{ $labels.peer }}` of an alert, `{{peer}}` of a panel. */
const labelsIn = (text: string): readonly string[] =>
  [...text.matchAll(/\{\{\s*(?:\$labels\.)?(?<label>\w+)\s*\}\}/g)].map(({ groups }) => groups?.["label"] ?? "");

function checkQuery(expression: string, text: string, name: string): void {
  const { metrics, labels, problems } = meaning(expression);
  assert.ok(metrics.length > 0, name);
  assert.deepEqual(problems, [], name);
  const missing = labelsIn(text).filter((label) => !labels.has(label));
  assert.deepEqual(missing, [], `${name}: ${expression}`);
}

test("every alert is about metrics that there are, and speaks of labels that they have", () => {
  assert.ok(alerts.length >= 15);
  for (const { alert, expr, annotations } of alerts)
    for (const pools of ["", '{pool!~"spare"}'])
      checkQuery(expr.replaceAll("%POOLS%", pools), Object.values(annotations).join(), alert);
  const [, expr = ""] = /expr: (?<expr>100 \* .+)$/m.exec(usage) ?? [];
  checkQuery(expr.replaceAll("{{ $pools }}", "").replace("{{ .percent }}", "75"), "{{ $labels.pool }}", "usage");
});

test("every alert has a switch among the values, a name of its own, and words for who is woken by it", () => {
  const values = parse(readProjectFile("deploy/helm/fairlead/values.yaml")) as {
    readonly prometheus: { readonly prometheusRule: Readonly<Record<string, unknown>> };
  };
  const {
    enabled: _,
    additionalLabels: __,
    annotations: ___,
    extraAlerts: ____,
    addressPoolUsage: _____,
    ...switches
  } = values.prometheus.prometheusRule;
  assert.deepEqual(alerts.map(({ value }) => value).toSorted(), Object.keys(switches).toSorted());
  assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length);
  for (const { alert, annotations } of alerts) {
    assert.match(alert, /^Fairlead[A-Z]\w+$/);
    assert.ok(annotations.summary.length > 10 && annotations.description.length > 20, alert);
  }
});

test("every panel of the dashboard is about metrics that there are, and names its lines by labels that they have", () => {
  const { panels } = JSON.parse(readProjectFile(DASHBOARD)) as { readonly panels: readonly Panel[] };
  const queries = panels.flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
  assert.ok(queries.length > 25);
  for (const { title, expr, legendFormat } of queries)
    checkQuery(expr.replaceAll("$__rate_interval", "5m"), legendFormat, title);
});

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

test("the dashboard is what node tools/generate-dashboard.ts writes", () => {
  assert.equal(readProjectFile(DASHBOARD), dashboardText());
});
