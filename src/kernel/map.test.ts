import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openPinnedMap } from "./map.ts";
import { loadObject } from "./object.ts";
import { objectPath, openSandbox } from "./sandbox.fixture.ts";
import { testRun } from "./test-run.ts";

const sandbox = openSandbox();
const pinRoot = `${sandbox.pins}/maps`;
const object = loadObject({ path: objectPath("fixture"), pinRoot });
after(() => {
  object.close();
  sandbox[Symbol.dispose]();
});

const table = object.map("table");
const key = (number: number): Uint8Array => new Uint8Array(Uint32Array.of(number).buffer);
const value = (first: number, second = 0): Uint8Array => new Uint8Array(Uint32Array.of(first, second).buffer);
const numberOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
const keysFrom = (start: number, count: number): Uint8Array =>
  new Uint8Array(Uint32Array.from({ length: count }, (_, i) => start + i).buffer);

function clear(): void {
  for (const stale of Array.from(table.entries(), ([each]) => each.slice())) table.delete(stale);
}

test("a row is read back as written, and told apart from one that is not there", () => {
  clear();
  assert.equal(table.lookup(key(1)), undefined);
  assert.equal(table.update(key(1), value(10, 11)), "written");
  assert.deepEqual(table.lookup(key(1)), value(10, 11));
  assert.equal(table.update(key(1), value(20), "create"), "exists");
  assert.equal(table.update(key(2), value(20), "replace"), "notFound");
  assert.deepEqual(table.lookup(key(1)), value(10, 11));
  assert.equal(table.delete(key(1)), "deleted");
  assert.equal(table.delete(key(1)), "notFound");
});

test("keys can be walked one by one", () => {
  clear();
  table.updateBatch(keysFrom(0, 3), new Uint8Array(24), 3);
  const walked: number[] = [];
  for (let at = table.getNextKey(); at !== undefined; at = table.getNextKey(at)) walked.push(numberOf(at));
  assert.deepEqual(
    walked.toSorted((a, b) => a - b),
    [0, 1, 2],
  );
});

test("a full table of 10,000 rows is listed whole, each row once, with its own value", () => {
  clear();
  const values = Uint32Array.from({ length: 20_000 }, (_, i) => (i % 2 === 0 ? i / 2 + 7 : 0));
  table.updateBatch(keysFrom(0, 10_000), new Uint8Array(values.buffer), 10_000);
  const seen = new Set<number>();
  for (const [k, v] of table.entries()) {
    assert.equal(numberOf(v), numberOf(k) + 7);
    seen.add(numberOf(k));
  }
  assert.equal(seen.size, 10_000);
});

test("a batch that does not fit says how far it came and how much room there is", () => {
  clear();
  assert.throws(() => table.updateBatch(keysFrom(0, 10_001), new Uint8Array(80_008), 10_001), {
    code: "E2BIG",
    message:
      'Cannot write 10001 rows of BPF map "table" (10000 were written, room for 10000): Argument list too long (E2BIG)',
  });
});

test("a batch of deletions passes over rows that are not there", () => {
  clear();
  table.updateBatch(keysFrom(10, 5), new Uint8Array(40), 5);
  table.deleteBatch(keysFrom(8, 10), 10);
  assert.deepEqual([...table.entries()], []);
  table.deleteBatch(keysFrom(8, 10), 10);
  table.deleteBatch(new Uint8Array(), 0);
});

test("an empty batch writes nothing", () => {
  clear();
  table.updateBatch(new Uint8Array(), new Uint8Array(), 0);
  assert.deepEqual([...table.entries()], []);
});

for (const { name, action } of [
  { name: "a short key", action: () => table.lookup(new Uint8Array(3)) },
  { name: "a long key", action: () => table.delete(new Uint8Array(5)) },
  { name: "a short value", action: () => table.update(key(1), new Uint8Array(7)) },
  { name: "a batch with too few keys", action: () => table.updateBatch(keysFrom(0, 2), new Uint8Array(24), 3) },
  { name: "a batch with too few values", action: () => table.updateBatch(keysFrom(0, 3), new Uint8Array(16), 3) },
  { name: "a batch of deletions with too few keys", action: () => table.deleteBatch(keysFrom(0, 2), 3) },
]) {
  test(`${name} never reaches the kernel`, () => assert.throws(action, TypeError));
}

test("mapped memory and the datapath see each other's stores", () => {
  const words = new BigUint64Array(object.map("shared").mmap());
  words[0] = 3n;
  assert.equal(testRun(object.program("fixture_xdp"), new Uint8Array(64)).retval, 3);
  words[0] = 1n;
  assert.equal(testRun(object.program("fixture_xdp"), new Uint8Array(64)).retval, 1);
  assert.deepEqual(object.map("shared").lookup(key(0)), new Uint8Array(BigUint64Array.of(1n).buffer));
});

test("mapping the same map again gives the same memory", () => {
  assert.equal(object.map("shared").mmap(), object.map("shared").mmap());
});

test("a map that is not made for it cannot be mapped", () => {
  assert.throws(() => table.mmap(), { name: "SystemError", call: "mmap", subject: "table" });
});

test("per-CPU counters are summed over all CPUs", () => {
  const counted = object.map("counted");
  const before = counted.perCpuSum(key(0));
  for (let i = 0; i < 25; i += 1) testRun(object.program("fixture_xdp"), new Uint8Array(64));
  assert.equal(counted.perCpuSum(key(0)) - before, 25n);
  assert.equal(counted.perCpuSum(key(2)), 0n);
});

test("a map is opened by its pin, and unusable once closed", () => {
  const pinned = openPinnedMap(`${pinRoot}/shared`);
  const words = new BigUint64Array(pinned.mmap());
  words[1] = 77n;
  assert.deepEqual(object.map("shared").lookup(key(1)), new Uint8Array(BigUint64Array.of(77n).buffer));
  pinned.close();
  assert.equal(words.length, 0);
  assert.throws(() => pinned.lookup(key(0)), /"shared" was used after it was closed/);
});

test("a pin that is not there is named", () => {
  assert.throws(() => openPinnedMap(`${pinRoot}/nothing`), {
    code: "ENOENT",
    message: `Cannot open the pinned BPF map ${pinRoot}/nothing: No such file or directory (ENOENT)`,
  });
});
