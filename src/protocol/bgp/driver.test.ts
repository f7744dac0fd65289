import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, existsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { tcpCounters } from "../../kernel/tcp-counters.ts";
import { address } from "../../net/address.ts";
import { virtualClock } from "../../time/clock.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { encodeMessage } from "./message.ts";
import { ceaseNotification } from "./notification.ts";
import { established, PORT, rawPeer, route, sessionTo, speakerAt, until } from "./driver.fixture.ts";
import type { RawPeer } from "./driver.fixture.ts";
import { routesByPrefix } from "./route.ts";

type Side = ReturnType<typeof speakerAt>;

function pair(t: TestContext, net: number, options: Parameters<typeof speakerAt>[2] = {}): readonly [Side, Side] {
  const sides: readonly [Side, Side] = [
    speakerAt(`127.1.${net}.1`, 65001, options),
    speakerAt(`127.1.${net}.2`, 65002),
  ];
  t.after(() => Promise.all(sides.map(({ speaker }) => speaker.stop("restart"))));
  return sides;
}

describe("two speakers", () => {
  test("come up, tell routes, change them, take them back", async (t) => {
    const [a, b] = pair(t, 1);
    b.speaker.configure([sessionTo(b, a, { initiation: "accept" })]);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", families: ["IPv4", "IPv6"] })]);
    const name = "to-127.1.1.2";
    a.speaker.announce(new Map([[name, routesByPrefix([route("203.0.113.1/32"), route("203.0.113.2/32")])]]));
    a.speaker.complete();
    const view = await established(a.speaker);
    assert.deepEqual(
      { families: view.families, peerAsn: view.peerAsn, peerRouterId: view.peerRouterId, hold: view.holdTimeSeconds },
      { families: ["IPv4"], peerAsn: 65002, peerRouterId: "127.1.1.2", hold: 90 },
    );
    await until("both routes arrived", () => b.speaker.view()[0]?.received.IPv4 === 2);
    assert.deepEqual(b.speaker.received(), [
      { peer: "to-127.1.1.1", prefix: "203.0.113.1/32", nextHop: "127.1.1.1" },
      { peer: "to-127.1.1.1", prefix: "203.0.113.2/32", nextHop: "127.1.1.1" },
    ]);
    const updates = a.speaker.view()[0]?.counters.sent.update ?? 0;
    a.speaker.announce(new Map([[name, routesByPrefix([route("203.0.113.1/32"), route("203.0.113.3/32")])]]));
    await until(
      "the new one came, the old one went",
      () => b.speaker.view()[0]?.counters.received.update === updates + 2,
    );
    assert.equal(b.speaker.view()[0]?.received.IPv4, 2);
    a.speaker.announce(new Map());
    await until("all are gone", () => b.speaker.view()[0]?.received.IPv4 === 0);
    assert.equal(a.speaker.view()[0]?.counters.established, 1);
  });

  test("that call each other at once end with one session", async (t) => {
    const [a, b] = pair(t, 2);
    a.speaker.configure([sessionTo(a, b)]);
    b.speaker.configure([sessionTo(b, a)]);
    await Promise.all([established(a.speaker), established(b.speaker)]);
    await until("it is the same one", () => {
      const [one, other] = [a.speaker.view()[0], b.speaker.view()[0]];
      return one?.state === "established" && other?.state === "established";
    });
  });

  test("with the same TCP MD5 key come up; with another they do not, and the reason names it", async (t) => {
    const [a, b] = pair(t, 3);
    b.speaker.configure([sessionTo(b, a, { initiation: "accept", password: "right" })]);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", password: "wrong" })]);
    await until("the first call is under way", () => a.speaker.view()[0]?.state === "connect");
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", password: "right" })]);
    await established(a.speaker);
    const before = b.speaker.view()[0]?.counters.established;
    b.speaker.configure([sessionTo(b, a, { initiation: "accept", password: "changed" })]);
    // Signed with a key that the peer has no more: lost, and sent again when both have the new one.
    const refused = tcpCounters().md5Failure;
    a.speaker.announce(new Map([["to-127.1.3.2", routesByPrefix([route("203.0.113.1/32")])]]));
    await until("the old key was refused", () => tcpCounters().md5Failure > refused);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", password: "changed" })]);
    await until("a route came by the new key", () => b.speaker.view()[0]?.received.IPv4 === 1);
    b.speaker.announce(new Map([["to-127.1.3.1", routesByPrefix([route("203.0.113.2/32")])]]));
    await until("and one the other way", () => a.speaker.view()[0]?.received.IPv4 === 1);
    assert.deepEqual(
      [a.speaker.view()[0]?.counters.established, b.speaker.view()[0]?.counters.established],
      [1, before],
    );
    b.speaker.configure([sessionTo(b, a, { initiation: "accept" })]);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial" })]);
    await until("they came up without one", () => (a.speaker.view()[0]?.counters.established ?? 0) >= 2);
  });

  test("over one hop satisfy GTSM; a peer that sends with a smaller TTL is not heard", async (t) => {
    const [a, b] = pair(t, 4);
    b.speaker.configure([sessionTo(b, a, { initiation: "accept", ttlSecurityHops: 1 })]);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", ttlSecurityHops: 1 })]);
    await established(a.speaker);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", ttl: 64 })]);
    await until("our KEEPALIVE is on its way", () => a.speaker.view()[0]?.state === "openConfirm");
    assert.equal(b.speaker.view()[0]?.state, "openSent");
    assert.equal(a.speaker.view()[0]?.counters.established, 1);
  });

  test("of a prefix get a session each, up to the limit, and the routes of its name", async (t) => {
    const b = speakerAt("127.1.5.2", 65002);
    const callers = [1, 3, 4].map((last) => speakerAt(`127.1.5.${last}`, 65001));
    t.after(() => Promise.all([b, ...callers].map(({ speaker }) => speaker.stop("restart"))));
    const anyone = { type: "prefix", prefix: route("127.1.5.0/24").prefix, sessionsMax: 2 } as const;
    b.speaker.configure([
      { ...sessionTo(b, b), name: "nodes", peer: anyone, peerAsn: "external", initiation: "accept" },
    ]);
    b.speaker.announce(new Map([["nodes", routesByPrefix([route("203.0.113.9/32")])]]));
    for (const one of callers) one.speaker.configure([sessionTo(one, b, { initiation: "dial" })]);
    await until("two are up", () => b.speaker.view().filter(({ state }) => state === "established").length === 2);
    assert.ok(b.speaker.view().every(({ name }) => /^nodes\/127\.1\.5\.\d$/.test(name)));
    await until(
      "both have the route",
      () => callers.filter(({ speaker }) => speaker.view()[0]?.received.IPv4 === 1).length === 2,
    );
    const gone = callers.find(({ speaker }) => speaker.view()[0]?.received.IPv4 === 1);
    await gone?.speaker.stop("leave");
    const staying = callers.filter((one) => one !== gone);
    await until("the third got the place of the one that left", () =>
      staying.every(({ speaker }) => speaker.view()[0]?.state === "established"),
    );
    b.speaker.configure([]);
    await until("both heard that they are not wanted", () =>
      staying.every(({ speaker }) => /peer deconfigured/.test(speaker.view()[0]?.lastReason ?? "")),
    );
  });
});

