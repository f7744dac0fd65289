import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, toHex } from "../../bytes/hex.ts";
import { sealControl, verifyControl, type BfdKey, type Hash } from "./authentication.ts";
import {
  decodeControl,
  DIAGNOSTICS,
  encodeControl,
  formatControl,
  STATES,
  type AuthenticationSection,
  type Control,
} from "./packet.ts";

/** The first packet of a session of ours. */
const DOWN_BYTES = "20 40 03 18 00000001 00000000 000f4240 0000c350 00000000";
const DOWN: Control = {
  diagnostic: "none",
  state: "down",
  poll: false,
  final: false,
  controlPlaneIndependent: false,
  demand: false,
  detectMult: 3,
  myDiscriminator: 1,
  yourDiscriminator: 0,
  desiredMinTxMicros: 1_000_000,
  requiredMinRxMicros: 50_000,
  requiredMinEchoRxMicros: 0,
};
const UP: Control = { ...DOWN, state: "up", yourDiscriminator: 2 };
const hash: Hash = (algorithm, bytes) => createHash(algorithm).update(bytes).digest();

const u32 = fc.nat({ max: 0xffff_ffff });
const some32 = fc.integer({ min: 1, max: 0xffff_ffff });
function record<Value>(model: { [Key in keyof Value]: fc.Arbitrary<Value[Key]> }): fc.Arbitrary<Value> {
  return fc.record<Value>(model, { noNullPrototype: true });
}
function bytesOf(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length });
}
const sections: fc.Arbitrary<AuthenticationSection> = fc.oneof(
  record({
    type: fc.constant("password" as const),
    keyId: fc.nat({ max: 255 }),
    password: fc.uint8Array({ minLength: 1, maxLength: 16 }),
  }),
  record({
    type: fc.constantFrom("keyedMd5" as const, "meticulousKeyedMd5" as const),
    keyId: fc.nat({ max: 255 }),
    sequence: u32,
    digest: bytesOf(16),
  }),
  record({
    type: fc.constantFrom("keyedSha1" as const, "meticulousKeyedSha1" as const),
    keyId: fc.nat({ max: 255 }),
    sequence: u32,
    digest: bytesOf(20),
  }),
  record({
    type: fc.constant("unknown" as const),
    code: fc.integer({ min: 6, max: 255 }),
    data: fc.uint8Array({ maxLength: 30 }),
  }),
);
const controls: fc.Arbitrary<Control> = fc
  .tuple(
    record({
      diagnostic: fc.oneof(fc.constantFrom(...DIAGNOSTICS), fc.integer({ min: 9, max: 31 })),
      state: fc.constantFrom(...STATES),
      poll: fc.boolean(),
      final: fc.boolean(),
      controlPlaneIndependent: fc.boolean(),
      demand: fc.boolean(),
      detectMult: fc.integer({ min: 1, max: 255 }),
      myDiscriminator: some32,
      yourDiscriminator: some32,
      desiredMinTxMicros: u32,
      requiredMinRxMicros: u32,
      requiredMinEchoRxMicros: u32,
    }),
    fc.option(sections),
  )
  .map(([control, authentication]) => ({
    ...control,
    final: control.final && !control.poll,
    ...(authentication === null ? {} : { authentication }),
  }));

