/**
 * The state folder: what the controller decided, one JSON file per object in Kubernetes shape, written so that a reader
 * sees the old file or the new one. Agents only read it.
 *
 *     services/NAMESPACE_NAME.json   ipaddresspools/NAMESPACE_NAME.json   configurationstates/controller.json   events.json
 */
import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { metadataSchema, objectKey, serviceStatusSchema, type ServiceStatus } from "../../service/objects.ts";
import { poolStatusSchema, type PoolStatus } from "../../pool/objects.ts";
import type { ConfigurationStateWrite, PoolStatusWrite, ServiceStatusWrite } from "../source.ts";
import { digestOf } from "./decode-object.ts";
import type { Entry, Reading } from "./files.ts";
import { share } from "./share.ts";

export interface ServiceState extends Entry {
  readonly annotations: Readonly<Record<string, string>>;
  readonly status: ServiceStatus;
}

export interface PoolState extends Entry {
  readonly status: PoolStatus;
}

const serviceStateSchema = z.object({ metadata: metadataSchema, status: serviceStatusSchema });
const poolStateSchema = z.object({ metadata: metadataSchema, status: poolStatusSchema });

export const SERVICES_FOLDER = "services";
export const POOLS_FOLDER = "ipaddresspools";
export const CONFIGURATION_FOLDER = "configurationstates";
/** Where MetalLB keeps its own objects. */
export const SYSTEM_NAMESPACE = "metallb-system";
/** The API holds int64. */
const INT64_MAX = (1n << 63n) - 1n;
/** A file name holds 255 bytes; `NAMESPACE_NAME.json` may need more. */
const FILE_STEM_MAX = 200;

export function decodeServiceState(text: string, path: string): Reading<ServiceState> {
  const parsed = parseState(serviceStateSchema, text);
  if (!parsed.ok) return unreadable(path, parsed.fault);
  const { metadata, status } = parsed.value;
  const entry: ServiceState = {
    key: objectKey({ metadata }),
    digest: digestOf(text),
    annotations: share(metadata.annotations),
    status: share(status),
  };
  return { entries: [entry], problems: [], broken: false };
}

export function decodePoolState(text: string, path: string): Reading<PoolState> {
  const parsed = parseState(poolStateSchema, text);
  if (!parsed.ok) return unreadable(path, parsed.fault);
  const entry: PoolState = { key: objectKey(parsed.value), digest: digestOf(text), status: parsed.value.status };
  return { entries: [entry], problems: [], broken: false };
}

/** Creates the folders, so that they can be watched before anything is written. Throws when that is impossible. */
export function prepareStateFolder(folder: string): void {
  try {
    for (const name of [SERVICES_FOLDER, POOLS_FOLDER]) mkdirSync(join(folder, name), { recursive: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`Cannot create the state folder ${JSON.stringify(folder)}: ${reason}`, { cause });
  }
}

export function writeServiceState(folder: string, key: string, write: ServiceStatusWrite): Promise<string> {
  const kept = Object.entries(write.annotations).filter(([, value]) => value !== undefined);
  const metadata = { ...metadataOf(key), annotations: Object.fromEntries(kept) };
  const status = { loadBalancer: { ingress: write.ingress }, conditions: write.conditions };
  return writeAtomically(join(folder, SERVICES_FOLDER), fileName(key), {
    apiVersion: "v1",
    kind: "Service",
    metadata,
    status,
  });
}

export function writePoolState(folder: string, key: string, write: PoolStatusWrite): Promise<string> {
  const status = {
    assignedIPv4: int64(write.assignedIPv4),
    assignedIPv6: int64(write.assignedIPv6),
    availableIPv4: int64(write.availableIPv4),
    availableIPv6: int64(write.availableIPv6),
    conditions: write.conditions,
    coolDown: write.coolDown,
  };
  const object = { apiVersion: "metallb.io/v1beta1", kind: "IPAddressPool", metadata: metadataOf(key), status };
  return writeAtomically(join(folder, POOLS_FOLDER), fileName(key), object);
}

/** Named `controller`, or `speaker-NODE`; in the folder `configurationstates`. */
export async function writeConfigurationObject(
  folder: string,
  name: string,
  labels: Readonly<Record<string, string>>,
  status: ConfigurationStateWrite,
): Promise<void> {
  const metadata = { name, namespace: SYSTEM_NAMESPACE, labels };
  const object = { apiVersion: "metallb.io/v1beta1", kind: "ConfigurationState", metadata, status };
  await writeAtomically(join(folder, CONFIGURATION_FOLDER), fileName(name), object);
}

/** Returns the name of the file that is gone. */
export async function removeState(folder: string, subfolder: string, key: string): Promise<string> {
  const name = fileName(key);
  await rm(join(folder, subfolder, name), { force: true });
  return name;
}

/**
 * Writes beside the file and renames. Resolves with the name, for whoever wants to read it at once. A disk may let one wait for
 * a second, so nobody waits for it on the spot. Whoever writes one file again does so when this has ended.
 */
export async function writeAtomically(folder: string, name: string, value: unknown): Promise<string> {
  const temporary = join(folder, `.${name}.${process.pid}.new`);
  const text = `${JSON.stringify(value, undefined, 2)}\n`;
  try {
    await writeFile(temporary, text);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
    await mkdir(folder, { recursive: true });
    await writeFile(temporary, text);
  }
  await rename(temporary, join(folder, name));
  return name;
}

type State<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: string };

function parseState<T>(schema: z.ZodType<T>, text: string): State<T> {
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    if (parsed.success) return { ok: true, value: parsed.data };
    const [issue] = parsed.error.issues;
    return { ok: false, fault: `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}` };
  } catch (error) {
    return { ok: false, fault: error instanceof Error ? error.message : String(error) };
  }
}

function unreadable<E extends Entry>(path: string, fault: string): Reading<E> {
  const message = `is not state as Fairlead writes it, keeping what was last read: ${fault}`;
  return { entries: [], problems: [{ subject: path, message }], broken: true };
}

/** Exact, although JSON.stringify knows no bigint. (ES2027; Node has it, TypeScript's library not yet.) */
function int64(value: bigint): unknown {
  const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };
  return rawJSON(String(value > INT64_MAX ? INT64_MAX : value));
}

function metadataOf(key: string): { readonly name: string; readonly namespace: string } {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Of names joined by "/": none of them can contain "_", so no two keys meet. */
export function fileName(key: string): string {
  const stem = key.replaceAll("/", "_");
  if (stem.length <= FILE_STEM_MAX) return `${stem}.json`;
  return `${stem.slice(0, FILE_STEM_MAX - 17)}_${createHash("sha256").update(stem).digest("hex").slice(0, 16)}.json`;
}
