import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hex, toHex } from "../../bytes/hex.ts";
import type { Capability } from "./capability.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { decodeMessage, encodeMessage } from "./message.ts";
import { message } from "./message.fixture.ts";
import { asOf, type Open } from "./open.ts";

const FIXED = "04 fde8 005a 0a000001";

describe("an OPEN", () => {
  test("without parameters is the shortest, of AS and identifier alone", () =>
    assert.deepEqual(decoded(`${FIXED} 00`), open([])));

  test("with an empty capability parameter says as much", () =>
    assert.deepEqual(decoded(`${FIXED} 02 02 00`), open([])));

  const capabilities: readonly { name: string; bytes: string; capability: Capability }[] = [
    { name: "IPv4 unicast", bytes: "01 04 0001 00 01", capability: { type: "multiprotocol", family: "IPv4" } },
    { name: "another family", bytes: "01 04 0019 00 46", capability: { type: "multiprotocol", family: "25/70" } },
    { name: "route refresh", bytes: "02 00", capability: { type: "routeRefresh" } },
    {
      name: "IPv4 with IPv6 next hops, the SAFI in two bytes",
      bytes: "05 06 0001 0001 0002",
      capability: { type: "extendedNextHop", entries: [{ family: "IPv4", nextHopAfi: 2 }] },
    },
    { name: "extended messages", bytes: "06 00", capability: { type: "extendedMessage" } },
    { name: "the role of a customer", bytes: "09 01 03", capability: { type: "role", role: "customer" } },
    { name: "a role nobody knows", bytes: "09 01 63", capability: { type: "role", role: 99 } },
    {
      name: "graceful restart with no families: it only helps",
      bytes: "40 02 0078",
      capability: {
        type: "gracefulRestart",
        restarting: false,
        notification: false,
        restartTimeSeconds: 120,
        families: [],
      },
    },
    {
      name: "graceful restart with all bits",
      bytes: "40 0a cfff 0001 01 80 0002 01 00",
      capability: {
        type: "gracefulRestart",
        restarting: true,
        notification: true,
        restartTimeSeconds: 4095,
        families: [
          { family: "IPv4", forwarding: true },
          { family: "IPv6", forwarding: false },
        ],
      },
    },
    { name: "an AS of four bytes", bytes: "41 04 fa56ea00", capability: { type: "fourOctetAs", as: 4_200_000_000 } },
    { name: "enhanced refresh", bytes: "46 00", capability: { type: "enhancedRouteRefresh" } },
    {
      name: "long-lived graceful restart, with 24 bits of time",
      bytes: "47 07 0001 01 80 ffffff",
      capability: {
        type: "longLivedGracefulRestart",
        families: [{ family: "IPv4", forwarding: true, staleTimeSeconds: 0xff_ffff }],
      },
    },
    { name: "a host name", bytes: "49 04 02 6e31 00", capability: { type: "hostname", hostname: "n1", domain: "" } },
    { name: "a host name that is cut off, as bytes", bytes: "49 02 05 6e", capability: unknown(0x49, "05 6e") },
    { name: "a host name that is no text, as bytes", bytes: "49 03 01 ff 00", capability: unknown(0x49, "01 ff 00") },
    { name: "link-local next hops", bytes: "4d 00", capability: { type: "linkLocalNextHop" } },
    { name: "what nobody knows, as bytes", bytes: "c8 03 010203", capability: unknown(200, "010203") },
  ];
  for (const { name, bytes, capability } of capabilities) {
    test(`says ${name}, and is written so`, () => {
      const length = hex(bytes).length;
      const whole = `${FIXED} ${byte(length + 2)} 02 ${byte(length)} ${bytes}`;
      assert.deepEqual(decoded(whole), open([capability]));
      assert.equal(toHex(encodeMessage(open([capability]), INITIAL_CONTEXT)), toHex(message(1, whole)));
    });
  }

  test("may have a parameter for each capability, as FRR's", () =>
    assert.deepEqual(
      decoded(`${FIXED} 08 02 02 0200 02 02 0600`),
      open([{ type: "routeRefresh" }, { type: "extendedMessage" }]),
    ));

  test("may be in the long form of RFC 9072 though short", () => {
    for (const first of ["ff", "01"])
      assert.deepEqual(decoded(`${FIXED} ${first} ff 0005 02 0002 0200`), open([{ type: "routeRefresh" }]));
  });

  test("is in the long form where the short one is too short, and only there", () => {
    for (const [size, extended] of [
      [253, false],
      [254, true],
      [257, true],
    ] as const) {
      const value = open([
        { type: "unknown", code: 200, value: new Uint8Array(size - 2) },
        ...(size === 257 ? [{ type: "routeRefresh" } as const] : []),
      ]);
      const bytes = encodeMessage(value, INITIAL_CONTEXT);
      assert.equal(bytes[28] === 255 && bytes[29] === 255, extended, `${size}`);
      assert.deepEqual(decodeMessage(bytes, INITIAL_CONTEXT), { ok: true, value });
    }
  });

  test("claims the AS of its first capability 65, or of its field", () => {
    assert.equal(asOf(open([])), 65000);
    assert.equal(
      asOf(
        open([
          { type: "fourOctetAs", as: 70000 },
          { type: "fourOctetAs", as: 5 },
        ]),
      ),
      70000,
    );
  });

  const refused: readonly { name: string; body: string; error: string }[] = [
    { name: "version 3", body: "03 fde8 005a 0a000001 00", error: "2/1 0004" },
    { name: "parameters that are missing", body: `${FIXED} 02`, error: "2/0 " },
    { name: "parameters longer than said", body: `${FIXED} 00 02 00`, error: "2/0 " },
    { name: "parameters shorter than said", body: `${FIXED} 05 02 02 0200`, error: "2/0 " },
    { name: "a parameter of one byte", body: `${FIXED} 01 02`, error: "2/0 " },
    { name: "a parameter past the end", body: `${FIXED} 04 02 04 0200`, error: "2/0 " },
    { name: "a capability past its parameter", body: `${FIXED} 04 02 02 0201`, error: "2/0 " },
    { name: "half a capability", body: `${FIXED} 03 02 01 02`, error: "2/0 " },
    { name: "the option length 255 and nothing (CVE-2022-40302)", body: `${FIXED} ff`, error: "2/0 " },
    { name: "the long form without its length (CVE-2022-43681)", body: `${FIXED} ff ff`, error: "2/0 " },
    { name: "the long form with half its length", body: `${FIXED} ff ff 00`, error: "2/0 " },
    { name: "the long form longer than the message", body: `${FIXED} ff ff 0100`, error: "2/0 " },
    { name: "a long parameter past the end (CVE-2022-40318)", body: `${FIXED} ff ff 0003 02 ffff`, error: "2/0 " },
    { name: "authentication", body: `${FIXED} 03 01 01 00`, error: "2/5 " },
    { name: "a parameter of type 3", body: `${FIXED} 05 03 03 010203`, error: "2/4 0303010203" },
    { name: "a long parameter of type 3", body: `${FIXED} ff ff 0004 03 0001 aa`, error: "2/4 030001aa" },
    { name: "IPv4 unicast in three bytes", body: `${FIXED} 07 02 05 01 03 0001 00`, error: "2/0 " },
    { name: "route refresh with a value", body: `${FIXED} 05 02 03 02 01 00`, error: "2/0 " },
    { name: "next hops in five bytes", body: `${FIXED} 09 02 07 05 05 0001000100`, error: "2/0 " },
    { name: "a role in two bytes", body: `${FIXED} 06 02 04 09 02 0303`, error: "2/0 " },
    { name: "graceful restart in one byte", body: `${FIXED} 05 02 03 40 01 00`, error: "2/0 " },
    { name: "graceful restart with half a family", body: `${FIXED} 08 02 06 40 04 0078 0001`, error: "2/0 " },
    { name: "an AS in two bytes", body: `${FIXED} 06 02 04 41 02 fde8`, error: "2/0 " },
    { name: "long-lived restart in six bytes", body: `${FIXED} 0a 02 08 47 06 000101800000`, error: "2/0 " },
  ];
  for (const { name, body, error } of refused) {
    test(`with ${name} is answered with ${error.slice(0, 3)}`, () => {
      const result = decodeMessage(message(1, body), INITIAL_CONTEXT);
      assert.ok(!result.ok);
      assert.equal(`${result.error.code}/${result.error.subcode} ${toHex(result.error.data)}`, error);
    });
  }

  test("cannot be written with a restart time of more than 12 bits", () =>
    assert.throws(
      () =>
        encodeMessage(
          open([
            { type: "gracefulRestart", restarting: false, notification: false, restartTimeSeconds: 4096, families: [] },
          ]),
          INITIAL_CONTEXT,
        ),
      /at most 4095 s, got 4096/,
    ));
});

function open(capabilities: readonly Capability[]): Open {
  return { type: "open", myAs: 65000, holdTimeSeconds: 90, bgpIdentifier: 0x0a00_0001, capabilities };
}

function unknown(code: number, value: string): Capability {
  return { type: "unknown", code, value: hex(value) };
}

function decoded(body: string): unknown {
  const result = decodeMessage(message(1, body), INITIAL_CONTEXT);
  assert.ok(result.ok, result.ok ? "" : result.error.reason);
  return result.value;
}

function byte(value: number): string {
  return value.toString(16).padStart(2, "0");
}
