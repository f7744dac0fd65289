/**
 * Which layout a pinned map has, for programs that may not read the kernel's BTF of it: without CAP_SYS_ADMIN nobody gets at that. A folder
 * beside the pins is the mark, for a BPF file system holds nothing else that has a name: `layouts/MAP-DIGEST`.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Of pins in one folder. */
function folderOf(pin: string): string {
  return join(dirname(pin), "../layouts");
}

/**
 * Of a map that is pinned from now on: a mark that was left by an earlier one says nothing about it. `layout`: a text that is another one when a field
 * has moved.
 */
export function markLayout(pin: string, layout: string): void {
  const folder = folderOf(pin);
  for (const mark of marksOf(folder, basename(pin))) rmdirSync(join(folder, `${basename(pin)}-${mark}`));
  mkdirSync(join(folder, `${basename(pin)}-${digestOf(layout)}`), { recursive: true });
}

/** False only if somebody marked it, and with another layout. */
export function hasLayout(pin: string, layout: string): boolean {
  const marks = marksOf(folderOf(pin), basename(pin));
  return marks.length === 0 || marks.includes(digestOf(layout));
}

function marksOf(folder: string, name: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((mark) => mark.slice(0, mark.lastIndexOf("-")) === name)
    .map((mark) => mark.slice(mark.lastIndexOf("-") + 1));
}

function digestOf(layout: string): string {
  return createHash("sha256").update(layout).digest("hex").slice(0, 16);
}
