import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import * as generated from "../datapath/abi.generated.ts";
import { abiDifferences, layoutDifferences, layoutsOf, type AbiLayouts } from "./abi-layout.ts";
import { parseBtf } from "./btf.ts";
import { readObjectBtf } from "./read-btf.ts";
import { objectPath } from "./sandbox.fixture.ts";

const pair = { size: 8, offset: { first: 0, second: 4 } };
const layouts = (structs: AbiLayouts["structs"], enums: AbiLayouts["enums"] = new Map()): AbiLayouts => ({
  structs,
  enums,
});
const expected = layouts(new Map([["pair", pair]]), new Map([["color", { RED: 0, BLUE: 1 }]]));

for (const { name, found, differences } of [
  { name: "the same layout", found: expected, differences: [] },
  { name: "an object without any of it", found: layouts(new Map()), differences: [] },
  {
    name: "a longer struct",
    found: layouts(new Map([["pair", { ...pair, size: 12 }]])),
    differences: ["struct pair has 12 bytes, expected 8"],
  },
  {
    name: "fields that changed places",
    found: layouts(new Map([["pair", { size: 8, offset: { first: 4, second: 0 } }]])),
    differences: ["struct pair: offset of first is 4, expected 0", "struct pair: offset of second is 0, expected 4"],
  },
  {
    name: "a field that is missing and one that is new",
    found: layouts(new Map([["pair", { size: 8, offset: { first: 0, third: 4 } }]])),
    differences: [
      "struct pair: offset of second is missing, expected 4",
      "struct pair: offset of third is 4, expected none",
    ],
  },
  {
    name: "an enum with another number",
    found: layouts(new Map(), new Map([["color", { RED: 0, BLUE: 2 }]])),
    differences: ["enum color: BLUE is 2, expected 1"],
  },
]) {
  test(`${name}: ${differences.length} differences`, () =>
    assert.deepEqual(layoutDifferences(expected, found), differences));
}

for (const name of ["xdp", "netdev", "pod", "abi"]) {
  test(`${name}.bpf.o lays everything out as TypeScript believes`, () =>
    assert.deepEqual(abiDifferences(objectPath(name)), []));
}

test("the generated file holds every struct and enum of abi.h, and is what the tool would write", () => {
  const { structs, enums } = layoutsOf(readObjectBtf(objectPath("abi")));
  const names = new Set(Object.keys(generated));
  assert.ok(structs.size > 15 && enums.size > 5);
  assert.deepEqual(
    [...structs.keys(), ...enums.keys()].filter((name) => !names.has(name)),
    [],
  );
  execFileSync(process.execPath, [new URL("../../tools/generate-abi.ts", import.meta.url).pathname, "--check"]);
});

for (const { name, bytes } of [
  { name: "nothing", bytes: new Uint8Array() },
  { name: "another magic number", bytes: new Uint8Array(64) },
  { name: "a header alone, cut off", bytes: Uint8Array.of(0x9f, 0xeb, 1, 0, 24, 0, 0, 0) },
]) {
  test(`${name} is not BTF`, () => assert.throws(() => parseBtf(bytes)));
}