describe("a control packet", () => {
  test("is read and written, field by field", () => {
    assert.equal(toHex(encodeControl(DOWN)), DOWN_BYTES.replaceAll(" ", ""));
    assert.deepEqual(decodeControl(hex(DOWN_BYTES)), { ok: true, value: DOWN });
  });

  test("prints as one line", () =>
    assert.equal(
      formatControl({ ...UP, poll: true, diagnostic: "neighborSignaledDown" }),
      "BFD up [P] diag neighborSignaledDown, mult 3, my 0x1 your 0x2, tx 1000 rx 50 echo 0 ms",
    ));

  test("survives the wire, authenticated or not", () => {
    fc.assert(
      fc.property(controls, (control) =>
        assert.deepEqual(decodeControl(encodeControl(control)), { ok: true, value: control }),
      ),
    );
  });

  test("of any bytes is a value or a fault; what is read is written the same, but for what is behind it", () => {
    const mutated = fc.tuple(controls, fc.nat({ max: 60 }), fc.nat({ max: 255 })).map(([control, at, to]) => {
      const bytes = encodeControl(control);
      bytes[at % bytes.length] = to;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 })), (bytes) => {
        const result = decodeControl(bytes);
        if (!result.ok) return;
        const written = encodeControl(result.value);
        assert.deepEqual(decodeControl(written), result);
        assert.ok(written.length <= (bytes[3] ?? 0));
      }),
      { numRuns: 2000 },
    );
  });

  test("ends where its own length says", () => {
    assert.deepEqual(decodeControl(hex(`${DOWN_BYTES} ffff`)), { ok: true, value: DOWN });
  });

  const refused: readonly { name: string; bytes: string; fault: string }[] = [
    { name: "nothing", bytes: "", fault: "truncated" },
    { name: "23 bytes", bytes: DOWN_BYTES.slice(0, -2), fault: "truncated" },
    { name: "version 0", bytes: DOWN_BYTES.replace("20", "00"), fault: "otherVersion" },
    { name: "version 2", bytes: DOWN_BYTES.replace("20", "40"), fault: "otherVersion" },
    { name: "a length of 23", bytes: DOWN_BYTES.replace("18", "17"), fault: "badLength" },
    { name: "a length past the datagram", bytes: DOWN_BYTES.replace("18", "19"), fault: "badLength" },
    { name: "a multiplier of zero", bytes: DOWN_BYTES.replace("03", "00"), fault: "zeroDetectMult" },
    { name: "the multipoint bit", bytes: DOWN_BYTES.replace(" 40", " 41"), fault: "multipoint" },
    { name: "no discriminator", bytes: DOWN_BYTES.replace("00000001", "00000000"), fault: "zeroMyDiscriminator" },
    { name: "Init without ours", bytes: DOWN_BYTES.replace(" 40", " 80"), fault: "zeroYourDiscriminator" },
    { name: "Up without ours", bytes: DOWN_BYTES.replace(" 40", " c0"), fault: "zeroYourDiscriminator" },
    { name: "poll and final", bytes: DOWN_BYTES.replace(" 40", " 70"), fault: "pollAndFinal" },
    { name: "A and no section", bytes: DOWN_BYTES.replace(" 40", " 44"), fault: "badLength" },
    {
      name: "A and half a section",
      bytes: `${DOWN_BYTES.replace(" 40", " 44").replace("18", "1a")} 0403`,
      fault: "badAuthenticationSection",
    },
    {
      name: "an empty password",
      bytes: `${DOWN_BYTES.replace(" 40", " 44").replace("18", "1b")} 010301`,
      fault: "badAuthenticationSection",
    },
    {
      name: "a SHA1 of 16 bytes",
      bytes: `${DOWN_BYTES.replace(" 40", " 44").replace("18", "30")} 0418 0100 00000001 ${"00".repeat(16)}`,
      fault: "badAuthenticationSection",
    },
  ];
  for (const { name, bytes, fault } of refused) {
    test(`with ${name} is discarded: ${fault}`, () =>
      assert.deepEqual(decodeControl(hex(bytes)), { ok: false, fault }));
  }

  test("may say AdminDown before it knows us", () => {
    const result = decodeControl(hex(DOWN_BYTES.replace(" 40", " 00")));
    assert.ok(result.ok && result.value.state === "adminDown");
  });
});

describe("authentication", () => {
  const keys: readonly BfdKey[] = (
    ["password", "keyedMd5", "meticulousKeyedMd5", "keyedSha1", "meticulousKeyedSha1"] as const
  ).map((type) => ({ type, keyId: 7, secret: new TextEncoder().encode("geheim") }));
  for (const key of keys) {
    test(`by ${key.type}: what was sealed with the key is accepted, what was changed is not`, () => {
      const bytes = sealControl(UP, key, 100, hash);
      assert.equal(verdict(bytes, key), key.type === "password" ? "undefined" : "100");
      assert.equal(verdict(bytes, { ...key, secret: new TextEncoder().encode("falsch") }), "wrongKey");
      assert.equal(verdict(bytes, { ...key, keyId: 8 }), "wrongKey");
      const changed = Uint8Array.from(bytes);
      changed[15] = 1;
      if (key.type !== "password") assert.equal(verdict(changed, key), "wrongKey");
    });
  }

  const [, , meticulousMd5, sha1, meticulous] = keys;
  const sequences: readonly { key: BfdKey | undefined; received: number; sequence: number; verdict: string }[] = [
    { key: sha1, received: 100, sequence: 100, verdict: "100" },
    { key: sha1, received: 100, sequence: 109, verdict: "109" },
    { key: sha1, received: 100, sequence: 110, verdict: "replayed" },
    { key: sha1, received: 100, sequence: 99, verdict: "replayed" },
    { key: sha1, received: 0xffff_ffff, sequence: 2, verdict: "2" },
    { key: meticulous, received: 100, sequence: 100, verdict: "replayed" },
    { key: meticulous, received: 100, sequence: 101, verdict: "101" },
    { key: meticulous, received: 0xffff_ffff, sequence: 0, verdict: "0" },
    { key: meticulousMd5, received: 100, sequence: 100, verdict: "replayed" },
  ];
  for (const row of sequences) {
    test(`${row.key?.type}: sequence ${row.sequence} after ${row.received} is ${row.verdict}`, () => {
      assert.ok(row.key);
      assert.equal(verdict(sealControl(UP, row.key, row.sequence, hash), row.key, row.received), row.verdict);
    });
  }

  test("is neither left out nor made up", () => {
    const [key] = keys.slice(3);
    assert.equal(verdict(encodeControl(UP), key), "missingAuthentication");
    assert.equal(verdict(sealControl(UP, key, 1, hash), undefined), "unexpectedAuthentication");
    assert.equal(verdict(encodeControl(UP), undefined), "undefined");
  });

  test("leaves the datagram as it was, a Buffer too", () => {
    const [key] = keys.slice(3);
    const bytes = Buffer.from(sealControl(UP, key, 1, hash));
    const before = toHex(bytes);
    assert.equal(verdict(bytes, key), "1");
    assert.equal(toHex(bytes), before);
  });
});

/** The sequence now known, or the fault. */
function verdict(bytes: Uint8Array, key: BfdKey | undefined, received?: number): string {
  const control = decodeControl(bytes);
  assert.ok(control.ok);
  const result = verifyControl(control.value, bytes, key, received, hash);
  return result.ok ? String(result.sequence) : result.fault;
}