describe("a speaker that goes", () => {
  test("for good tells last-resort routes, withdraws them, and says goodbye", async (t) => {
    const [a, b] = pair(t, 6);
    b.speaker.configure([sessionTo(b, a, { initiation: "accept" })]);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial" })]);
    a.speaker.announce(new Map([["to-127.1.6.2", routesByPrefix([route("203.0.113.1/32")])]]));
    await until("the route arrived", () => b.speaker.view()[0]?.received.IPv4 === 1);
    await a.speaker.stop("leave");
    const view = b.speaker.view()[0];
    assert.match(view?.lastReason ?? "", /administrative shutdown.*"the node leaves"/);
    // Announced, announced as last resort, withdrawn.
    assert.equal(view?.counters.received.update, 3);
  });

  test("for a restart closes without a word where the peer keeps routes, and says R when it is back", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "fl-bgp-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const stateFile = join(folder, "bgp.json");
    const gracefulRestart = { restartTimeSeconds: 60, notifications: false };
    const [a, b] = pair(t, 7, { stateFile });
    b.speaker.configure([sessionTo(b, a, { initiation: "accept", gracefulRestart })]);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", gracefulRestart })]);
    await established(a.speaker);
    await until(
      "it is written down",
      () => existsSync(stateFile) && readFileSync(stateFile, "utf8").includes("to-127.1.7.2"),
    );
    await a.speaker.stop("restart");
    assert.match(b.speaker.view()[0]?.lastReason ?? "", /closed the connection/);
    const again = speakerAt("127.1.7.1", 65001, { stateFile });
    t.after(() => again.speaker.stop("restart"));
    again.speaker.configure([sessionTo(a, b, { initiation: "dial", gracefulRestart })]);
    const view = await established(again.speaker);
    assert.ok(view.capabilities.sent.some((text) => /graceful restart: 60 s, restarted/.test(text)));
    await again.speaker.stop("leave");
    assert.ok(!existsSync(stateFile));
  });

  test("for another program closes without a word where the peer keeps routes, else says why, and can begin again", async (t) => {
    for (const [net, kept, said] of [
      [30, { gracefulRestart: { restartTimeSeconds: 60, notifications: false } }, /closed the connection/],
      [31, {}, /[Dd]e-?configured/],
    ] as const) {
      const [a, b] = pair(t, net);
      const sessions = [sessionTo(a, b, { initiation: "dial", ...kept })];
      b.speaker.configure([sessionTo(b, a, { initiation: "accept", ...kept })]);
      a.speaker.configure(sessions);
      await established(a.speaker);
      a.speaker.release();
      await until("it is over", () => b.speaker.view()[0]?.state !== "established");
      assert.match(b.speaker.view()[0]?.lastReason ?? "", said);
      assert.deepEqual(a.speaker.view(), []);
      a.speaker.configure(sessions);
      await established(a.speaker);
    }
  });

  test("remembers all peers that keep routes, in whatever order their sessions end, and none after it has left", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "fl-bgp-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const stateFile = join(folder, "bgp.json");
    const gracefulRestart = { restartTimeSeconds: 60, notifications: false };
    const peers = [2, 3].map((last) => speakerAt(`127.1.12.${last}`, 65002));
    for (const mode of ["restart", "leave"] as const) {
      const a = speakerAt("127.1.12.1", 65001, { stateFile });
      for (const { speaker, ...side } of peers)
        speaker.configure([sessionTo(side, a, { initiation: "accept", gracefulRestart })]);
      a.speaker.configure(peers.map((peer) => sessionTo(a, peer, { initiation: "dial", gracefulRestart })));
      // One round after the other is the purpose.
      // oxlint-disable-next-line no-await-in-loop
      await Promise.all(peers.map(({ host }) => established(a.speaker, `to-${host}`)));
      // oxlint-disable-next-line no-await-in-loop
      await a.speaker.stop(mode);
      if (mode === "restart")
        assert.deepEqual(JSON.parse(readFileSync(stateFile, "utf8")), { sessions: ["to-127.1.12.2", "to-127.1.12.3"] });
      else assert.ok(!existsSync(stateFile));
    }
    await Promise.all(peers.map(({ speaker }) => speaker.stop("restart")));
  });

  test("sends End-of-RIB only when everything is known", async (t) => {
    const [a, b] = pair(t, 8);
    b.speaker.configure([sessionTo(b, a, { initiation: "accept" })]);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial" })]);
    a.speaker.announce(new Map([["to-127.1.8.2", routesByPrefix([route("203.0.113.1/32")])]]));
    await until("the route arrived", () => b.speaker.view()[0]?.received.IPv4 === 1);
    assert.equal(a.speaker.view()[0]?.counters.sent.update, 1);
    a.speaker.complete();
    await until("End-of-RIB went out", () => a.speaker.view()[0]?.counters.sent.update === 2);
  });
});

