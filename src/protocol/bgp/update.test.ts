import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hex, toHex } from "../../bytes/hex.ts";
import { address, formatAddress } from "../../net/address.ts";
import { formatPrefix } from "../../net/prefix.ts";
import { formatAsPath, pathLength, reconstructAsPath } from "./as-path.ts";
import type { PathAttribute } from "./attribute.ts";
import type { SessionContext } from "./context.ts";
import { decodeMessage, encodeMessage } from "./message.ts";
import { FULL_CONTEXT, message } from "./message.fixture.ts";
import { routesOf, type Update } from "./update.ts";

const ORIGIN = "40 01 01 00";
const PATH = "40 02 06 02 01 0000fde8";
const NEXT_HOP = "40 03 04 0a000001";
const MANDATORY = `${ORIGIN} ${PATH} ${NEXT_HOP}`;
const NLRI = "20 0a010001";
const EXTERNAL: SessionContext = { ...FULL_CONTEXT, external: true };
const OLD: SessionContext = { ...FULL_CONTEXT, fourOctetAs: false };

describe("an UPDATE", () => {
  test("of nothing is the end of the IPv4 routes", () =>
    assert.equal(routesOf(decoded(update("", "", ""))).endOfRib, "IPv4"));

  test("with an empty MP_UNREACH is the end of that family's, in either form of length", () => {
    for (const [attribute, family] of [
      ["80 0f 03 0002 01", "IPv6"],
      ["90 0f 0003 0002 01", "IPv6"],
      ["80 0f 03 0001 80", "1/128"],
    ] as const)
      assert.equal(routesOf(decoded(update("", attribute, ""))).endOfRib, family);
  });

  test("that withdraws is no end", () =>
    assert.deepEqual(routesOf(decoded(update("20 0a010001", "", ""))), {
      announced: [],
      withdrawn: [{ family: "IPv4", value: 0x0a01_0001n, length: 32 }],
      endOfRib: undefined,
    }));

  test("announces IPv4 by its own field, and clears bits behind the length", () => {
    assert.deepEqual(shown(update("", MANDATORY, "00 0f 0aff 20 0a010001")), {
      announced: ["0.0.0.0/0 10.0.0.1", "10.254.0.0/15 10.0.0.1", "10.1.0.1/32 10.0.0.1"],
      withdrawn: [],
    });
  });

  const GLOBAL = "fd000000000000000000000000000001";
  const LINK = "fe800000000000000000000000000001";
  const nextHops: readonly { name: string; attribute: string; announced: string }[] = [
    {
      name: "IPv6, global",
      attribute: `80 0e 1a 0002 01 10 ${GLOBAL} 00 20 20010db8`,
      announced: "2001:db8::/32 fd00::1",
    },
    {
      name: "IPv6, global and link-local",
      attribute: `80 0e 2a 0002 01 20 ${GLOBAL} ${LINK} 00 20 20010db8`,
      announced: "2001:db8::/32 fd00::1 fe80::1",
    },
    {
      name: "IPv6, link-local twice",
      attribute: `80 0e 2a 0002 01 20 ${LINK} ${LINK} 00 20 20010db8`,
      announced: "2001:db8::/32 fe80::1 fe80::1",
    },
    {
      name: "IPv6 by an IPv4-mapped next hop, which stays IPv6",
      attribute: `80 0e 16 0002 01 10 00000000000000000000ffff0a000001 00 00`,
      announced: "::/0 ::ffff:a00:1",
    },
    { name: "IPv4 by IPv6", attribute: `80 0e 1a 0001 01 10 ${LINK} 00 20 0a010001`, announced: "10.1.0.1/32 fe80::1" },
    {
      name: "IPv4 by IPv4, in MP_REACH",
      attribute: "80 0e 0e 0001 01 04 0a000001 00 20 0a010001",
      announced: "10.1.0.1/32 10.0.0.1",
    },
  ];
  for (const { name, attribute, announced } of nextHops) {
    test(`announces ${name}`, () => {
      const bytes = hex(attribute);
      bytes[2] = bytes.length - 3;
      const result = shown(update("", `${toHex(bytes)} ${ORIGIN} ${PATH}`, ""));
      assert.deepEqual(result, { announced: [announced], withdrawn: [] });
    });
  }

  test("of a family that was not agreed on is nothing, however broken", () => {
    const result = decoded(update("", `${ORIGIN} ${PATH} 80 0e 05 0001 80 ff ff`, ""));
    assert.deepEqual([routesOf(result).announced, result.faults], [[], []]);
    const only4 = { ...FULL_CONTEXT, families: ["IPv4"] as const };
    assert.deepEqual(decoded(update("", `${ORIGIN} ${PATH} 80 0e 04 0002 01 ff`, ""), only4).faults, []);
  });

  const attributes: readonly { name: string; bytes: string; context?: SessionContext; attribute: PathAttribute }[] = [
    { name: "ORIGIN EGP", bytes: "40 01 01 01", attribute: { type: "origin", origin: "egp" } },
    { name: "an empty AS_PATH", bytes: "40 02 00", attribute: { type: "asPath", segments: [] } },
    {
      name: "an AS_PATH of two bytes",
      bytes: "40 02 0a 02 02 fde8 5ba0 01 01 0001",
      context: OLD,
      attribute: {
        type: "asPath",
        segments: [
          { type: "sequence", numbers: [65000, 23456] },
          { type: "set", numbers: [1] },
        ],
      },
    },
    { name: "MED", bytes: "80 04 04 ffffffff", attribute: { type: "multiExitDisc", value: 0xffff_ffff } },
    { name: "LOCAL_PREF", bytes: "40 05 04 00000064", attribute: { type: "localPref", value: 100 } },
    { name: "ATOMIC_AGGREGATE", bytes: "40 06 00", attribute: { type: "atomicAggregate" } },
    {
      name: "AGGREGATOR",
      bytes: "c0 07 08 00011170 0a000001",
      attribute: { type: "aggregator", as: 70000, address: address("10.0.0.1") },
    },
    {
      name: "AGGREGATOR of an old speaker",
      bytes: "c0 07 06 5ba0 0a000001",
      context: OLD,
      attribute: { type: "aggregator", as: 23456, address: address("10.0.0.1") },
    },
    {
      name: "COMMUNITIES",
      bytes: "c0 08 08 ffff0000 fde80064",
      attribute: { type: "communities", values: [0xffff_0000, 0xfde8_0064] },
    },
    {
      name: "ORIGINATOR_ID",
      bytes: "80 09 04 0a000001",
      attribute: { type: "originatorId", bgpIdentifier: 0x0a00_0001 },
    },
    {
      name: "CLUSTER_LIST",
      bytes: "80 0a 08 00000001 00000002",
      attribute: { type: "clusterList", clusterIds: [1, 2] },
    },
    {
      name: "EXTENDED COMMUNITIES",
      bytes: "c0 10 08 4004fc0049742400",
      attribute: { type: "extendedCommunities", values: [0x4004_fc00_4974_2400n] },
    },
    {
      name: "AS4_PATH of an old speaker",
      bytes: "c0 11 06 02 01 00011170",
      context: OLD,
      attribute: { type: "as4Path", segments: [{ type: "sequence", numbers: [70000] }] },
    },
    {
      name: "AS4_AGGREGATOR of an old speaker",
      bytes: "c0 12 08 00011170 0a000001",
      context: OLD,
      attribute: { type: "as4Aggregator", as: 70000, address: address("10.0.0.1") },
    },
    {
      name: "LARGE_COMMUNITY",
      bytes: "c0 20 0c 00000001 00000002 00000003",
      attribute: {
        type: "largeCommunities",
        values: [{ type: "large", globalAdministrator: 1, localData1: 2, localData2: 3 }],
      },
    },
    { name: "OTC", bytes: "c0 23 04 0000fde8", attribute: { type: "onlyToCustomer", as: 65000 } },
    {
      name: "what nobody knows, as bytes",
      bytes: "e0 c8 02 0102",
      attribute: { type: "unknown", code: 200, transitive: true, partial: true, value: hex("0102") },
    },
  ];
  for (const { name, bytes, context = FULL_CONTEXT, attribute } of attributes) {
    test(`carries ${name}, and is written so`, () => {
      const whole = update("", bytes, "");
      assert.deepEqual(decoded(whole, context).attributes, [attribute]);
      assert.equal(toHex(encodeMessage(decoded(whole, context), context)), toHex(whole));
    });
  }

  test("writes a length in one byte as long as it fits", () => {
    for (const [size, header] of [
      [255, "c0c8ff"],
      [256, "d0c80100"],
    ] as const) {
      const attribute = {
        type: "unknown",
        code: 200,
        transitive: true,
        partial: false,
        value: new Uint8Array(size),
      } as const;
      const bytes = encodeMessage(
        { type: "update", withdrawn: [], attributes: [attribute], announced: [], faults: [] },
        FULL_CONTEXT,
      );
      assert.equal(toHex(bytes.subarray(23)).slice(0, header.length), header);
    }
  });

  test("says a short length in a long field is fine, and writes it short", () => {
    const long = update("", "50 01 0001 00", "");
    assert.equal(toHex(encodeMessage(decoded(long), FULL_CONTEXT)), toHex(update("", ORIGIN, "")));
  });
});

