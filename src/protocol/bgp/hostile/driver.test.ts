/** Peers that are broken or mean, over real sockets: each costs a session at most, and hears why. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { Writer } from "../../../bytes/writer.ts";
import { address } from "../../../net/address.ts";
import { advertise, NOTHING_TOLD } from "../adjacency-out.ts";
import { INITIAL_CONTEXT } from "../context.ts";
import { callRaw, established, route, sessionTo, speakerAt, until, type RawPeer } from "../driver.fixture.ts";
import { encodeMessage } from "../message.ts";
import { routesByPrefix, type Routes } from "../route.ts";
import { peerOpen } from "../session.fixture.ts";
import type { Community } from "../community.ts";
import type { SessionView } from "../speaker.ts";

const HOST = "127.2.0.1";
const { speaker } = speakerAt(HOST, 65001);
after(() => speaker.stop("restart"));

/** Every case its own address, so that none waits for the pause after another's failure. */
let newcomers = 0;
function newcomer(change: Parameters<typeof sessionTo>[2] = {}): string {
  newcomers += 1;
  const host = `127.2.${2 + (newcomers >> 7)}.${1 + (newcomers & 127)}`;
  const ours = { host: HOST, asn: 65001 };
  speaker.configure([healthy, sessionTo(ours, { host, asn: 65002 }, { initiation: "accept", ...change })]);
  return host;
}

/** One that behaves: whatever the others do, it stays. */
const healthy = sessionTo({ host: HOST, asn: 65001 }, { host: "127.2.0.250", asn: 65002 }, { initiation: "accept" });

async function call(change?: Parameters<typeof sessionTo>[2]): Promise<RawPeer> {
  return callRaw(HOST, newcomer(change));
}

function message(type: number, body: Uint8Array, length: number = 19 + body.length): Uint8Array {
  return new Writer(19 + body.length).bytes(new Uint8Array(16).fill(0xff)).u16(length).u8(type).bytes(body).finish();
}

const body = (...bytes: readonly number[]): Uint8Array => Uint8Array.from(bytes);
const OPEN_BODY = encodeMessage(peerOpen(), INITIAL_CONTEXT).subarray(19);

/** Stage: what has been said before. */
const CASES: readonly {
  readonly name: string;
  readonly stage: "first" | "openConfirm" | "established";
  readonly bytes: Uint8Array;
  readonly says: string;
}[] = [
  {
    name: "garbage instead of a marker",
    stage: "first",
    bytes: new TextEncoder().encode("GET / HTTP/1.1\r\nHost: example\r\n\r\n"),
    says: "1/1",
  },
  { name: "a length of 0", stage: "first", bytes: message(1, body(), 0), says: "1/2 0000" },
  { name: "a length of 18", stage: "first", bytes: message(4, body(), 18), says: "1/2 0012" },
  {
    name: "a length of 65535 without extended messages",
    stage: "first",
    bytes: message(1, body(), 65_535),
    says: "1/2 ffff",
  },
  { name: "an OPEN of 28 bytes", stage: "first", bytes: message(1, OPEN_BODY.subarray(0, 9)), says: "1/2 001c" },
  { name: "an unknown type", stage: "first", bytes: message(9, body()), says: "1/3 09" },
  { name: "version 3", stage: "first", bytes: message(1, body(3, ...OPEN_BODY.subarray(1))), says: "2/1 0004" },
  {
    name: "parameters that run past the end",
    stage: "first",
    bytes: message(1, body(...OPEN_BODY.subarray(0, 9), 4, 2, 10, 1, 4)),
    says: "2/0",
  },
  {
    name: "an OPEN that ends at the byte of its parameters' length (RFC 9072)",
    stage: "first",
    bytes: message(1, body(...OPEN_BODY.subarray(0, 9), 255)),
    says: "2/0",
  },
  {
    name: "an optional parameter nobody knows",
    stage: "first",
    bytes: message(1, body(...OPEN_BODY.subarray(0, 9), 2, 3, 0)),
    says: "2/4",
  },
  {
    name: "another AS",
    stage: "first",
    bytes: encodeMessage(peerOpen({}, { localAsn: 64_999 }), INITIAL_CONTEXT),
    says: "2/2",
  },
  {
    name: "a hold time of 1 s",
    stage: "first",
    bytes: encodeMessage(peerOpen({ holdTimeSeconds: 1 }), INITIAL_CONTEXT),
    says: "2/6",
  },
  { name: "KEEPALIVE first", stage: "first", bytes: message(4, body()), says: "5/1" },
  { name: "UPDATE first", stage: "first", bytes: message(2, body(0, 0, 0, 0)), says: "5/1" },
  { name: "a second OPEN", stage: "openConfirm", bytes: message(1, OPEN_BODY), says: "5/2" },
  { name: "UPDATE before KEEPALIVE", stage: "openConfirm", bytes: message(2, body(0, 0, 0, 0)), says: "5/2" },
  { name: "OPEN in the middle", stage: "established", bytes: message(1, OPEN_BODY), says: "5/3" },
  { name: "a KEEPALIVE of 20 bytes", stage: "established", bytes: message(4, body(0)), says: "1/2 0014" },
  {
    name: "an UPDATE whose parts do not fit",
    stage: "established",
    bytes: message(2, body(0, 200, 0, 0)),
    says: "3/1",
  },
  {
    name: "a prefix of 33 bits",
    stage: "established",
    bytes: message(2, body(0, 0, 0, 0, 33, 1, 2, 3, 4, 5)),
    says: "3/10",
  },
];

