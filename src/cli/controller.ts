/** `fairlead controller`: options in, the program runs until Ctrl-C or SIGTERM. */
import { Command, Option } from "commander";
import { runController } from "../controller/main.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface ControllerFlags {
  readonly manifests: readonly string[];
  readonly state: string;
  readonly lbClass?: string;
  readonly metricsListen?: string;
  readonly logLevel: string;
}

export function controllerCommand(world: World): Command {
  return new Command("controller")
    .requiredOption("--manifests <path>", "a folder or file with objects (repeatable)", collect)
    .requiredOption("--state <folder>", "where addresses, conditions and events are written")
    .option("--lb-class <class>", "serve only Services of this loadBalancerClass (default: those without one)")
    .option("--metrics-listen <host:port>", "serve Prometheus metrics there")
    .addOption(logLevelOption())
    .addHelpText("after", "\nExample:\n  fairlead controller --manifests /etc/fairlead --state /var/lib/fairlead")
    .action((flags: ControllerFlags) => run(world, flags));
}

async function run(world: World, flags: ControllerFlags): Promise<void> {
  const { lbClass, ...rest } = flags;
  const options = lbClass === undefined ? rest : { ...rest, loadBalancerClass: lbClass };
  try {
    await runController(options, world.stop);
  } catch (cause) {
    throw new CommandFailure(EXIT.problem, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

export function logLevelOption(): Option {
  const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
  return new Option("--log-level <level>", "of the log on standard output").choices(levels).default("info");
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
