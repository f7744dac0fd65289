/**
 * What the compiler and the linter do not see: the shape of the tree. Every rule says what to do instead.
 * Lint checks the same direction of imports while one types; here it is proved without exceptions.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { SUITES } from "./suites.ts";
import { projectFiles, readProjectFile, ROOT } from "./tree.ts";

const files = projectFiles();
const texts = new Map(files.map((name) => [name, readProjectFile(name)]));
const code = files.filter((name) => /\.(ts|[ch]|sh)$/.test(name) && !name.endsWith(".generated.ts"));
const sources = code.filter((name) => name.endsWith(".ts"));

test("there are files to look at", () => {
  assert.ok(sources.length > 100, `${sources.length} TypeScript files`);
  assert.ok(files.includes("bpf/abi.h") && files.includes("src/cli/main.ts"));
});

// ---- Imports -------------------------------------------------------------------------------------------------

/** The higher may import the lower. */
const LAYERS = ["value", "decision", "effect", "program", "outside"] as const;
type Layer = (typeof LAYERS)[number];

const FOLDERS: Readonly<Record<string, Layer>> = {
  net: "value",
  bytes: "value",
  time: "value",
  pool: "decision",
  service: "decision",
  announce: "decision",
  datapath: "decision",
  podnet: "decision",
  reconcile: "decision",
  protocol: "decision",
  kernel: "effect",
  source: "effect",
  observe: "effect",
  controller: "program",
  agent: "program",
  cli: "program",
  web: "program",
};

function layerOf(name: string): Layer {
  if (!name.startsWith("src/")) return "outside";
  if (/\/driver(\.test|\.fixture)?\.ts$/.test(name)) return "effect";
  const layer = FOLDERS[name.split("/")[1] ?? ""];
  assert.ok(
    layer !== undefined,
    `${name}: say in tools/tidy.test.ts and ARCHITECTURE.md to which layer its folder belongs`,
  );
  return layer;
}

function importsOf(name: string): readonly string[] {
  const text = texts.get(name) ?? "";
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^;"']*?from\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|^import "([^"]+)"/g,
  );
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

/** A program may be started by the CLI; the lab's commands are the CLI's, its work is in lab/. */
function isExcepted(name: string, target: string): boolean {
  if (/^src\/cli\/lab[^/]*\.ts$/.test(name)) return target.startsWith("lab/");
  return name.startsWith("src/cli/") && /^src\/(agent|controller)\/(main|config)\.ts$/.test(target);
}

test("imports point from programs to effects to decisions to values, never back", () => {
  const wrong = sources.flatMap((name) => {
    const from = layerOf(name);
    return importsOf(name)
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => join(dirname(name), specifier))
      .filter((target) => !isExcepted(name, target))
      .filter((target) => {
        const to = layerOf(target);
        const otherProgram = to === "program" && from === "program" && folderOf(name) !== folderOf(target);
        return LAYERS.indexOf(to) > LAYERS.indexOf(from) || otherProgram;
      })
      .map((target) => `${name} imports ${target}`);
  });
  assert.deepEqual(wrong, []);
});

test("only effects, programs and what is outside src/ import a built-in of Node.js or a native library", () => {
  const native = new Set(["koffi", "pino", "prom-client", "commander", "table"]);
  const wrong = sources
    .filter((name) => !isForTests(name) && ["value", "decision"].includes(layerOf(name)))
    .flatMap((name) =>
      importsOf(name)
        .filter((specifier) => specifier.startsWith("node:") || native.has(specifier))
        .map((specifier) => `${name} imports ${specifier}: take it as a parameter, or move it into a driver.ts`),
    );
  assert.deepEqual(wrong, []);
});

test("only tests import what is made for tests", () => {
  const wrong = sources
    .filter((name) => name.startsWith("src/") && !isForTests(name))
    .flatMap((name) =>
      importsOf(name)
        .filter((specifier) => specifier.startsWith(".") && isForTests(specifier))
        .map((specifier) => `${name} imports ${specifier}`),
    );
  assert.deepEqual(wrong, []);
});

/** Tests, and `x.fixture.ts`: what several of them need. */
function isForTests(name: string): boolean {
  return /\.(test|fixture)\.ts$/.test(name);
}

function folderOf(name: string): string {
  return name.split("/").slice(0, 2).join("/");
}

// ---- Sizes ---------------------------------------------------------------------------------------------------

test("no file is longer than 400 lines, no table of test cases longer than 700", () => {
  const long = code
    .map((name) => ({ name, lines: (texts.get(name) ?? "").split("\n").length - 1 }))
    .filter(({ name, lines }) => lines > (name.endsWith(".test.ts") ? 700 : 400))
    .map(({ name, lines }) => `${name}: ${lines} lines; it has more than one reason to change`);
  assert.deepEqual(long, []);
});

test("no function of the datapath is longer than 60 lines", () => {
  // TypeScript's are counted by lint (max-lines-per-function).
  const long = code
    .filter((name) => /\.[ch]$/.test(name))
    .flatMap((name) =>
      [...(texts.get(name) ?? "").matchAll(/^(?!struct|enum|static const)\S[^\n;]*\n?\{\n([\s\S]*?)\n\}/gm)].map(
        (match) => ({ name, match }),
      ),
    )
    .filter(({ match }) => (match[1] ?? "").split("\n").length > 60)
    .map(({ name, match }) => `${name}: ${match[0].split("\n")[0]}`);
  assert.deepEqual(long, []);
});

// ---- Tests ---------------------------------------------------------------------------------------------------

test("every test file belongs to exactly one suite of npm test", () => {
  const belonging = new Map(SUITES.map(({ name, files: patterns }) => [name, globSync([...patterns], { cwd: ROOT })]));
  const wrong = sources
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => ({
      name,
      suites: [...belonging].filter(([, found]) => found.includes(name)).map(([suite]) => suite),
    }))
    .filter(({ suites }) => suites.length !== 1);
  assert.deepEqual(wrong, []);
});