describe("a peer that sends", () => {
  for (const { name, stage, bytes, says } of CASES)
    test(`${name} hears ${says}`, async () => {
      const peer = await call();
      if (stage === "established") await peer.shakeHands();
      if (stage === "openConfirm") {
        peer.send(peerOpen());
        await until("our KEEPALIVE came", () => peer.heard.includes("KEEPALIVE"));
      }
      peer.send(bytes);
      const last = await until("a NOTIFICATION came", () => peer.heard.find((line) => line.startsWith("NOTIFICATION")));
      assert.ok(last.startsWith(`NOTIFICATION ${says}`), last);
      peer.socket.end();
      await peer.over;
    });
});

/** UPDATEs for so many routes of 10.SECOND.0.0/16. */
function updates(count: number, second: number): readonly Uint8Array[] {
  const routes = Array.from({ length: count }, (_, index) => route(`10.${second}.${index >> 8}.${index & 255}/32`));
  const context = { ...INITIAL_CONTEXT, fourOctetAs: true };
  const nextHops = { IPv4: { address: address("192.0.2.1") } };
  return advertise(NOTHING_TOLD, routesByPrefix(routes), { context, localAs: 65_002, nextHops }).messages;
}

const view = (host: string): SessionView | undefined => speaker.view().find(({ name }) => name === `to-${host}`);

