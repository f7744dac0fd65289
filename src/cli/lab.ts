/**
 * `fairlead lab …`: the commands of the lab. The work is done in lab/; here are arguments, output and exit statuses.
 */
import { dirname, join } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { stringify } from "yaml";
import { captureCommand, runAttached } from "../../lab/capture.ts";
import { applyFault, FAULTS } from "../../lab/fault.ts";
import type { Fault } from "../../lab/fault.ts";
import { requireProgram } from "../../lab/kubernetes/control-plane.ts";
import { kubeconfigOf } from "../../lab/kubernetes/start.ts";
import { memberPlan, openLab, takeDownWithOwner } from "../../lab/lab.ts";
import type { Lab } from "../../lab/lab.ts";
import { LabError } from "../../lab/lab-error.ts";
import { readStatus } from "../../lab/observe.ts";
import type { LabStatus } from "../../lab/observe.ts";
import { enterNamespace } from "../../lab/programs.ts";
import { routingEnvironment } from "../../lab/routing.ts";
import { renderRows } from "../../lab/rows.ts";
import { listLabs } from "../../lab/run-directory.ts";
import { listScenes } from "../../lab/scene-file.ts";
import { LAB_NAME } from "../../lab/scene.ts";
import { labUp, type UpOptions } from "./lab-up.ts";

/** Of kubectl: `kubectl-fairlead` lies there. */
const PLUGINS = join(import.meta.dirname, "../../bin");

const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  up: ["fairlead lab up", "fairlead lab up bgp --detach"],
  down: ["fairlead lab down"],
  status: ["fairlead lab status", "fairlead lab status -o json"],
  scenes: ["fairlead lab scenes"],
  exec: [
    "fairlead lab exec client -- curl -s http://192.168.10.0/",
    "fairlead lab exec worker1 -- bin/fairlead status",
  ],
  kubectl: ["fairlead lab kubectl -n metallb-system get pods -o wide", "fairlead lab kubectl fairlead status"],
  capture: ["fairlead lab capture lan | tcpdump -nr -", "fairlead lab capture worker1 eth0 arp -w arp.pcap"],
  fault: ["fairlead lab fault worker1 node-down", "fairlead lab fault worker1 link-down eth0"],
};

/** The command with its subcommands, to be mounted on the program. */
export function labCommand(): Command {
  const lab = new Command("lab")
    .description("Networks of namespaces on this machine, with the real programs in them")
    .enablePositionalOptions();
  lab
    .command("up")
    .description("bring a scene up, tell its story, and take it down with Ctrl-C")
    .argument("[scene]", "a built-in scene or the path of a scene file", "l2")
    .option("--detach", "return when it is up; it stays until `lab down`")
    .option("--name <name>", "of this lab (default: the scene's)", checkName)
    .option("--without-agents", "the network and its pods only")
    .action(guarded((scene: string, options: UpOptions) => labUp(scene, options)));
  named(lab.command("down").description("take a lab down, whatever state it is in")).action(guarded(down));
  named(lab.command("status").description("hosts, programs and Services of a lab"))
    .option("-o, --output <format>", "json or yaml", checkFormat)
    .action(guarded(status));
  lab.command("scenes").description("the built-in scenes").action(guarded(scenes));
  named(lab.command("exec").description("run a command on a host: a client, router, node or pod"))
    .usage("[options] <host> -- <command…>")
    .argument("<host>")
    .argument("<command...>")
    .passThroughOptions()
    .action(guarded(exec));
  named(lab.command("kubectl").description("kubectl in the cluster of a lab that has one, as who may do everything"))
    .usage("[options] <arguments…>")
    .argument("<arguments...>")
    .passThroughOptions()
    .allowUnknownOption()
    .action(guarded(kubectl));
  named(lab.command("capture").description("packets on a host's device, as pcap on standard output"))
    .argument("<host>", "a host, a pod, or a segment to see everything on it")
    .argument("[device]", "default: its first; `any` for all")
    .argument("[filter...]", "a pcap filter")
    .option("-w, --write <file>", "write to a file instead")
    .action(guarded(capture));
  named(lab.command("fault").description("let something go wrong"))
    .argument("<host>")
    .argument("<fault>", FAULTS.join(" | "), checkFault)
    .argument("[device]", "for link-down and link-up; default: the host's first")
    .action(guarded(fault));
  for (const command of lab.commands)
    command.addHelpText("after", `\nExample:\n  ${(EXAMPLES[command.name()] ?? []).join("\n  ")}`);
  return lab;
}

interface Named {
  readonly name?: string;
}

function named(command: Command): Command {
  return command.option("--name <name>", "of the lab (default: the only one that is up)", checkName);
}

async function down(options: Named): Promise<number> {
  // Also what a killed run left, which cannot be opened any more.
  const name = options.name ?? (await onlyName());
  await takeDownWithOwner(name);
  say(`Lab "${name}" is down`);
  return 0;
}

async function status(options: Named & { readonly output?: "json" | "yaml" }): Promise<number> {
  const document = await readStatus(await selectLab(options.name));
  if (options.output === "json") say(JSON.stringify(document, undefined, 2));
  else if (options.output === "yaml") say(stringify(document).trimEnd());
  else for (const line of statusLines(document)) say(line);
  return 0;
}

