/**
 * A lab: a scene made real on this machine. Everything about it stands in its run directory (run-directory.ts), so that any process can
 * open it by name; nothing is kept in memory.
 *
 *     bringUp   claim the name → namespaces, cables, addresses → routing daemons → pods' servers → cluster's objects → controller → agents
 *     takeDown  programs → namespaces → BPF file system → run directory; each step may have been done already
 */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { formatAddress } from "../src/net/address.ts";
import { AGENT_API_PORT } from "./cluster-objects.ts";
import { LabError } from "./lab-error.ts";
import { installInCluster } from "./kubernetes/install.ts";
import { removeCgroupsOf, removeOrphanedCgroups, startCluster } from "./kubernetes/nodes.ts";
import { kubeconfigOf, kubeletHosts, startApiServer } from "./kubernetes/start.ts";
import { createNetwork, mountBpf, namespacesOf, removeNamespaces, unmountBpf, waitForFile } from "./network.ts";
import { namespaceOf, planLab } from "./plan.ts";
import type { NamespacePlan, Plan } from "./plan.ts";
import { LISTENING } from "./pod-server.ts";
import {
  listPrograms,
  ownIdentity,
  sameProcess,
  signalProgram,
  startProgram,
  tailOfFile,
  waitForEnd,
} from "./programs.ts";
import type { Program } from "./programs.ts";
import {
  claim,
  isLeftOver,
  listLabs,
  pathsOf,
  readRecord,
  readSceneCopy,
  writeJson,
  writeRecord,
  writeScene,
} from "./run-directory.ts";
import type { LabRecord, Paths } from "./run-directory.ts";
import { startRouting } from "./routing.ts";
import type { Host, Pod, Scene } from "./scene.ts";

export interface Lab {
  readonly name: string;
  readonly scene: Scene;
  readonly plan: Plan;
  readonly paths: Paths;
  readonly record: LabRecord;
}

export interface BringUp {
  readonly name: string;
  readonly scene: Scene;
  /** Controller and agents as well; without them it is a plain network with pods. */
  readonly agents: boolean;
  /** Further arguments of every agent. */
  readonly agentArguments?: readonly string[];
  /** `self`: this process takes it down when it ends, and a later start does if it was killed. */
  readonly owner: "self" | "nobody";
  /** Called before each step. */
  readonly report: (step: string) => void;
}

const FAIRLEAD = join(import.meta.dirname, "../bin/fairlead");
/** Programs that belong to no host: no host can be called so. */
const CLUSTER = "_cluster";
/** Memory of a flow table in a lab, where a machine carries several. */
const FLOWS_MAX = "65536";
const POD_START_MILLISECONDS = 10_000;

/** Brings a lab up. Throws a {@link LabError} when its name is taken; after any other failure nothing of it is left. */
export async function bringUp(options: BringUp): Promise<Lab> {
  const { name, scene } = options;
  for (const left of await removeLeftOvers()) options.report(`Removed what a killed run of lab "${left}" left`);
  const record: LabRecord = {
    name,
    startedAt: new Date().toISOString(),
    phase: "starting",
    owner: await ownIdentity(),
    agents: options.agents,
    agentArguments: [...(options.agentArguments ?? [])],
  };
  if (!(await claim(record)))
    throw new LabError(
      `Lab "${name}" is already up: "fairlead lab down --name ${name}" removes it, "--name" gives this one another name`,
    );
  const lab: Lab = { name, scene, plan: planLab(scene, name), paths: pathsOf(name), record };
  try {
    await bringUpSteps(lab, options.report);
    const running: LabRecord = { ...record, phase: "running" };
    if (options.owner === "nobody") delete running.owner;
    await writeRecord(running);
    return { ...lab, record: running };
  } catch (error) {
    await takeDown(name);
    throw error;
  }
}

