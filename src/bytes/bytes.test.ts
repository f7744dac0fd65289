import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { internetChecksum } from "./checksum.ts";
import { hex, parseHex, toHex } from "./hex.ts";
import { Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

describe("a reader", () => {
  test("reads fields in network order", () => {
    const reader = new Reader(hex("01 0203 04050607 08090a0b0c0d0e0f aabb ccddee"));
    assert.deepEqual(
      [reader.u8(), reader.u16(), reader.u32(), reader.u64()],
      [1, 0x0203, 0x04050607, 0x08090a0b0c0d0e0fn],
    );
    assert.equal(reader.remaining, 5);
    assert.deepEqual([toHex(reader.take(2)), toHex(reader.rest())], ["aabb", "ccddee"]);
    assert.deepEqual([reader.remaining, reader.ranOut], [0, false]);
  });

  test("reads a piece of a larger buffer and nothing around it", () => {
    const reader = new Reader(hex("ff 0102 ff").subarray(1, 3));
    assert.deepEqual([reader.u16(), reader.u8(), reader.ranOut], [0x0102, 0, true]);
  });

  test("gives pieces that do not change with the buffer", () => {
    const buffer = hex("0102");
    const piece = new Reader(buffer).take(2);
    buffer.fill(0);
    assert.equal(toHex(piece), "0102");
  });

  test("gives pieces of a Buffer as copies too, whose own slice() is none", () => {
    const buffer = Buffer.from("0102", "hex");
    const piece = new Reader(buffer).take(2);
    buffer.fill(0);
    assert.equal(toHex(piece), "0102");
  });

  const tooShort = [
    { name: "a byte", bytes: 0, read: (reader: Reader) => reader.u8() },
    { name: "two bytes", bytes: 1, read: (reader: Reader) => reader.u16() },
    { name: "four bytes", bytes: 3, read: (reader: Reader) => reader.u32() },
    { name: "eight bytes", bytes: 7, read: (reader: Reader) => reader.u64() },
    { name: "a piece", bytes: 9, read: (reader: Reader) => reader.take(10) },
  ];
  for (const row of tooShort) {
    test(`that lacks ${row.name} has run out, and stays so`, () => {
      const reader = new Reader(new Uint8Array(row.bytes).fill(0xff));
      assert.equal(Number(row.read(reader)), 0);
      assert.equal(reader.ranOut, true);
      assert.deepEqual([reader.u8(), reader.take(0).length, reader.ranOut], [0, 0, true]);
    });
  }
});

describe("a writer", () => {
  test("writes what a reader reads", () => {
    const u32 = fc.nat({ max: 0xffff_ffff });
    const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
    fc.assert(
      fc.property(
        fc.nat({ max: 255 }),
        fc.nat({ max: 0xffff }),
        u32,
        u64,
        fc.uint8Array({ maxLength: 9 }),
        (a, b, c, d, e) => {
          const reader = new Reader(new Writer(15 + e.length).u8(a).u16(b).u32(c).u64(d).bytes(e).finish());
          assert.deepEqual([reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.rest()], [a, b, c, d, e]);
        },
      ),
    );
  });

  const refused = [
    { name: "a field too many", write: () => new Writer(3).u32(1) },
    { name: "bytes too many", write: () => new Writer(3).bytes(new Uint8Array(4)) },
    { name: "a packet with a field forgotten", write: () => new Writer(3).u16(1).finish() },
    { name: "a byte of 256", write: () => new Writer(1).u8(256) },
    { name: "a negative byte", write: () => new Writer(1).u8(-1) },
    { name: "a fraction", write: () => new Writer(2).u16(1.5) },
    { name: "no number", write: () => new Writer(4).u32(Number.NaN) },
    { name: "a number of 65 bits", write: () => new Writer(8).u64(1n << 64n) },
    { name: "a negative bigint", write: () => new Writer(8).u64(-1n) },
  ];
  for (const row of refused) test(`refuses ${row.name}`, () => assert.throws(row.write, RangeError));
});

describe("internetChecksum", () => {
  const rows = [
    { name: "the example of RFC 1071 §3", bytes: "0001 f203 f4f5 f6f7", sum: 0x220d },
    { name: "nothing", bytes: "", sum: 0xffff },
    { name: "an odd length, as if a zero followed", bytes: "0001 f2", sum: 0x0dfe },
    { name: "all ones", bytes: "ffff ffff", sum: 0 },
    { name: "an IPv4 header of a textbook", bytes: "4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7", sum: 0xb861 },
  ];
  for (const row of rows) test(`of ${row.name}`, () => assert.equal(internetChecksum(hex(row.bytes)), row.sum));

  test("does not depend on how the bytes are cut", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 60 }), (bytes, cut) => {
        assert.equal(internetChecksum(bytes.subarray(0, cut), bytes.subarray(cut)), internetChecksum(bytes));
      }),
    );
  });

  test("is exact over more than a datagram's length", () => {
    const bytes = new Uint8Array(200_000).fill(0xfe);
    let sum = 0n;
    for (let i = 0; i < bytes.length; i += 2) sum += 0xfefen;
    while (sum > 0xffffn) sum = (sum >> 16n) + (sum & 0xffffn);
    assert.equal(internetChecksum(bytes), Number(~sum & 0xffffn));
  });
});

describe("hexadecimal text", () => {
  test("survives both ways", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => assert.deepEqual(parseHex(toHex(bytes)), bytes)),
    );
  });

  test("of a MAC address has colons", () => assert.equal(toHex(hex("0A0b0c0D0e0f"), ":"), "0a:0b:0c:0d:0e:0f"));

  for (const text of ["0", "0g", "zz", "0x12", "1-2", "12 3"]) {
    test(`${JSON.stringify(text)} is refused`, () => {
      assert.equal(parseHex(text), undefined);
      assert.throws(() => hex(text), SyntaxError);
    });
  }
});
