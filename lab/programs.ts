/**
 * Programs of a lab: started in a namespace with their output in a log, remembered by pid and start time, ended by both.
 * A pid alone is not an identity: the kernel gives it to somebody else, and that somebody must not be killed.
 */
import { spawn } from "node:child_process";
import { open, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";

const identitySchema = z.object({ pid: z.int().positive(), startTime: z.string() });

/** `startTime` in clock ticks since boot, field 22 of /proc/PID/stat (proc(5)). */
export type ProcessIdentity = z.infer<typeof identitySchema>;

export interface Program extends ProcessIdentity {
  readonly host: string;
  readonly program: string;
}

export interface ProgramStart {
  readonly host: string;
  readonly program: string;
  /** `undefined`: in the machine's own network. */
  readonly namespace: string | undefined;
  readonly command: readonly string[];
  readonly log: string;
}

/** Where programs are remembered: a folder with one file per program, called HOST.PROGRAM. */
export async function startProgram(folder: string, start: ProgramStart): Promise<Program> {
  const log = await open(start.log, "a");
  try {
    const [file = "", ...rest] =
      start.namespace === undefined ? start.command : enterNamespace(start.namespace, start.command);
    // Its own session: Ctrl-C on our terminal is for us, and we end it when and how we want.
    const child = spawn(file, rest, { detached: true, stdio: ["ignore", log.fd, log.fd] });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.unref();
    const pid = child.pid ?? 0;
    const program: Program = {
      host: start.host,
      program: start.program,
      pid,
      startTime: (await readStartTime(pid)) ?? "gone",
    };
    await writeFile(join(folder, `${start.host}.${start.program}`), JSON.stringify(program));
    return program;
  } finally {
    await log.close();
  }
}

/** `nsenter` and not `ip netns exec`: the latter mounts another /sys, where our BPF file system is not. */
export function enterNamespace(namespace: string, command: readonly string[]): readonly string[] {
  return ["nsenter", `--net=/run/netns/${namespace}`, "--", ...command];
}

/** The remembered programs of a lab, those that ended on their own too. */
export async function listPrograms(folder: string): Promise<readonly Program[]> {
  const schema = identitySchema.extend({ host: z.string(), program: z.string() });
  const programs: Program[] = [];
  for (const file of (await readdirOrNothing(folder)).toSorted()) {
    // A run killed while writing leaves half a file: what it would have named is found in its namespace instead.
    const parsed = schema.safeParse(parseOrNothing(await readFile(join(folder, file), "utf8")));
    if (parsed.success) programs.push(parsed.data);
  }
  return programs;
}

export async function forgetProgram(folder: string, program: Pick<Program, "host" | "program">): Promise<void> {
  await rm(join(folder, `${program.host}.${program.program}`), { force: true });
}

/** Is the process with this pid still the one that was started then? Zombies have ended. */
export async function sameProcess(identity: ProcessIdentity): Promise<boolean> {
  return (await readStartTime(identity.pid)) === identity.startTime;
}

/** Sends the signal if it is still the same process. */
export async function signalProgram(identity: ProcessIdentity, signal: NodeJS.Signals): Promise<"sent" | "gone"> {
  if (!(await sameProcess(identity))) return "gone";
  try {
    process.kill(identity.pid, signal);
    return "sent";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "gone";
    throw error;
  }
}

/** Waits for the end of a process, at most `milliseconds`. */
export async function waitForEnd(identity: ProcessIdentity, milliseconds: number): Promise<"ended" | "stillThere"> {
  const deadline = performance.now() + milliseconds;
  while (await sameProcess(identity)) {
    if (performance.now() > deadline) return "stillThere";
    await sleep(10);
  }
  return "ended";
}

/** This process, for others to recognize it by. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const startTime = await readStartTime(process.pid);
  if (startTime === undefined) throw new Error("Cannot read /proc/self/stat: is /proc mounted?");
  return { pid: process.pid, startTime };
}

export async function readStartTime(pid: number): Promise<string | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
  // The second field is the name in parentheses and may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The last lines of a log, for an error message; nothing when there is none. */
export async function tailOfFile(path: string, lines = 20): Promise<string> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

async function readdirOrNothing(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