describe("a peer that is established", () => {
  test("and goes over its limit hears 6/1 with family and limit", async () => {
    const peer = await call({ receivedPrefixesMax: 3 });
    await peer.shakeHands();
    peer.send(...updates(3, 1), ...updates(1, 2));
    await until("a NOTIFICATION came", () =>
      peer.heard.some((line) => line.startsWith("NOTIFICATION 6/1 00010100000003")),
    );
  });

  test("and sends 50,000 routes and 50,000 KEEPALIVEs costs no memory for them, and disturbs no other session", async () => {
    const good = await callRaw(HOST, "127.2.0.250");
    const host = newcomer();
    const peer = await callRaw(HOST, host);
    await good.shakeHands();
    await peer.shakeHands();
    const keepalive = encodeMessage({ type: "keepalive" }, INITIAL_CONTEXT);
    peer.send(...updates(50_000, 3), ...Array.from({ length: 50_000 }, () => keepalive));
    await until("all of it was read", () => (view(host)?.counters.received.keepalive ?? 0) > 50_000);
    assert.equal(view(host)?.received.IPv4, 50_000);
    assert.equal(view(host)?.state, "established");
    assert.equal(view("127.2.0.250")?.counters.established, 1);
    assert.equal(view("127.2.0.250")?.state, "established");
    assert.ok(!good.heard.some((line) => line.startsWith("NOTIFICATION")));
    good.socket.destroy();
  });

  test("and reads nothing gets nothing more, and what is true by then when it reads again", async () => {
    const host = newcomer();
    const peer = await callRaw(HOST, host);
    await peer.shakeHands();
    peer.socket.pause();
    // A message of a kilobyte for each route: the kernels' buffers are full after a few rounds.
    const communities = (index: number, round: number): readonly Community[] =>
      Array.from({ length: 80 }, (_, i) => ({
        type: "large",
        globalAdministrator: index,
        localData1: round,
        localData2: i,
      }));
    const table = (round: number): ReadonlyMap<string, Routes> => {
      const routes = Array.from({ length: 2000 }, (_, index) =>
        route(`10.9.${index >> 8}.${index & 255}/32`, { communities: communities(index, round) }),
      );
      return new Map([[`to-${host}`, routesByPrefix(routes)]]);
    };
    let sent = -1;
    let round = 0;
    // As long as the kernels' buffers take it.
    while (sent !== view(host)?.counters.sent.update) {
      sent = view(host)?.counters.sent.update ?? 0;
      round += 1;
      assert.ok(round < 50, "the peer is told more and more although it reads nothing");
      speaker.announce(table(round));
      // oxlint-disable-next-line no-await-in-loop
      await new Promise((resolve) => void setImmediate(resolve));
    }
    speaker.announce(new Map());
    assert.equal(view(host)?.counters.sent.update, sent);
    peer.socket.resume();
    await until("all is withdrawn", () => view(host)?.announced.IPv4 === 0);
    assert.equal(view(host)?.state, "established");
  });

  test("and asks ten thousand times for everything gets it at once and now and then", async () => {
    const host = newcomer();
    const peer = await callRaw(HOST, host);
    await peer.shakeHands();
    speaker.announce(new Map([[`to-${host}`, routesByPrefix([route("10.9.0.1/32")])]]));
    await until("the route came", () => peer.heard.includes("UPDATE"));
    const request = encodeMessage({ type: "routeRefresh", family: "IPv4", subtype: "request" }, INITIAL_CONTEXT);
    peer.send(...Array.from({ length: 10_000 }, () => request));
    await until("all was read", () => view(host)?.counters.received.routeRefresh === 10_000);
    const told = (): number => peer.heard.filter((line) => line === "UPDATE").length;
    await until("it came at once and once more", () => told() >= 3);
    assert.ok(told() < 100);
    speaker.announce(new Map());
  });

  test("and loses its connection half-way into a message leaves nothing behind", async () => {
    const host = newcomer();
    const peer = await callRaw(HOST, host);
    await peer.shakeHands();
    await until("it is up", () => view(host)?.state === "established");
    peer.send(message(2, new Uint8Array(100)).subarray(0, 50));
    peer.socket.resetAndDestroy();
    await until("it is down", () => view(host)?.state === "active");
    assert.match(view(host)?.lastReason ?? "", /ECONNRESET|closed/);
  });

  test("and sends a malformed attribute keeps its session (RFC 7606), and it is counted", async () => {
    const host = newcomer();
    const peer = await callRaw(HOST, host);
    await peer.shakeHands();
    // ORIGIN 9, an empty AS_PATH, NEXT_HOP.
    const attributes = [0x40, 1, 1, 9, 0x40, 2, 0, 0x40, 3, 4, 192, 0, 2, 1];
    peer.send(message(2, body(0, 0, 0, attributes.length, ...attributes, 32, 10, 0, 0, 1)));
    await until("it is counted", () => view(host)?.counters.faults["treatAsWithdraw attribute 1"] === 1);
    assert.equal(view(host)?.state, "established");
    assert.equal(view(host)?.received.IPv4, 0);
  });
});

describe("a stranger", () => {
  test("who is not configured learns nothing", async () => {
    const peer = await callRaw(HOST, "127.2.1.1");
    await peer.over;
    assert.deepEqual(peer.heard, []);
  });
});

describe("any stream of bytes", () => {
  test("ends in one NOTIFICATION at most, and the next connection is served as if nothing had been", async () => {
    const valid = [
      encodeMessage(peerOpen(), INITIAL_CONTEXT),
      encodeMessage({ type: "keepalive" }, INITIAL_CONTEXT),
      ...updates(20, 5),
      encodeMessage({ type: "routeRefresh", family: "IPv4", subtype: "request" }, INITIAL_CONTEXT),
    ];
    const stream = fc
      .tuple(
        fc.array(fc.constantFrom(...valid), { minLength: 1, maxLength: 8 }),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }),
        fc.array(fc.nat(400), { maxLength: 3 }),
      )
      .map(([messages, changes, cuts]) => ({ bytes: mutated(Buffer.concat(messages), changes), cuts }));
    await fc.assert(
      fc.asyncProperty(stream, async ({ bytes, cuts }) => {
        const peer = await call();
        for (const piece of pieces(bytes, cuts)) peer.send(piece);
        peer.socket.end();
        await peer.over;
        assert.ok(peer.heard.filter((line) => line.startsWith("NOTIFICATION")).length <= 1, peer.heard.join());
        assert.ok(!peer.heard.some((line) => line.startsWith("broken")), peer.heard.join());
      }),
      { numRuns: 150 },
    );
    const host = newcomer();
    const peer = await callRaw(HOST, host);
    await peer.shakeHands();
    await established(speaker, `to-${host}`);
  });
});

function mutated(bytes: Buffer, changes: readonly (readonly [number, number])[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (const [at, value] of changes) copy[at % copy.length] = value;
  return copy;
}

function pieces(bytes: Uint8Array, cuts: readonly number[]): readonly Uint8Array[] {
  const ends = [...cuts.map((cut) => cut % bytes.length), bytes.length].toSorted((a, b) => a - b);
  return ends
    .map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end))
    .filter(({ length }) => length > 0);
}