describe("a speaker that is not told that everything is known", () => {
  test("sends End-of-RIB all the same before the restart time is over, and counts it", async (t) => {
    const clock = virtualClock();
    const gracefulRestart = { restartTimeSeconds: 100, notifications: false };
    const b = speakerAt("127.1.14.2", 65002);
    const a = speakerAt("127.1.14.1", 65001, { clock });
    t.after(async () => {
      await b.speaker.stop("restart");
      // A clock that stands still never ends a wait.
      const moving = setInterval(() => clock.advance(100), 10);
      await a.speaker.stop("restart");
      clearInterval(moving);
    });
    b.speaker.configure([sessionTo(b, a, { initiation: "accept", gracefulRestart })]);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", gracefulRestart, holdTimeSeconds: 0 })]);
    a.speaker.announce(new Map([["to-127.1.14.2", routesByPrefix([route("203.0.113.1/32")])]]));
    await until("the route arrived", () => b.speaker.view()[0]?.received.IPv4 === 1);
    const sent = (): number | undefined => a.speaker.view()[0]?.counters.sent.update;
    clock.advance(74_999);
    assert.equal(sent(), 1);
    clock.advance(1);
    assert.equal(sent(), 2);
    assert.equal(a.speaker.view()[0]?.counters.faults["endOfRibDeferralOver"], 1);
    a.speaker.complete();
    assert.equal(sent(), 2);
  });
});

