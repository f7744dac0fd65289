import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { asJavaScript, stripTypes } from "./strip-types.ts";
import { ROOT } from "./tree.ts";

test("types go, and files of ours are named as they will be called", () => {
  const rows: readonly (readonly [source: string, script: RegExp])[] = [
    ['import { a, type B } from "./a.ts";', /^import \{ a,\s*\} from "\.\/a\.js";$/],
    ['import type { B } from "../b.ts";', /^\s*;?$/],
    ['const c = await import("./c.ts");', /^const c = await import\("\.\/c\.js"\);$/],
    ['new URL("./worker/d.ts", import.meta.url);', /^new URL\("\.\/worker\/d\.js", import\.meta\.url\);$/],
    ['import { e } from "package.ts";', /"package\.ts"/],
  ];
  for (const [source, script] of rows) assert.match(asJavaScript(source, "x.ts"), script);
});

test("a file that is named in another way is an error, not a program that does not start", () => {
  assert.throws(() => asJavaScript('const f = "./f.ts";', "x.ts"), /x\.ts: it names "\.\/f\.ts"/);
});

test("the whole program runs without its types", () => {
  const folder = mkdtempSync(join(tmpdir(), "fl-strip-"));
  try {
    const leftOut = /\.(test|fixture)\.ts$|\/testdata(\/|$)/;
    for (const name of ["src", "bin"])
      cpSync(join(ROOT, name), join(folder, name), { recursive: true, filter: (path) => !leftOut.test(path) });
    cpSync(join(ROOT, "package.json"), join(folder, "package.json"));
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    stripTypes(join(folder, "src"));
    const left = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
      /^(src|bin).*\.ts$/.test(name),
    );
    assert.deepEqual(left, []);
    // The options of a command are read with everything that it uses.
    for (const args of [["version"], ["agent", "--help"], ["controller", "--help"], ["explain", "--help"]])
      assert.notEqual(execFileSync(join(folder, "bin/fairlead"), args, { encoding: "utf8" }), "");
    assert.match(execFileSync(join(folder, "bin/kubectl-fairlead"), ["--help"], { encoding: "utf8" }), /status/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
