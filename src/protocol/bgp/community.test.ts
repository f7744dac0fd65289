import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  canonicalCommunities,
  formatCommunity,
  GRACEFUL_SHUTDOWN,
  linkBandwidth,
  parseCommunity,
  type Community,
} from "./community.ts";

const u32 = fc.nat({ max: 0xffff_ffff });
const communities: fc.Arbitrary<Community> = fc.oneof(
  fc.record({ type: fc.constant("standard" as const), value: u32 }, { noNullPrototype: true }),
  fc.record(
    {
      type: fc.constant("extended" as const),
      value: fc.oneof(
        fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        // Of the kinds that have a text of their own.
        fc
          .tuple(fc.constantFrom(0x0002n, 0x0003n, 0x0102n, 0x0203n, 0x4004n), u32, fc.nat({ max: 0xffff }))
          .map(([kind, high, low]) => (kind << 48n) | (BigInt(high) << 16n) | BigInt(low)),
      ),
    },
    { noNullPrototype: true },
  ),
  fc.record(
    { type: fc.constant("large" as const), globalAdministrator: u32, localData1: u32, localData2: u32 },
    { noNullPrototype: true },
  ),
);

describe("a community's text", () => {
  const rows: readonly { text: string; canonical?: string; community: Community }[] = [
    { text: "64512:100", community: { type: "standard", value: 0xfc00_0064 } },
    { text: "0:0", community: { type: "standard", value: 0 } },
    { text: "65535:65535", community: { type: "standard", value: 0xffff_ffff } },
    { text: "no-export", community: { type: "standard", value: 0xffff_ff01 } },
    { text: "NO_ADVERTISE", canonical: "no-advertise", community: { type: "standard", value: 0xffff_ff02 } },
    { text: "local-AS", canonical: "no-export-subconfed", community: { type: "standard", value: 0xffff_ff03 } },
    { text: "65535:0", canonical: "graceful-shutdown", community: GRACEFUL_SHUTDOWN },
    { text: "gshut", canonical: "graceful-shutdown", community: GRACEFUL_SHUTDOWN },
    { text: "blackhole", community: { type: "standard", value: 0xffff_029a } },
    { text: "no-llgr", community: { type: "standard", value: 0xffff_0007 } },
    { text: "large:1:2:4294967295", community: large(1, 2, 0xffff_ffff) },
    { text: "rt:64512:4294967295", community: { type: "extended", value: 0x0002_fc00_ffff_ffffn } },
    { text: "rt:10.0.0.1:5", community: { type: "extended", value: 0x0102_0a00_0001_0005n } },
    { text: "soo:4200000000:7", community: { type: "extended", value: 0x0203_fa56_ea00_0007n } },
    { text: "lb:64512:1000000", community: { type: "extended", value: 0x4004_fc00_4974_2400n } },
    { text: "ext:800600000000000a", community: { type: "extended", value: 0x8006_0000_0000_000an } },
  ];
  for (const { text, canonical = text, community } of rows) {
    test(`${text} is read and printed as ${canonical}`, () => {
      assert.deepEqual(parseCommunity(text), { ok: true, value: community });
      assert.equal(formatCommunity(community), canonical);
    });
  }

  const refused = [
    "",
    "no-such-name",
    "1",
    "1:2:3",
    "65536:1",
    "1:65536",
    "-1:1",
    "01:1",
    " 1:1",
    "1:1 ",
    "1.5:1",
    "0x1:1",
    "1:",
    ":1",
    "large:1:2",
    "large:1:2:3:4",
    "large:1:2:4294967296",
    "Large:1:2:3",
    "large",
    "rt",
    "rt:1",
    "rt:1:2:3",
    "rt:70000:65536",
    "rt:10.0.0.1:65536",
    "rt:10.0.0:1",
    "rt:::1:1",
    "lb:1",
    "lb:1:-5",
    "lb:1:1e6",
    "ext:1",
    "ext:zz06000000000000",
    "toString",
    "__proto__",
    "constructor:1",
  ];
  for (const text of refused) {
    test(`${JSON.stringify(text)} is refused, quoted`, () => {
      const result = parseCommunity(text);
      assert.ok(!result.ok);
      assert.ok(result.message.startsWith(`invalid community ${JSON.stringify(text)}: `), result.message);
    });
  }

  test("is read as what was printed", () => {
    fc.assert(
      fc.property(communities, (one) =>
        assert.deepEqual(parseCommunity(formatCommunity(one)), { ok: true, value: one }),
      ),
      { numRuns: 500 },
    );
  });

  test("of anything is a community or a message", () => {
    const words = fc.constantFrom("rt", "large", "ext", "lb", ":", "1", "65536", "10.0.0.1", "x");
    const texts = fc.oneof(
      fc.string(),
      fc.array(words).map((parts) => parts.join("")),
    );
    fc.assert(fc.property(texts, (text) => typeof parseCommunity(text).ok === "boolean"));
  });
});

describe("communities", () => {
  test("in order have no doubles, whatever order they came in", () => {
    fc.assert(
      fc.property(fc.array(communities), (some) => {
        const canonical = canonicalCommunities([...some, ...some]);
        assert.deepEqual(canonicalCommunities(some.toReversed()), canonical);
        assert.deepEqual(new Set(canonical.map(formatCommunity)), new Set(some.map(formatCommunity)));
        assert.equal(new Set(canonical.map(formatCommunity)).size, canonical.length);
      }),
    );
  });

  test("of link bandwidth carry AS_TRANS for an AS that does not fit", () =>
    assert.equal(formatCommunity(linkBandwidth(70000, 3e6)), "lb:23456:3000000"));
});

function large(globalAdministrator: number, localData1: number, localData2: number): Community {
  return { type: "large", globalAdministrator, localData1, localData2 };
}
