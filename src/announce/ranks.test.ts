import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareRanks, Ranks } from "./ranks.ts";

const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();
const NAMES = Array.from({ length: 30 }, (_, number) => `node-${number}`);

describe("the first of some nodes for an address", () => {
  it("is the one with the lowest hash, whoever was asked about before", () => {
    const question = fc.tuple(fc.subarray(NAMES), fc.constantFrom("192.0.2.1", "2001:db8::1"));
    fc.assert(
      fc.property(fc.array(question, { maxLength: 30 }), (questions) => {
        const ranks = new Ranks(sha256);
        for (const [nodes, address] of questions) {
          const [first] = nodes.toSorted((a, b) => compareRanks(a, b, address, sha256));
          assert.equal(ranks.first(nodes, address), first);
        }
      }),
    );
  });

  it("costs no hash when nodes go, and one for each that comes", () => {
    let hashes = 0;
    const ranks = new Ranks((text) => {
      hashes += 1;
      return sha256(text);
    });
    ranks.first(NAMES, "192.0.2.1");
    assert.equal(hashes, NAMES.length);
    const winner = ranks.first(NAMES, "192.0.2.1");
    ranks.first(
      NAMES.filter((name) => name !== winner),
      "192.0.2.1",
    );
    assert.equal(hashes, NAMES.length);
    ranks.first([...NAMES, "new"], "192.0.2.1");
    // The few that are remembered are hashed again beside it.
    assert.equal(hashes, NAMES.length + 9);
  });
});
