import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { hex } from "../../bytes/hex.ts";
import type { BgpError } from "./error.ts";
import { Framer } from "./framer.ts";
import { encodeMessage, type Message } from "./message.ts";
import { FULL_CONTEXT, MARKER, messages } from "./message.fixture.ts";

describe("a framer", () => {
  test("finds the same messages however the stream is cut", () => {
    const cuts = fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(messages, { maxLength: 5 }), cuts, (sent, lengths) => {
        const stream = join(sent.map((one) => encodeMessage(one, FULL_CONTEXT)));
        const framer = framerOf();
        const found: Message[] = [];
        for (let at = 0, i = 0; at < stream.length; i += 1) {
          const length = lengths[i % lengths.length] ?? 1;
          // Cuts of zero alone would never end.
          const end = at + (i % 3 === 2 ? Math.max(1, length) : length);
          for (const one of framer.push(stream.subarray(at, end))) {
            assert.ok(one.ok, one.ok ? "" : one.error.reason);
            found.push(one.value);
          }
          at = end;
        }
        assert.deepEqual(
          found.map((one) => encodeMessage(one, FULL_CONTEXT)),
          sent.map((one) => encodeMessage(one, FULL_CONTEXT)),
        );
        assert.equal(framer.waiting, 0);
      }),
    );
  });

  test("judges a header before the body is there", () => {
    const framer = framerOf();
    assert.deepEqual([...framer.push(hex(`${MARKER} ffff`))], []);
    assert.equal(framer.waiting, 18);
    assert.equal(errorOf([...framer.push(hex("02"))])?.subcode, 2);
    assert.equal(framer.waiting, 0);
  });

  test("gives what was right before an error, and nothing after it", () => {
    const framer = framerOf();
    const keepalive = encodeMessage({ type: "keepalive" }, FULL_CONTEXT);
    const found = [...framer.push(join([keepalive, hex(`${MARKER} 0013 09`), keepalive]))];
    assert.deepEqual(
      found.map(({ ok }) => ok),
      [true, false],
    );
    assert.deepEqual([...framer.push(keepalive)], []);
  });

  test("takes the context of the moment: what one OPEN agrees on counts for the next message", () => {
    const framer = new Framer();
    const update = { type: "update", withdrawn: [], announced: [], faults: [] } as const;
    const path = { type: "asPath", segments: [{ type: "sequence", numbers: [70000] }] } as const;
    const bytes = encodeMessage({ ...update, attributes: [path] }, FULL_CONTEXT);
    const keepalive = encodeMessage({ type: "keepalive" }, FULL_CONTEXT);
    const found: Message[] = [];
    for (const one of framer.push(join([keepalive, bytes]))) {
      assert.ok(one.ok);
      found.push(one.value);
      framer.context = FULL_CONTEXT;
    }
    assert.deepEqual(found[1], { ...update, attributes: [path] });
  });

  test("left in the middle goes on with the next chunk", () => {
    const framer = framerOf();
    const keepalive = encodeMessage({ type: "keepalive" }, FULL_CONTEXT);
    for (const one of framer.push(join([keepalive, keepalive]))) {
      assert.ok(one.ok);
      break;
    }
    assert.equal([...framer.push(new Uint8Array(0))].length, 1);
  });

  test("keeps less than a message of a stream of single bytes", () => {
    const framer = new Framer();
    const bytes = encodeMessage(
      { type: "notification", code: 6, subcode: 2, data: new Uint8Array(4075) },
      FULL_CONTEXT,
    );
    let found = 0;
    for (const byte of join([bytes, bytes])) {
      found += [...framer.push(Uint8Array.of(byte))].length;
      assert.ok(framer.waiting < 4096);
    }
    assert.equal(found, 2);
  });

  test("survives any bytes", () => {
    const chunks = fc.array(
      fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.constant(hex(MARKER)), fc.constant(hex(`${MARKER} 0013 04`))),
    );
    fc.assert(
      fc.property(chunks, (pieces) => {
        const framer = framerOf();
        let dead = false;
        for (const piece of pieces) {
          for (const { ok } of framer.push(piece)) {
            assert.equal(dead, false);
            dead = !ok;
          }
        }
      }),
    );
  });
});

function framerOf(): Framer {
  const framer = new Framer();
  framer.context = FULL_CONTEXT;
  return framer;
}

function errorOf(found: readonly { readonly ok: boolean; readonly error?: BgpError }[]): BgpError | undefined {
  return found[0]?.error;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
