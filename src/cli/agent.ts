/** `fairlead agent`: options in, the program runs until Ctrl-C or SIGTERM; the datapath stays. */
import { Command, InvalidArgumentError } from "commander";
import type { AgentOptions } from "../agent/config.ts";
import { runAgent } from "../agent/main.ts";
import { collect, logLevelOption } from "./controller.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

export function agentCommand(world: World): Command {
  return new Command("agent")
    .requiredOption("--node-name <name>", "this node's name, as in its Node object")
    .requiredOption("--manifests <path>", "a folder or file with objects (repeatable)", collect)
    .option("--state <folder>", "where the controller writes addresses")
    .option("--endpoints <folder>", "one file for each pod whose veth is ours")
    .option("--bpffs <folder>", "where maps and links are pinned (default: /run/fairlead/bpf/NODE)")
    .option("--socket <path>", "of the local API (default: /run/fairlead/NODE.sock)")
    .option("--interfaces-exclude <regex>", "devices that never carry the datapath (default: MetalLB's list)")
    .option("--devices <name...>", "only these devices")
    .option("--metrics-listen <host:port>", "serve Prometheus metrics there too")
    .option("--grace-seconds <seconds>", "how long this node keeps its addresses without an agent (default: 60)", number)
    .option("--membership-port <port>", "UDP, the same on all nodes (default: 7956)", number)
    .option("--membership-key-file <path>", "the secret of the liveness probes, the same on all nodes")
    .option("--flows-max <rows>", "of the flow table, two a connection", number)
    .option("--leave-on-stop", "give this node's addresses up when stopped, instead of expecting a restart")
    .addOption(logLevelOption())
    .addHelpText("after", "\nExample:\n  fairlead agent --node-name worker1 --manifests /etc/fairlead --state /var/lib/fairlead")
    .action((options: AgentOptions) => run(world, options));
}

async function run(world: World, options: AgentOptions): Promise<void> {
  try {
    await runAgent(options, world.stop);
  } catch (cause) {
    throw new CommandFailure(EXIT.problem, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("It is not a number.");
  return value;
}
