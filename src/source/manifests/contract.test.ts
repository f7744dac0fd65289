import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeSource } from "../contract.fixture.ts";
import { openFolderSource } from "./folder.ts";

describeSource("a folder of manifests", async () => {
  const folder = mkdtempSync(join(tmpdir(), "fl-contract-"));
  const manifests = join(folder, "manifests");
  const state = join(folder, "state");
  mkdirSync(manifests);
  const fileOf = ({ kind, ...manifest }: { readonly kind: string }): string =>
    join(manifests, `${kind}-${(manifest as { readonly metadata: { readonly name: string } }).metadata.name}.json`);
  return {
    open: () => openFolderSource({ manifests: [manifests], state }),
    put: async (manifest) => writeFileSync(fileOf(manifest), JSON.stringify(manifest)),
    remove: async (manifest) => rmSync(fileOf(manifest)),
    close: async () => rmSync(folder, { recursive: true }),
  };
});
