import assert from "node:assert/strict";
import { after, test } from "node:test";
import { loadObject } from "./object.ts";
import { openRingBuffer } from "./ringbuf.ts";
import { objectPath, openSandbox } from "./sandbox.fixture.ts";
import { testRun } from "./test-run.ts";

const sandbox = openSandbox();
const object = loadObject({ path: objectPath("fixture") });
const ring = openRingBuffer(object.map("reports"));
after(() => {
  ring.close();
  object.close();
  sandbox[Symbol.dispose]();
});

const lengthOf = (record: Uint8Array): number =>
  new DataView(record.buffer, record.byteOffset, record.byteLength).getUint32(4, true);
const report = (length: number, repeat = 1): unknown =>
  testRun(object.program("fixture_tc"), new Uint8Array(length), { repeat });

test("records come in the order they were written, each once", () => {
  const seen: number[] = [];
  for (const length of [60, 61, 62]) report(length);
  assert.equal(
    ring.consume((record) => seen.push(lengthOf(record))),
    3,
  );
  assert.equal(
    ring.consume(() => seen.push(0)),
    0,
  );
  assert.deepEqual(seen, [60, 61, 62]);
});

test("a buffer that has gone round many times still delivers every record whole", () => {
  for (let length = 60; length < 1060; length += 1) {
    report(length);
    ring.consume((record) => assert.deepEqual([record.length, lengthOf(record)], [8, length]));
  }
});

test("consuming stops at the limit and goes on from there", () => {
  for (const length of [70, 71, 72]) report(length);
  const seen: number[] = [];
  assert.equal(
    ring.consume((record) => seen.push(lengthOf(record)), 2),
    2,
  );
  assert.equal(
    ring.consume((record) => seen.push(lengthOf(record))),
    1,
  );
  assert.deepEqual(seen, [70, 71, 72]);
});

test("a full buffer loses the new records and keeps the old ones", () => {
  report(80, 1000); // 4096 bytes hold 256 records of 16 with their headers
  let count = 0;
  ring.consume(() => (count += 1));
  assert.ok(count >= 250 && count <= 256, `${count} records`);
});

test("a record whose reader throws is not delivered again", () => {
  report(90);
  report(91);
  assert.throws(() => ring.consume(() => assert.fail("reader")), /reader/);
  const seen: number[] = [];
  ring.consume((record) => seen.push(lengthOf(record)));
  assert.deepEqual(seen, [91]);
});

test("a watcher is called when something arrives, until it is stopped", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const hold = setInterval(() => undefined, 1000); // a watcher alone does not keep the process alive
  const stop = ring.watch((record) => resolve(lengthOf(record)));
  report(100);
  assert.equal(await promise, 100);
  stop();
  stop();
  clearInterval(hold);
  report(101);
  assert.equal(
    ring.consume(() => undefined),
    1,
  );
});

test("a map that is no ring buffer is refused", () => {
  assert.throws(() => openRingBuffer(object.map("table")), /"table" is no ring buffer/);
});
