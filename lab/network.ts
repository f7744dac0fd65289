/**
 * Makes a plan real with iproute2, ethtool and nft, and removes it again. One shell per namespace, all namespaces at once:
 * starting processes is what bringing up a lab costs.
 */
import { execFile, spawn } from "node:child_process";
import { access, readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { creationLines } from "./plan.ts";
import type { NamespacePlan, Plan } from "./plan.ts";
import { enterNamespace, readStartTime, signalProgram } from "./programs.ts";

const execute = promisify(execFile);
const NAMESPACES = "/run/netns";
const PASSING_OBJECT = join(import.meta.dirname, "../bpf/build/lab.bpf.o");

/** Creates every namespace and cable and configures them. Throws with what iproute2 said. */
export async function createNetwork(plan: Plan, bpffs: string): Promise<void> {
  await runShell(undefined, batch(creationLines(plan)));
  const passing = await loadPassingProgram(plan, bpffs);
  await Promise.all(plan.namespaces.map((each) => runShell(each.namespace, creationScript(each, passing))));
  await Promise.all(plan.namespaces.map((each) => settleLinks(each.namespace, each.devices)));
}

/**
 * The kernel tells a bridge of a port's carrier up to a second late, and until then the port carries nothing. Being asked about one
 * device makes it catch up at once (linkwatch_sync_dev in rtnl_getlink).
 */
async function settleLinks(namespace: string, devices: readonly string[]): Promise<void> {
  await runShell(namespace, batch(devices.map((device) => `link show dev ${device}`)));
}

/** Configures one namespace again, after its devices were down. */
export async function configureAgain(plan: NamespacePlan): Promise<void> {
  await runShell(plan.namespace, batch(plan.configure));
  await settleLinks(plan.namespace, plan.devices);
}

/** Sets devices in a namespace up or down. */
export async function setDevices(namespace: string, devices: readonly string[], state: "up" | "down"): Promise<void> {
  await runShell(namespace, batch(devices.map((device) => `link set dev ${device} ${state}`)));
  await settleLinks(namespace, devices);
}

/** Mounts the lab's own BPF file system: unmounting it lets go of every pin at once. */
export async function mountBpf(folder: string): Promise<void> {
  await execute("mount", ["-t", "bpf", "bpf", folder]);
}

export async function unmountBpf(folder: string): Promise<void> {
  for (let left = await mountsAt(folder); left > 0;) {
    const failure = await execute("umount", ["--lazy", folder]).catch((error: unknown) => error);
    const now = await mountsAt(folder);
    // Somebody else may have been quicker; without progress it is a failure.
    if (now >= left && failure instanceof Error) throw failure;
    left = now;
  }
}

async function mountsAt(folder: string): Promise<number> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  return mounts.split("\n").filter((line) => line.split(" ")[1] === folder).length;
}

