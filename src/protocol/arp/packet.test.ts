import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, toHex } from "../../bytes/hex.ts";
import { address, type Address } from "../../net/address.ts";
import { arpProbe, decodeArp, encodeArp, formatArp, gratuitousArp, type ArpFrame } from "./packet.ts";

const CLIENT = hex("02:00:00:00:00:fa");
const NODE = hex("02:00:00:00:00:c9");

/** `arping` from 192.168.10.250 for 192.168.10.0, as tcpdump shows it, padded to Ethernet's minimum. */
const REQUEST_BYTES =
  "ffffffffffff 0200000000fa 0806 0001 0800 06 04 0001 0200000000fa c0a80afa 000000000000 c0a80a00" + "00".repeat(18);
const REQUEST: ArpFrame = {
  destination: hex("ffffffffffff"),
  source: CLIENT,
  operation: "request",
  senderMac: CLIENT,
  senderAddress: address("192.168.10.250"),
  targetMac: hex("000000000000"),
  targetAddress: address("192.168.10.0"),
};

const macs = fc.uint8Array({ minLength: 6, maxLength: 6 });
const ipv4 = fc.nat({ max: 0xffff_ffff }).map((value): Address => ({ family: "IPv4", value: BigInt(value) }));
const operations = fc.oneof(
  fc.constantFrom<ArpFrame["operation"]>("request", "reply"),
  fc.integer({ min: 3, max: 0xffff }),
  fc.constant(0),
);
const frames: fc.Arbitrary<ArpFrame> = fc.record(
  {
    destination: macs,
    source: macs,
    operation: operations,
    senderMac: macs,
    senderAddress: ipv4,
    targetMac: macs,
    targetAddress: ipv4,
  },
  { noNullPrototype: true },
);

describe("an ARP frame", () => {
  test("is read from a request off the wire, whatever pads it", () => {
    assert.deepEqual(decodeArp(hex(REQUEST_BYTES)), { ok: true, value: REQUEST });
    assert.deepEqual(decodeArp(hex(REQUEST_BYTES).subarray(0, 42)), { ok: true, value: REQUEST });
  });

  test("is written without padding", () => assert.deepEqual(encodeArp(REQUEST), hex(REQUEST_BYTES).subarray(0, 42)));

  test("survives the wire, unknown operations too", () => {
    fc.assert(
      fc.property(frames, (frame) => assert.deepEqual(decodeArp(encodeArp(frame)), { ok: true, value: frame })),
    );
  });

  test("prints as one line", () => {
    assert.equal(
      formatArp(REQUEST),
      "02:00:00:00:00:fa > ff:ff:ff:ff:ff:ff ARP request who-has 192.168.10.0 (00:00:00:00:00:00) tell 192.168.10.250",
    );
    assert.equal(
      formatArp({ ...REQUEST, operation: "reply" }),
      "02:00:00:00:00:fa > ff:ff:ff:ff:ff:ff ARP reply 192.168.10.250 is-at 02:00:00:00:00:fa",
    );
    assert.equal(
      formatArp({ ...REQUEST, operation: 8 }),
      "02:00:00:00:00:fa > ff:ff:ff:ff:ff:ff ARP operation 8 from 192.168.10.250 to 192.168.10.0",
    );
  });

  for (const operation of ["request", "reply"] as const) {
    test(`announces as a gratuitous ${operation} in MetalLB's form`, () => {
      const code = operation === "request" ? "0001" : "0002";
      const frame = gratuitousArp(address("192.168.10.0"), NODE)[operation === "request" ? 0 : 1];
      const expected = `ffffffffffff 0200000000c9 0806 0001 0800 06 04 ${code} 0200000000c9 c0a80a00 ffffffffffff c0a80a00`;
      assert.equal(toHex(frame), expected.replaceAll(" ", ""));
    });
  }
});

describe("arpProbe", () => {
  test("asks everybody, and claims no address (RFC 5227)", () => {
    const expected = "ffffffffffff 0200000000c9 0806 0001 0800 06 04 0001 0200000000c9 00000000 000000000000 c0a80a00";
    assert.equal(toHex(arpProbe(address("192.168.10.0"), NODE)), expected.replaceAll(" ", ""));
  });
});

describe("decodeArp", () => {
  const good = encodeArp(REQUEST);
  const changed = (offset: number, text: string): Uint8Array => {
    const bytes = Uint8Array.from(good);
    bytes.set(hex(text), offset);
    return bytes;
  };
  const refused = [
    { name: "nothing", bytes: new Uint8Array(0), fault: "truncated" },
    { name: "half an Ethernet header", bytes: good.subarray(0, 13), fault: "truncated" },
    { name: "an Ethernet header alone", bytes: good.subarray(0, 14), fault: "truncated" },
    { name: "half of the lengths", bytes: good.subarray(0, 19), fault: "truncated" },
    { name: "one byte less", bytes: good.subarray(0, 41), fault: "truncated" },
    { name: "IPv4", bytes: changed(12, "0800"), fault: "otherEthertype" },
    { name: "a VLAN tag", bytes: changed(12, "8100"), fault: "otherEthertype" },
    { name: "IEEE 802 hardware", bytes: changed(14, "0006"), fault: "otherHardware" },
    { name: "a protocol that is not IPv4", bytes: changed(16, "86dd"), fault: "otherProtocol" },
    { name: "hardware addresses of eight bytes", bytes: changed(18, "08"), fault: "badAddressLength" },
    { name: "protocol addresses of sixteen bytes", bytes: changed(19, "10"), fault: "badAddressLength" },
    { name: "lengths of zero", bytes: changed(18, "0000"), fault: "badAddressLength" },
  ];
  for (const row of refused) {
    test(`refuses ${row.name}: ${row.fault}`, () =>
      assert.deepEqual(decodeArp(row.bytes), { ok: false, fault: row.fault }));
  }

  test("makes a frame or a fault of any bytes, and the same bytes of the frame", () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 70 }),
      fc
        .tuple(fc.nat({ max: 41 }), fc.nat({ max: 255 }))
        .map(([offset, byte]) => changed(offset, byte.toString(16).padStart(2, "0"))),
    );
    let values = 0;
    fc.assert(
      fc.property(anything, (bytes) => {
        const result = decodeArp(bytes);
        if (!result.ok) return;
        values += 1;
        assert.deepEqual(encodeArp(result.value), bytes.subarray(0, 42));
      }),
      { numRuns: 1000 },
    );
    assert.ok(values > 0, "no input was a frame: the property held for nothing");
  });
});

describe("encodeArp", () => {
  test("throws on an address that is not IPv4", () => {
    assert.throws(() => encodeArp({ ...REQUEST, targetAddress: address("fc00::1") }), {
      message: "Cannot write fc00::1 into an ARP packet: not an IPv4 address",
    });
    assert.throws(() => gratuitousArp(address("fc00::1"), NODE), TypeError);
  });
  for (const length of [0, 5, 7, 8]) {
    test(`throws on a MAC of ${length} bytes, also where the other makes up for it`, () => {
      const senderMac = new Uint8Array(length);
      assert.throws(() => encodeArp({ ...REQUEST, senderMac }), RangeError);
      assert.throws(() => encodeArp({ ...REQUEST, senderMac, targetMac: new Uint8Array(12 - length) }), RangeError);
    });
  }
});
