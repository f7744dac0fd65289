import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { QUARANTINE_MS, Regions, type Extent } from "./regions.ts";

describe("Regions", () => {
  test("gives out the first gap that is long enough", () => {
    const regions = new Regions(100, [
      { base: 5, length: 5 },
      { base: 20, length: 30 },
    ]);
    assert.equal(regions.allocate(6, 0), 10);
    assert.equal(regions.allocate(5, 0), 0);
    assert.equal(regions.allocate(6, 0), 50);
    assert.equal(regions.allocate(4, 0), 16);
  });

  test("a region given back is not given out while a packet may still follow it", () => {
    const regions = new Regions(10);
    const base = regions.allocate(10, 0) as number;
    regions.release(base, 10, 100);
    assert.equal(regions.allocate(10, 100 + QUARANTINE_MS - 1), undefined);
    assert.equal(regions.resting, true);
    assert.equal(regions.allocate(10, 100 + QUARANTINE_MS), base);
    assert.equal(regions.resting, false);
  });

  test("neighbours given back become one gap, in whatever order", () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [0, 2, 1],
      [1, 0, 2],
    ]) {
      const regions = new Regions(30);
      const bases = [0, 1, 2].map(() => regions.allocate(10, 0) as number);
      for (const i of order) regions.release(bases[i] as number, 10, 0);
      assert.equal(regions.allocate(30, QUARANTINE_MS), 0, `order ${order.join()}`);
    }
  });

  test("a region longer than every gap is refused, although the sum would do", () => {
    const regions = new Regions(30, [{ base: 10, length: 10 }]);
    assert.equal(regions.allocate(11, 0), undefined);
    assert.equal(regions.unused, 20);
  });

  test("extents found twice, overlapping or beyond the end are taken once", () => {
    const regions = new Regions(20, [
      { base: 0, length: 10 },
      { base: 0, length: 10 },
      { base: 5, length: 10 },
      { base: 18, length: 50 },
    ]);
    assert.equal(regions.unused, 3);
    assert.equal(regions.allocate(3, 0), 15);
    assert.equal(regions.allocate(1, 0), undefined);
  });

  test("never gives one element to two owners, and loses none", () => {
    const steps = fc.array(
      fc.record({
        length: fc.integer({ min: 1, max: 12 }),
        release: fc.boolean(),
        wait: fc.constantFrom(0, 400, 1000),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const regions = new Regions(64);
        const owned: Extent[] = [];
        let now = 0;
        for (const step of list) {
          now += step.wait;
          const given = step.release ? owned.shift() : undefined;
          if (given !== undefined) regions.release(given.base, given.length, now);
          const base = step.release ? undefined : regions.allocate(step.length, now);
          if (base !== undefined) owned.push({ base, length: step.length });
          const taken = owned.flatMap((extent) => Array.from({ length: extent.length }, (_, i) => extent.base + i));
          assert.equal(new Set(taken).size, taken.length);
          assert.ok(taken.every((element) => element >= 0 && element < 64));
          assert.equal(regions.unused, 64 - taken.length);
        }
      }),
    );
  });
});