// ---- Names and words -----------------------------------------------------------------------------------------

test("no file or folder is called after nothing in particular", () => {
  const vague = files.filter((name) => /(^|\/)(utils?|helpers?|common|misc|shared|lib|index)(\/|\.ts$)/.test(name));
  assert.deepEqual(vague, [], "name it after the noun it serves");
});

const BANNED: readonly { readonly pattern: RegExp; readonly instead: string; readonly where?: RegExp }[] = [
  { pattern: /\b(TODO|FIXME|XXX)\b(?!:XXXX)/, instead: "do it, or write GAP(reference): what is missing" },
  { pattern: /\bexport default\b/, instead: "export it by name", where: /\.ts$/ },
  { pattern: /^\s*(export )?(const )?enum \w/, instead: "`as const` (type stripping knows no enum)", where: /\.ts$/ },
  { pattern: /\b(test|it|describe)\.(only|skip|todo)\b/, instead: "a test that runs", where: /\.test\.ts$/ },
  { pattern: /\bskip: (true|")/, instead: "a test that runs", where: /\.test\.ts$/ },
  { pattern: /\b(slave|blacklist|whitelist)\b/i, instead: "port, excluded, allowed" },
  { pattern: /(^|[\s"'(`])\/(work|home)\//, instead: "a path that every machine has" },
];

test("nothing banned is written anywhere", () => {
  const found = [...texts]
    .filter(([name]) => name !== "tools/tidy.test.ts" && name !== "package-lock.json")
    .flatMap(([name, text]) =>
      BANNED.filter(({ where }) => where === undefined || where.test(name)).flatMap(({ pattern, instead }) =>
        text
          .split("\n")
          .map((line, index) => ({ line, at: `${name}:${index + 1}` }))
          .filter(({ line }) => pattern.test(line))
          .map(({ line, at }) => `${at}: ${line.trim()} (instead: ${instead})`),
      ),
    );
  assert.deepEqual(found, []);
});

test("nothing prints but the programs that talk to people", () => {
  const allowed = /^(src\/(cli|observe)|lab|test|bench|tools)\//;
  const printing = sources
    .filter((name) => !allowed.test(name) && !isForTests(name))
    .filter((name) => /\bconsole\.\w+\(|\bprocess\.std(out|err)\b/.test(texts.get(name) ?? ""));
  assert.deepEqual(printing, [], "log an event of src/observe, or return what there is to say");
});

test("every known gap names what it falls short of", (context) => {
  const gaps = code
    .filter((name) => name !== "tools/tidy.test.ts")
    .flatMap((name) => (texts.get(name) ?? "").split("\n").map((line, index) => ({ at: `${name}:${index + 1}`, line })))
    .filter(({ line }) => /\bGAP\b/.test(line));
  for (const { at, line } of gaps) context.diagnostic(`${at}: ${line.trim().replace(/^[/* ]+/, "")}`);
  assert.deepEqual(
    gaps.filter(({ line }) => !/\bGAP\([^)]+\): \S/.test(line)),
    [],
  );
});

// ---- Generated -----------------------------------------------------------------------------------------------

test("the layouts TypeScript knows are those of the compiled objects", () => {
  execFileSync("make", ["--silent", "-C", "bpf"], { cwd: ROOT });
  execFileSync(process.execPath, ["tools/generate-abi.ts", "--check"], { cwd: ROOT });
});
