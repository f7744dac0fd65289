/**
 * A real cluster around the API server of a lab: controller manager and scheduler beside it, and a kubelet with containerd and
 * kube-proxy on every node of kind `kubelet`.
 *
 *     control plane ─► nodes: files, node.sh, images ─► every node registered, with its pod CIDRs ─► every node Ready
 */
import { execFile, execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Lab } from "../lab.ts";
import { LabError } from "../lab-error.ts";
import { runIn } from "../network.ts";
import { namespaceOf } from "../plan.ts";
import { readStartTime, signalProgram, tailOfFile, type ProcessIdentity, type Program } from "../programs.ts";
import type { Host } from "../scene.ts";
import {
  BIN,
  controllerManagerCommand,
  KUBELET_CLIENT,
  requireProgram,
  schedulerCommand,
  writeKubeletClientCertificate,
} from "./control-plane.ts";
import { fairleadArchive, pauseArchive } from "./images.ts";
import { nodeFiles } from "./node-files.ts";
import { kubeconfigOf, kubeletHosts, placeOf, startControlPlane, startOn } from "./start.ts";

const execute = promisify(execFile);
const READY_MILLISECONDS = 120_000;
const CGROUPS = "/sys/fs/cgroup";
const SERVER_IMAGE = "docker.io/library/fairlead-lab:latest";

/** Resolves when all nodes are Ready and have the images; `images`: archives of more than ours. */
export async function startCluster(
  lab: Lab,
  report: (step: string) => void,
  images: readonly string[] = [],
): Promise<void> {
  const { kubernetes: folder } = lab.paths;
  const hosts = kubeletHosts(lab);
  report("Installing and building what a real cluster needs, unless it is there: some minutes, once");
  prepare();
  report(`Starting etcd, API server, controller manager and scheduler on ${placeOf(lab).host.name}`);
  writeKubeletClientCertificate(folder);
  const ofNodes = hosts.map(({ name }) => [`node-${name}`, `system:node:${name}`] as const);
  await startControlPlane(lab, {
    "controller-manager": "system:kube-controller-manager",
    scheduler: "system:kube-scheduler",
    proxy: "system:kube-proxy",
    ...Object.fromEntries(ofNodes),
  });
  const { host } = placeOf(lab);
  const cidrs = "10.244.0.0/16,fd00:10:244::/56";
  await startOn(
    lab,
    host,
    "controller-manager",
    controllerManagerCommand(folder, kubeconfigOf(lab, "controller-manager"), cidrs),
  );
  await startOn(lab, host, "scheduler", schedulerCommand(kubeconfigOf(lab, "scheduler")));
  report("Building the image of Fairlead, unless it is there");
  const archives = [pauseArchive(), fairleadArchive(), ...images];
  report(`Starting kubelet, containerd and kube-proxy on ${hosts.map(({ name }) => name).join(", ")}`);
  for (const each of hosts) await startNode(lab, each);
  await Promise.all(hosts.map((each) => importImages(lab, each, archives)));
  report("Waiting until every node is Ready");
  for (const each of hosts) await registered(lab, each);
  await kubectl(lab, ["wait", "--for=condition=Ready", "node", "--all", `--timeout=${READY_MILLISECONDS / 1000}s`]);
}

function prepare(): void {
  const run = (script: string, ...words: readonly string[]): unknown =>
    execFileSync("bash", [join(import.meta.dirname, script), ...words], { stdio: ["ignore", "ignore", "inherit"] });
  run("../../tools/prepare.sh", "kubernetes");
  run("build.sh");
}

/** Starts it; also again, after it was switched off: what it had on its disk is still there. */
export async function startNode(lab: Lab, host: Host): Promise<Program> {
  const folder = nodeFolder(lab, host.name);
  for (const [name, text] of Object.entries(nodeFiles(lab.scene, host))) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  copyFileSync(kubeconfigOf(lab, `node-${host.name}`), join(folder, "kubelet.conf"));
  copyFileSync(kubeconfigOf(lab, "proxy"), join(folder, "kube-proxy.conf"));
  copyFileSync(join(lab.paths.kubernetes, KUBELET_CLIENT.certificate), join(folder, "kubelet-client.crt"));
  // Where the lab's other commands look for it.
  rmSync(lab.paths.socket(host.name), { force: true });
  symlinkSync(join(folder, "fairlead", `${host.name}.sock`), lab.paths.socket(host.name));
  const script = join(import.meta.dirname, "node.sh");
  return startOn(lab, host, "node", [script, host.name, folder, BIN, cgroupOf(lab.name, host.name)]);
}

