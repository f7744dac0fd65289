import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address } from "../../net/address.ts";
import { readBmp } from "./bmp.fixture.ts";
import { initiation, termination } from "./bmp.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { encodeMessage } from "./message.ts";
import { MonitoredSessions } from "./monitored.ts";
import { ceaseNotification } from "./notification.ts";
import { peerOpen } from "./session.fixture.ts";
import type { Direction, Ends, Observed } from "./traffic.ts";
import { endOfRib } from "./update.ts";

const AT = 1_700_000_000_250;
const OURS = encodeMessage(peerOpen({ holdTimeSeconds: 30 }), INITIAL_CONTEXT);
const THEIRS = encodeMessage(peerOpen(), INITIAL_CONTEXT);
const KEEPALIVE = encodeMessage({ type: "keepalive" }, INITIAL_CONTEXT);
const NOTIFICATION = encodeMessage(ceaseNotification("administrativeReset", "x"), INITIAL_CONTEXT);
const OTHER_NOTIFICATION = encodeMessage(ceaseNotification("outOfResources"), INITIAL_CONTEXT);
const UPDATE = encodeMessage(endOfRib("IPv4"), INITIAL_CONTEXT);

/** One session on one connection. */
class Watched {
  readonly sessions = new MonitoredSessions();
  readonly ends: Ends;
  readonly fourOctetAs: boolean;

  constructor(local = "192.0.2.10", remote = "192.0.2.1", fourOctetAs = true) {
    this.ends = { local: { address: address(local), port: 40_000 }, remote: { address: address(remote), port: 179 } };
    this.fourOctetAs = fourOctetAs;
  }

  say(direction: Direction, bytes: Uint8Array): string[] {
    return told(this.sessions.observe({ type: "bytes", session: "tor", direction, bytes, ends: this.ends }, AT));
  }

  up(): string[] {
    const facts = { peerAsn: 65002, peerIdentifier: 7, fourOctetAs: this.fourOctetAs };
    return told(this.sessions.observe({ type: "up", session: "tor", ends: this.ends, ...facts }, AT));
  }

  down(byPeer = false): string[] {
    return told(this.sessions.observe({ type: "down", session: "tor", byPeer }, AT));
  }

  establish(): string[] {
    this.say("sent", OURS);
    this.say("received", THEIRS);
    return this.up();
  }
}

