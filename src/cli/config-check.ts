/** `fairlead config check`: manifests judged offline, for editors and CI. Exits with 1 when something is wrong. */
import { existsSync } from "node:fs";
import { Command, Option } from "commander";
import { checkManifests, type CheckRow } from "../source/manifests/check.ts";
import type { Format } from "./options.ts";
import { print } from "./output.ts";
import { paintFor, renderTable, type Column } from "./table.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface CheckOptions {
  readonly output: Format;
  readonly namespace?: string;
}

export function checkCommand(world: World): Command {
  const example =
    "fairlead config check manifests/\n  fairlead config check -n metallb-system -o json manifests/ nodes.yaml";
  return new Command("check")
    .description("validate manifests by the rules the programs follow, all problems at once")
    .argument("<path...>", "folders or files of manifests; Node objects among them make rules about nodes exact")
    .addOption(
      new Option("-o, --output <format>", "how to print it").choices(["table", "json", "yaml"]).default("table"),
    )
    .option("-n, --namespace <name>", "the only namespace that counts in the cluster, as metallb-system")
    .addHelpText(
      "after",
      `\nExample:\n  ${example}\n\nExits with 0 when all is well (warnings allowed), 1 on problems, 2 on usage.`,
    )
    .action(async (paths: readonly string[], { output, namespace }: CheckOptions) => {
      const missing = paths.filter((path) => !existsSync(path));
      if (missing.length > 0)
        throw new CommandFailure(
          EXIT.usage,
          `There is no file or folder ${missing.map((path) => JSON.stringify(path)).join(", nor ")}`,
        );
      const { rows, objects } = await checkManifests(paths, namespace === undefined ? {} : { namespace });
      const errors = rows.filter(({ severity }) => severity === "error").length;
      print(world, output, rows, () => {
        const summary = `${count(objects, "object")}: ${count(errors, "problem")}, ${count(rows.length - errors, "warning")}\n`;
        return rows.length === 0 ? summary : `${renderTable(columns, rows, paintFor(world))}\n${summary}`;
      });
      if (errors > 0) world.exitCode = EXIT.problem;
    });
}

const columns: readonly Column<CheckRow>[] = [
  { title: "FILE", cell: (row) => row.file },
  { title: "DOCUMENT", align: "right", cell: (row) => String(row.document ?? "") },
  { title: "OBJECT", cell: (row) => row.object ?? "" },
  { title: "PATH", cell: (row) => row.path ?? "" },
  { title: "SEVERITY", cell: ({ severity }, paint) => paint(severity === "error" ? "red" : "yellow", severity) },
  { title: "MESSAGE", cell: (row) => row.message },
];

function count(number: number, what: string): string {
  return `${number === 0 ? "no" : number} ${what}${number === 1 ? "" : "s"}`;
}