describe("an UPDATE that is malformed", () => {
  const WITHDRAW = "treatAsWithdraw";
  const DISCARD = "attributeDiscard";
  const faults: readonly { name: string; attributes: string; context?: SessionContext; grade: string }[] = [
    { name: "ORIGIN of no byte", attributes: `40 01 00 ${PATH} ${NEXT_HOP}`, grade: `${WITHDRAW} 1` },
    { name: "ORIGIN of two", attributes: `40 01 02 0000 ${PATH} ${NEXT_HOP}`, grade: `${WITHDRAW} 1` },
    { name: "ORIGIN 3", attributes: `40 01 01 03 ${PATH} ${NEXT_HOP}`, grade: `${WITHDRAW} 1` },
    { name: "ORIGIN with optional flags", attributes: `c0 01 01 00 ${PATH} ${NEXT_HOP}`, grade: `${WITHDRAW} 1` },
    { name: "no ORIGIN", attributes: `${PATH} ${NEXT_HOP}`, grade: `${WITHDRAW} 1` },
    {
      name: "a segment of type 5",
      attributes: `${ORIGIN} 40 02 06 05 01 0000fde8 ${NEXT_HOP}`,
      grade: `${WITHDRAW} 2`,
    },
    {
      name: "a segment of a confederation",
      attributes: `${ORIGIN} 40 02 06 03 01 0000fde8 ${NEXT_HOP}`,
      grade: `${WITHDRAW} 2`,
    },
    { name: "a segment cut off", attributes: `${ORIGIN} 40 02 06 02 02 0000fde8 ${NEXT_HOP}`, grade: `${WITHDRAW} 2` },
    { name: "a segment of no AS", attributes: `${ORIGIN} 40 02 02 02 00 ${NEXT_HOP}`, grade: `${WITHDRAW} 2` },
    {
      name: "a byte behind the path",
      attributes: `${ORIGIN} 40 02 07 02 01 0000fde8 02 ${NEXT_HOP}`,
      grade: `${WITHDRAW} 2`,
    },
    { name: "AS 0 in the path", attributes: `${ORIGIN} 40 02 06 02 01 00000000 ${NEXT_HOP}`, grade: `${WITHDRAW} 2` },
    { name: "no AS_PATH", attributes: `${ORIGIN} ${NEXT_HOP}`, grade: `${WITHDRAW} 2` },
    { name: "NEXT_HOP of three bytes", attributes: `${ORIGIN} ${PATH} 40 03 03 0a0000`, grade: `${WITHDRAW} 3` },
    { name: "no NEXT_HOP", attributes: `${ORIGIN} ${PATH}`, grade: `${WITHDRAW} 3` },
    { name: "MED of no byte", attributes: `${MANDATORY} 80 04 00`, grade: `${WITHDRAW} 4` },
    { name: "MED that is transitive", attributes: `${MANDATORY} c0 04 04 00000001`, grade: `${WITHDRAW} 4` },
    { name: "LOCAL_PREF of five bytes", attributes: `${MANDATORY} 40 05 05 0000000064`, grade: `${WITHDRAW} 5` },
    {
      name: "LOCAL_PREF from another AS",
      attributes: `${MANDATORY} 40 05 05 0000000064`,
      context: EXTERNAL,
      grade: `${DISCARD} 5`,
    },
    { name: "ATOMIC_AGGREGATE with a byte", attributes: `${MANDATORY} 40 06 01 00`, grade: `${DISCARD} 6` },
    { name: "AGGREGATOR of six bytes", attributes: `${MANDATORY} c0 07 06 fde8 0a000001`, grade: `${DISCARD} 7` },
    { name: "AGGREGATOR of AS 0", attributes: `${MANDATORY} c0 07 08 00000000 0a000001`, grade: `${DISCARD} 7` },
    { name: "no communities", attributes: `${MANDATORY} c0 08 00`, grade: `${WITHDRAW} 8` },
    { name: "half a community", attributes: `${MANDATORY} c0 08 02 fde8`, grade: `${WITHDRAW} 8` },
    { name: "ORIGINATOR_ID of three bytes", attributes: `${MANDATORY} 80 09 03 0a0000`, grade: `${WITHDRAW} 9` },
    {
      name: "ORIGINATOR_ID from another AS",
      attributes: `${MANDATORY} 80 09 03 0a0000`,
      context: EXTERNAL,
      grade: `${DISCARD} 9`,
    },
    { name: "CLUSTER_LIST of six bytes", attributes: `${MANDATORY} 80 0a 06 000000010000`, grade: `${WITHDRAW} 10` },
    {
      name: "CLUSTER_LIST from another AS",
      attributes: `${MANDATORY} 80 0a 04 00000001`,
      context: EXTERNAL,
      grade: `${DISCARD} 10`,
    },
    { name: "half an extended community", attributes: `${MANDATORY} c0 10 04 00020000`, grade: `${WITHDRAW} 16` },
    { name: "AS4_PATH from a new speaker", attributes: `${MANDATORY} c0 11 06 02 01 00011170`, grade: `${DISCARD} 17` },
    {
      name: "AS4_PATH cut off",
      attributes: `${ORIGIN} 40 02 04 02 01 fde8 ${NEXT_HOP} c0 11 04 02 01 0001`,
      context: OLD,
      grade: `${DISCARD} 17`,
    },
    {
      name: "AS4_AGGREGATOR of six bytes",
      attributes: `${ORIGIN} 40 02 04 02 01 fde8 ${NEXT_HOP} c0 12 06 00010a000001`,
      context: OLD,
      grade: `${DISCARD} 18`,
    },
    {
      name: "eleven bytes of a large community",
      attributes: `${MANDATORY} c0 20 0b 0000000100000002000000`,
      grade: `${WITHDRAW} 32`,
    },
    { name: "OTC of three bytes", attributes: `${MANDATORY} c0 23 03 00fde8`, grade: `${WITHDRAW} 35` },
    { name: "an attribute twice, other than the first", attributes: `${MANDATORY} 40 01 01 03`, grade: `${DISCARD} 1` },
    { name: "an attribute past the list", attributes: `${MANDATORY} c0 08 08 fde80064`, grade: `${WITHDRAW} 8` },
    { name: "a byte behind the last attribute", attributes: `${MANDATORY} c0`, grade: `${WITHDRAW} 0` },
    { name: "half a long length", attributes: `${MANDATORY} d0 08 00`, grade: `${WITHDRAW} 8` },
    {
      name: "a prefix of 129 bits in MP_REACH",
      attributes: `80 0e 0a 0001 01 04 0a000001 00 81 ${MANDATORY}`,
      grade: "disableFamily 14",
    },
    {
      name: "a prefix cut off in MP_UNREACH",
      attributes: `80 0f 05 0002 01 20 20 ${MANDATORY}`,
      grade: "disableFamily 15",
    },
    {
      name: "an IPv6 next hop of four bytes",
      attributes: `80 0e 09 0002 01 04 0a000001 00 ${MANDATORY}`,
      grade: "disableFamily 14",
    },
    { name: "a next hop past the end", attributes: `80 0e 04 0002 01 10 ${MANDATORY}`, grade: "disableFamily 14" },
  ];
  for (const { name, attributes, context = FULL_CONTEXT, grade } of faults) {
    test(`by ${name} is graded ${grade}, and the session goes on`, () => {
      const value = decoded(update("", attributes, NLRI), context);
      assert.deepEqual(
        value.faults.map((fault) => `${fault.grade} ${fault.code}`),
        [grade],
      );
      const { announced, withdrawn } = routesOf(value);
      const lost = grade.startsWith(WITHDRAW);
      assert.deepEqual([announced.length, withdrawn.length], lost ? [0, 1] : [1, 0]);
    });
  }

  const resets: readonly { name: string; body: string; error: string }[] = [
    { name: "withdrawn routes past the message", body: "0001 0000", error: "3/1 " },
    { name: "attributes past the message", body: "0000 0001", error: "3/1 " },
    { name: "a withdrawn prefix of 33 bits", body: "0001 21 0000", error: "3/10 " },
    { name: "a withdrawn prefix cut off", body: "0002 20 0a 0000", error: "3/10 " },
    { name: "an announced prefix of 33 bits", body: "0000 0000 21", error: "3/10 " },
    { name: "an announced prefix cut off", body: "0000 0000 09 0a", error: "3/10 " },
    { name: "MP_REACH twice", body: list("80 0e 05 0001 80 00 00 80 0e 05 0001 80 00 00"), error: "3/1 " },
    { name: "MP_UNREACH twice", body: list("80 0f 03 0002 01 80 0f 03 0002 01"), error: "3/1 " },
    { name: "MP_REACH without a family", body: list("80 0e 02 0002"), error: "3/9 800e020002" },
    { name: "MP_UNREACH of nothing", body: list("80 0f 00"), error: "3/9 800f00" },
    { name: "a well-known attribute nobody knows", body: list("40 64 01 ff"), error: "3/2 406401ff" },
  ];
  for (const { name, body, error } of resets) {
    test(`by ${name} ends the session with ${error.split(" ")[0]}`, () => {
      const result = decodeMessage(message(2, body), FULL_CONTEXT);
      assert.ok(!result.ok);
      assert.equal(`${result.error.code}/${result.error.subcode} ${toHex(result.error.data)}`, error);
    });
  }
});

