/** The options every command has, and what `-o` chooses between: on a machine, and over a cluster as kubectl calls them. */
import { InvalidArgumentError, Option, type Command } from "commander";
import type { World } from "./world.ts";

export type Format = "table" | "json" | "yaml";

export interface CommonOptions extends ClusterOptions {
  readonly output: Format;
  readonly socket?: string;
  /** Of a cluster's agents, the one on this node. */
  readonly node?: string;
}

/** Which cluster, and as whom. */
export interface ClusterOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
  readonly installNamespace?: string;
}

/** Adds `-o`, how to find agents, and an example to the help. */
export function withCommonOptions(world: World, command: Command, example: string): Command {
  const output = new Option("-o, --output <format>", "how to print it");
  command.addOption(output.choices(["table", "json", "yaml"]).default("table"));
  return withExample(world, withReach(world, command), example);
}

/** How to find agents. */
export function withReach(world: World, command: Command): Command {
  if (world.reach === "machine")
    return command.option(
      "--socket <path>",
      "of the agent (default: FAIRLEAD_SOCKET, else the only one in /run/fairlead)",
    );
  return withCluster(command.option("--node <name>", "ask the agent on this node only")).option(
    "--install-namespace <name>",
    "where Fairlead runs (default: FAIRLEAD_NAMESPACE, else metallb-system)",
  );
}

/** Which cluster, and as whom: as kubectl has it. */
export function withCluster(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "as kubectl has it (default: KUBECONFIG, else ~/.kube/config)")
    .option("--context <name>", "of the kubeconfig")
    .option("--cluster <name>", "of the kubeconfig")
    .option("--user <name>", "of the kubeconfig")
    .option("--as <user>", "impersonate this user")
    .option("--as-group <group>", "impersonate this group; may be repeated", collect);
}

/** An example of several lines, each beginning with `fairlead`. */
export function withExample(world: World, command: Command, example: string): Command {
  const text = example.replaceAll(/^fairlead/gm, world.program).replaceAll("\n", "\n  ");
  return command.addHelpText("after", `\nExample:\n  ${text}`);
}

/** For options that count something. */
export function parseCount(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError("Expected a number from 0 to 999999999.");
  return Number(value);
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
