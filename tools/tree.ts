/** The files of this project as they lie on disk, without what is installed or built: needs no git, so an unpacked archive is tidy too. */
import { globSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

const LEFT_OUT = new Set(["node_modules", ".git", ".cache", "build"]);

/** Paths from the root, sorted. */
export function projectFiles(): readonly string[] {
  const names = globSync(["*", ".ci/*", "[!.]*/**/*"], { cwd: ROOT, exclude: (name) => LEFT_OUT.has(name) });
  return [...new Set(names)].filter((name) => !/\.(log|o)$/.test(name) && isFile(name)).toSorted();
}

export function readProjectFile(name: string): string {
  return readFileSync(join(ROOT, name), "utf8");
}

function isFile(name: string): boolean {
  return statSync(join(ROOT, name), { throwIfNoEntry: false })?.isFile() === true;
}