describe("an AS path", () => {
  const rows: readonly { name: string; path: string; as4Path: string; result: string }[] = [
    {
      name: "with AS_TRANS in it is what AS4_PATH says",
      path: "23456 23456",
      as4Path: "70000 70001",
      result: "70000 70001",
    },
    { name: "keeps what old speakers put before", path: "1 2 23456", as4Path: "70000", result: "1 2 70000" },
    { name: "counts a set as one", path: "1 {2,3} 23456", as4Path: "70000", result: "1 {2,3} 70000" },
    { name: "is itself where AS4_PATH is longer", path: "1", as4Path: "70000 70001", result: "1" },
    { name: "is itself where there is none", path: "1 2", as4Path: "", result: "1 2" },
  ];
  for (const { name, path, as4Path, result } of rows) {
    test(name, () => assert.equal(formatAsPath(reconstructAsPath(parsePath(path), parsePath(as4Path))), result));
  }

  test("is as long as its numbers, a set counting one", () => assert.equal(pathLength(parsePath("1 2 {3,4,5}")), 3));
});

function parsePath(text: string): { type: "set" | "sequence"; numbers: number[] }[] {
  return text
    .split(" ")
    .filter((part) => part !== "")
    .map((part) => ({
      type: part.startsWith("{") ? "set" : "sequence",
      numbers: part.replaceAll(/[{}]/g, "").split(",").map(Number),
    }));
}

