import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex, toHex } from "../../bytes/hex.ts";
import type { SessionContext } from "./context.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { decodeMessage, encodeMessage } from "./message.ts";
import { FULL_CONTEXT, MARKER, message, messages } from "./message.fixture.ts";

describe("a message", () => {
  test("survives the wire, whatever is in it", () => {
    fc.assert(
      fc.property(messages, (value) => {
        const bytes = encodeMessage(value, FULL_CONTEXT);
        const back = decodeMessage(bytes, FULL_CONTEXT);
        assert.ok(back.ok, back.ok ? "" : back.error.reason);
        // A route without its mandatory attributes is one to withdraw; that is for update.test.ts.
        assert.deepEqual(back.value.type === "update" ? { ...back.value, faults: [] } : back.value, value);
      }),
      { numRuns: 300 },
    );
  });

  test("of any bytes is a value or an error to send, never an exception; written again it stays what it is", () => {
    const bodies = fc.oneof(
      fc.tuple(fc.nat({ max: 7 }), fc.uint8Array({ maxLength: 120 })).map(([type, body]) => message(type, toHex(body))),
      fc.uint8Array({ maxLength: 60 }),
    );
    fc.assert(
      fc.property(bodies, contexts, (bytes, context) => assertSound(bytes, context)),
      { numRuns: 2000 },
    );
  });

  test("that was valid before some bytes of it changed is sound too", () => {
    const mutations = fc.array(fc.tuple(fc.nat({ max: 4000 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(messages, mutations, contexts, (value, changes, context) => {
        const bytes = encodeMessage(value, FULL_CONTEXT);
        // The marker is left alone: behind a wrong one nothing is looked at.
        for (const [at, to] of changes) bytes[16 + (at % (bytes.length - 16))] = to;
        assertSound(bytes, context);
      }),
      { numRuns: 2000 },
    );
  });

  test("of AS numbers of two bytes survives too, but for numbers that need four", () => {
    const context = { ...FULL_CONTEXT, fourOctetAs: false };
    fc.assert(
      fc.property(messages, (value) => {
        const bytes = encodeMessage(value, context);
        const back = decodeMessage(bytes, context);
        assert.ok(back.ok, back.ok ? "" : back.error.reason);
        assert.deepEqual(encodeMessage(back.value, context), bytes);
      }),
    );
  });

  test("longer than the peer takes is our own mistake", () => {
    const data = new Uint8Array(5000);
    const long = { type: "notification", code: 6, subcode: 0, data } as const;
    assert.throws(() => encodeMessage(long, FULL_CONTEXT), /5021 bytes \(notification\): at most 4096/);
    assert.equal(encodeMessage(long, { ...FULL_CONTEXT, sendExtended: true }).length, 5021);
  });

  test("of the shortest kind is a keepalive", () =>
    assert.equal(toHex(encodeMessage({ type: "keepalive" }, INITIAL_CONTEXT)), `${MARKER}001304`));
});

describe("a header", () => {
  const enhanced = { ...FULL_CONTEXT, enhancedRouteRefresh: true };
  const extended = { ...FULL_CONTEXT, receiveExtended: true };
  const rows: readonly { name: string; bytes: Uint8Array; context?: SessionContext; error: string }[] = [
    { name: "is missing", bytes: new Uint8Array(0), error: "1/2 " },
    { name: "is cut off", bytes: hex(`${MARKER} 0013`), error: "1/2 0013" },
    { name: "has a marker that is not all ones", bytes: hex(`${"ff".repeat(15)} fe 0013 04`), error: "1/1 " },
    { name: "is longer than its message says", bytes: hex(`${MARKER} 0012 04`), error: "1/2 0012" },
    { name: "claims a length of 0", bytes: hex(`${MARKER} 0000 04`), error: "1/2 0000" },
    { name: "claims what there is not", bytes: hex(`${MARKER} 0018 02 0000 0000`), error: "1/2 0018" },
    { name: "claims less than there is", bytes: hex(`${MARKER} 0017 02 0000 0000 00`), error: "1/2 0017" },
    { name: "is of no type", bytes: hex(`${MARKER} 0013 00`), error: "1/3 00" },
    { name: "is of a type unknown, dynamic capabilities", bytes: hex(`${MARKER} 0013 06`), error: "1/3 06" },
    { name: "of an unknown type is too long as well", bytes: hex(`${MARKER} 1001 09`), error: "1/2 1001" },
    { name: "of an OPEN is below 29", bytes: message(1, "04 ffff 005a 0a000001"), error: "1/2 001c" },
    { name: "of an UPDATE is below 23", bytes: message(2, "0000 00"), error: "1/2 0016" },
    { name: "of a NOTIFICATION is below 21", bytes: message(3, "06"), error: "1/2 0014" },
    { name: "of a KEEPALIVE is 20", bytes: message(4, "00"), error: "1/2 0014" },
    { name: "of a ROUTE-REFRESH is below 23", bytes: message(5, "0001 00"), error: "1/2 0016" },
    {
      name: "of a ROUTE-REFRESH is below 23 where 7313 has a code for it",
      bytes: message(5, "0001 00"),
      context: enhanced,
      error: `7/1 ${MARKER}0016050001 00`.replaceAll(" ", "").replace("7/1", "7/1 "),
    },
    { name: "of a marker of a refresh is above 23", bytes: message(5, "0001 01 01 00"), error: "1/2 0018" },
    {
      name: "of a marker of a refresh is above 23 where 7313 has a code for it",
      bytes: message(5, "0001 01 01 00"),
      context: enhanced,
      error: `7/1 ${MARKER}0018050001010100`,
    },
    { name: "claims more than 4096", bytes: hex(`${MARKER} 1001 02`), error: "1/2 1001" },
    {
      name: "of an OPEN claims more than 4096, extended or not",
      bytes: hex(`${MARKER} 1001 01`),
      context: extended,
      error: "1/2 1001",
    },
    {
      name: "of a KEEPALIVE claims more than 19, extended or not",
      bytes: hex(`${MARKER} 1001 04`),
      context: extended,
      error: "1/2 1001",
    },
  ];
  for (const { name, bytes, context = FULL_CONTEXT, error } of rows) {
    test(`that ${name} is answered with ${error.slice(0, 3)}`, () => {
      const result = decodeMessage(bytes, context);
      assert.ok(!result.ok);
      assert.equal(`${result.error.code}/${result.error.subcode} ${toHex(result.error.data)}`, error);
      // What claims too much is refused by its header, before anybody waits for the rest.
      if (name.includes("claims more than")) assert.match(result.error.reason, /is above the \d+ allowed/);
    });
  }

  test("of a request with filters behind it is a request", () => {
    const result = decodeMessage(message(5, "0001 00 01 01 80 0005 0102030405"), enhanced);
    assert.deepEqual(result, { ok: true, value: { type: "routeRefresh", family: "IPv4", subtype: "request" } });
  });

  test("of an extended message may say 65535", () => {
    const body = `0000 0000 ${"20 0a000001".repeat(13_102)} 00 00`;
    const result = decodeMessage(message(2, body), extended);
    assert.ok(result.ok && result.value.type === "update");
    assert.equal(result.value.announced.length, 13_104);
  });
});

const contexts: fc.Arbitrary<SessionContext> = fc.record({
  fourOctetAs: fc.boolean(),
  receiveExtended: fc.boolean(),
  sendExtended: fc.constant(true),
  external: fc.boolean(),
  families: fc.constantFrom<SessionContext["families"]>(["IPv4"], ["IPv4", "IPv6"], ["IPv6"], []),
  extendedNextHop: fc.boolean(),
  enhancedRouteRefresh: fc.boolean(),
});

/** Value xor error; what is written of the value is read as the same. */
function assertSound(bytes: Uint8Array, context: SessionContext): void {
  const result = decodeMessage(bytes, context);
  if (!result.ok) {
    assert.ok(result.error.reason.length > 0 && result.error.reason.length < 200);
    assert.ok(result.error.code >= 1 && result.error.code <= 7);
    return;
  }
  const written = encodeMessage(result.value, context);
  const again = decodeMessage(written, context);
  assert.ok(again.ok, again.ok ? "" : again.error.reason);
  assert.deepEqual(encodeMessage(again.value, context), written);
}
