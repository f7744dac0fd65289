/**
 * The command tree. A program's modules are read only when it is asked for, so that `fairlead status` does not wait
 * for the agent's libraries, and `--help` for nobody's.
 */
import { Command, CommanderError } from "commander";
import { candidatesFor, COMPLETE, drawCandidates } from "./completion.ts";
import { ownVersion } from "./own-version.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly load: (world: World) => Promise<Command>;
  /** It needs to be on the machine it is about. */
  readonly machineOnly?: true;
}

/** Runs one command line (without node and script) and returns the exit status. Bugs are thrown. */
export async function runCli(words: readonly string[], world: World): Promise<number> {
  if (words[0] === COMPLETE) return complete(words.slice(words[1] === "--" ? 2 : 1), world);
  const program = await programFor(words, world);
  try {
    await program.parseAsync(words, { from: "user" });
    return world.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOf(error);
    if (!(error instanceof CommandFailure)) throw error;
    world.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
}

/** A shell asks what may follow. */
async function complete(words: readonly string[], world: World): Promise<number> {
  // The word that is being typed asks for nothing yet.
  const program = await programFor(words.slice(0, -1), world);
  world.stdout.write(drawCandidates(candidatesFor(program, words)));
  return EXIT.ok;
}

/** With everything below the command that is asked for; of the others their names. */
async function programFor(words: readonly string[], world: World): Promise<Command> {
  const program = new Command(world.program)
    .description("A load balancer for clusters and machines that have no cloud")
    .version(await ownVersion(), "-V, --version", "show the version of this program")
    .enablePositionalOptions()
    .showHelpAfterError("(--help shows what there is)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => world.stdout.write(text),
      writeErr: (text) => world.stderr.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText(
      "after",
      `\nExample:\n${world.reach === "machine" ? "  fairlead lab up\n" : ""}  ${world.program} status`,
    );
  const here = entries.filter(({ machineOnly = false }) => world.reach === "machine" || !machineOnly);
  for (const entry of here) program.addCommand(await commandFor(entry, words, world));
  inheritSettings(program);
  return program;
}

/** A command that is not asked for is only its line in the help. */
async function commandFor(entry: Entry, words: readonly string[], world: World): Promise<Command> {
  const asked = words.find((word) => !word.startsWith("-") && word !== "help");
  if (asked !== entry.name) return new Command(entry.name).description(entry.summary);
  return (await entry.load(world)).description(entry.summary);
}

/** Commands made elsewhere know nothing of our outputs and of how we exit. */
function inheritSettings(parent: Command): void {
  for (const child of parent.commands) {
    child.copyInheritedSettings(parent);
    inheritSettings(child);
  }
}

/** commander exits with 1 for every mistake in the command line; help that was asked for is none. */
function exitCodeOf(error: CommanderError): number {
  return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}

const LAB_EXAMPLE = "\nExample:\n  fairlead lab up\n  fairlead lab exec client -- curl -s http://192.168.10.0/";

const entries: readonly Entry[] = [
  {
    name: "status",
    summary: "agents: devices, membership, counters, problems",
    load: async (world) => (await import("./status.ts")).statusCommand(world),
  },
  {
    name: "services",
    summary: "Services with their addresses, backends and the node that answers for them",
    load: async (world) => (await import("./services.ts")).servicesCommand(world),
  },
  {
    name: "explain",
    summary: "why a Service is reachable, or at which step it is not and what to do",
    load: async (world) => (await import("./explain.ts")).explainCommand(world),
  },
  {
    name: "nodes",
    summary: "nodes as they see each other: who is alive, and for how long without an agent",
    load: async (world) => (await import("./nodes.ts")).nodesCommand(world),
  },
  {
    name: "node",
    summary: "drain a node: its routes by BGP go, well announced; and bring them back",
    load: async (world) => (await import("./node.ts")).nodeCommand(world),
  },
  {
    name: "pools",
    summary: "address pools and how many of their addresses are taken",
    load: async (world) => (await import("./pools.ts")).poolsCommand(world),
  },
  {
    name: "bgp",
    summary: "BGP: sessions, routes, what peers say and why sessions ended",
    load: async (world) => (await import("./bgp.ts")).bgpCommand(world),
  },
  {
    name: "bpf",
    summary: "the maps of the datapath, as they are in the kernel",
    load: async (world) => (await import("./bpf.ts")).bpfCommand(world),
  },
  {
    name: "monitor",
    summary: "drops and sampled packets, live",
    load: async (world) => (await import("./monitor.ts")).monitorCommand(world),
  },
  {
    name: "migrate",
    summary: "a cluster that MetalLB serves: what will differ, and how it is handed over",
    load: async (world) => (await import("./migrate.ts")).migrateCommand(world),
  },
  {
    name: "config",
    machineOnly: true,
    summary: "check manifests offline, convert the old configuration of MetalLB",
    load: async (world) => (await import("./config.ts")).configCommand(world),
  },
  {
    name: "agent",
    machineOnly: true,
    summary: "run the agent: announcements, membership and the datapath (one on every node)",
    load: async (world) => (await import("./agent.ts")).agentCommand(world),
  },
  {
    name: "remove-agents",
    summary: "before an uninstallation: delete the agents of a cluster, each with its datapath",
    load: async (world) => (await import("./remove-agents.ts")).removeAgentsCommand(world),
  },
  {
    name: "cleanup",
    machineOnly: true,
    summary: "take the datapath of a stopped agent off its devices and out of the kernel",
    load: async (world) => (await import("./agent.ts")).cleanupCommand(world),
  },
  {
    name: "controller",
    machineOnly: true,
    summary: "run the controller: addresses for Services (one in the cluster)",
    load: async (world) => (await import("./controller.ts")).controllerCommand(world),
  },
  {
    name: "lab",
    machineOnly: true,
    summary: "networks of namespaces on this machine, with the real programs in them",
    load: async () => (await import("./lab.ts")).labCommand().addHelpText("after", LAB_EXAMPLE),
  },
  {
    name: "completion",
    machineOnly: true,
    summary: "completion for bash, zsh or fish, to be sourced by it",
    load: async (world) => (await import("./completion.ts")).completionCommand(world),
  },
  {
    name: "version",
    summary: "of this program and of the agent",
    load: async (world) => (await import("./version.ts")).versionCommand(world),
  },
];
