/** `fairlead explain svc/NAME`: the way from the pool to the backend, step by step. Exits with 1 when a step fails. */
import { Command } from "commander";
import { parseAddress } from "../net/address.ts";
import type { ExplainDocument, ExplainStep } from "../observe/status.ts";
import { getDocument } from "./agent-api.ts";
import { print, withCommonOptions, type CommonOptions } from "./output.ts";
import { chooseSocket } from "./socket.ts";
import { paintFor, type Colour, type Paint } from "./table.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface ExplainOptions extends CommonOptions {
  readonly namespace: string;
}

export function explainCommand(world: World): Command {
  const command = new Command("explain")
    .argument("<service>", "svc/NAME, NAME, or one of its addresses")
    .option("-n, --namespace <name>", "of the Service", "default");
  const example = "fairlead explain svc/web -n shop\nfairlead explain 192.168.10.3";
  return withCommonOptions(command, example).action(async (wanted: string, options: ExplainOptions) => {
    const query = queryFor(wanted, options.namespace);
    const socket = await chooseSocket(world, options.socket);
    const document = await getDocument(world, socket, "/v1/explain", query);
    print(world, options.output, document, () => draw(document, paintFor(world)));
    if (!document.reachable) world.exitCode = EXIT.problem;
  });
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
const STEP_WIDTH = 15;
const INDENT = " ".repeat(RESULT_WIDTH + STEP_WIDTH);

function draw(document: ExplainDocument, paint: Paint): string {
  const lines = [paint("bold", `Service ${document.service}, as ${document.node} sees it`), ""];
  for (const step of document.steps) lines.push(...drawStep(step, paint));
  return `${[...lines, "", verdict(document, paint)].join("\n")}\n`;
}

function drawStep({ step, result, found, details, todo }: ExplainStep, paint: Paint): readonly string[] {
  const [mark, colour] = MARKS[result];
  return [
    `${paint(colour, mark.padEnd(RESULT_WIDTH))}${step.padEnd(STEP_WIDTH)}${found}`,
    ...details.map((line) => paint("dim", `${INDENT}  ${line}`)),
    ...(todo === undefined ? [] : [paint("yellow", `${INDENT}→ ${todo}`)]),
  ];
}

function verdict({ steps, reachable, node, ask }: ExplainDocument, paint: Paint): string {
  const first = steps.find(({ result }) => result === "failed");
  if (!reachable && first !== undefined) return paint("red", `Not reachable: it fails at the step "${first.step}".`);
  if (ask !== undefined) return `Well as far as ${node} can tell; the agent on ${ask} knows the rest.`;
  return paint("green", "Reachable: every step is well.");
}
