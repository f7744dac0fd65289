/** `fairlead migrate check|next`: what becomes of a cluster that MetalLB serves, and how it is handed over (docs/migrate.md). Changes nothing. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, Option } from "commander";
import { EXCLUDED_INTERFACES } from "../agent/config.ts";
import { findingsOf, type Row, type Verdict } from "../observe/migration/findings.ts";
import { readInstallation, type Installation } from "../observe/migration/installation.ts";
import { nextStep, type Step } from "../observe/migration/steps.ts";
import { readWorkloads } from "../source/kubernetes/metallb.ts";
import { openOrigin } from "../source/open.ts";
import type { Snapshot } from "../source/source.ts";
import type { Format } from "./options.ts";
import { print } from "./output.ts";
import { paintFor, renderTable, type Colour, type Column } from "./table.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface Flags {
  readonly output: Format;
  readonly kubeconfig?: string;
  readonly kubernetes?: true;
  readonly namespace: string;
}

const CANNOT_READ = 2;
const READ_MS_MAX = 30_000;

export function migrateCommand(world: World): Command {
  const example = "fairlead migrate check\n  fairlead migrate next --kubeconfig ~/.kube/config";
  return new Command("migrate")
    .addHelpText("after", `\nExample:\n  ${example}\n\ndocs/migrate.md tells the whole way.`)
    .addCommand(
      withCluster("check", "what stays the same, what differs, what to do; proves that no address changes")
        .addHelpText(
          "after",
          "\nExample:\n  fairlead migrate check -o json\n\nExits with 0 when all is well, 1 when something needs attention, 2 when the cluster cannot be read.",
        )
        .action((flags: Flags) => check(world, flags)),
    )
    .addCommand(
      withCluster("next", "the commands of the next step, and those that take it back")
        .addHelpText("after", "\nExample:\n  fairlead migrate next --kubeconfig ~/.kube/config")
        .action((flags: Flags) => next(world, flags)),
    );
}

function withCluster(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(
      new Option("-o, --output <format>", "how to print it").choices(["table", "json", "yaml"]).default("table"),
    )
    .option("--kubeconfig <file>", "as kubectl has it (default: KUBECONFIG, else ~/.kube/config)")
    .option("--kubernetes", "reach the API server by the service account of this pod")
    .option("--namespace <name>", "where MetalLB and its configuration are", "metallb-system");
}

async function check(world: World, flags: Flags): Promise<void> {
  const { snapshot, installation } = await readCluster(world, flags);
  const rows = findingsOf({ installation, snapshot, sha256, interfacesExclude: EXCLUDED_INTERFACES });
  const count = (verdict: Verdict): number => rows.filter((row) => row.verdict === verdict).length;
  print(world, flags.output, { metallb: summaryOf(installation), rows }, () => {
    const { version, mode } = summaryOf(installation);
    const head = `MetalLB ${version}, mode ${mode}, in ${flags.namespace}; ${snapshot.services.size} Services, ${snapshot.nodes.size} nodes\n\n`;
    const foot = `\n${count("same")} the same, ${count("differs")} differ, ${count("act")} to act on\n`;
    return head + renderTable(columns, rows, paintFor(world)) + foot;
  });
  if (count("act") > 0) world.exitCode = EXIT.problem;
}

async function next(world: World, flags: Flags): Promise<void> {
  const { snapshot, installation } = await readCluster(world, flags);
  const { namespace } = flags;
  const step = nextStep({ installation, namespace, nodes: snapshot.nodes, bgp: snapshot.bgpPeers.size > 0 });
  print(world, flags.output, step ?? {}, () => (step === undefined ? "Nothing is left to do.\n" : stepText(step)));
}

function stepText({ title, commands, undo }: Step): string {
  const lines = (list: readonly string[]): string => list.map((each) => `  ${each}\n`).join("");
  return `${title}:\n\n${lines(commands)}${undo.length === 0 ? "" : `\nTo take it back:\n\n${lines(undo)}`}`;
}

function summaryOf({ controller, speaker, mode }: Installation): { readonly version: string; readonly mode: string } {
  return { version: speaker?.version ?? controller?.version ?? "(not found)", mode };
}

const COLOURS: Readonly<Record<Verdict, Colour>> = { same: "green", differs: "yellow", act: "red" };

const columns: readonly Column<Row>[] = [
  { title: "VERDICT", cell: ({ verdict }, paint) => paint(COLOURS[verdict], verdict) },
  { title: "OBJECT", cell: (row) => row.object },
  { title: "WHAT", cell: (row) => row.what },
  { title: "TO DO", cell: (row) => row.advice ?? "" },
];

const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();

interface Cluster {
  readonly snapshot: Snapshot;
  readonly installation: Installation;
}

async function readCluster(world: World, { kubeconfig, kubernetes, namespace }: Flags): Promise<Cluster> {
  const file = kubernetes === true ? undefined : (kubeconfig ?? defaultKubeconfig(world));
  try {
    const origin = { type: "kubernetes", kubeconfig: file, namespace } as const;
    const opened = await openOrigin(origin, { component: "fairlead-migrate", instance: "fairlead" });
    try {
      const { connection } = opened.kubernetes ?? {};
      if (connection === undefined) throw new Error("there is no API server");
      await Promise.race([opened.source.ready, sleep(READ_MS_MAX, undefined, { ref: false })]);
      const snapshot = opened.source.snapshot();
      if (!snapshot.complete)
        throw new Error(
          snapshot.problems.map(({ subject, message }) => `${subject}: ${message}`).join("\n") ||
            "the API server does not answer",
        );
      return { snapshot, installation: readInstallation(await readWorkloads(connection, namespace)) };
    } finally {
      await opened.source.close();
    }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailure(CANNOT_READ, `Cannot read the cluster: ${reason}`, { cause });
  }
}

/** The first file that is there, as kubectl finds it. */
function defaultKubeconfig(world: World): string {
  const files = (world.env["KUBECONFIG"] ?? "").split(delimiter).filter((file) => file !== "" && existsSync(file));
  return files[0] ?? join(world.env["HOME"] ?? homedir(), ".kube/config");
}