function told(messages: readonly Uint8Array[]): string[] {
  const { messages: read, rest } = readBmp(Buffer.concat(messages));
  assert.equal(rest.length, 0);
  return read.map(({ type, peer, body }) => `${type} ${peer} ${body.toString("hex")}`);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const ZEROS = "00".repeat(12);
const PEER = `${ZEROS}c0000201 AS65002 7`;

describe("a collector hears", () => {
  test("that a session is up, with both OPENs, our address and both ports", () => {
    assert.deepEqual(new Watched().establish(), [
      `peer up 00 ${PEER} ${ZEROS}c000020a9c4000b3${hex(OURS)}${hex(THEIRS)}`,
    ]);
  });

  test("of IPv6, and of AS numbers of two bytes, by flags", () => {
    const [text = ""] = new Watched("2001:db8::a", "2001:db8::1", false).establish();
    assert.ok(
      text.startsWith("peer up a0 20010db8000000000000000000000001 AS65002 7 20010db800000000000000000000000a"),
    );
  });

  test("routes of both directions, told apart by flags, and nothing else that is said", () => {
    const watched = new Watched();
    watched.establish();
    assert.deepEqual(watched.say("received", UPDATE), [`route monitoring 00 ${PEER} ${hex(UPDATE)}`]);
    assert.deepEqual(watched.say("sent", UPDATE), [`route monitoring 50 ${PEER} ${hex(UPDATE)}`]);
    assert.deepEqual(watched.say("sent", KEEPALIVE), []);
  });

  test("routes that came in pieces, or before the session was known to be up", () => {
    const watched = new Watched();
    watched.say("sent", OURS);
    const early = Buffer.concat([THEIRS, KEEPALIVE, UPDATE, UPDATE.subarray(0, 20)]);
    for (const byte of early) assert.deepEqual(watched.say("received", Uint8Array.of(byte)), []);
    assert.deepEqual(
      watched.up().map((text) => text.split(" 0", 1)[0]),
      ["peer up", "route monitoring"],
    );
    assert.equal(watched.say("received", UPDATE.subarray(20)).length, 1);
  });

  const ends: readonly (readonly [string, string, (watched: Watched) => string[]])[] = [
    ["our NOTIFICATION", `01${hex(NOTIFICATION)}`, (one) => (one.say("sent", NOTIFICATION), one.down())],
    ["silence of ours", "020000", (one) => one.down()],
    ["the peer's NOTIFICATION", `03${hex(NOTIFICATION)}`, (one) => (one.say("received", NOTIFICATION), one.down(true))],
    [
      "two NOTIFICATIONs of the peer, of which the first counts",
      `03${hex(NOTIFICATION)}`,
      (one) => (one.say("received", Buffer.concat([NOTIFICATION, OTHER_NOTIFICATION])), one.down(true)),
    ],
    ["the end of its connection", "04", (one) => one.down(true)],
  ];
  for (const [what, body, end] of ends) {
    test(`that a session ended with ${what}, once`, () => {
      const watched = new Watched();
      watched.establish();
      assert.deepEqual(end(watched), [`peer down 00 ${PEER} ${body}`]);
      assert.deepEqual(watched.down(), []);
    });
  }

  test("who this is, and goodbye", () => {
    const { messages } = readBmp(Buffer.concat([initiation("node1", "Fairlead 1"), termination()]));
    assert.deepEqual(
      messages.map(({ type, body }) => [type, body.toString("latin1")]),
      [
        ["initiation", "\0\u0001\0\nFairlead 1\0\u0002\0\u0005node1"],
        ["termination", "\0\u0001\0\u0002\0\0"],
      ],
    );
  });
});

describe("a collector that comes later", () => {
  test("hears of sessions that are up, what came, and what was told, without a refresh's markers", () => {
    const watched = new Watched();
    watched.establish();
    watched.say("received", UPDATE);
    const marker = encodeMessage(
      { type: "routeRefresh", family: "IPv4", subtype: "begin" },
      { ...INITIAL_CONTEXT, enhancedRouteRefresh: true },
    );
    const dump = told(
      [
        ...watched.sessions.dump(
          (name) => (name === "tor" ? [[marker, UPDATE]] : []),
          () => AT,
        ),
      ].flat(),
    );
    assert.deepEqual(
      dump.map((text) => text.replace(/ AS.*/, "")),
      [`peer up 00 ${ZEROS}c0000201`, `route monitoring 00 ${ZEROS}c0000201`, `route monitoring 50 ${ZEROS}c0000201`],
    );
    watched.down();
    assert.deepEqual(
      [
        ...watched.sessions.dump(
          () => [],
          () => AT,
        ),
      ],
      [],
    );
  });

  test("hears nothing of a session before its turn in the slices, and no more of one that ended in the middle of it", () => {
    const [one, other] = [new Watched(), new Watched("192.0.2.10", "192.0.2.2")];
    one.establish();
    const { sessions } = one;
    const about = (event: object): string[] =>
      told(sessions.observe({ session: "spine", ends: other.ends, ...event } as Observed, AT)).map((text) =>
        text.replace(/ .* .* [0-9]+ .*/, ""),
      );
    for (const [direction, bytes] of [
      ["sent", OURS],
      ["received", THEIRS],
    ] as const)
      about({ type: "bytes", direction, bytes });
    assert.equal(about({ type: "up", peerAsn: 65003, peerIdentifier: 8, fourOctetAs: true }).length, 1);
    const dump = sessions.dump(
      () => [[UPDATE], [UPDATE]],
      () => AT,
    );
    const next = (): number | undefined => dump.next().value?.length;
    assert.deepEqual([next(), next()], [1, 1]);
    assert.deepEqual(about({ type: "bytes", direction: "sent", bytes: UPDATE }), []);
    assert.equal(one.say("sent", UPDATE).length, 1);
    assert.equal(one.down(true).length, 1);
    // The next slice is the other's Peer Up already.
    assert.equal(next(), 1);
    assert.equal(about({ type: "bytes", direction: "sent", bytes: UPDATE }).length, 1);
    assert.deepEqual([next(), next(), next()], [1, 1, undefined]);
  });

  test("gets the last half megabyte at least, and one at most, of a peer that talks without end", () => {
    const watched = new Watched();
    watched.establish();
    const many = Buffer.concat(Array.from({ length: 1000 }, () => UPDATE));
    for (let round = 0; round < 60; round += 1) watched.say("received", many);
    const kept =
      [
        ...watched.sessions.dump(
          () => [],
          () => AT,
        ),
      ].flat().length - 1;
    const most = (1 << 20) / UPDATE.length;
    assert.ok(kept <= most && kept >= most / 2 - 1, `${kept} of ${most}`);
  });

  test("gets nothing behind bytes that are no message", () => {
    const watched = new Watched();
    watched.establish();
    assert.deepEqual(watched.say("received", new Uint8Array(19)), []);
    assert.deepEqual(watched.say("received", UPDATE), []);
  });
});
