/** The contract of the forwarding tables (src/datapath/tables.fixture.ts) on real maps: hash tables by system call, arrays by mmap. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openMaps } from "../../src/agent/maps.ts";
import { anySequenceOfWishes, bench, frontend, pod, served, wanted } from "../../src/datapath/tables.fixture.ts";
import { flow, flow_key } from "../../src/datapath/abi.generated.ts";
import { loadObject } from "../../src/kernel/object.ts";

const path = fileURLToPath(new URL("../../bpf/build/xdp.bpf.o", import.meta.url));
const object = loadObject({
  path,
  maxEntries: { frontends: 64, backends: 64, slots: 1, maglev: 8, flows: 1024, flow_buckets: 1024, flow_cells: 8192 },
  rodata: { flow_bucket_mask: 1023, flow_cell_mask: 8191 },
});
after(() => object.close());
const maps = openMaps((name) => object.map(name));

describe("on real maps", () => {
  anySequenceOfWishes(() => maps.forwarding, 25);

  test("a full map of frontends refuses a Service by name and serves the others", () => {
    const b = bench(maps.forwarding);
    const services = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`s${i}`, [frontend(`192.168.10.${i}`, [pod("10.0.0.1")])]]),
    );
    b.to(wanted(services));
    assert.equal(Object.keys(served(maps.forwarding)).length, 64);
    assert.equal(b.problems().length, 8);
    b.to(new Map());
    assert.deepEqual(served(maps.forwarding), {});
  });

  test("both flow tables are listed, and a row behind the cells can be removed", () => {
    const key = new Uint8Array(flow_key.size).fill(1);
    maps.flows.put(key, new Uint8Array(flow.size), 1);
    const listed = [...maps.allFlows()].flatMap((row) => (row === undefined ? [] : [row[0].slice()]));
    assert.deepEqual(listed, [key]);
    maps.flows.remove(key, 1);
    maps.flows.remove(key, 1);
    // Of eight thousand cells without a flow, two pauses are all there is.
    assert.deepEqual([...maps.allFlows()], [undefined, undefined]);
  });

  test("counters that never grew are not told", () => {
    assert.deepEqual(maps.verdicts(), {});
    assert.deepEqual(maps.drops(), []);
  });
});
