/** Alerts and dashboard are about metrics that the programs have. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { DASHBOARD, dashboardText } from "./generate-dashboard.ts";
import { readProjectFile } from "./tree.ts";

/** That docs/metrics.md has exactly the metrics of the programs is proved by documents.test.ts. */
const documented = new Set(readProjectFile("docs/metrics.md").match(/\b(?:fairlead|metallb)_[a-z0-9_]+/g));
/** Of prom-client, in every program. */
const OF_THE_PROCESS = new Set(["process_resident_memory_bytes"]);

interface Alert {
  readonly value: string;
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<"summary" | "description", string>>;
}
const alerts = parse(readProjectFile("deploy/helm/fairlead/files/alerts.yaml")) as readonly Alert[];
const usage = readProjectFile("deploy/helm/fairlead/templates/prometheus-rule.yaml");

const metricsIn = (text: string): readonly string[] =>
  text.match(/\b(?:fairlead|metallb|process|nodejs)_[a-z0-9_]+/g) ?? [];
const unknown = (text: string): readonly string[] =>
  metricsIn(text).filter((name) => !documented.has(name) && !OF_THE_PROCESS.has(name));

test("every alert is about metrics that there are", () => {
  assert.ok(alerts.length >= 15);
  for (const { alert, expr } of alerts) {
    assert.ok(metricsIn(expr).length > 0, alert);
    assert.deepEqual(unknown(expr), [], alert);
  }
  assert.ok(metricsIn(usage).length >= 2);
  assert.deepEqual(unknown(usage), []);
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

test("every panel of the dashboard is about metrics that there are", () => {
  const { panels } = JSON.parse(readProjectFile(DASHBOARD)) as {
    readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
  };
  const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
  assert.ok(queries.length > 25);
  for (const { title, expr } of queries) {
    assert.ok(metricsIn(expr).length > 0, title);
    assert.deepEqual(unknown(expr), [], title);
  }
});

test("the dashboard is what node tools/generate-dashboard.ts writes", () => {
  assert.equal(readProjectFile(DASHBOARD), dashboardText());
});