/** Everything a node has on its disk. */
function nodeFolder(lab: Lab, node: string): string {
  return join(lab.paths.root, "nodes", node);
}

/** Runs a command among the node's processes, with its file system. Rejects when it fails. */
export async function onNode(lab: Lab, node: string, command: readonly string[]): Promise<string> {
  const first = await firstProcess(lab, node);
  const { stdout } = await execute("nsenter", ["--target", String(first), "--all", "--", ...command], {
    maxBuffer: 1 << 26,
  });
  return stdout;
}

/** Runs kubectl on the host of the API server, as who may do everything. Rejects with what it said. */
export async function kubectl(lab: Lab, words: readonly string[]): Promise<string> {
  const command = [requireProgram("kubectl"), "--kubeconfig", kubeconfigOf(lab, "admin"), ...words];
  const namespace = namespaceOf(lab.name, placeOf(lab).host.name);
  const { status, stdout, stderr } = await runIn(namespace, command, { timeoutMilliseconds: READY_MILLISECONDS * 2 });
  if (status !== 0) throw new Error(`kubectl ${words.join(" ")}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}

/** The node's processes have been killed: what its kernel would have lost with the power goes too. Its disk stays. */
export async function forgetKernelState(lab: Lab, node: string): Promise<void> {
  const lines = "ip link del cni0 2>/dev/null; nft flush ruleset";
  await runIn(namespaceOf(lab.name, node), ["sh", "-c", lines]);
  await removeCgroups((group) => group === cgroupOf(lab.name, node));
}

/** Removes the cgroups that nodes of a lab have left; their processes must have ended. */
export async function removeCgroupsOf(lab: string): Promise<void> {
  await removeCgroups((group) => group.startsWith(cgroupOf(lab, "")));
}

/** Removes the cgroups of nodes whose lab has no run directory any more. One that still has a process is somebody's, and stays. */
export async function removeOrphanedCgroups(labs: readonly string[]): Promise<void> {
  await removeCgroups((group, folder) => {
    const lab = CGROUP.exec(group)?.groups?.["lab"];
    return lab !== undefined && !labs.includes(lab) && isEmpty(folder);
  });
}

/** The process of the agent on a node; `undefined` while there is none. */
export function agentProcess(lab: Lab, node: string): Promise<ProcessIdentity | undefined> {
  return processOn(lab, node, (words) => words.includes("agent") && words.includes("--kubernetes"));
}

/** Stands still until it is released: what ends on its node stays ended, and after a while the node counts as not ready. */
export async function holdKubelet(lab: Lab, node: string): Promise<void> {
  await signalProgram(await kubeletProcess(lab, node), "SIGSTOP");
}

export async function releaseKubelet(lab: Lab, node: string): Promise<void> {
  await signalProgram(await kubeletProcess(lab, node), "SIGCONT");
}

async function kubeletProcess(lab: Lab, node: string): Promise<ProcessIdentity> {
  const found = await processOn(lab, node, ([program]) => program === "kubelet");
  if (found === undefined) throw new LabError(`No kubelet runs on ${node}`);
  return found;
}

async function processOn(
  lab: Lab,
  node: string,
  isMeant: (words: readonly string[]) => boolean,
): Promise<ProcessIdentity | undefined> {
  const { stdout } = await execute("ip", ["netns", "pids", namespaceOf(lab.name, node)]);
  for (const pid of stdout.split("\n").filter(Boolean).map(Number)) {
    if (!isMeant(commandLine(pid))) continue;
    const startTime = await readStartTime(pid);
    if (startTime !== undefined) return { pid, startTime };
  }
  return undefined;
}

/** Nothing when it has just ended. */
function commandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return [];
  }
}

async function removeCgroups(isMeant: (group: string, folder: string) => boolean): Promise<void> {
  for (const hierarchy of existsSync(CGROUPS) ? readdirSync(CGROUPS, { withFileTypes: true }) : []) {
    if (!hierarchy.isDirectory()) continue;
    const folder = join(CGROUPS, hierarchy.name);
    for (const name of readdirSync(folder).filter((each) => isMeant(each, join(folder, each))))
      await removeTree(join(folder, name));
  }
}

/** No process in it, nor below. */
function isEmpty(group: string): boolean {
  const files = readdirSync(group, { recursive: true, encoding: "utf8" }).filter(
    (name) => basename(name) === "cgroup.procs",
  );
  return files.every((name) => readFileSync(join(group, name), "utf8") === "");
}

/** The kernel may need a moment after the last process of a group has ended. */
async function removeTree(group: string): Promise<void> {
  const below = readdirSync(group, { recursive: true, withFileTypes: true }).filter((each) => each.isDirectory());
  const folders = [group, ...below.map((each) => join(each.parentPath, each.name))].toSorted(
    (a, b) => b.length - a.length,
  );
  for (const folder of folders) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        rmdirSync(folder);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EBUSY" || attempt === 100) throw error;
        await sleep(20);
      }
    }
  }
}

/** What {@link cgroupOf} makes. */
const CGROUP = /^fl-(?<lab>[a-z][a-z0-9]*)-./;

function cgroupOf(lab: string, node: string): string {
  return `fl-${lab}-${node}`;
}

/** The pid of the node's process 1, seen from here. */
async function firstProcess(lab: Lab, node: string): Promise<number> {
  const { stdout } = await execute("ip", ["netns", "pids", namespaceOf(lab.name, node)]);
  for (const pid of stdout.split("\n").map(Number)) {
    const status = await execute("grep", ["NSpid", `/proc/${pid}/status`]).catch(() => ({ stdout: "" }));
    // Of a process in a pid namespace the second number is what it is called there.
    if (/^NSpid:\t\d+\t1$/m.test(status.stdout.trim()) && (await readStartTime(pid)) !== undefined) return pid;
  }
  throw new Error(`Node ${node} of lab "${lab.name}" does not run`);
}

async function importImages(lab: Lab, host: Host, archives: readonly string[]): Promise<void> {
  const folder = nodeFolder(lab, host.name);
  const giveUpAt = performance.now() + READY_MILLISECONDS;
  const ctr = [requireProgram("ctr"), "--namespace", "k8s.io", "images"];
  for (;;) {
    try {
      await onNode(lab, host.name, [requireProgram("ctr"), "version"]);
      break;
    } catch (error) {
      if (performance.now() > giveUpAt) {
        const words = await tailOfFile(join(folder, "log/containerd.log"));
        throw new Error(`containerd on ${host.name} does not answer:\n${words}`, { cause: error });
      }
      await sleep(100);
    }
  }
  for (const archive of archives)
    await onNode(lab, host.name, [...ctr, "import", "--local", "--digests=false", archive]);
  const list = await onNode(lab, host.name, [...ctr, "list", "--quiet"]);
  const fairlead = list.split("\n").find((name) => name.includes("/fairlead:"));
  if (fairlead === undefined) throw new Error(`The image of Fairlead is not on ${host.name}; there are:\n${list}`);
  await onNode(lab, host.name, [...ctr, "tag", "--force", fairlead, SERVER_IMAGE]);
}

/** Waits for the Node object, and gives it the scene's labels and the pod CIDRs that the scene's routes lead to. */
export async function registered(lab: Lab, host: Host): Promise<void> {
  const podCIDRs = host.podNetwork?.cidrs.map(({ text }) => text) ?? [];
  const patch = JSON.stringify({ metadata: { labels: host.labels }, spec: { podCIDR: podCIDRs[0], podCIDRs } });
  const giveUpAt = performance.now() + READY_MILLISECONDS;
  for (;;) {
    try {
      await kubectl(lab, ["patch", "node", host.name, "--patch", patch]);
      return;
    } catch (error) {
      const words = await tailOfFile(join(nodeFolder(lab, host.name), "log/kubelet.log"));
      if (performance.now() > giveUpAt)
        throw new Error(`The kubelet on ${host.name} does not register:\n${words}`, { cause: error });
    }
    await sleep(200);
  }
}
