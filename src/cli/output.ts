/** The options every command has, and what `-o` chooses between. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { stringify } from "yaml";
import type { World } from "./world.ts";

export type Format = "table" | "json" | "yaml";

export interface CommonOptions {
  readonly output: Format;
  readonly socket?: string;
}

/** Adds `-o`, `--socket` and an example to the help. */
export function withCommonOptions(command: Command, example: string): Command {
  return command
    .addOption(
      new Option("-o, --output <format>", "how to print it").choices(["table", "json", "yaml"]).default("table"),
    )
    .option("--socket <path>", "of the agent (default: FAIRLEAD_SOCKET, else the only one in /run/fairlead)")
    .addHelpText("after", `\nExample:\n  ${example.replaceAll("\n", "\n  ")}`);
}

/** Prints a document as it is (json, yaml) or as the command draws it. */
export function print(world: World, format: Format, document: unknown, drawn: () => string): void {
  world.stdout.write(format === "table" ? drawn() : serialize(format, document));
}

function serialize(format: "json" | "yaml", document: unknown): string {
  return format === "json" ? `${JSON.stringify(document, undefined, 2)}\n` : stringify(document, { lineWidth: 0 });
}

/** For options that count something. */
export function parseCount(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError("Expected a number from 0 to 999999999.");
  return Number(value);
}