async function bringUpSteps(lab: Lab, report: BringUp["report"]): Promise<void> {
  await writeScene(lab.name, lab.scene);
  await removeNamespaces(await namespacesOf(lab.name));
  await mountBpf(lab.paths.bpf);
  const apiServerHost = lab.scene.hosts.find((host) => host.name === lab.scene.apiServer);
  if (apiServerHost === undefined)
    await startProgram(
      lab.paths.programs,
      clusterProgram(lab, "objects", [process.execPath, join(import.meta.dirname, "cluster.ts"), lab.name]),
    );
  report(`Laying ${lab.plan.cables.length} cables between ${lab.plan.namespaces.length} network namespaces`);
  await createNetwork(lab.plan, lab.paths.bpf);
  const routers = lab.scene.hosts.filter((host) => host.programs.length > 0);
  if (routers.length > 0) {
    const texts = routers.map((host) => `${host.name} (${host.programs.map((each) => each.kind).join(", ")})`);
    report(`Starting routing daemons: ${texts.join(", ")}`);
    await Promise.all(routers.map((host) => startRouting(lab, host)));
  }
  report(`Starting ${lab.scene.pods.length} pods`);
  await writeEndpoints(lab);
  await startPods(lab, lab.scene.pods);
  if (!lab.record.agents) return;
  if (apiServerHost === undefined) {
    report("Starting the controller");
    await requireClusterObjects(lab);
    await startProgram(
      lab.paths.programs,
      clusterProgram(lab, "controller", [FAIRLEAD, "controller", ...manifestArguments(lab)]),
    );
  } else if (kubeletHosts(lab).length > 0) {
    await startCluster(lab, report);
    await installInCluster(lab, report);
    return;
  } else {
    report(`Starting Kubernetes' API server on ${apiServerHost.name}`);
    await startApiServer(lab);
    report("Starting two controllers, of which one acts");
    for (const program of ["controller", "controller-2"]) await startController(lab, apiServerHost, program);
  }
  const nodes = lab.scene.hosts.filter((host) => host.agent);
  report(`Starting ${nodes.length} agents: ${nodes.map((host) => host.name).join(", ")}`);
  for (const host of nodes) await startAgent(lab, host);
}

/** Opens a lab that is up; `undefined` when there is none of this name. */
export async function openLab(name: string): Promise<Lab | undefined> {
  const record = await readRecord(name);
  if (record === undefined) return undefined;
  const scene = await readSceneCopy(name);
  return { name, scene, plan: planLab(scene, name), paths: pathsOf(name), record };
}

/** Removes a lab with everything in it, whatever state it is in. Removing one that is not there is success. */
export async function takeDown(name: string): Promise<void> {
  const paths = pathsOf(name);
  const programs = await listPrograms(paths.programs);
  for (const program of programs) await signalProgram(program, "SIGKILL");
  for (const program of programs) await waitForEnd(program, 2000);
  await removeNamespaces(await namespacesOf(name));
  await removeCgroupsOf(name);
  await unmountBpf(paths.bpf);
  await rm(paths.root, { recursive: true, force: true });
}

/** As {@link takeDown}, but a foreground run that owns the lab is asked to do it, and ends. */
export async function takeDownWithOwner(name: string): Promise<void> {
  const owner = (await readRecord(name))?.owner;
  if (owner !== undefined && owner.pid !== process.pid && (await signalProgram(owner, "SIGTERM")) === "sent")
    await waitForEnd(owner, 10_000);
  await takeDown(name);
}

/** Takes down every lab whose run was killed; their names. */
async function removeLeftOvers(): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const name of await listLabs()) {
    if (!(await isLeftOver(name))) continue;
    await takeDown(name);
    removed.push(name);
  }
  await removeOrphanedCgroups(await listLabs());
  return removed;
}

export async function startAgent(lab: Lab, host: Host): Promise<Program> {
  const bpffs = join(lab.paths.bpf, host.name);
  const endpoints = join(lab.paths.endpoints, host.name);
  await mkdir(bpffs, { recursive: true });
  await mkdir(endpoints, { recursive: true });
  const objects =
    lab.scene.apiServer === undefined
      ? [...manifestArguments(lab), "--node-state", lab.paths.nodeState]
      : ["--kubeconfig", kubeconfigOf(lab, "agent"), "--api-listen", `:${AGENT_API_PORT}`];
  const command = [FAIRLEAD, "agent", "--node-name", host.name, ...objects];
  if (host.podNetwork?.kind === "routed") command.push("--endpoints", endpoints);
  command.push(
    "--bpffs",
    bpffs,
    "--socket",
    lab.paths.socket(host.name),
    "--flows-max",
    FLOWS_MAX,
    ...lab.record.agentArguments,
  );
  return startProgram(lab.paths.programs, {
    host: host.name,
    program: "agent",
    namespace: namespaceOf(lab.name, host.name),
    command,
    log: lab.paths.log(host.name, "agent"),
  });
}

