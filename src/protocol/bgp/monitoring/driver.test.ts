import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { virtualClock } from "../../../time/clock.ts";
import { readBmp, type Reported } from "../bmp.fixture.ts";
import { INITIAL_CONTEXT } from "../context.ts";
import { established, PORT, rawPeer, route, sessionTo, speakerAt, until, type RawPeer } from "../driver.fixture.ts";
import { encodeMessage } from "../message.ts";
import { ceaseNotification } from "../notification.ts";
import type { Observed } from "../traffic.ts";
import { startMonitoring, type Monitoring } from "./driver.ts";
import { routesByPrefix } from "../route.ts";

/** Of every connection, what came. */
class Collector {
  readonly server: Server;
  readonly sockets: Socket[] = [];
  readonly #heard: Buffer[] = [];

  constructor(t: TestContext, reads = true) {
    this.server = createServer((socket) => {
      const index = this.sockets.push(socket) - 1;
      this.#heard[index] = Buffer.alloc(0);
      socket.on("error", () => {});
      if (reads)
        socket.on(
          "data",
          (chunk: Buffer) => (this.#heard[index] = Buffer.concat([this.#heard[index] ?? chunk, chunk])),
        );
    }).listen(0, "127.0.0.1");
    t.after(() => {
      this.server.close();
      for (const socket of this.sockets) socket.destroy();
    });
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: (this.server.address() as AddressInfo).port };
  }

