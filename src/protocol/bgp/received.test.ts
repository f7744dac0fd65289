import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toHex } from "../../bytes/hex.ts";
import { address } from "../../net/address.ts";
import { parsePrefix, type Prefix } from "../../net/prefix.ts";
import { ReceivedRoutes } from "./received.ts";
import type { Update } from "./update.ts";

const prefix = (index: number): Prefix => {
  const parsed = parsePrefix(`10.0.${index >> 8}.${index & 255}/32`);
  assert.ok(parsed);
  return parsed;
};
const update = (change: Partial<Update>): Update => ({
  type: "update",
  withdrawn: [],
  attributes: [{ type: "nextHop", address: address("192.0.2.1") }],
  announced: [],
  faults: [],
  ...change,
});
const many = (count: number): readonly Prefix[] => Array.from({ length: count }, (_, index) => prefix(index));

describe("what a peer has told", () => {
  test("is counted once however often it is said, and not any more when it is taken back", () => {
    const received = new ReceivedRoutes();
    received.add(update({ announced: [prefix(1), prefix(2)] }), undefined);
    received.add(update({ announced: [prefix(1)] }), undefined);
    assert.equal(received.count("IPv4"), 2);
    received.add(update({ withdrawn: [prefix(1), prefix(9)] }), undefined);
    assert.deepEqual(received.rows(), [{ prefix: "10.0.0.2/32", nextHop: "192.0.2.1" }]);
  });

  test("is kept up to a thousand routes, and counted beyond", () => {
    const received = new ReceivedRoutes();
    received.add(update({ announced: many(5000) }), undefined);
    assert.equal(received.count("IPv4"), 5000);
    assert.equal(received.rows().length, 1000);
    received.add(update({ withdrawn: many(5000) }), undefined);
    assert.equal(received.count("IPv4"), 0);
  });

  test("is at its limit no error, one route over it 6/1 with family and limit", () => {
    const received = new ReceivedRoutes();
    assert.equal(received.add(update({ announced: many(3000) }), 3000), undefined);
    assert.equal(received.add(update({ announced: many(3000) }), 3000), undefined);
    const error = received.add(update({ announced: [prefix(4000)] }), 3000);
    assert.deepEqual([error?.code, error?.subcode, toHex(error?.data ?? new Uint8Array(0))], [6, 1, "00010100000bb8"]);
  });

  test("as a malformed route takes back the good one before it (RFC 7606)", () => {
    const received = new ReceivedRoutes();
    received.add(update({ announced: [prefix(1)] }), undefined);
    received.add(
      update({ announced: [prefix(1)], faults: [{ grade: "treatAsWithdraw", code: 1, reason: "x" }] }),
      undefined,
    );
    assert.equal(received.count("IPv4"), 0);
  });
});
