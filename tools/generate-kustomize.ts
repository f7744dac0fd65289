/**
 * Writes deploy/kustomize from the chart, as `helm template` renders it with the values it comes with: one source for both ways to install.
 *   node tools/generate-kustomize.ts            writes the files
 * That they are fresh is proved by test/kubernetes/chart.test.ts. Helm must be built: lab/kubernetes/build.sh.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireProgram } from "../lab/kubernetes/control-plane.ts";
import { ROOT } from "./tree.ts";

export const FOLDER = "deploy/kustomize";
const CHART = "deploy/helm/fairlead";
/** Files ← templates of the chart. The CRDs are taken from where they are written, what is optional stays out. */
const FILES = {
  rbac: ["rbac", "kubectl"],
  webhook: ["webhook"],
  controller: ["controller"],
  agent: ["agent"],
} as const satisfies Readonly<Record<string, readonly string[]>>;
const NAMESPACE = "metallb-system";
/** Remarks of Helm, and labels that say that an object belongs to a release of it. */
const HELMS_OWN = /^# Source: |^ {4}(helm\.sh\/chart|app\.kubernetes\.io\/(managed-by|version)): /;

/** What `helm template` says. Throws with its words when it refuses. */
export function renderChart(
  values: readonly string[] = [],
  { release = "fairlead", namespace = NAMESPACE }: { readonly release?: string; readonly namespace?: string } = {},
): string {
  const words = [
    "template",
    release,
    join(ROOT, CHART),
    "--namespace",
    namespace,
    "--kube-version",
    "1.36.0",
    ...values,
  ];
  return execFileSync(requireProgram("helm"), words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Name of the file → its text. */
export function kustomizeFiles(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(FILES).map(([name, templates]) => {
      const paths = templates.map((template) => `templates/${template}.yaml`);
      const head = `# Written by tools/generate-kustomize.ts from the chart's ${paths.join(" and ")}: do not edit.`;
      const rendered = paths.flatMap((path) => renderChart(["--show-only", path]).split("\n"));
      return [`${name}.yaml`, [head, ...rendered.filter((line) => !HELMS_OWN.test(line))].join("\n")];
    }),
  );
}

if (import.meta.main) for (const [name, text] of kustomizeFiles()) writeFileSync(join(ROOT, FOLDER, name), text);
