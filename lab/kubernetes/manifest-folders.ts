/** The objects of manifest folders as they are written there, for whoever applies them. */
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { Manifest } from "./objects.ts";

export class ManifestFolders {
  readonly #folders: readonly string[];
  /** By path: the folders are looked at many times a second, and seldom changed. */
  readonly #known = new Map<string, { readonly stamp: string; readonly manifests: readonly Manifest[] }>();

  constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  read(): readonly Manifest[] {
    const files = this.#folders.flatMap((folder) => globSync(join(folder, "*.{yaml,yml,json}")).toSorted());
    return files.flatMap((file) => this.#readFile(file));
  }

  #readFile(file: string): readonly Manifest[] {
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    const stamp = `${stat.mtimeMs}:${stat.size}:${stat.ino}`;
    const before = this.#known.get(file);
    if (before?.stamp === stamp) return before.manifests;
    // What cannot be read stays as it was: nobody applies a broken file.
    const manifests = parse(readFileSync(file, "utf8")) ?? before?.manifests ?? [];
    this.#known.set(file, { stamp, manifests });
    return manifests;
  }
}

function parse(text: string): readonly Manifest[] | undefined {
  const documents = parseAllDocuments(text, { logLevel: "silent" });
  const list = Array.isArray(documents) ? documents : [];
  if (list.some(({ errors }) => errors.length > 0)) return undefined;
  return list.flatMap((document) => {
    const manifest = document.toJS() as Manifest | null;
    return manifest === null ? [] : [placed(manifest)];
  });
}

/** Without a namespace an object lies in "default", unless its kind has none. */
function placed(manifest: Manifest): Manifest {
  if (manifest.metadata?.namespace !== undefined || ["Node", "Namespace"].includes(manifest.kind)) return manifest;
  return { ...manifest, metadata: { ...manifest.metadata, namespace: "default" } };
}
