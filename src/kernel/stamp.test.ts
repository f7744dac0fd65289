import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Worker } from "node:worker_threads";
import { runtime } from "../datapath/abi.generated.ts";
import { loadObject } from "./object.ts";
import { objectPath, openSandbox } from "./sandbox.fixture.ts";
import { openStampWriter } from "./stamp.ts";

const sandbox = openSandbox();
const pinRoot = `${sandbox.pins}/stamp`;
const object = loadObject({
  path: objectPath("xdp"),
  pinRoot,
  maxEntries: { flows: 1024 },
  programs: ["fairlead_xdp"],
});
after(() => {
  object.close();
  sandbox[Symbol.dispose]();
});

const stampInMap = (): bigint => {
  const bytes = object.map("runtime").lookup(new Uint8Array(4)) ?? new Uint8Array();
  return new DataView(bytes.buffer).getBigUint64(runtime.offset.valid_until_ns, true);
};

test("a stamp is in the map as soon as it is written", () => {
  const writer = openStampWriter(`${pinRoot}/runtime`);
  for (const stamp of [1n, 0n, 2n ** 63n]) {
    writer.write(stamp);
    assert.equal(stampInMap(), stamp);
    assert.equal(writer.read(), stamp);
  }
  writer.close();
});

test("a worker thread writes the same stamp", async () => {
  const source = `import { openStampWriter } from ${JSON.stringify(new URL("stamp.ts", import.meta.url).href)};
    import { workerData, parentPort } from "node:worker_threads";
    openStampWriter(workerData).write(123456789n);
    parentPort.postMessage("written");`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: `${pinRoot}/runtime`,
  });
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  worker.once("message", resolve).once("error", reject);
  assert.equal(await promise, "written");
  assert.equal(stampInMap(), 123456789n);
  await worker.terminate();
});

test("what the datapath keeps beside the stamp is not touched", () => {
  const writer = openStampWriter(`${pinRoot}/runtime`);
  const memory = new DataView(object.map("runtime").mmap());
  memory.setBigUint64(runtime.offset.answer_margin_ns, 42n, true);
  writer.write(7n);
  assert.equal(memory.getBigUint64(runtime.offset.answer_margin_ns, true), 42n);
  writer.close();
});

test("a map that is not pinned is named", () => {
  assert.throws(() => openStampWriter(`${pinRoot}/elsewhere`), { code: "ENOENT", subject: `${pinRoot}/elsewhere` });
});
