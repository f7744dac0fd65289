/**
 * Routing daemons in a lab: FRR (zebra, staticd, bfdd, bgpd), BIRD, GoBGP, as Debian packages them. Each host's daemons have a folder of their own
 * with configuration and sockets, so any number of hosts run the same daemon and nothing of the machine's own set-up is touched:
 *
 *     /run/fairlead/lab/<lab>/routing/HOST/
 *       frr.conf, bird.conf, gobgpd.toml     copies of the scene's files
 *       *.vty, zserv.api, bird.ctl           sockets
 *       bin/vtysh, bin/birdc                 the daemons' own shells, told where the sockets are
 *
 * FRR's daemons start empty and read one file through vtysh, as on a router; GoBGP has no kernel table of its own.
 */
import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { LabError } from "./lab-error.ts";
import { runIn, waitForFile } from "./network.ts";
import { namespaceOf } from "./plan.ts";
import { startProgram, tailOfFile } from "./programs.ts";
import type { Paths } from "./run-directory.ts";
import type { Host, RoutingProgram } from "./scene.ts";

const execute = promisify(execFile);
const FRR_DAEMONS = ["zebra", "staticd", "bfdd", "bgpd"] as const;
const READY_MILLISECONDS = 10_000;

/** What of a lab is needed to run daemons in it. */
export interface RoutingLab {
  readonly name: string;
  readonly paths: Paths;
}

/** Starts a host's routing daemons; when the promise resolves they have read their configuration. */
export async function startRouting(lab: RoutingLab, host: Host): Promise<void> {
  for (const program of host.programs) {
    const folder = lab.paths.routing(host.name);
    await mkdir(join(folder, "bin"), { recursive: true });
    try {
      await START[program.kind](lab, host, program, folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new LabError(
        `Cannot start ${program.kind} on ${host.name}: ${(error as Error).message} ("bash tools/prepare.sh" installs the daemons)`,
      );
    }
  }
}

/** Where a command on a host finds that host's routing daemons: put before everything else in its path. */
export function routingEnvironment(lab: RoutingLab, host: string): Readonly<Record<string, string>> {
  return { PATH: `${join(lab.paths.routing(host), "bin")}:${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` };
}

const START: Readonly<
  Record<
    RoutingProgram["kind"],
    (lab: RoutingLab, host: Host, program: RoutingProgram, folder: string) => Promise<void>
  >
> = { frr: startFrr, bird: startBird, gobgp: startGobgp };

async function startFrr(lab: RoutingLab, host: Host, program: RoutingProgram, folder: string): Promise<void> {
  await copyFile(program.config, join(folder, "frr.conf"));
  await writeFile(join(folder, "vtysh.conf"), "");
  await writeShell(folder, "vtysh", ["/usr/bin/vtysh", "--vty_socket", folder, "--config_dir", folder]);
  for (const daemon of FRR_DAEMONS) {
    await writeFile(join(folder, `${daemon}.conf`), "");
    await rm(join(folder, `${daemon}.vty`), { force: true });
  }
  // FRR refuses root and gives its privileges away: the folder is its user's.
  await execute("chown", ["-R", "frr:frr", folder]);
  for (const daemon of FRR_DAEMONS) {
    await run(lab, host, daemon, [
      `/usr/lib/frr/${daemon}`,
      ...["-f", join(folder, `${daemon}.conf`), "-i", join(folder, `${daemon}.pid`), "-P", "0"],
      ...["--vty_socket", folder, "-z", join(folder, "zserv.api"), "--log", "stdout"],
      ...(daemon === "bfdd" ? ["--bfdctl", join(folder, "bfdd.sock")] : []),
    ]);
    await requireReady(lab, host, daemon, join(folder, `${daemon}.vty`));
  }
  const read = await runIn(namespaceOf(lab.name, host.name), [join(folder, "bin/vtysh"), "-b"]);
  if (read.status !== 0)
    throw new LabError(`FRR on ${host.name} refuses ${program.config}:\n${read.stdout}${read.stderr}`.trimEnd());
}

async function startBird(lab: RoutingLab, host: Host, program: RoutingProgram, folder: string): Promise<void> {
  const [config, control] = [join(folder, "bird.conf"), join(folder, "bird.ctl")];
  await copyFile(program.config, config);
  await writeShell(folder, "birdc", ["/usr/sbin/birdc", "-s", control]);
  await rm(control, { force: true });
  const check = await runIn(namespaceOf(lab.name, host.name), ["/usr/sbin/bird", "-p", "-c", config]);
  if (check.status !== 0)
    throw new LabError(`BIRD on ${host.name} refuses ${program.config}:\n${check.stdout}${check.stderr}`.trimEnd());
  await run(lab, host, "bird", ["/usr/sbin/bird", "-f", "-c", config, "-s", control]);
  await requireReady(lab, host, "bird", control);
}

async function startGobgp(lab: RoutingLab, host: Host, program: RoutingProgram, folder: string): Promise<void> {
  const config = join(folder, "gobgpd.toml");
  await copyFile(program.config, config);
  await run(lab, host, "gobgpd", [
    "/usr/bin/gobgpd",
    ...["-f", config, "--api-hosts", "127.0.0.1:50051", "--pprof-disable", "--log-plain"],
  ]);
}

async function run(lab: RoutingLab, host: Host, program: string, command: readonly string[]): Promise<void> {
  await startProgram(lab.paths.programs, {
    host: host.name,
    program,
    namespace: namespaceOf(lab.name, host.name),
    command,
    log: lab.paths.log(host.name, program),
  });
}

async function requireReady(lab: RoutingLab, host: Host, program: string, socket: string): Promise<void> {
  if (await waitForFile(socket, READY_MILLISECONDS)) return;
  const log = await tailOfFile(lab.paths.log(host.name, program));
  throw new LabError(`${program} on ${host.name} has not opened ${socket} in ${READY_MILLISECONDS / 1000} s:\n${log}`);
}

/** A daemon's own shell in FOLDER/bin, told where its sockets are. */
export async function writeShell(folder: string, name: string, command: readonly string[]): Promise<void> {
  const file = join(folder, "bin", name);
  await writeFile(file, `#!/bin/sh\nexec ${command.join(" ")} "$@"\n`);
  await chmod(file, 0o755);
}
