/** `fairlead explain svc/NAME`: the way from the pool to the backend, step by step. Exits with 1 when a step fails. */
import { Command } from "commander";
import { parseAddress } from "../net/address.ts";
import type { ExplainDocument, ExplainStep } from "../observe/status.ts";
import { getDocument } from "./agent-api.ts";
import { findAgents } from "./agents.ts";
import { explainTogether } from "./explain-together.ts";
import { withCommonOptions, type CommonOptions } from "./options.ts";
import { print } from "./output.ts";
import { paintFor, type Colour, type Paint } from "./table.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface ExplainOptions extends CommonOptions {
  readonly namespace?: string;
}

export function explainCommand(world: World): Command {
  const command = new Command("explain")
    .argument("<service>", "svc/NAME, NAME, or one of its addresses")
    .option(
      "-n, --namespace <name>",
      world.reach === "machine" ? "of the Service (default: default)" : "of the Service (default: the context's)",
    );
  const example = "fairlead explain svc/web -n shop\nfairlead explain 192.168.10.3";
  return withCommonOptions(world, command, example).action(async (wanted: string, options: ExplainOptions) => {
    const query = queryFor(wanted, options.namespace ?? (await ownNamespace(world, options)));
    const found = await findAgents(world, options);
    const document =
      found.type === "one"
        ? await getDocument(found.agent, "/v1/explain", query)
        : await explainTogether(world, found.agents, query);
    print(world, options.output, document, () => draw(document, paintFor(world)));
    if (!document.reachable) world.exitCode = EXIT.problem;
  });
}

async function ownNamespace(world: World, options: CommonOptions): Promise<string> {
  if (world.reach === "machine") return "default";
  const { contextNamespace } = await import("./cluster/api-server.ts");
  return contextNamespace(world, options);
}

const NAME = /^(?:(?:svc|service|services)\/)?(?<name>[a-z0-9]([-a-z0-9.]*[a-z0-9])?)$/i;

function queryFor(wanted: string, namespace: string): string {
  if (parseAddress(wanted) !== undefined) return `?address=${encodeURIComponent(wanted)}`;
  const name = NAME.exec(wanted)?.groups?.["name"];
  if (name === undefined) {
    throw new CommandFailure(
      EXIT.usage,
      `Cannot explain ${JSON.stringify(wanted)}: give svc/NAME with -n NAMESPACE, or one of its addresses`,
    );
  }
  return `?service=${encodeURIComponent(`${namespace}/${name}`)}`;
}

const MARKS: Readonly<Record<ExplainStep["result"], readonly [string, Colour]>> = {
  ok: ["ok", "green"],
  warning: ["warning", "yellow"],
  failed: ["FAILED", "red"],
  skipped: ["-", "dim"],
  elsewhere: ["?", "yellow"],
};
const RESULT_WIDTH = 9;

function draw(document: ExplainDocument, paint: Paint): string {
  const { service, node, steps } = document;
  const width = Math.max(...steps.map((step) => nameOf(step).length), 0) + 2;
  const lines = steps.flatMap((step) => drawStep(step, width, paint));
  return `${[paint("bold", `Service ${service}, as ${node} sees it`), "", ...lines, "", verdict(document, paint)].join("\n")}\n`;
}

function drawStep(step: ExplainStep, width: number, paint: Paint): readonly string[] {
  const { result, found, details, todo } = step;
  const [mark, colour] = MARKS[result];
  const indent = " ".repeat(RESULT_WIDTH + width);
  return [
    `${paint(colour, mark.padEnd(RESULT_WIDTH))}${nameOf(step).padEnd(width)}${found}`,
    ...details.map((line) => paint("dim", `${indent}  ${line}`)),
    ...(todo === undefined ? [] : [paint("yellow", `${indent}→ ${todo}`)]),
  ];
}

/** Steps of layer 2 need no prefix: it is what most people use. */
function nameOf({ step, protocol = "layer2" }: ExplainStep): string {
  return protocol === "layer2" ? step : `${protocol} ${step}`;
}

function verdict({ steps, reachable, node, ask }: ExplainDocument, paint: Paint): string {
  const first = steps.find(({ result }) => result === "failed");
  if (!reachable && first?.ask !== undefined)
    return paint(
      "red",
      `Not reachable by way of ${node}: it fails at the step "${nameOf(first)}"; ask on ${first.ask}.`,
    );
  if (!reachable && first !== undefined) return paint("red", `Not reachable: it fails at the step "${nameOf(first)}".`);
  const warnings = steps.filter(({ result }) => result === "warning").map(nameOf);
  const besides = warnings.length === 0 ? "" : `; something is to be seen to at ${quoted(warnings)}`;
  if (ask !== undefined) return `Well as far as ${node} can tell; the agent on ${ask} knows the rest${besides}.`;
  if (warnings.length > 0) return paint("yellow", `No step fails${besides}.`);
  return paint("green", "Reachable: every step is well.");
}

function quoted(names: readonly string[]): string {
  return `the step${names.length === 1 ? "" : "s"} ${names.map((name) => JSON.stringify(name)).join(", ")}`;
}