test("a session that becomes a configuration for callers ends", async (t) => {
  const [a, b] = pair(t, 13);
  b.speaker.configure([sessionTo(b, a, { initiation: "accept" })]);
  a.speaker.configure([sessionTo(a, b, { initiation: "dial" })]);
  await established(a.speaker);
  const peer = { type: "prefix", prefix: route("127.1.13.0/24").prefix, sessionsMax: 5 } as const;
  a.speaker.configure([sessionTo(a, b, { peer, initiation: "accept" })]);
  assert.deepEqual(a.speaker.view(), []);
  await until("the peer heard of it", () => /peer deconfigured/.test(b.speaker.view()[0]?.lastReason ?? ""));
});

describe("what goes wrong before BGP:", () => {
  test("an address that is not ours, a port nobody listens on", async (t) => {
    const [a, b] = pair(t, 9);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial", sourceAddress: address("198.51.100.1") })]);
    const reason = await until("the attempt failed", () => a.speaker.view()[0]?.lastReason);
    assert.match(reason, /Cannot use 198\.51\.100\.1 port 0 as a local address.*EADDRNOTAVAIL/);
    a.speaker.configure([sessionTo(a, b, { initiation: "dial" })]);
    await until("that failed too", () => /ECONNREFUSED/.test(a.speaker.view()[0]?.lastReason ?? ""));
  });

  test("a listening port that is taken is a problem of the sessions that need it, and of no other", async (t) => {
    const taken = createServer();
    await new Promise<void>((resolve) => void taken.listen(PORT, "127.1.10.1", resolve));
    t.after(() => taken.close());
    const [a, b] = pair(t, 10);
    b.speaker.configure([sessionTo(b, a, { initiation: "accept" })]);
    a.speaker.configure([sessionTo(a, b)]);
    await established(a.speaker);
    assert.match(a.speaker.view()[0]?.problems.join() ?? "", /127\.1\.10\.1 port \d+.*EADDRINUSE/);
  });
});

/** A router that is dialled, made of a socket. */
async function rawServer(t: TestContext, host: string): Promise<{ readonly called: Promise<RawPeer> }> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(PORT, host, resolve));
  t.after(() => server.close());
  return { called: new Promise((resolve) => server.once("connection", (socket) => resolve(rawPeer(socket)))) };
}

test("a peer that ends a session twice has said why the first time", async (t) => {
  const peer = await rawServer(t, "127.1.15.2");
  const a = speakerAt("127.1.15.1", 65001);
  t.after(() => a.speaker.stop("restart"));
  a.speaker.configure([{ ...sessionTo(a, { host: "127.1.15.2", asn: 65002 }), initiation: "dial" }]);
  const router = await peer.called;
  await router.shakeHands();
  await established(a.speaker);
  const twice = (["administrativeReset", "outOfResources"] as const).map((reason) =>
    encodeMessage(ceaseNotification(reason), INITIAL_CONTEXT),
  );
  router.send(Buffer.concat(twice));
  await until("it is down", () => a.speaker.view()[0]?.state !== "established");
  const view = a.speaker.view()[0];
  assert.match(view?.lastReason ?? "", /administrative reset/);
  assert.equal(view?.counters.received.notification, 1);
  assert.deepEqual(view?.counters.faults, { "received 6/4": 1 });
});

describe("a peer that asks for a refresh", () => {
  test("gets all routes again, between markers where it knows them", async (t) => {
    const peer = await rawServer(t, "127.1.11.2");
    const a = speakerAt("127.1.11.1", 65001);
    t.after(() => a.speaker.stop("restart"));
    a.speaker.configure([{ ...sessionTo(a, { host: "127.1.11.2", asn: 65002 }), initiation: "dial" }]);
    a.speaker.announce(new Map([["to-127.1.11.2", routesByPrefix([route("203.0.113.1/32")])]]));
    const router = await peer.called;
    await router.shakeHands();
    await until("the route came", () => router.heard.includes("UPDATE"));
    router.send({ type: "routeRefresh", family: "IPv4", subtype: "request" });
    await until(
      "the end of the refresh came",
      () => router.heard.filter((line) => line === "ROUTEREFRESH").length === 2,
    );
    assert.deepEqual(router.heard, ["OPEN", "KEEPALIVE", "UPDATE", "ROUTEREFRESH", "UPDATE", "ROUTEREFRESH"]);
  });
});
