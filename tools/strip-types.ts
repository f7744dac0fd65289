/**
 * Turns the TypeScript of a folder into JavaScript, where it lies: `node tools/strip-types.ts FOLDER`. For images: Node.js runs TypeScript as it
 * is, but each thread that does so loads a compiler of 20 MB and keeps it. Types become blanks, so lines and columns stay where they are.
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";

/** A file of ours that is named in an import, or started as a worker. */
const REFERENCE = /(?<before>\b(?:from|import|import\(|new URL\()\s*"\.{1,2}\/[^"\n]*)\.ts"/g;
const LEFT = /"\.{1,2}\/[^"\n]*\.ts"/;

export function stripTypes(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts")) continue;
    const path = join(folder, name);
    writeFileSync(path.replace(/\.ts$/, ".js"), asJavaScript(readFileSync(path, "utf8"), path));
    rmSync(path);
  }
}

export function asJavaScript(source: string, path: string): string {
  const script = stripTypeScriptTypes(source, { mode: "strip" }).replaceAll(REFERENCE, '$<before>.js"');
  const left = LEFT.exec(script)?.[0];
  if (left !== undefined)
    throw new Error(`Cannot strip the types of ${path}: it names ${left} in a way that is not known here`);
  return script;
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error("Say which folder: node tools/strip-types.ts FOLDER");
  stripTypes(folder);
}
