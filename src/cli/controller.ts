/** `fairlead controller`: options in, the program runs until Ctrl-C or SIGTERM. */
import { hostname } from "node:os";
import { Command, InvalidArgumentError, Option } from "commander";
import { runController, type ControllerOptions } from "../controller/main.ts";
import { parseListen, type ListenAddress } from "../net/listen.ts";
import { formatProblem } from "../net/problem.ts";
import { DEFAULT_TIMING, type Timing } from "../source/kubernetes/lease/machine.ts";
import { parseOrigin, type Origin, type OriginOptions } from "../source/open.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface ControllerFlags extends OriginOptions {
  readonly identity?: string;
  readonly webhookListen?: string;
  readonly webhookName?: readonly string[];
  readonly webhookCertDir?: string;
  readonly membershipSecret?: string;
  readonly leaseDurationSeconds: number;
  readonly renewDeadlineSeconds: number;
  readonly retryPeriodSeconds: number;
  readonly lbClass?: string;
  readonly metricsListen?: string;
  readonly healthListen?: string;
  readonly logLevel: string;
}

export function controllerCommand(world: World): Command {
  const timing = DEFAULT_TIMING;
  return withOrigin(new Command("controller"), "where addresses, conditions and events are written")
    .option("--lb-class <class>", "serve only Services of this loadBalancerClass (default: those without one)")
    .option("--metrics-listen <host:port>", "serve Prometheus metrics there")
    .option("--health-listen <host:port>", "serve /healthz and /readyz there, for a kubelet")
    .option("--identity <name>", "this replica's name, with Kubernetes (default: the name of its pod or machine)")
    .option("--webhook-listen <host:port>", "serve the validating webhook there, with Kubernetes")
    .option(
      "--webhook-name <name>",
      "the API server calls it by this name (repeatable; default: its Service's)",
      collect,
    )
    .option("--webhook-cert-dir <folder>", "its tls.crt and tls.key are kept there by others (default: made here)")
    .option("--membership-secret <name>", "a Secret to make if it is not there, with the key of the agents' probes")
    .option(
      "--lease-duration-seconds <n>",
      "others take over after this long",
      parseSeconds,
      timing.leaseDurationSeconds,
    )
    .option("--renew-deadline-seconds <n>", "give up before that", parseSeconds, timing.renewDeadlineSeconds)
    .option("--retry-period-seconds <n>", "between two looks at the Lease", parseSeconds, timing.retryPeriodSeconds)
    .addOption(logLevelOption())
    .addHelpText("after", "\nExample:\n  fairlead controller --manifests /etc/fairlead --state /var/lib/fairlead")
    .action((flags: ControllerFlags) => run(world, flags));
}

async function run(world: World, flags: ControllerFlags): Promise<void> {
  const origin = parseOrigin(flags);
  if ("problems" in origin) throw new CommandFailure(EXIT.usage, origin.problems.map(formatProblem).join("\n"));
  if (origin.type === "folder" && origin.state === undefined)
    throw new CommandFailure(EXIT.usage, "--state: name the folder where addresses are to be written");
  const options = optionsOf(world, flags, origin);
  try {
    await runController(options, world.stop);
  } catch (cause) {
    throw new CommandFailure(EXIT.problem, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function optionsOf(world: World, flags: ControllerFlags, origin: Origin): ControllerOptions {
  const { lbClass, metricsListen, healthListen, logLevel, membershipSecret } = flags;
  if (membershipSecret !== undefined && origin.type !== "kubernetes")
    throw new CommandFailure(EXIT.usage, "--membership-secret: beside folders there are no Secrets, only files");
  return {
    origin,
    identity: flags.identity ?? world.env["POD_NAME"] ?? hostname(),
    leaseTiming: leaseTimingOf(flags),
    logLevel,
    webhook: webhookOf(flags, origin),
    membershipSecret,
    ...(lbClass === undefined ? {} : { loadBalancerClass: lbClass }),
    ...(metricsListen === undefined ? {} : { metricsListen }),
    ...(healthListen === undefined ? {} : { healthListen: listenOf("--health-listen", healthListen) }),
  };
}

function webhookOf(
  { webhookListen, webhookName = [], webhookCertDir }: ControllerFlags,
  origin: Origin,
): ControllerOptions["webhook"] {
  if (webhookListen !== undefined)
    return { listen: webhookAddress(webhookListen, origin), names: webhookName, certificateFolder: webhookCertDir };
  if (webhookCertDir !== undefined)
    throw new CommandFailure(EXIT.usage, "--webhook-cert-dir: no webhook is served without --webhook-listen");
  return undefined;
}

function listenOf(option: string, text: string): ListenAddress {
  const listen = parseListen(text);
  if (listen !== undefined) return listen;
  throw new CommandFailure(EXIT.usage, `${option}: ${JSON.stringify(text)} is not HOST:PORT`);
}

function webhookAddress(text: string, origin: Origin): ListenAddress {
  const listen = listenOf("--webhook-listen", text);
  if (origin.type === "kubernetes") return listen;
  throw new CommandFailure(
    EXIT.usage,
    "--webhook-listen: folders ask nobody before they are written; `config check` does",
  );
}

/** Each shorter than the one before, or two replicas may act at once. */
function leaseTimingOf({ leaseDurationSeconds, renewDeadlineSeconds, retryPeriodSeconds }: Timing): Timing {
  if (leaseDurationSeconds > renewDeadlineSeconds && renewDeadlineSeconds > retryPeriodSeconds)
    return { leaseDurationSeconds, renewDeadlineSeconds, retryPeriodSeconds };
  throw new CommandFailure(
    EXIT.usage,
    `--renew-deadline-seconds ${renewDeadlineSeconds} must be less than --lease-duration-seconds ${leaseDurationSeconds} and more than --retry-period-seconds ${retryPeriodSeconds}`,
  );
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 3600) return seconds;
  throw new InvalidArgumentError("expected a number of seconds, more than 0 and at most 3600.");
}

/** The options that say where objects come from, the same for every program. */
export function withOrigin(command: Command, state: string): Command {
  return command
    .option("--manifests <path>", "a folder or file with objects (repeatable)", collect)
    .option("--state <folder>", `${state}, beside manifests`)
    .option("--kubernetes", "objects come from the Kubernetes API: inside a pod, by its service account")
    .option("--kubeconfig <file>", "objects come from the Kubernetes API: outside of one, by this file")
    .option(
      "--namespace <name>",
      "where our configuration lies in Kubernetes (default: the pod's, else metallb-system)",
    );
}

export function logLevelOption(): Option {
  const levels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];
  return new Option("--log-level <level>", "of the log on standard output").choices(levels).default("info");
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