async function scenes(): Promise<number> {
  const rows = (await listScenes()).map((each) => [each.name, each.description]);
  for (const line of renderRows(["SCENE", "DESCRIPTION"], rows)) say(line);
  return 0;
}

async function exec(host: string, command: readonly string[], options: Named): Promise<number> {
  const lab = await selectLab(options.name);
  const { namespace } = memberPlan(lab, host);
  // With options passed through, commander leaves the separator in.
  const given = command[0] === "--" ? command.slice(1) : command;
  // The operator's commands find the agent of the node they are run on, vtysh and birdc that host's daemons.
  return runAttached(enterNamespace(namespace, given), {
    ...routingEnvironment(lab, host),
    FAIRLEAD_LAB: lab.name,
    FAIRLEAD_SOCKET: lab.paths.socket(host),
  });
}

async function kubectl(words: readonly string[], options: Named): Promise<number> {
  const lab = await selectLab(options.name);
  if (lab.scene.apiServer === undefined)
    throw new LabError(`Lab "${lab.name}" has no API server; scenes with one are apiserver and kubernetes`);
  const program = requireProgram("kubectl");
  // By the environment, for options before its name are nothing to a plug-in: `lab kubectl fairlead status`.
  return runAttached(enterNamespace(memberPlan(lab, lab.scene.apiServer).namespace, [program, ...words]), {
    KUBECONFIG: kubeconfigOf(lab, "admin"),
    PATH: [PLUGINS, dirname(program), process.env["PATH"] ?? ""].join(":"),
  });
}

async function capture(
  host: string,
  device: string | undefined,
  filter: readonly string[],
  options: Named & { readonly write?: string },
): Promise<number> {
  const lab = await selectLab(options.name);
  if (options.write === undefined && process.stdout.isTTY)
    throw new LabError("A capture is not for a terminal: use --write FILE, or a pipe into tcpdump -r - or Wireshark");
  return runAttached(
    captureCommand(lab, host, {
      filter,
      ...(device === undefined ? {} : { device }),
      ...(options.write === undefined ? {} : { file: options.write }),
    }),
  );
}

async function fault(host: string, kind: Fault, device: string | undefined, options: Named): Promise<number> {
  const lab = await selectLab(options.name);
  await applyFault(lab, host, kind, device);
  say(`${host}: ${kind}${device === undefined ? "" : ` ${device}`}`);
  return 0;
}

async function selectLab(name: string | undefined): Promise<Lab> {
  const wanted = name ?? (await onlyName());
  const lab = await openLab(wanted);
  if (lab === undefined) throw new LabError(`No lab "${wanted}" is up: "fairlead lab up" brings one up`);
  return lab;
}

async function onlyName(): Promise<string> {
  const labs = await listLabs();
  const [first] = labs;
  if (first === undefined) throw new LabError('No lab is up: "fairlead lab up" brings one up');
  if (labs.length > 1) throw new LabError(`Several labs are up, choose one with --name: ${labs.join(", ")}`);
  return first;
}

function statusLines(document: LabStatus): readonly string[] {
  const hosts = document.hosts.map((each) => [
    each.name,
    each.role,
    each.state,
    each.addresses.join(" "),
    each.programs.map((one) => `${one.program} ${one.pid}${one.state === "ended" ? " (ended)" : ""}`).join(" "),
  ]);
  const services = document.services.map((each) => [
    `${each.namespace}/${each.name}`,
    each.addresses.join(" ") || "none yet",
    each.ports.map((port) => `${port.port}/${port.protocol}`).join(" "),
    each.externalTrafficPolicy,
  ]);
  return [
    `Lab ${document.name} (scene ${document.scene}), ${document.phase}${document.detached ? ", detached" : ""}, since ${document.startedAt}`,
    "",
    ...renderRows(["HOST", "ROLE", "STATE", "ADDRESSES", "PROGRAMS"], hosts),
    "",
    ...renderRows(["SERVICE", "ADDRESSES", "PORTS", "TRAFFIC POLICY"], services),
  ];
}

/** Runs an action, prints what the operator can do something about, and sets the exit status. */
function guarded<A extends unknown[]>(action: (...args: A) => Promise<number>): (...args: A) => Promise<void> {
  return async (...args) => {
    if (process.getuid?.() !== 0) {
      process.stderr.write("The lab makes network namespaces: run it as root\n");
      process.exitCode = 1;
      return;
    }
    try {
      process.exitCode = await action(...args);
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      process.stderr.write(`${error.message}\n`);
      process.exitCode = 1;
    }
  };
}

function checkName(text: string): string {
  if (LAB_NAME.test(text)) return text;
  throw new InvalidArgumentError("Expected up to 20 lower-case letters and digits, without dashes.");
}

function checkFault(text: string): Fault {
  const found = FAULTS.find((each) => each === text);
  if (found === undefined) throw new InvalidArgumentError(`Expected one of ${FAULTS.join(", ")}.`);
  return found;
}

function checkFormat(text: string): string {
  if (text === "json" || text === "yaml") return text;
  throw new InvalidArgumentError("Expected json or yaml.");
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
