/**
 * What a lab leaves on disk while it runs, and the only thing its commands know about it:
 *
 *     /run/fairlead/lab/<lab>/
 *       lab.json                who brought it up, in which state it is
 *       scene.json              the scene with every default filled in
 *       programs/HOST.PROGRAM   pid and start time of everything that was started
 *       logs/HOST.PROGRAM.log
 *       manifests/              objects the lab makes itself: Node, Namespace, EndpointSlice; add your own
 *       state/                  what the controller writes
 *       node-state/             what the agents write about their nodes
 *       endpoints/NODE/POD.json pods whose veth is ours
 *       down/NODE               nodes that are switched off
 *       conditions.json         pods and nodes that are not simply there and ready
 *       kubernetes/             keys, tokens and data of the lab's API server, where it has one; `ready` once it serves
 *       routing/HOST/           configuration and sockets of a host's routing daemons (routing.ts)
 *       bpf/NODE/               this lab's own BPF file system, a folder per node
 *       NODE.sock               the agents' local API
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as z from "zod";
import { sameProcess } from "./programs.ts";
import { address, formatAddress } from "../src/net/address.ts";
import { LAB_NAME, parseInterfaceAddress } from "./scene.ts";
import type { Scene } from "./scene.ts";

const RUN_ROOT = "/run/fairlead/lab";

export interface Paths {
  readonly root: string;
  readonly record: string;
  readonly scene: string;
  readonly programs: string;
  readonly manifests: string;
  readonly logs: string;
  readonly state: string;
  readonly nodeState: string;
  readonly endpoints: string;
  readonly down: string;
  readonly conditions: string;
  readonly kubernetes: string;
  readonly clusterReady: string;
  readonly bpf: string;
  socket(node: string): string;
  routing(host: string): string;
  log(host: string, program: string): string;
}

/** Where everything of a lab lies. */
export function pathsOf(lab: string): Paths {
  const root = join(RUN_ROOT, lab);
  return {
    root,
    record: join(root, "lab.json"),
    scene: join(root, "scene.json"),
    programs: join(root, "programs"),
    manifests: join(root, "manifests"),
    logs: join(root, "logs"),
    state: join(root, "state"),
    nodeState: join(root, "node-state"),
    endpoints: join(root, "endpoints"),
    down: join(root, "down"),
    conditions: join(root, "conditions.json"),
    kubernetes: join(root, "kubernetes"),
    clusterReady: join(root, "kubernetes", "ready"),
    bpf: join(root, "bpf"),
    socket: (node) => join(root, `${node}.sock`),
    routing: (host) => join(root, "routing", host),
    log: (host, program) => join(root, "logs", `${host}.${program}.log`),
  };
}

const recordSchema = z.object({
  name: z.string(),
  startedAt: z.string(),
  phase: z.enum(["starting", "running"]),
  /** The process that takes the lab down when it ends. Absent: detached, it stays until `lab down`. */
  owner: z.object({ pid: z.int(), startTime: z.string() }).optional(),
  /** Whether controller and agents run in it. */
  agents: z.boolean(),
  agentArguments: z.array(z.string()),
});

export type LabRecord = z.infer<typeof recordSchema>;

/**
 * Claims a lab's name: `false` when its run directory exists already. The directory appears whole, with its record, so that nobody who
 * sees it can take it for one that a killed run left.
 */
export async function claim(record: LabRecord): Promise<boolean> {
  await mkdir(RUN_ROOT, { recursive: true });
  const unfinished = join(RUN_ROOT, `.${record.name}.${process.pid}`);
  await rm(unfinished, { recursive: true, force: true });
  for (const folder of ["programs", "logs", "manifests", "state", "endpoints", "down", "bpf", "kubernetes", "routing"])
    await mkdir(join(unfinished, folder), { recursive: true });
  await writeJson(join(unfinished, "lab.json"), record);
  try {
    await rename(unfinished, pathsOf(record.name).root);
    return true;
  } catch (error) {
    if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    await rm(unfinished, { recursive: true });
    return false;
  }
}

export async function writeRecord(record: LabRecord): Promise<void> {
  await writeJson(pathsOf(record.name).record, record);
}

/** `undefined` when there is no such lab, or its run was killed before it had written anything. */
export async function readRecord(lab: string): Promise<LabRecord | undefined> {
  const text = await readOptional(pathsOf(lab).record);
  if (text === undefined) return undefined;
  const parsed = recordSchema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : undefined;
}

/** Names of all labs that left a run directory, running or not. */
export async function listLabs(): Promise<readonly string[]> {
  try {
    return (await readdir(RUN_ROOT)).filter((name) => LAB_NAME.test(name)).toSorted();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** A lab is left over when whoever would have removed it is gone, or it never finished starting. */
export async function isLeftOver(lab: string): Promise<boolean> {
  const record = await readRecord(lab);
  if (record === undefined) return true;
  if (record.owner !== undefined) return !(await sameProcess(record.owner));
  return record.phase === "starting";
}

export async function writeScene(lab: string, scene: Scene): Promise<void> {
  const plain = JSON.stringify(scene, (_key, value: unknown) => (isAddressLike(value) ? undress(value) : value), 2);
  await writeFile(pathsOf(lab).scene, plain);
}

export async function readSceneCopy(lab: string): Promise<Scene> {
  const text = await readFile(pathsOf(lab).scene, "utf8");
  return JSON.parse(text, (_key, value: unknown) => dress(value)) as Scene;
}

export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFile(`${path}.new`, `${JSON.stringify(value, undefined, 2)}\n`);
  await rename(`${path}.new`, path);
}

async function readOptional(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

// Addresses hold bigints, which JSON has no form for: they travel as their text.
type AddressLike = { readonly family: "IPv4" | "IPv6"; readonly value: bigint };

function isAddressLike(
  value: unknown,
): value is AddressLike | { readonly address: AddressLike; readonly text: string } {
  if (typeof value !== "object" || value === null) return false;
  if ("value" in value) return typeof value.value === "bigint";
  return "address" in value && "length" in value;
}

function undress(value: AddressLike | { readonly text: string }): Record<string, string> {
  return "text" in value ? { $network: value.text } : { $address: formatAddress(value) };
}

function dress(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$address" in value) return address(String(value.$address));
  if ("$network" in value) return parseInterfaceAddress(String(value.$network));
  return value;
}
