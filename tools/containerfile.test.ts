/** deploy/Containerfile makes what tools/build-image.ts makes, as far as that shows without a container engine. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readProjectFile, ROOT } from "./tree.ts";

const builder = readProjectFile("tools/build-image.ts");
/** Each instruction a line, without comments. */
const instructions = readProjectFile("deploy/Containerfile")
  .replaceAll(/\\\n/g, " ")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));
const lastStage = instructions.slice(instructions.findLastIndex((line) => line.startsWith("FROM ")));
const firstStage = instructions.slice(0, instructions.length - lastStage.length);

const packagesOf = (lines: readonly string[]): readonly string[] =>
  lines.flatMap((line) => /--no-install-recommends ([^&]+)/.exec(line)?.[1]?.trim().split(/\s+/) ?? []).toSorted();

test("the Containerfile is of the same Debian with the same packages as npm run image", () => {
  const { suite, packages } = /suite: "(?<suite>\w+)", packages: "(?<packages>[\w,-]+)"/.exec(builder)?.groups ?? {};
  assert.ok(suite !== undefined && packages !== undefined);
  assert.deepEqual(packagesOf(lastStage), packages.split(",").toSorted());
  assert.match(lastStage[0] ?? "", new RegExp(`debian:${suite}-slim$`));
  assert.match(firstStage[0] ?? "", new RegExp(`debian:${suite} AS build$`));
});

test("the Containerfile starts the program as npm run image does", () => {
  assert.ok(builder.includes("Entrypoint: [`/${APP}/bin/fairlead`]") && builder.includes('const APP = "opt/fairlead"'));
  assert.ok(lastStage.includes('ENTRYPOINT ["/opt/fairlead/bin/fairlead"]'));
  const path = /PATH=\/\$\{APP\}(?<rest>[^`]+)`/.exec(builder)?.groups?.["rest"];
  assert.ok(path !== undefined);
  assert.ok(lastStage.includes(`ENV PATH=/opt/fairlead${path}`), path);
});

test("the image has the objects that the agent loads, and the Containerfile compiles the same", () => {
  const loaded = /const OBJECTS = (?<names>\[[^\]]+\])/.exec(readProjectFile("src/agent/datapath.ts"))?.groups?.[
    "names"
  ];
  assert.ok(loaded !== undefined);
  assert.ok(builder.includes(`const OBJECTS = ${loaded};`), loaded);
  const compiled = /make -C bpf-source\/bpf (?<objects>.+?) &&/.exec(firstStage.join("\n"))?.groups?.["objects"];
  const wanted = (JSON.parse(loaded) as readonly string[]).map((name) => `build/${name}.bpf.o`);
  assert.deepEqual(compiled?.trim().split(/\s+/), wanted);
});

test("the Containerfile labels its image as npm run image does", () => {
  const { version } = JSON.parse(readProjectFile("package.json")) as { readonly version: string };
  const labels = `org.opencontainers.image.title=fairlead org.opencontainers.image.version=${version}`;
  assert.ok(lastStage.includes(`LABEL ${labels}`), version);
  assert.ok(
    builder.includes('"org.opencontainers.image.title": "fairlead", "org.opencontainers.image.version": version'),
  );
});

test("the Containerfile copies what is there and is not ignored, and of the first stage nothing but the program", () => {
  const copies = firstStage.filter((line) => line.startsWith("COPY "));
  const sources = copies.flatMap((line) => line.split(/\s+/).slice(1, -1));
  assert.deepEqual(sources, ["package.json", "package-lock.json", "bin", "src", "tools/strip-types.ts", "bpf"]);
  const ignored = new Set(readProjectFile(".containerignore").split("\n"));
  for (const source of sources) assert.ok(existsSync(join(ROOT, source)) && !ignored.has(source), source);
  assert.deepEqual(
    lastStage.filter((line) => line.startsWith("COPY ")),
    ["COPY --from=build /opt/fairlead /opt/fairlead"],
  );
});

test("the Containerfile leaves out of src and of the packages what npm run image leaves out", () => {
  assert.ok(builder.includes(String.raw`/\.(test|fixture)\.ts$|\/testdata(\/|$)/`));
  const steps = firstStage.join("\n");
  for (const name of ["'*.test.ts'", "'*.fixture.ts'", "testdata"]) assert.ok(steps.includes(`-name ${name}`), name);
  assert.match(steps, /node strip-types\.ts src/);
  assert.ok(builder.includes('stripTypes(join(folder, "src"))'));
  assert.match(steps, /npm ci --omit=dev --ignore-scripts/);
  assert.ok(builder.includes('"ci", "--omit=dev", "--ignore-scripts"'));
  assert.match(steps, /npm rebuild --ignore-scripts/);
  assert.ok(builder.includes('"rebuild", "--ignore-scripts"'));
  for (const text of [steps, builder]) assert.match(text, /node_modules\/node-linux-\*\/include/);
  assert.match(steps, /find node_modules -type d -empty -delete/);
  assert.ok(builder.includes('"find", ["node_modules", "-type", "d", "-empty", "-delete"]'));
});
