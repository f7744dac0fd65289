/**
 * Writes src/datapath/abi.generated.ts from the BTF of bpf/build/abi.bpf.o (layouts, enums) and the #defines of bpf/abi.h (BTF has none).
 *   node tools/generate-abi.ts            writes the file
 *   node tools/generate-abi.ts --check    exits 1 when the file is not what would be written
 */
import { readFileSync, writeFileSync } from "node:fs";
import { layoutsOf, type AbiLayouts } from "../src/kernel/abi-layout.ts";
import { readObjectBtf } from "../src/kernel/read-btf.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const HEADER = `${ROOT}bpf/abi.h`;
const OBJECT = `${ROOT}bpf/build/abi.bpf.o`;
const TARGET = `${ROOT}src/datapath/abi.generated.ts`;

function main(): void {
  const header = readFileSync(HEADER, "utf8");
  const text = generate(header, layoutsOf(readObjectBtf(OBJECT)));
  if (!process.argv.includes("--check")) {
    writeFileSync(TARGET, text);
  } else if (readFileSync(TARGET, "utf8") !== text) {
    console.error(
      "src/datapath/abi.generated.ts is not what bpf/abi.h says: run `npm run build:bpf && npm run generate`",
    );
    process.exitCode = 1;
  }
}

function generate(header: string, layouts: AbiLayouts): string {
  const blocks = [...header.matchAll(/^(struct|enum) (\w+) \{/gm)].map(([, kind, name = ""]) =>
    kind === "struct" ? structText(name, layouts) : enumText(name, layouts),
  );
  const defines = [...header.matchAll(/^#define (\w+) (0x[0-9a-fA-F]+|\d+)u?\b/gm)].map(
    ([, name = "", value = ""]) => `export const ${name} = ${value.toLowerCase()};\n`,
  );
  return [
    "// Written by tools/generate-abi.ts from bpf/abi.h: do not edit. Sizes and offsets in bytes.\n",
    defines.join(""),
    ...blocks,
  ].join("\n");
}

function structText(name: string, { structs }: AbiLayouts): string {
  const layout = structs.get(name);
  if (layout === undefined) throw missing("struct", name);
  const fields = Object.entries(layout.offset).map(([field, offset]) => `    ${field}: ${offset},\n`);
  return `export const ${name} = {\n  size: ${layout.size},\n  offset: {\n${fields.join("")}  },\n} as const;\n`;
}

function enumText(name: string, { enums }: AbiLayouts): string {
  const values = enums.get(name);
  if (values === undefined) throw missing("enum", name);
  const rows = Object.entries(values).map(([word, value]) => `  ${word}: ${value},\n`);
  return `export const ${name} = {\n${rows.join("")}} as const;\n`;
}

function missing(kind: string, name: string): Error {
  return new Error(`Cannot generate ${kind} ${name}: bpf/abi.bpf.c has no variable of it`);
}

main();