/** Names of the network namespaces of a lab that exist. */
export async function namespacesOf(lab: string): Promise<readonly string[]> {
  try {
    return (await readdir(NAMESPACES)).filter((name) => name.startsWith(`fl-${lab}-`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Ends every process in the namespaces, with SIGKILL, and removes the namespaces with all that is in them. */
export async function removeNamespaces(namespaces: readonly string[]): Promise<void> {
  if (namespaces.length === 0) return;
  const pids = (await Promise.all(namespaces.map(processesIn))).flat();
  for (const identity of pids) await signalProgram(identity, "SIGKILL");
  // Where a killed run left a plain file instead of a mount, `ip netns del` removes it too.
  const lines = namespaces.map((each) => `netns del ${each}`);
  await runShell(undefined, batch(lines, "-force")).catch(async (error: unknown) => {
    // Two labs that start at once may both find what a killed run left: what the other has removed is removed.
    const present = new Set(await readdir(NAMESPACES));
    if (namespaces.some((each) => present.has(each))) throw error;
  });
}

async function processesIn(namespace: string): Promise<readonly { pid: number; startTime: string }[]> {
  try {
    const { stdout } = await execute("ip", ["netns", "pids", namespace]);
    const found = await Promise.all(
      stdout
        .split("\n")
        .filter(Boolean)
        .map(async (text) => ({ pid: Number(text), startTime: await readStartTime(Number(text)) })),
    );
    return found.flatMap(({ pid, startTime }) => (startTime === undefined ? [] : [{ pid, startTime }]));
  } catch {
    return []; // The namespace is only a left-over file: nothing can live in it.
  }
}

/** Runs a command in a namespace and gives its output; `status` is not 0 when it failed. */
export async function runIn(
  namespace: string,
  command: readonly string[],
  options: { readonly timeoutMilliseconds?: number; readonly environment?: Readonly<Record<string, string>> } = {},
): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }> {
  const [file = "", ...rest] = enterNamespace(namespace, command);
  try {
    const { stdout, stderr } = await execute(file, rest, {
      maxBuffer: 1 << 28,
      timeout: options.timeoutMilliseconds ?? 30_000,
      env: { ...process.env, ...options.environment },
      killSignal: "SIGKILL",
    });
    return { status: 0, stdout, stderr };
  } catch (error) {
    const failed = error as { code?: number | string; stdout?: string; stderr?: string; killed?: boolean };
    if (typeof failed.code !== "number" && failed.killed !== true) throw error;
    return {
      status: typeof failed.code === "number" ? failed.code : 124,
      stdout: failed.stdout ?? "",
      stderr: failed.stderr ?? "",
    };
  }
}

/** Waits until a path exists. */
export async function waitForFile(path: string, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    try {
      await access(path);
      return true;
    } catch {
      if (performance.now() > deadline) return false;
      await sleep(20);
    }
  }
}

/**
 * XDP_TX and redirect out of a node's veth are only complete when the peer has an XDP program as well; a NIC's wire has no such
 * condition, so the lab puts a program that passes everything at the other end. Its pin, or `undefined` when no node runs an agent.
 */
async function loadPassingProgram(plan: Plan, bpffs: string): Promise<string | undefined> {
  if (plan.namespaces.every((each) => each.passing.length === 0)) return undefined;
  try {
    await access(PASSING_OBJECT);
  } catch {
    throw new Error(`Cannot find ${PASSING_OBJECT}, which the nodes' veth peers need: compile it with "make -C bpf"`);
  }
  const pin = join(bpffs, "lab_pass");
  await execute("bpftool", ["prog", "load", PASSING_OBJECT, pin, "type", "xdp"]);
  return pin;
}

/**
 * Least, first and most bytes that a client's connection may have under way. A veth with XDP holds 256 packets and drops the next without holding
 * up its sender, as a NIC would: a reader that had to wait for a CPU and then catches up (up to 32 MB by default) would have them dropped, and with
 * them the SYN of whoever opens a connection in that moment. About a hundred packets are on their way with this, whoever waits.
 */
const CLIENT_RECEIVE_BUFFER = "4096 131072 262144";

function creationScript(plan: NamespacePlan, passing: string | undefined): string {
  const attach =
    passing === undefined ? [] : plan.passing.map((device) => `link set dev ${device} xdpdrv pinned ${passing}`);
  return [
    ...settings(plan),
    batch([...plan.create, ...plan.configure, ...attach]),
    // A packet made on this machine would reach XDP with an unfinished checksum, which no wire ever carries.
    ...plan.devices.map((device) => `ethtool -K ${device} tx off >/dev/null`),
    ...(plan.netfilter === undefined ? [] : [`nft -f - <<'RULES'${plan.netfilter}RULES`]),
  ].join("\n");
}

/** /proc/sys/net shows the namespace of the process that looks. */
function settings(plan: NamespacePlan): readonly string[] {
  const set = (path: string, value: number | string): string =>
    `for f in /proc/sys/net/${path}; do [ ! -e $f ] || echo ${value} > $f; done`;
  if (plan.kind === "segment") {
    // A switch has no addresses and no IP rules of its own.
    return [set("ipv6/conf/*/disable_ipv6", 1), set("bridge/bridge-nf-call-*tables", 0)];
  }
  return [
    ...(plan.forwarding ? [set("ipv4/ip_forward", 1), set("ipv6/conf/all/forwarding", 1)] : []),
    // A router chooses among next hops by addresses and ports: by default it looks at addresses only, and one client gets one node.
    ...(plan.kind === "router"
      ? [set("ipv4/fib_multipath_hash_policy", 1), set("ipv6/fib_multipath_hash_policy", 1)]
      : []),
    ...(plan.kind === "client" ? [set("ipv4/tcp_rmem", CLIENT_RECEIVE_BUFFER)] : []),
    // Duplicate address detection would keep every link-local address unusable for a second or two.
    set("ipv6/conf/*/accept_dad", 0),
    set("ipv6/conf/*/router_solicitations", 0),
    set("ipv6/conf/*/accept_ra", 0),
  ];
}

function batch(lines: readonly string[], ...flags: readonly string[]): string {
  return `ip ${flags.join(" ")} -batch - <<'LINES'\n${lines.join("\n")}\nLINES`;
}

/** Runs a script in a namespace, or outside. Throws with the script's own words when a line of it fails. */
async function runShell(namespace: string | undefined, script: string): Promise<void> {
  const command = ["sh", "-e", "-s"];
  const [file = "", ...rest] = namespace === undefined ? command : enterNamespace(namespace, command);
  const child = spawn(file, rest, { stdio: ["pipe", "ignore", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  child.stdin.on("error", () => undefined); // The shell ended early: its exit status says so.
  child.stdin.end(`${script}\n`);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  if (status !== 0)
    throw new Error(
      `Cannot configure ${namespace ?? "the machine's network"}: ${errors.trim() || `exit status ${status}`}\n${script}`,
    );
}
