/** What the documents say about the tree is true of the tree. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { mock, test } from "node:test";
import { Registry } from "prom-client";
import { ControllerMetrics } from "../src/controller/metrics.ts";
import { createMetrics, type MetricsSource } from "../src/observe/metrics.ts";
import { documentedMetrics } from "./documented-metrics.ts";
import { CRDS, openApiSchema } from "./generate-crds.ts";
import { projectFiles, readProjectFile, ROOT } from "./tree.ts";

const files = projectFiles();
const documents = files.filter((name) => name.endsWith(".md"));

test("every folder has a line in ARCHITECTURE.md", () => {
  const text = readProjectFile("ARCHITECTURE.md");
  const folders = new Set(
    files
      .map((name) => dirname(name).split("/"))
      .filter(([top = "."]) => !top.startsWith("."))
      .map((parts) =>
        (parts[0] === "src" ? parts.slice(0, parts[1] === "protocol" ? 3 : 2) : parts.slice(0, 1)).join("/"),
      ),
  );
  const absent = [...folders].filter((folder) => folder !== "src/protocol" && !text.includes(`\`${folder}/\``));
  assert.deepEqual(absent, []);
});

test("ARCHITECTURE.md names no folder that does not exist", () => {
  const named = [
    ...readProjectFile("ARCHITECTURE.md").matchAll(/`((?:src|bpf|lab|test|bench|tools|docs|examples)\/[\w/.-]*)`/g),
  ];
  assert.ok(named.length > 20);
  assert.deepEqual(
    named.map((match) => match[1] ?? "").filter((name) => !existsSync(join(ROOT, name))),
    [],
  );
});

test("every dependency has its reason in docs/dependencies.md, and nothing else has", () => {
  const manifest = JSON.parse(readProjectFile("package.json")) as Record<string, Record<string, string> | undefined>;
  const kinds = ["dependencies", "devDependencies", "optionalDependencies"];
  const wanted = kinds.flatMap((kind) => Object.keys(manifest[kind] ?? {}));
  const explained = [...readProjectFile("docs/dependencies.md").matchAll(/^\| `([^`]+)` \|/gm)].map(
    (match) => match[1] ?? "",
  );
  assert.deepEqual(explained.toSorted(), wanted.toSorted());
});

test("every version of a dependency is exact", () => {
  const manifest = JSON.parse(readProjectFile("package.json")) as Record<string, Record<string, string> | undefined>;
  const loose = ["dependencies", "devDependencies", "optionalDependencies"]
    .flatMap((kind) => Object.entries(manifest[kind] ?? {}))
    .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  assert.deepEqual(loose, []);
});

test("links between documents lead somewhere", () => {
  const broken = documents.flatMap((name) =>
    [...readProjectFile(name).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map((match) => match[1] ?? "")
      .filter((target) => !existsSync(join(ROOT, dirname(name), target)))
      .map((target) => `${name}: ${target}`),
  );
  assert.deepEqual(broken, []);
});

test("docs/api.md describes every document of the local API", () => {
  const paths = [...readProjectFile("src/observe/status.ts").matchAll(/"(\/(?:v1\/[\w/]+|metrics))"/g)].map(
    (match) => match[1] ?? "",
  );
  assert.ok(paths.length >= 11, String(paths));
  const text = readProjectFile("docs/api.md");
  assert.deepEqual(
    paths.filter((path) => !text.includes(`\`${path}\``)),
    [],
  );
});

test("docs/metrics.md names every metric, and no other", () => {
  const own = /\b(?:fairlead|metallb)_[a-z0-9_]+/g;
  const files = [
    "src/observe/metrics.ts",
    "src/observe/bgp-metrics.ts",
    "src/controller/metrics.ts",
    "src/controller/samples.ts",
  ];
  const sources = files.map(readProjectFile).join("\n");
  const inCode = new Set([...sources.matchAll(/"((?:fairlead|metallb)_[a-z0-9_]+)"/g)].map((match) => match[1] ?? ""));
  const inText = new Set([...readProjectFile("docs/metrics.md").matchAll(own)].map((match) => match[0]));
  assert.ok(inCode.size > 10);
  assert.deepEqual([...inText].toSorted(), [...inCode].toSorted());
});

test("docs/metrics.md names the labels of every metric, as the programs register it", () => {
  const registered = new Map<string, string>();
  const register = mock.method(Registry.prototype, "registerMetric", function (metric: object) {
    const { name, labelNames } = metric as { readonly name: string; readonly labelNames: readonly string[] };
    registered.set(name, labelNames.toSorted().join());
  });
  createMetrics({} as MetricsSource);
  assert.ok(new ControllerMetrics() instanceof ControllerMetrics);
  register.mock.restore();
  const documented = [...documentedMetrics()];
  assert.ok(documented.length > 50);
  for (const [metric, labels] of documented)
    assert.equal([...labels].toSorted().join(), registered.get(metric), `labels of ${metric}`);
});

test("docs/configuration.md names every field of the configuration's objects and every annotation of the BGP ones", () => {
  const text = readProjectFile("docs/configuration.md");
  const fields = CRDS.flatMap(({ description, versions }) =>
    versions.flatMap((version) =>
      Object.keys(openApiSchema(version, description).properties?.["spec"]?.properties ?? {}),
    ),
  );
  const known = /^const KNOWN[^]*?^};/m.exec(readProjectFile("src/announce/bgp/annotations.ts"))?.[0] ?? "";
  const annotations = [...known.matchAll(/"([a-z-]+)"/g)].map((match) => `fairlead.io/${match[1] ?? ""}`);
  assert.ok(fields.length > 40 && annotations.length > 10);
  assert.deepEqual(
    [...fields, ...annotations].filter((name) => !text.includes(`\`${name}\``)),
    [],
  );
});

test("docs/operate.md names every option of the programs, and no other", () => {
  const inCode = ["src/cli/agent.ts", "src/cli/controller.ts"]
    .flatMap((name) => [...readProjectFile(name).matchAll(/[oO]ption\(\s*"(--[a-z-]+)/g)])
    .map((match) => match[1] ?? "");
  assert.ok(inCode.length > 15);
  const inText = [...readProjectFile("docs/operate.md").matchAll(/^\| `(--[a-z-]+)/gm)].map((match) => match[1] ?? "");
  assert.deepEqual([...new Set(inText)].toSorted(), [...new Set(inCode)].toSorted());
});