/** One of several, beside the API server. */
export async function startController(lab: Lab, host: Host, program: string): Promise<Program> {
  const objects = ["--kubeconfig", kubeconfigOf(lab, "controller"), "--identity", program];
  return startProgram(lab.paths.programs, {
    host: host.name,
    program,
    namespace: namespaceOf(lab.name, host.name),
    command: [FAIRLEAD, "controller", ...objects],
    log: lab.paths.log(host.name, program),
  });
}

/** Starts pods' servers; when the promise resolves all their sockets are open. */
export async function startPods(lab: Lab, pods: readonly Pod[]): Promise<void> {
  await Promise.all(
    pods.map(async (pod) => {
      await rm(lab.paths.log(pod.name, "server"), { force: true });
      const program = await startPodServer(lab, pod);
      const deadline = performance.now() + POD_START_MILLISECONDS;
      while (!(await tailOfLog(lab, pod.name, "server")).includes(LISTENING)) {
        if (!(await sameProcess(program)) || performance.now() > deadline)
          throw new Error(
            `The server of pod ${pod.name} does not listen:\n${await tailOfLog(lab, pod.name, "server")}`,
          );
        await sleep(20);
      }
    }),
  );
}

function startPodServer(lab: Lab, pod: Pod): Promise<Program> {
  const identity = JSON.stringify({ pod_name: pod.name, host_name: pod.node, listen: pod.listen });
  return startProgram(lab.paths.programs, {
    host: pod.name,
    program: "server",
    namespace: namespaceOf(lab.name, pod.name),
    command: [process.execPath, join(import.meta.dirname, "pod-server.ts"), identity],
    log: lab.paths.log(pod.name, "server"),
  });
}

/** The plan of a host's, pod's or segment's namespace. Throws a {@link LabError} that names the ones there are. */
export function memberPlan(lab: Lab, member: string): NamespacePlan {
  const found = lab.plan.namespaces.find((each) => each.member === member);
  if (found !== undefined) return found;
  const names = lab.plan.namespaces.map((each) => each.member).join(", ");
  throw new LabError(`Lab "${lab.name}" has no host "${member}" (there are: ${names})`);
}

/** The last lines of a program's log, for an error message. */
export async function tailOfLog(lab: Lab, host: string, program: string, lines = 20): Promise<string> {
  return tailOfFile(lab.paths.log(host, program), lines);
}

/** Programs that have ended although nobody asked them to, each with the end of its log. */
export async function endedPrograms(lab: Lab): Promise<readonly string[]> {
  const ended: string[] = [];
  for (const each of await listPrograms(lab.paths.programs)) {
    if (await sameProcess(each)) continue;
    ended.push(
      `${each.host}: ${each.program} has ended. Its last words:\n${await tailOfLog(lab, each.host, each.program)}`,
    );
  }
  return ended;
}

function clusterProgram(lab: Lab, program: string, command: readonly string[]): Parameters<typeof startProgram>[1] {
  return { host: CLUSTER, program, namespace: undefined, command, log: lab.paths.log(CLUSTER, program) };
}

function manifestArguments(lab: Lab): readonly string[] {
  const folders = [...lab.scene.manifests, lab.paths.manifests].flatMap((folder) => ["--manifests", folder]);
  return [...folders, "--state", lab.paths.state];
}

async function requireClusterObjects(lab: Lab): Promise<void> {
  if (await waitForFile(join(lab.paths.manifests, "lab-endpointslices.yaml"), 10_000)) return;
  throw new Error(`The lab's own cluster objects did not appear in 10 s:\n${await tailOfLog(lab, CLUSTER, "objects")}`);
}

/** One file per pod whose veth is ours, as a CNI plugin would leave it. */
async function writeEndpoints(lab: Lab): Promise<void> {
  for (const { near, far } of lab.plan.cables) {
    const pod = lab.scene.pods.find((each) => each.name === near.member);
    const node = lab.scene.hosts.find((each) => each.name === far.member);
    if (pod === undefined || node?.podNetwork?.kind !== "routed") continue;
    const folder = join(lab.paths.endpoints, node.name);
    await mkdir(folder, { recursive: true });
    await writeJson(join(folder, `${pod.name}.json`), {
      name: pod.name,
      namespace: pod.namespace,
      addresses: pod.addresses.map(formatAddress),
      device: far.device,
      mac: near.mac,
    });
  }
}

/** Marks a node as switched off, for whoever looks at the lab. */
export async function markDown(lab: Lab, node: string, down: boolean): Promise<void> {
  const file = join(lab.paths.down, node);
  await (down ? writeFile(file, "") : rm(file, { force: true }));
}
