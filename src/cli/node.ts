/** `fairlead node drain|undrain`: this node's routes are withdrawn well, and come back. */
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import type { DrainDocument } from "../observe/status.ts";
import { getDocument, postDocument } from "./agent-api.ts";
import type { Agent } from "./agent-api.ts";
import { findOneAgent } from "./agents.ts";
import { parseCount, withCommonOptions, withExample, type CommonOptions } from "./options.ts";
import { print } from "./output.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

const POLL_MILLISECONDS = 200;
const PROGRESS_MILLISECONDS = 1000;
const TIMEOUT_SECONDS = 60;

interface DrainOptions extends CommonOptions {
  readonly wait?: true;
  readonly timeout: number;
}

export function nodeCommand(world: World): Command {
  const name = world.reach === "machine" ? "" : " worker1";
  const example = `fairlead node drain${name} --wait\nfairlead node undrain${name}`;
  return withExample(world, new Command("node"), example)
    .addCommand(drainCommand(world))
    .addCommand(undrainCommand(world));
}

function drainCommand(world: World): Command {
  const command = new Command("drain")
    .description("BGP peers are told to prefer other nodes, then this node's routes are withdrawn; layer 2 stays")
    .argument("[node]", argumentText(world))
    .option("--wait", "until the routes are withdrawn")
    .option("--timeout <seconds>", "how long to wait", parseCount, TIMEOUT_SECONDS);
  const example = world.reach === "machine" ? "fairlead node drain --wait" : "fairlead node drain worker1 --wait";
  return withCommonOptions(world, command, example).action(async (node: string | undefined, options: DrainOptions) => {
    const agent = await findNamed(world, node, options);
    const asked = await postDocument(agent, "/v1/drain", { draining: true });
    const drain = options.wait === true ? await waitUntilGone(world, agent, asked, options.timeout) : asked;
    print(world, options.output, drain, () => `${drainedText(drain)}\n${layer2Text(drain)}`);
  });
}

function argumentText(world: World): string {
  return world.reach === "machine" ? "this node; another name is refused" : "whose agent is asked";
}

/** A machine's agent is not told to drain when another node was meant. */
async function findNamed(world: World, node: string | undefined, options: CommonOptions): Promise<Agent> {
  const agent = await findOneAgent(world, node === undefined ? options : { ...options, node });
  if (node === undefined || agent.node !== undefined) return agent;
  const { node: own } = await getDocument(agent, "/v1/drain");
  if (own !== node) throw new CommandFailure(EXIT.usage, `The agent ${agent.where} is that of ${own}, not of ${node}`);
  return agent;
}

function undrainCommand(world: World): Command {
  const command = new Command("undrain").description("announce again what a drain has withdrawn");
  command.argument("[node]", argumentText(world));
  const example = world.reach === "machine" ? "fairlead node undrain" : "fairlead node undrain worker1";
  return withCommonOptions(world, command, example).action(async (node: string | undefined, options: CommonOptions) => {
    const drain = await postDocument(await findNamed(world, node, options), "/v1/drain", { draining: false });
    print(
      world,
      options.output,
      drain,
      () =>
        `${drain.node} is not drained: its routes are announced, unless its label or its condition keeps them back.\n`,
    );
  });
}

async function waitUntilGone(
  world: World,
  agent: Agent,
  first: DrainDocument,
  timeoutSeconds: number,
): Promise<DrainDocument> {
  const start = performance.now();
  let [drain, toldAt] = [first, start];
  while (!isGone(drain) && !world.stop.aborted) {
    const now = performance.now();
    if (now - start > timeoutSeconds * 1000)
      throw new CommandFailure(EXIT.problem, `Not withdrawn after ${timeoutSeconds} s: ${progressText(drain)}`);
    if (now - toldAt > PROGRESS_MILLISECONDS) {
      world.stderr.write(`${progressText(drain)}\n`);
      toldAt = now;
    }
    // One look after the other is the purpose.
    // oxlint-disable-next-line no-await-in-loop
    await sleep(POLL_MILLISECONDS);
    // oxlint-disable-next-line no-await-in-loop
    drain = await getDocument(agent, "/v1/drain");
    if (!drain.draining)
      throw new CommandFailure(EXIT.problem, `${drain.node} is not drained any more: somebody has ended it`);
  }
  return drain;
}

function isGone({ bgp, routes, pending }: DrainDocument): boolean {
  return bgp === "gone" && routes === 0 && pending === 0;
}

function progressText({ node, bgp, routes, pending, sessions }: DrainDocument): string {
  const state = bgp === "leaving" ? "peers prefer other nodes by now" : bgp;
  return `${node}: ${state}; ${routes} routes left, ${pending} changes not told yet, ${sessions} sessions`;
}

function drainedText(drain: DrainDocument): string {
  const { node, sessions } = drain;
  if (sessions === 0) return `${node} is drained: no BGP session is up, so there is nobody to tell.`;
  if (isGone(drain)) return `${node} is drained: its routes are withdrawn.`;
  return `${node} drains: BGP peers are told to prefer other nodes, then its routes are withdrawn.`;
}

/** Every node elects who answers from what all of them see: who stepped back alone would leave two that answer, or none. */
function layer2Text({ node, layer2Addresses }: DrainDocument): string {
  return (
    `Layer 2 is not drained: this node answers for ${layer2Addresses} addresses as before, because nodes elect who does from objects that all of them see.\n` +
    "The label on the Node drains both:\n" +
    `  kubectl label node ${node} node.kubernetes.io/exclude-from-external-load-balancers=\n`
  );
}
