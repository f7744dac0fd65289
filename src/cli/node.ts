/** `fairlead node drain|undrain`: this node's routes are withdrawn well, and come back. */
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import type { DrainDocument } from "../observe/status.ts";
import { getDocument, postDocument } from "./agent-api.ts";
import { parseCount, print, withCommonOptions, type CommonOptions } from "./output.ts";
import { chooseSocket } from "./socket.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

const POLL_MILLISECONDS = 200;
const PROGRESS_MILLISECONDS = 1000;
const TIMEOUT_SECONDS = 60;

interface DrainOptions extends CommonOptions {
  readonly wait?: true;
  readonly timeout: number;
}

export function nodeCommand(world: World): Command {
  return new Command("node")
    .addHelpText("after", "\nExample:\n  fairlead node drain --wait\n  fairlead node undrain")
    .addCommand(drainCommand(world))
    .addCommand(undrainCommand(world));
}

function drainCommand(world: World): Command {
  const command = new Command("drain")
    .description("BGP peers are told to prefer other nodes, then this node's routes are withdrawn; layer 2 stays")
    .option("--wait", "until the routes are withdrawn")
    .option("--timeout <seconds>", "how long to wait", parseCount, TIMEOUT_SECONDS);
  return withCommonOptions(command, "fairlead node drain --wait").action(async (options: DrainOptions) => {
    const socket = await chooseSocket(world, options.socket);
    const asked = await postDocument(world, socket, "/v1/drain", { draining: true });
    const drain = options.wait === true ? await waitUntilGone(world, socket, asked, options.timeout) : asked;
    print(world, options.output, drain, () => `${drainedText(drain)}\n${layer2Text(drain)}`);
  });
}

function undrainCommand(world: World): Command {
  const command = new Command("undrain").description("announce again what a drain has withdrawn");
  return withCommonOptions(command, "fairlead node undrain").action(async (options: CommonOptions) => {
    const socket = await chooseSocket(world, options.socket);
    const drain = await postDocument(world, socket, "/v1/drain", { draining: false });
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
  socket: string,
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
    drain = await getDocument(world, socket, "/v1/drain");
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
