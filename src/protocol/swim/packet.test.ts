import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, toHex } from "../../bytes/hex.ts";
import { decodeProbe, encodeProbe, formatProbe, PROBE_LENGTH, type Probe } from "./packet.ts";
import { sipHash, type SipKey } from "./siphash.ts";

const KEY: SipKey = [0x0706050403020100n, 0x0f0e0d0c0b0a0908n];
const OTHER_KEY: SipKey = [KEY[0], KEY[1] + 1n];

const REQUEST: Probe = { type: "request", sequence: 7, remainingMilliseconds: 0, nonce: 0x1122334455667788n };
const ANSWER: Probe = { ...REQUEST, type: "answer", remainingMilliseconds: 59_999 };
/** Tags by `openssl mac … SIPHASH` over the first 24 bytes. */
const REQUEST_BYTES = "464c5042 01 01 0000 00000007 00000000 1122334455667788 b854eef0fc828ee9";
const ANSWER_BYTES = "464c5042 01 02 0000 00000007 0000ea5f 1122334455667788 f97e8d9c48ff7836";

const probes: fc.Arbitrary<Probe> = fc.record(
  {
    type: fc.constantFrom("request", "answer"),
    sequence: fc.nat({ max: 0xffff_ffff }),
    remainingMilliseconds: fc.nat({ max: 0xffff_ffff }),
    nonce: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
  },
  { noNullPrototype: true },
);

/** A probe with its byte at `offset` replaced and the tag made right again, so that the byte itself is judged. */
function signedAgain(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[offset] = value;
  return resign(changed);
}

describe("a probe", () => {
  test("has the bytes the datapath expects", () => {
    assert.equal(toHex(encodeProbe(REQUEST, KEY)), REQUEST_BYTES.replaceAll(" ", ""));
    assert.equal(toHex(encodeProbe(ANSWER, KEY)), ANSWER_BYTES.replaceAll(" ", ""));
  });

  test("is read from those bytes", () => {
    assert.deepEqual(decodeProbe(hex(REQUEST_BYTES), KEY), { ok: true, value: REQUEST });
    assert.deepEqual(decodeProbe(hex(ANSWER_BYTES), KEY), { ok: true, value: ANSWER });
  });

  test("survives the wire whatever its numbers are", () => {
    fc.assert(
      fc.property(probes, (probe) =>
        assert.deepEqual(decodeProbe(encodeProbe(probe, KEY), KEY), { ok: true, value: probe }),
      ),
    );
  });

  test("is read from the middle of a buffer", () => {
    const buffer = new Uint8Array(PROBE_LENGTH + 20).fill(0xa5);
    buffer.set(encodeProbe(ANSWER, KEY), 9);
    assert.deepEqual(decodeProbe(buffer.subarray(9, 9 + PROBE_LENGTH), KEY), { ok: true, value: ANSWER });
  });

  test("prints as one line", () => {
    assert.equal(formatProbe(REQUEST), "probe request 7, nonce 1122334455667788");
    assert.equal(formatProbe(ANSWER), "probe answer 7, nonce 1122334455667788, stamp valid 59999 ms");
  });
});

describe("decodeProbe", () => {
  const good = encodeProbe(ANSWER, KEY);
  const refused = [
    { name: "nothing", bytes: new Uint8Array(0), fault: "badLength" },
    { name: "one byte less", bytes: good.subarray(0, PROBE_LENGTH - 1), fault: "badLength" },
    { name: "one byte more", bytes: Uint8Array.from([...good, 0]), fault: "badLength" },
    { name: "a full datagram of zeros", bytes: new Uint8Array(1472), fault: "badLength" },
    { name: "another protocol", bytes: signedAgain(good, 0, 0x47), fault: "badMagic" },
    { name: "version 0", bytes: signedAgain(good, 4, 0), fault: "otherVersion" },
    { name: "version 2", bytes: signedAgain(good, 4, 2), fault: "otherVersion" },
    { name: "type 0", bytes: signedAgain(good, 5, 0), fault: "unknownType" },
    { name: "type 3", bytes: signedAgain(good, 5, 3), fault: "unknownType" },
    { name: "the first reserved byte used", bytes: signedAgain(good, 6, 1), fault: "reservedBits" },
    { name: "the second reserved byte used", bytes: signedAgain(good, 7, 1), fault: "reservedBits" },
    { name: "another key's tag", bytes: encodeProbe(ANSWER, OTHER_KEY), fault: "badTag" },
    {
      name: "a tag in network order",
      bytes: Uint8Array.from([...good.subarray(0, 24), ...good.subarray(24).toReversed()]),
      fault: "badTag",
    },
  ];
  for (const row of refused) {
    test(`refuses ${row.name}: ${row.fault}`, () =>
      assert.deepEqual(decodeProbe(row.bytes, KEY), { ok: false, fault: row.fault }));
  }

  test("refuses a probe with any bit turned over", () => {
    for (let bit = 0; bit < PROBE_LENGTH * 8; bit += 1) {
      const changed = Uint8Array.from(good, (byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
      assert.equal(decodeProbe(changed, KEY).ok, false, `bit ${bit}`);
    }
  });

  test("makes a probe or a fault of any bytes, and the same bytes of the probe", () => {
    const beginnings = fc.tuple(
      fc.constantFrom(1, 1, 1, 2),
      fc.nat({ max: 3 }),
      fc.constant(0),
      fc.constantFrom(0, 0, 0, 1),
    );
    const almost = fc
      .tuple(beginnings, fc.uint8Array({ minLength: 24, maxLength: 24 }))
      .map(([beginning, rest]) => resign(Uint8Array.from([...hex("464c5042"), ...beginning, ...rest])));
    const anything = fc.oneof(fc.uint8Array({ maxLength: 80 }), almost);
    let values = 0;
    fc.assert(
      fc.property(anything, (bytes) => {
        const result = decodeProbe(bytes, KEY);
        if (!result.ok) return;
        values += 1;
        assert.deepEqual(encodeProbe(result.value, KEY), bytes);
      }),
      { numRuns: 2000 },
    );
    assert.ok(values > 0, "no random input was a probe: the property held for nothing");
  });
});

describe("encodeProbe", () => {
  const impossible = [
    { name: "a negative sequence", probe: { ...REQUEST, sequence: -1 } },
    { name: "a sequence of 33 bits", probe: { ...REQUEST, sequence: 2 ** 32 } },
    { name: "half a millisecond", probe: { ...ANSWER, remainingMilliseconds: 0.5 } },
    { name: "a nonce of 65 bits", probe: { ...REQUEST, nonce: 1n << 64n } },
  ];
  for (const row of impossible)
    test(`throws on ${row.name}`, () => assert.throws(() => encodeProbe(row.probe, KEY), RangeError));
});

/** The same with a right tag. */
function resign(bytes: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(bytes);
  if (changed.length !== PROBE_LENGTH) return changed;
  new DataView(changed.buffer).setBigUint64(24, sipHash(KEY, changed.subarray(0, 24)), true);
  return changed;
}
