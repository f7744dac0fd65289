/**
 * How long a router with FRR takes to know all routes of a node, ours beside GoBGP's: two namespaces on a cable, a bgpd without
 * zebra on one, the contestant on the other. The clock runs from Established to the last route, as bgpd tells.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { mrtDump } from "./mrt.ts";

export const CONTESTANTS = ["fairlead", "gobgp"] as const;

export interface BgpResult {
  readonly routes: number;
  readonly milliseconds: number;
  /** Of the contestant: ours from its start, GoBGP with its routes already in its table, until FRR has everything. */
  readonly cpuSeconds: number;
}

interface Contestant {
  readonly program: ChildProcess;
  readonly routes: number;
}

const SPEAKER = new URL("bgp-speaker.ts", import.meta.url).pathname;
const FIRST = 0x0b00_0000;
const NODE = 0x0a63_0002;
const WAIT_MILLISECONDS = 120_000;
const LOOK_MILLISECONDS = 10;

export async function measureBgp(contestant: (typeof CONTESTANTS)[number], routes: number): Promise<BgpResult> {
  const [router, node] = ["router", "node"].map((name) => `fl-bench-${process.pid}-${name}`) as [string, string];
  const folder = mkdtempSync("/run/fl-bench-bgp-");
  const children: ChildProcess[] = [];
  const start = (namespace: string, ...command: readonly string[]): ChildProcess => {
    const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, "--", ...command], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    children.push(child);
    return child;
  };
  for (const name of [router, node]) execFileSync("ip", ["netns", "add", name]);
  try {
    lay(router, node);
    startRouter(folder, (...command) => start(router, ...command));
    await until("bgpd to start", () => existsSync(join(folder, "bgpd.vty")));
    const { program, routes: held } =
      contestant === "fairlead"
        ? { program: start(node, process.execPath, SPEAKER, "10.99.0.1", "65011", "64512", String(routes)), routes }
        : await startGobgp(folder, node, routes, (...command) => start(node, ...command));
    const cpuBefore = cpuOf(program);
    const established = await until("the session", async () => (await receivedBy(folder)) !== undefined);
    const complete = await until("all routes", async () => (await receivedBy(folder)) === held);
    return { routes: held, milliseconds: complete - established, cpuSeconds: cpuOf(program) - cpuBefore };
  } finally {
    for (const child of children) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null)
        await new Promise((resolve) => child.once("exit", resolve));
    }
    for (const name of [router, node]) execFileSync("ip", ["netns", "del", name]);
    rmSync(folder, { recursive: true });
  }
}

function lay(router: string, node: string): void {
  execFileSync("ip", ["link", "add", "eth0", "netns", router, "type", "veth", "peer", "name", "eth0", "netns", node]);
  for (const [name, own] of [
    [router, "10.99.0.1/24"],
    [node, "10.99.0.2/24"],
  ] as const) {
    const script = ["link set lo up", "link set eth0 up", `addr add ${own} dev eth0`].join("\n");
    execFileSync("ip", ["-n", name, "-batch", "-"], { input: script });
  }
}

function startRouter(folder: string, start: (...command: readonly string[]) => ChildProcess): void {
  writeFileSync(
    join(folder, "bgpd.conf"),
    `router bgp 64512
 bgp router-id 10.99.0.1
 no bgp ebgp-requires-policy
 neighbor 10.99.0.2 remote-as 65011
 neighbor 10.99.0.2 passive
`,
  );
  writeFileSync(join(folder, "vtysh.conf"), "");
  chmodSync(folder, 0o755);
  execFileSync("chown", ["-R", "frr:frr", folder]);
  const files = ["-f", join(folder, "bgpd.conf"), "-i", join(folder, "bgpd.pid"), "--vty_socket", folder];
  start("/usr/lib/frr/bgpd", ...files, "-P", "0", "-Z");
}

/** With all routes in its table before it knows the router. */
async function startGobgp(
  folder: string,
  namespace: string,
  routes: number,
  start: (...command: readonly string[]) => ChildProcess,
): Promise<Contestant> {
  const config = join(folder, "gobgpd.toml");
  writeFileSync(config, `[global.config]\n  as = 65011\n  router-id = "10.99.0.2"\n`);
  const dump = join(folder, "routes.mrt");
  writeFileSync(dump, mrtDump(FIRST, routes, NODE));
  const daemon = start("/usr/bin/gobgpd", "-f", config, "--api-hosts", "127.0.0.1:50051", "--pprof-disable");
  const tell = (...command: readonly string[]): Promise<{ readonly stdout: string }> =>
    promisify(execFile)("nsenter", [`--net=/run/netns/${namespace}`, "--", "/usr/bin/gobgp", ...command]);
  await until("gobgpd to start", async () => (await tell("global").catch(() => undefined)) !== undefined);
  await tell("mrt", "inject", "global", dump);
  // The command may end before the daemon has read all it was sent: what has arrived is what is measured.
  let held = -1;
  await until("gobgpd to read its routes", async () => {
    const before = held;
    held = Number(/Destination: (\d+)/.exec((await tell("global", "rib", "summary")).stdout)?.[1] ?? 0);
    if (held === before && held > 0) return true;
    await sleep(1000);
    return false;
  });
  await tell("neighbor", "add", "10.99.0.1", "as", "64512");
  return { program: daemon, routes: held };
}

/** How many routes bgpd has of the node; `undefined`: no session. */
async function receivedBy(folder: string): Promise<number | undefined> {
  const { stdout } = await promisify(execFile)("vtysh", [
    ...["--vty_socket", folder, "--config_dir", folder],
    ...["-c", "show bgp ipv4 unicast summary json"],
  ]);
  const summary = JSON.parse(stdout) as {
    readonly peers?: Readonly<Record<string, { readonly state: string; readonly pfxRcd?: number }>>;
  };
  const peer = summary.peers?.["10.99.0.2"];
  return peer?.state === "Established" ? (peer.pfxRcd ?? 0) : undefined;
}

/** `nsenter` has become the program itself. User and system time, fields 14 and 15 of proc(5), in hundredths. */
function cpuOf({ pid = 0 }: ChildProcess): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** When it was so. */
async function until(what: string, look: () => boolean | Promise<boolean>): Promise<number> {
  const start = performance.now();
  for (;;) {
    if (await look()) return performance.now();
    if (performance.now() - start > WAIT_MILLISECONDS)
      throw new Error(`Waited ${WAIT_MILLISECONDS / 1000} s for ${what}`);
    await sleep(LOOK_MILLISECONDS);
  }
}