  heard(index: number): readonly Reported[] {
    return readBmp(this.#heard[index] ?? Buffer.alloc(0)).messages;
  }

  kinds(index: number): readonly string[] {
    return this.heard(index).map(({ type, peer }) => (peer === undefined ? type : `${type} ${peer.slice(0, 2)}`));
  }
}

function monitor(t: TestContext, speaker: Parameters<typeof startMonitoring>[0]["speaker"], at: Collector): Monitoring {
  const names = { sysName: "node1", sysDescr: "Fairlead" };
  const monitoring = startMonitoring({ speaker, collector: at.address, ...names, random: () => 1 });
  t.after(() => monitoring.stop());
  return monitoring;
}

describe("a collector", () => {
  test("hears a session's life; one that was away hears all of it again; at the end, goodbye", async (t) => {
    const [a, b] = [speakerAt("127.4.1.1", 65001), speakerAt("127.4.1.2", 65002)];
    t.after(() => b.speaker.stop("restart"));
    const collector = new Collector(t);
    await once(collector.server, "listening");
    const monitoring = monitor(t, a.speaker, collector);
    b.speaker.configure([sessionTo(b, a, { initiation: "accept" })]);
    b.speaker.announce(new Map([["to-127.4.1.1", routesByPrefix([route("198.51.100.0/24")])]]));
    b.speaker.complete();
    a.speaker.configure([sessionTo(a, b, { initiation: "dial" })]);
    a.speaker.announce(new Map([["to-127.4.1.2", routesByPrefix([route("203.0.113.1/32")])]]));
    a.speaker.complete();
    await established(a.speaker);
    // In both directions a route and End-of-RIB.
    const all = ["peer up 00", ...["00", "00", "50", "50"].map((flags) => `route monitoring ${flags}`)];
    await until("both sides' routes were reported", () => collector.kinds(0).length === 6);
    assert.deepEqual(collector.kinds(0).toSorted(), ["initiation", ...all].toSorted());
    assert.deepEqual(collector.kinds(0).slice(0, 2), ["initiation", "peer up 00"]);
    collector.sockets[0]?.destroy();
    await until("it is told again", () => collector.kinds(1).length === 6);
    assert.deepEqual(collector.kinds(1), ["initiation", ...all]);
    assert.equal(a.speaker.view()[0]?.counters.established, 1);
    assert.deepEqual([monitoring.view().connected, monitoring.view().dumps, monitoring.view().overflows], [true, 2, 0]);
    await a.speaker.stop("leave");
    await monitoring.stop();
    await until("it heard the end", () => collector.kinds(1).includes("termination"));
    assert.deepEqual(collector.kinds(1).slice(-2), ["peer down 00", "termination"]);
    assert.equal(collector.heard(1).at(-2)?.body[0], 1);
    assert.equal(monitoring.view().connected, false);
  });

  test("hears once a minute how many routes there are, of sessions that are up", async (t) => {
    const [a, b] = [speakerAt("127.4.4.1", 65001), speakerAt("127.4.4.2", 65002)];
    t.after(() => Promise.all([a, b].map(({ speaker }) => speaker.stop("restart"))));
    const collector = new Collector(t);
    await once(collector.server, "listening");
    const clock = virtualClock();
    const names = { sysName: "node1", sysDescr: "Fairlead" };
    const monitoring = startMonitoring({ speaker: a.speaker, collector: collector.address, ...names, clock });
    t.after(() => monitoring.stop());
    const both = { families: ["IPv4", "IPv6"] } as const;
    b.speaker.configure([sessionTo(b, a, { initiation: "accept", ...both })]);
    b.speaker.announce(
      new Map([["to-127.4.4.1", routesByPrefix([route("198.51.100.0/24"), route("198.51.101.0/24")])]]),
    );
    a.speaker.configure([
      sessionTo(a, b, { initiation: "dial", ...both }),
      sessionTo(a, { host: "127.4.4.3", asn: 65003 }),
    ]);
    a.speaker.announce(new Map([["to-127.4.4.2", routesByPrefix([route("203.0.113.1/32")])]]));
    await until("both sides' routes were told", () => {
      const view = a.speaker.view()[0];
      return view?.received.IPv4 === 2 && view.announced.IPv4 === 1;
    });
    const reports = (): readonly Reported[] => collector.heard(0).filter(({ type }) => type === "statistics");
    clock.advance(59_999);
    assert.equal(monitoring.view().connected, true);
    clock.advance(1);
    await until("a report came", () => reports().length === 1);
    clock.advance(60_000);
    await until("another came", () => reports().length === 2);
    assert.equal(
      reports()[0]?.body.toString("hex"),
      [
        "00000007",
        "000700080000000000000002",
        "0009000b0001010000000000000002",
        "0009000b0002010000000000000000",
        "000b000400000000",
        "000f00080000000000000001",
        "0011000b0001010000000000000001",
        "0011000b0002010000000000000000",
      ].join(""),
    );
  });

  test("hears how a peer ended a session: with a word, of two with the first, or by closing the connection", async (t) => {
    const a = speakerAt("127.4.3.1", 65001);
    t.after(() => a.speaker.stop("restart"));
    const collector = new Collector(t);
    await once(collector.server, "listening");
    monitor(t, a.speaker, collector);
    const calls: RawPeer[] = [];
    const router = createServer((socket) => calls.push(rawPeer(socket))).listen(PORT, "127.4.3.2");
    t.after(() => router.close());
    await once(router, "listening");
    a.speaker.configure([sessionTo(a, { host: "127.4.3.2", asn: 65002 }, { initiation: "dial" })]);
    const said = (["administrativeReset", "outOfResources"] as const).map((reason) =>
      encodeMessage(ceaseNotification(reason), INITIAL_CONTEXT),
    );
    const ends: readonly (readonly [string, (peer: RawPeer) => void])[] = [
      ["04", (peer) => peer.socket.end()],
      [`03${Buffer.from(said[0] ?? []).toString("hex")}`, (peer) => peer.send(Buffer.concat(said))],
    ];
    for (const [index, [body, end]] of ends.entries()) {
      // One session after the other is the purpose.
      // oxlint-disable-next-line no-await-in-loop
      const peer = await until("the router was called", () => calls[index]);
      // oxlint-disable-next-line no-await-in-loop
      await peer.shakeHands();
      // oxlint-disable-next-line no-await-in-loop
      await established(a.speaker);
      end(peer);
      const downs = (): readonly Reported[] => collector.heard(0).filter(({ type }) => type === "peer down");
      // oxlint-disable-next-line no-await-in-loop
      await until("the end was reported", () => downs().length > index);
      assert.equal(downs()[index]?.body.toString("hex"), body);
    }
  });

  test("that reads nothing is cut off, and counted; what waits for it is bounded", async (t) => {
    const collector = new Collector(t, false);
    await once(collector.server, "listening");
    let emit: (observed: Observed) => void = () => {};
    const observe = (onlooker: (observed: Observed) => void): (() => void) => {
      emit = onlooker;
      return () => undefined;
    };
    const monitoring = monitor(t, { observe, told: () => [], view: () => [] }, collector);
    await until("it is connected", () => monitoring.view().connected);
    const end = { address: { family: "IPv4", value: 1n }, port: 179 } as const;
    const ends = { local: end, remote: end };
    const say = (direction: "sent" | "received", type: number, length: number): void => {
      const bytes = new Uint8Array(length).fill(0xff);
      bytes.set([length >> 8, length & 0xff, type], 16);
      emit({ type: "bytes", session: "tor", direction, bytes, ends });
    };
    say("sent", 1, 29);
    say("received", 1, 29);
    emit({ type: "up", session: "tor", ends, peerAsn: 1, peerIdentifier: 1, fourOctetAs: true });
    // Far more than the two sockets and the bound hold.
    for (let sent = 0; sent < 10_000 && monitoring.view().overflows === 0; sent += 1) say("sent", 2, 4096);
    assert.equal(monitoring.view().overflows, 1);
    await until("it says why", () => /reads too slowly/.test(monitoring.view().lastReason ?? ""));
    await until("it is told anew", () => monitoring.view().dumps === 2);
  });

  test("that is not there is tried again, and found when it is", async (t) => {
    const { speaker } = speakerAt("127.4.2.1", 65001);
    t.after(() => speaker.stop("restart"));
    const collector = new Collector(t);
    await once(collector.server, "listening");
    const { port } = collector.address;
    collector.server.close();
    await once(collector.server, "close");
    const names = { sysName: "node1", sysDescr: "Fairlead" };
    const monitoring = startMonitoring({ speaker, collector: { host: "127.0.0.1", port }, ...names, random: () => 1 });
    t.after(() => monitoring.stop());
    await until("it failed", () => /ECONNREFUSED/.test(monitoring.view().lastReason ?? ""));
    assert.deepEqual([monitoring.view().connected, monitoring.view().dumps], [false, 0]);
    collector.server.listen(port, "127.0.0.1");
    await until("it was found", () => monitoring.view().connected);
  });
});
