/** The metrics of docs/metrics.md with their labels. That they are those of the programs is proved by documents.test.ts. */
import { readProjectFile } from "./tree.ts";

/** Metric → labels. */
export function documentedMetrics(): ReadonlyMap<string, readonly string[]> {
  const rows = readProjectFile("docs/metrics.md")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  return new Map(
    rows.flatMap((row) => {
      const [, names = "", labels = ""] = row.split("|");
      const all = labels.split(/[,\s]+/).filter((label) => label !== "");
      return [...names.matchAll(/`(?<name>\w+)`/g)].map(({ groups }) => [groups?.["name"] ?? "", all] as const);
    }),
  );
}
