import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ANOTHER, Contest } from "./contest.ts";
import { compareRanks } from "./ranks.ts";

const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();
const NAMES = Array.from({ length: 30 }, (_, number) => `node-${number}`);
const ADDRESSES = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
const [SELF = ""] = NAMES;

/** Which counts what it hashes. */
function counting(self = SELF): { contest: Contest; hashes: () => number } {
  let hashes = 0;
  const contest = new Contest(self, (text) => {
    hashes += 1;
    return sha256(text);
  });
  return { contest, hashes: () => hashes };
}

const addresses = (count: number): string[] =>
  Array.from({ length: count }, (_, number) => `10.0.${number >> 8}.${number & 255}`);

describe("whether a node is the first of some for an address", () => {
  it("is what the order of all of them says, whoever was asked about before", () => {
    const question = fc.tuple(fc.subarray(NAMES), fc.constantFrom(...ADDRESSES));
    fc.assert(
      fc.property(fc.constantFrom(...NAMES), fc.array(question, { maxLength: 40 }), (self, questions) => {
        const { contest } = counting(self);
        for (const [nodes, address] of questions) {
          const [first] = nodes.toSorted((a, b) => compareRanks(a, b, address, sha256));
          const expected = first === undefined || first === self ? first : ANOTHER;
          assert.equal(contest.first(nodes, address), expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("takes few hashes, however many nodes there are", () => {
    const { contest, hashes } = counting();
    const nodes = Array.from({ length: 500 }, (_, number) => `node-${number}`);
    const won = addresses(2000).filter((address) => contest.first(nodes, address) === SELF);
    assert.ok(won.length > 0);
    // 1 for itself, and the others until one comes before it: about ln 500 of them. All of them would be a million.
    assert.ok(hashes() < 2000 * 12, `${hashes()} hashes`);
  });

  it("costs nothing when a node goes that was not in its way, and what it won costs one hash for each that comes", () => {
    const { contest, hashes } = counting();
    const results = new Map(addresses(300).map((address) => [address, contest.first(NAMES, address)]));
    const won = [...results].flatMap(([address, first]) => (first === SELF ? [address] : []));
    assert.ok(won.length > 0);
    const before = hashes();
    for (const address of results.keys()) contest.first(NAMES, address);
    assert.equal(hashes(), before);
    const more = [...NAMES, "new"];
    for (const address of results.keys()) contest.first(more, address);
    // Itself and the new one, for each that it had won.
    assert.equal(hashes(), before + 2 * won.length);
  });

  it("finds rivals all over the list: no node's loss is dearer than another's", () => {
    const { contest, hashes } = counting();
    const nodes = Array.from({ length: 100 }, (_, number) => `node-${number}`);
    const asked = addresses(2000);
    for (const address of asked) contest.first(nodes, address);
    for (const lost of nodes.slice(1, 4)) {
      const before = hashes();
      const rest = nodes.filter((node) => node !== lost);
      for (const address of asked) contest.first(rest, address);
      assert.ok(hashes() - before < 1000, `${hashes() - before} hashes without ${lost}`);
    }
  });

  it("is nobody of none, and another where it is not among them", () => {
    const { contest, hashes } = counting();
    assert.equal(contest.first([], "192.0.2.1"), undefined);
    assert.equal(contest.first(["other"], "192.0.2.1"), ANOTHER);
    assert.equal(hashes(), 0);
  });
});
