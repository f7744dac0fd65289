import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hex, toHex } from "../../bytes/hex.ts";
import { bgpError, formatErrorCode } from "./error.ts";
import {
  ceaseNotification,
  decodeNotification,
  encodeNotification,
  formatNotification,
  hardResetOf,
  isHardReset,
  notificationOf,
  shutdownCommunication,
} from "./notification.ts";

describe("a notification", () => {
  const rows: readonly { bytes: string; text: string; communication?: string }[] = [
    { bytes: "02 02", text: "open: bad peer AS (2/2)" },
    { bytes: "04 00", text: "hold timer (4/0)" },
    { bytes: "05 03", text: "state machine: unexpected in established (5/3)" },
    { bytes: "06 02", text: "cease: administrative shutdown (6/2)" },
    { bytes: "06 02 00", text: "cease: administrative shutdown (6/2)" },
    { bytes: "06 02 05 68656c6c6f", text: 'cease: administrative shutdown (6/2) "hello"', communication: "hello" },
    { bytes: "06 04 04 c3a4c3b6", text: 'cease: administrative reset (6/4) "äö"', communication: "äö" },
    { bytes: "06 02 06 68656c6c6f", text: "cease: administrative shutdown (6/2)" },
    { bytes: "06 02 01 ff", text: "cease: administrative shutdown (6/2)" },
    { bytes: "06 05 05 68656c6c6f", text: "cease: connection rejected (6/5)" },
    { bytes: "06 01 0001 01 00000064", text: "cease: maximum prefixes (6/1): at most 100 of AFI 1 SAFI 1" },
    { bytes: "06 0a", text: "cease: BFD down (6/10)" },
    {
      bytes: "06 09 06 02 02 6869",
      text: 'cease: hard reset (6/9): cease: administrative shutdown (6/2) "hi"',
      communication: "hi",
    },
    { bytes: "06 09 06 09 06 02", text: "cease: hard reset (6/9)" },
    { bytes: "06 09 06", text: "cease: hard reset (6/9)" },
    { bytes: "07 01 ffff", text: "route refresh: invalid message length (7/1)" },
    { bytes: "03 63", text: "update: subcode 99 (3/99)" },
    { bytes: "63 01", text: "error 99/1" },
  ];
  for (const { bytes, text, communication } of rows) {
    test(`of ${bytes} reads: ${text}`, () => {
      const notification = decodeNotification(hex(bytes));
      assert.equal(formatNotification(notification), text);
      assert.equal(shutdownCommunication(notification), communication);
      assert.deepEqual(encodeNotification(notification), hex(bytes));
    });
  }

  test("carries an administrator's text in the two subcodes that have one, and no other", () => {
    assert.equal(toHex(encodeNotification(ceaseNotification("administrativeShutdown", "hi"))), "0602026869");
    assert.equal(toHex(encodeNotification(ceaseNotification("administrativeReset"))), "0604");
    assert.equal(toHex(encodeNotification(ceaseNotification("peerDeconfigured", "hi"))), "0603");
  });

  test("cuts a text at 255 bytes, never inside a character", () => {
    const { data } = ceaseNotification("administrativeShutdown", `a${"ö".repeat(200)}`);
    assert.equal(data.length, 256);
    assert.equal(shutdownCommunication(ceaseNotification("administrativeShutdown", "ö".repeat(200)))?.length, 127);
  });

  test("wrapped into a hard reset is still readable", () => {
    const wrapped = hardResetOf(ceaseNotification("administrativeShutdown", "drained"));
    assert.equal(isHardReset(wrapped), true);
    assert.equal(toHex(encodeNotification(wrapped)), "0609060207647261696e6564");
    assert.equal(shutdownCommunication(wrapped), "drained");
  });

  test("is what an error says", () => {
    const error = bgpError("open", "unacceptableHoldTime", "hold time of 2 s");
    assert.deepEqual(notificationOf(error), { type: "notification", code: 2, subcode: 6, data: new Uint8Array(0) });
    assert.equal(formatErrorCode(error.code, error.subcode), "open: unacceptable hold time (2/6)");
  });
});
