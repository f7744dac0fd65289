import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import type { BpfMap } from "./map.ts";
import { loadObject } from "./object.ts";
import { objectPath, openSandbox } from "./sandbox.fixture.ts";

const WORDS = 300_000; // 2.4 MB, several windows
const sandbox = openSandbox();
const object = loadObject({ path: objectPath("fixture"), pinRoot: sandbox.pins, maxEntries: { shared: WORDS } });
const map: BpfMap = object.map("shared");
after(() => {
  object.close();
  sandbox[Symbol.dispose]();
});

function words(start: number, count: number): BigUint64Array {
  const { buffer, byteOffset } = map.window().reach(start * 8, count * 8);
  return new BigUint64Array(buffer, byteOffset, count);
}

function lookup(index: number): bigint {
  const value = map.lookup(new Uint8Array(Uint32Array.of(index).buffer));
  return new DataView(value?.buffer ?? new ArrayBuffer(8)).getBigUint64(0, true);
}

function mappedKilobytes(): number {
  const blocks = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const ofMaps = blocks.filter((block) => block.includes("bpf-map"));
  return ofMaps.reduce((sum, block) => sum + Number(/^Rss:\s+(\d+)/m.exec(block)?.[1]), 0);
}

test("a store through the window is in the map, wherever in it", () => {
  for (const index of [0, 1, 65_535, 65_536, 200_000, WORDS - 1, 7]) {
    words(index, 1)[0] = BigInt(index) + 1n;
    assert.equal(lookup(index), BigInt(index) + 1n);
  }
});

test("elements that lie across a border of windows, or are more than one holds, are in reach together", () => {
  words(0, 1);
  words(65_530, 12).fill(5n);
  assert.equal(lookup(65_530), 5n);
  assert.equal(lookup(65_541), 5n);
  words(1000, 200_000).fill(6n);
  assert.equal(lookup(1000), 6n);
  assert.equal(lookup(200_999), 6n);
  assert.notEqual(lookup(201_000), 6n);
});

test("what has moved out of reach cannot be written any more", () => {
  const first = words(0, 4);
  words(WORDS - 1, 1);
  assert.equal(first.length, 0);
});

test("nothing beyond the end is in reach", () => {
  assert.throws(() => words(WORDS, 1), /"shared" has 2400000 bytes, not 8 at 2400000/);
});

test("walking over an array keeps a part of it in memory, not all", () => {
  for (let index = 0; index < WORDS; index += 100) words(index, 1);
  assert.ok(mappedKilobytes() <= 512, `${mappedKilobytes()} KiB are mapped`);
});

test("a closed map has nothing in memory", () => {
  words(0, 1);
  map.close();
  assert.equal(mappedKilobytes(), 0);
});
