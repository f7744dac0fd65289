/** What a kubelet does with a Secret that a pod mounts. */
import { existsSync, mkdtempSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** All files at once: into a folder of their own first, which then takes the place of the one before by the turn of a link. */
export function mountSecret(folder: string, files: Readonly<Record<string, string>>): void {
  const link = join(folder, "..data");
  const before = existsSync(link) ? readlinkSync(link) : undefined;
  const next = mkdtempSync(join(folder, "..next_"));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(next, name), text);
    if (before === undefined) symlinkSync(join("..data", name), join(folder, name));
  }
  symlinkSync(basename(next), join(folder, "..data_tmp"));
  renameSync(join(folder, "..data_tmp"), link);
  if (before !== undefined) rmSync(join(folder, before), { recursive: true });
}
