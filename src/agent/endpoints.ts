/**
 * The pods of this node whose veth is ours: one JSON file each in a folder, written by whoever made the veth. A file that
 * cannot be read costs that pod the direct way, not its traffic.
 */
import { readdirSync, readFileSync, watch, type FSWatcher } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { parseAddress, type Address } from "../net/address.ts";
import { parseMac } from "../net/mac.ts";
import type { Problem } from "../net/problem.ts";
import type { PodEndpoint } from "../datapath/records.ts";
import type { NodeLink } from "./devices.ts";

const schema = z.object({
  name: z.string().min(1),
  namespace: z.string().default("default"),
  addresses: z.array(z.string()).min(1),
  /** Host end of the pod's veth. */
  device: z.string().min(1),
  /** Of the pod's end. */
  mac: z.string(),
});

export interface EndpointFile {
  /** `namespace/name` */
  readonly pod: string;
  readonly addresses: readonly Address[];
  readonly device: string;
  readonly mac: Uint8Array;
}

export interface EndpointFolder {
  readonly endpoints: readonly EndpointFile[];
  readonly problems: readonly Problem[];
}

/** One file's text; a message says what is wrong with it. */
export function parseEndpoint(text: string): EndpointFile | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return `not JSON: ${(error as Error).message}`;
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success)
    return parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ");
  const { name, namespace, device } = parsed.data;
  const addresses: Address[] = [];
  for (const one of parsed.data.addresses) {
    const address = parseAddress(one);
    if (address === undefined) return `addresses: ${JSON.stringify(one)} is not an IP address`;
    addresses.push(address);
  }
  const mac = parseMac(parsed.data.mac);
  if (mac === undefined) return `mac: ${JSON.stringify(parsed.data.mac)} is not an Ethernet address`;
  return { pod: `${namespace}/${name}`, addresses, device, mac };
}

/** A folder that is not there has no endpoints. */
export function readEndpoints(folder: string): EndpointFolder {
  const endpoints: EndpointFile[] = [];
  const problems: Problem[] = [];
  for (const file of listFolder(folder)) {
    const text = readIfThere(file);
    // Gone between the listing and the reading: the next change event is on its way.
    if (text === undefined) continue;
    const parsed = parseEndpoint(text);
    if (typeof parsed === "string") problems.push({ subject: file, message: parsed });
    else endpoints.push(parsed);
  }
  return { endpoints, problems };
}

/** Endpoints whose device is there now; the others wait for it. */
export function presentEndpoints(files: readonly EndpointFile[], links: readonly NodeLink[]): readonly PodEndpoint[] {
  const byName = new Map(links.map((link) => [link.name, link]));
  return files.flatMap(({ addresses, device, mac }) => {
    const link = byName.get(device);
    const nodeMac = parseMac(link?.mac ?? "");
    return link === undefined || nodeMac === undefined ? [] : [{ addresses, ifindex: link.ifindex, mac, nodeMac }];
  });
}

/** Calls back after every change in the folder, which may appear later. Returns the way to stop. */
export function watchEndpoints(folder: string, onChange: () => void): () => void {
  let watcher = tryWatch(folder, onChange);
  const timer = setInterval(() => {
    if (watcher !== undefined) return;
    watcher = tryWatch(folder, onChange);
    if (watcher !== undefined) onChange();
  }, 1000).unref();
  return () => {
    clearInterval(timer);
    watcher?.close();
  };
}

function tryWatch(folder: string, onChange: () => void): FSWatcher | undefined {
  try {
    return watch(folder, onChange).on("error", () => {});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".json") && !name.startsWith("."))
      .toSorted()
      .map((name) => join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
