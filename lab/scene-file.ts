/** Reads scenes: the built-in ones in lab/scenes/ by name, any other by path. */
import { readFile, readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { parseDocument } from "yaml";
import { parseAddress } from "../src/net/address.ts";
import type { Address } from "../src/net/address.ts";
import type { Problem } from "../src/net/problem.ts";
import { checkScene } from "./scene-check.ts";
import { sceneSchema } from "./scene.ts";
import type { Host, InterfaceAddress, Pod, Scene, SceneFile } from "./scene.ts";

export type SceneResult =
  | { readonly ok: true; readonly scene: Scene; readonly file: string }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const BUILT_IN = join(import.meta.dirname, "scenes");

/** A built-in scene's name (`l2`) or the path of a scene file. Every problem of the file is reported, each with its path in it. */
export async function readScene(nameOrPath: string): Promise<SceneResult> {
  const isPath = nameOrPath.includes("/") || /\.ya?ml$/.test(nameOrPath);
  const file = isPath ? resolve(nameOrPath) : join(BUILT_IN, `${nameOrPath}.yaml`);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (isPath) return failure(nameOrPath, `Cannot read the scene: ${(error as Error).message}`);
    const names = (await listScenes()).map((each) => each.name).join(", ");
    return failure(
      nameOrPath,
      `No built-in scene has this name (there are: ${names}); a path to a scene file works too`,
    );
  }
  const parsed = parseScene(text, isPath ? nameOrPath : basename(file), dirname(file));
  return parsed.ok ? { ...parsed, file } : parsed;
}

/** The built-in scenes, by name. */
export async function listScenes(): Promise<readonly { readonly name: string; readonly description: string }[]> {
  const files = (await readdir(BUILT_IN)).filter((each) => each.endsWith(".yaml")).toSorted();
  return Promise.all(
    files.map(async (file) => {
      const document = parseDocument(await readFile(join(BUILT_IN, file), "utf8"));
      const description = document.get("description");
      return { name: basename(file, ".yaml"), description: typeof description === "string" ? description : "" };
    }),
  );
}

/** Parses and checks one scene. `folder` is what relative manifest paths start from. */
export function parseScene(
  text: string,
  subject: string,
  folder: string,
): { readonly ok: true; readonly scene: Scene } | { readonly ok: false; readonly problems: readonly Problem[] } {
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0)
    return { ok: false, problems: document.errors.map((error) => ({ subject, message: error.message })) };
  const parsed = sceneSchema.safeParse(document.toJS());
  if (!parsed.success) {
    return {
      ok: false,
      problems: parsed.error.issues.map(({ path, message }) => ({
        subject,
        ...(path.length === 0 ? {} : { path: formatPath(path) }),
        message,
      })),
    };
  }
  const scene = complete(parsed.data, folder);
  const problems = checkScene(scene, subject);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, scene };
}

function failure(subject: string, message: string): SceneResult {
  return { ok: false, problems: [{ subject, message }] };
}

/** `["hosts", 1, "name"]` → `hosts[1].name`. */
function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
}

function complete(file: SceneFile, folder: string): Scene {
  const hosts: Host[] = file.hosts.map((host) => ({
    ...host,
    interfaces: host.interfaces.map((each, index) => ({ ...each, name: each.name ?? `eth${index}` })),
    programs: host.programs.map((each) => ({ ...each, config: resolve(folder, each.config) })),
  }));
  const given = new Map<string, number>();
  const pods: Pod[] = file.pods.map((pod) => {
    const position = given.get(pod.node) ?? 0;
    given.set(pod.node, position + 1);
    const cidrs = hosts.find((host) => host.name === pod.node)?.podNetwork?.cidrs ?? [];
    const addresses =
      pod.addresses?.flatMap((text) => parseAddress(text) ?? []) ??
      cidrs.flatMap((cidr) => podAddress(cidr, position) ?? []);
    return { ...pod, addresses };
  });
  return { ...file, hosts, pods, manifests: file.manifests.map((each) => resolve(folder, each)) };
}

/** The first two addresses of a node's CIDR are its own: the network's and, with a bridge, the gateway's. */
function podAddress(cidr: InterfaceAddress, position: number): Address | undefined {
  const bits = BigInt((cidr.family === "IPv4" ? 32 : 128) - cidr.length);
  const base = (cidr.address.value >> bits) << bits;
  const offset = BigInt(position + 2);
  return offset < 1n << bits ? { family: cidr.family, value: base + offset } : undefined;
}
