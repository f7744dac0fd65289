/** `fairlead migrate check|next`: what becomes of a cluster that MetalLB serves, and how it is handed over (docs/migrate.md). Changes nothing. */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, Option } from "commander";
import { EXCLUDED_INTERFACES } from "../agent/config.ts";
import { findingsOf, type Row, type Verdict } from "../observe/migration/findings.ts";
import { readInstallation, type Installation } from "../observe/migration/installation.ts";
import type { Step } from "../observe/migration/step.ts";
import { nextStep } from "../observe/migration/steps.ts";
import { readWorkloads } from "../source/kubernetes/metallb.ts";
import { openOrigin } from "../source/open.ts";
import type { Snapshot } from "../source/source.ts";
import { withCluster, withExample, type ClusterOptions, type Format } from "./options.ts";
import { addressed } from "./cluster/addressed.ts";
import { apiServerOf } from "./cluster/kubeconfig.ts";
import { print } from "./output.ts";
import { paintFor, renderTable, type Colour, type Column } from "./table.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface Flags extends ClusterOptions {
  readonly output: Format;
  readonly kubernetes?: true;
  readonly namespace: string;
}

const CANNOT_READ = 2;
const READ_MS_MAX = 30_000;

export function migrateCommand(world: World): Command {
  const example = "fairlead migrate check\nfairlead migrate next --context production";
  return withExample(world, new Command("migrate"), example)
    .addHelpText("after", "\ndocs/migrate.md tells the whole way.")
    .addCommand(checkCommand(world))
    .addCommand(nextCommand(world));
}

function checkCommand(world: World): Command {
  const command = new Command("check").description(
    "what stays the same, what differs, what to do; proves that no address changes",
  );
  return withExample(world, withFlags(command), "fairlead migrate check -o json")
    .addHelpText(
      "after",
      "\nExits with 0 when all is well, 1 when something needs attention, 2 when the cluster cannot be read.",
    )
    .action((flags: Flags) => check(world, flags));
}

function nextCommand(world: World): Command {
  const command = new Command("next").description("the commands of the next step, and those that take it back");
  return withExample(world, withFlags(command), "fairlead migrate next --context production").action((flags: Flags) =>
    next(world, flags),
  );
}

function withFlags(command: Command): Command {
  return withCluster(
    command.addOption(
      new Option("-o, --output <format>", "how to print it").choices(["table", "json", "yaml"]).default("table"),
    ),
  )
    .option("--kubernetes", "reach the API server by the service account of this pod")
    .option("-n, --namespace <name>", "where MetalLB and its configuration are", "metallb-system");
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
  const step = nextStep({
    installation,
    namespace,
    nodes: snapshot.nodes,
    bgpPeers: snapshot.bgpPeers,
    layer2: snapshot.l2Advertisements.size > 0,
  });
  if (step === undefined) {
    print(world, flags.output, {}, () => "Nothing is left to do.\n");
    return;
  }
  const typed = {
    ...step,
    commands: step.commands.map((each) => addressed(each, flags)),
    undo: step.undo.map((each) => addressed(each, flags)),
  };
  print(world, flags.output, typed, () => stepText(typed));
}

function stepText({ title, onEveryNode = [], commands, undo, notes = [] }: Step): string {
  const part = (head: string, list: readonly string[]): string =>
    list.length === 0 ? "" : `${head}:\n\n${list.map((each) => `  ${each}\n`).join("")}`;
  return [
    part(title, onEveryNode.length === 0 ? commands : []),
    ...(onEveryNode.length === 0
      ? []
      : [`${title}.\n`, part("On every node, as root", onEveryNode), part("Then", commands)]),
    part("To take it back", undo),
    ...(notes.length === 0 ? [] : [`${notes.join("\n")}\n`]),
  ]
    .filter((each) => each !== "")
    .join("\n");
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

async function readCluster(world: World, flags: Flags): Promise<Cluster> {
  const { namespace } = flags;
  try {
    const origin = { type: "kubernetes", server: await apiServerOf(world, flags), namespace } as const;
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
