import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, toHex } from "../../bytes/hex.ts";
import { decodeRouterAdvertisement, encodeRouterAdvertisement } from "./router.ts";

const OURS = "860000000000000000000000000000000101020000000001";

describe("a router advertisement", () => {
  test("of ours has lifetime 0 and the link-layer address", () => {
    const bytes = encodeRouterAdvertisement(Uint8Array.of(2, 0, 0, 0, 0, 1));
    assert.equal(toHex(bytes), OURS);
    assert.deepEqual(decodeRouterAdvertisement(bytes), { ok: true, value: { lifetimeSeconds: 0 } });
  });

  test("of FRR 8.4 is read: lifetime 30 s", () => {
    // Captured from an unnumbered interface, tcpdump -XX.
    const frr = "860053304000001e0000000000000000010106aa7f42ef7f";
    assert.deepEqual(decodeRouterAdvertisement(hex(frr)), { ok: true, value: { lifetimeSeconds: 30 } });
  });

  const faults: readonly (readonly [string, string, string])[] = [
    ["nothing", "", "short"],
    ["one byte less than it has", OURS.slice(0, 30), "short"],
    ["a solicitation", "85" + OURS.slice(2), "type"],
    ["code 1", "8601" + OURS.slice(4), "code"],
    ["an option of length 0", OURS.slice(0, 32) + "0100020000000001", "option"],
    ["an option past the end", OURS.slice(0, 32) + "0102020000000001", "option"],
    ["half an option", OURS.slice(0, 34), "option"],
  ];
  for (const [name, text, fault] of faults)
    test(`is not ${name}`, () => assert.deepEqual(decodeRouterAdvertisement(hex(text)), { ok: false, fault }));

  test("is a value or a fault, whatever the bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => "ok" in decodeRouterAdvertisement(bytes)));
  });
});