function list(attributes: string): string {
  return `0000 ${word(hex(attributes).length)} ${attributes}`;
}

function update(withdrawn: string, attributes: string, announced: string): Uint8Array {
  return message(
    2,
    `${word(hex(withdrawn).length)} ${withdrawn} ${word(hex(attributes).length)} ${attributes} ${announced}`,
  );
}

function word(value: number): string {
  return value.toString(16).padStart(4, "0");
}

function decoded(bytes: Uint8Array, context: SessionContext = FULL_CONTEXT): Update {
  const result = decodeMessage(bytes, context);
  assert.ok(result.ok, result.ok ? "" : result.error.reason);
  assert.ok(result.value.type === "update");
  return result.value;
}

function shown(bytes: Uint8Array): { announced: readonly string[]; withdrawn: readonly string[] } {
  const value = decoded(bytes);
  assert.deepEqual(value.faults, []);
  const { announced, withdrawn } = routesOf(value);
  return {
    announced: announced.map(({ prefix, nextHop: { address: first, linkLocal } }) =>
      [formatPrefix(prefix), formatAddress(first), ...(linkLocal === undefined ? [] : [formatAddress(linkLocal)])].join(
        " ",
      ),
    ),
    withdrawn: withdrawn.map(formatPrefix),
  };
}
