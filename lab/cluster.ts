/**
 * The part of a cluster that the lab plays itself: as long as it runs, Node, Namespace and EndpointSlice objects follow the scene, the
 * Services in the manifest folders and the conditions file. A program of its own, because a detached lab needs it too.
 *
 * Argument: the lab's name.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { openFolderSource } from "../src/source/manifests/folder.ts";
import { endpointSliceObjects, EVERYTHING_READY, namespaceObjects, nodeObjects } from "./cluster-objects.ts";
import type { Conditions } from "./cluster-objects.ts";
import { pathsOf, readSceneCopy } from "./run-directory.ts";

/** How soon a changed conditions file takes effect. */
const CONDITIONS_POLL_MILLISECONDS = 50;

if (import.meta.main) await playCluster(process.argv[2] ?? "");

async function playCluster(lab: string): Promise<never> {
  const paths = pathsOf(lab);
  const scene = await readSceneCopy(lab);
  const source = await openFolderSource({ manifests: [...scene.manifests, paths.manifests] });
  const written = new Map<string, string>();
  let stale = true;
  source.subscribe(() => (stale = true));
  let conditionsText = "";
  for (;;) {
    const text = await readConditions(paths.conditions);
    if (stale || text !== conditionsText) {
      stale = false;
      conditionsText = text;
      const conditions = text === "" ? EVERYTHING_READY : (JSON.parse(text) as Conditions);
      const services = [...source.snapshot().services.values()];
      await writeObjects(paths.manifests, "lab-nodes.yaml", nodeObjects(scene, conditions), written);
      await writeObjects(paths.manifests, "lab-namespaces.yaml", namespaceObjects(scene, services), written);
      await writeObjects(
        paths.manifests,
        "lab-endpointslices.yaml",
        endpointSliceObjects(scene, services, conditions),
        written,
      );
    }
    await sleep(CONDITIONS_POLL_MILLISECONDS);
  }
}

/** Writes only what changed: this folder is among those that are watched. */
async function writeObjects(
  folder: string,
  file: string,
  objects: readonly object[],
  written: Map<string, string>,
): Promise<void> {
  const text = objects.map((each) => stringify(each)).join("---\n");
  if (written.get(file) === text) return;
  // Renamed into place, so that nobody reads half of it; the dot keeps the unfinished file from being taken for a manifest.
  const unfinished = join(folder, `.${file}.new`);
  await writeFile(unfinished, text);
  await rename(unfinished, join(folder, file));
  written.set(file, text);
}

async function readConditions(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
