/**
 * The pods of MetalLB in which FRR speaks, one a node: the speaker's in mode frr, frr-k8s's own in mode frr-k8s. Nobody runs containers here:
 * pod.sh starts what its containers would, with the files of MetalLB's manifest and Debian's FRR. `vtysh` in `lab exec NODE` is the pod's.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { Lab } from "../../lab.ts";
import { writeShell } from "../../routing.ts";

const SHIPPED = join(import.meta.dirname, "../../../.cache/kubernetes/metallb");
const POD = join(import.meta.dirname, "pod.sh");

/** Who speaks BGP for MetalLB. */
export type Mode = "native" | "frr" | "frr-k8s";

export function manifestOf(mode: Mode): string {
  return join(SHIPPED, "manifests", `metallb-${mode}.yaml`);
}

/** The command that is a node's pod with this program in it. */
export async function podCommand(
  lab: Lab,
  node: string,
  mode: Exclude<Mode, "native">,
  program: readonly string[],
): Promise<readonly string[]> {
  const folder = lab.paths.routing(node);
  for (const name of ["bin", "startup", "reloader"]) {
    await rm(join(folder, name), { recursive: true, force: true });
    await mkdir(join(folder, name), { recursive: true });
  }
  for (const [name, text] of Object.entries(await startupFiles(mode)))
    await writeFile(join(folder, "startup", name), text);
  await copyFile(join(SHIPPED, "reloader", mode, "frr-reloader.sh"), join(folder, "reloader", "frr-reloader.sh"));
  await writeShell(folder, "vtysh", [
    "/usr/bin/vtysh",
    "--vty_socket",
    join(folder, "run"),
    "--config_dir",
    join(folder, "etc"),
  ]);
  return [POD, folder, ...program];
}

interface ConfigMap {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data: Readonly<Record<string, string>>;
}

/** Which daemons there are and with which options, and what they know before the first configuration. */
async function startupFiles(mode: Mode): Promise<Readonly<Record<string, string>>> {
  const documents = parseAllDocuments(await readFile(manifestOf(mode), "utf8"));
  const objects = (Array.isArray(documents) ? documents : []).map((each) => each.toJS() as ConfigMap);
  const found = objects.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name.endsWith("frr-startup"));
  if (found === undefined) throw new Error(`${manifestOf(mode)} has no ConfigMap frr-startup`);
  return found.data;
}
