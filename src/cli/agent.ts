/** `fairlead agent` and `fairlead cleanup`: options in, the program runs until Ctrl-C or SIGTERM. */
import { Command } from "commander";
import { cleanup, OptionsError, runAgent } from "../agent/main.ts";
import type { AgentOptions } from "../agent/config.ts";
import { getDocument } from "./agent-api.ts";
import { logLevelOption, withOrigin } from "./controller.ts";
import { parseCount } from "./options.ts";
import { agentOnThisMachine } from "./socket.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

export function agentCommand(world: World): Command {
  return withOrigin(new Command("agent"), "where the controller writes addresses")
    .requiredOption("--node-name <name>", "this node's name, as its Node object has it")
    .option("--node-state <folder>", "where this agent writes its node's ServiceL2Status objects and events")
    .option("--endpoints <folder>", "one file for each pod whose veth is ours")
    .option("--bpffs <folder>", "where maps and links are pinned (default: /run/fairlead/bpf/NAME)")
    .option("--socket <path>", "of the local API (default: /run/fairlead/NAME.sock)")
    .option("--devices <name...>", "carry traffic on these devices only (default: all that are up and not excluded)")
    .option("--interfaces-exclude <regex>", "never announce or carry traffic there (default: MetalLB's list)")
    .option("--metrics-listen <host:port>", "serve Prometheus metrics there, besides the socket")
    .option("--health-listen <host:port>", "serve /healthz and /readyz there, for a kubelet")
    .option("--api-listen <host:port>", "serve `kubectl fairlead` there, whose tickets the API server checks")
    .option("--bmp <host:port>", "report BGP sessions and routes to a BMP collector there (default: to none)")
    .option("--grace-seconds <n>", "keep this node's addresses so long while no agent runs (default: 60)", parseCount)
    .option("--membership-port <port>", "UDP port of the probes between nodes (default: 7956)", parseCount)
    .option("--membership-key-file <path>", "the key that probes are signed with, the same on every node")
    .option(
      "--check-seconds <n>",
      "look so often for what harms on this node and its segments (default: 30)",
      parseCount,
    )
    .option("--flows-max <n>", "rows of the connection table, two for each connection", parseCount)
    .option("--daemonset <name>", "that this is a pod of: when it is deleted, the datapath is taken away at the stop")
    .option("--leave-on-stop", "give every address up when stopped, instead of keeping them for a restart")
    .option("--ignore-exclude-lb", "announce on nodes that are excluded by their label as well")
    .option("--handover", "beside another load balancer: stand by until the Node is labelled (docs/migrate.md)")
    .addOption(logLevelOption())
    .addHelpText(
      "after",
      "\nExample:\n  fairlead agent --node-name worker1 --manifests /etc/fairlead --state /var/lib/fairlead",
    )
    .action((options: AgentOptions) => run(world, options));
}

export function cleanupCommand(world: World): Command {
  return new Command("cleanup")
    .requiredOption("--node-name <name>", "as the agent was started with")
    .option("--bpffs <folder>", "as the agent was started with (default: /run/fairlead/bpf/NAME)")
    .option("--socket <path>", "as the agent was started with (default: /run/fairlead/NAME.sock)")
    .addHelpText("after", "\nExample:\n  fairlead cleanup --node-name worker1")
    .action((options: CleanupOptions) => clean(world, options));
}

interface CleanupOptions {
  readonly nodeName: string;
  readonly bpffs?: string;
  readonly socket?: string;
}

/** Only where no agent runs: it would go on as if its programs were still there. */
async function clean(world: World, { nodeName, bpffs, socket }: CleanupOptions): Promise<void> {
  const path = socket ?? `${world.runFolder}/${nodeName}.sock`;
  if (await isReachable(world, path))
    throw new CommandFailure(EXIT.problem, `Cannot remove the datapath of ${nodeName}: its agent runs. Stop it first`);
  const folder = bpffs ?? `${world.runFolder}/bpf/${nodeName}`;
  try {
    cleanup({ bpffs: folder, socket: path });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailure(EXIT.problem, `Cannot remove the datapath in ${folder}: ${reason}`, { cause });
  }
  world.stdout.write(`Nothing of the datapath of ${nodeName} is left in ${folder}\n`);
}

async function isReachable(world: World, socket: string): Promise<boolean> {
  try {
    await getDocument(await agentOnThisMachine(world, socket), "/v1/status");
    return true;
  } catch (error) {
    if (error instanceof CommandFailure) return error.exitCode !== EXIT.unreachable;
    throw error;
  }
}

async function run(world: World, options: AgentOptions): Promise<void> {
  try {
    // As the downward API gives them.
    await runAgent({ ...options, podName: world.env["POD_NAME"], podUid: world.env["POD_UID"] }, world.stop);
  } catch (cause) {
    const exitCode = cause instanceof OptionsError ? EXIT.usage : EXIT.problem;
    throw new CommandFailure(exitCode, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
