import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { address } from "../../net/address.ts";
import { parsePrefix } from "../../net/prefix.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { emptyCounters } from "./counters.ts";
import { Outbound } from "./outbound.ts";
import { ReceivedRoutes } from "./received.ts";
import { peerOpen, Rig } from "./session.fixture.ts";
import type { SessionView } from "./speaker.ts";
import { viewOf } from "./view.ts";
import { routesByPrefix } from "./route.ts";

const WALL = Date.UTC(2026, 0, 1);

function look(rig: Rig, outbound: Outbound = new Outbound(), problems: readonly string[] = []): SessionView {
  const { session, now } = rig;
  const negotiated = session.connections.find(({ state }) => state === "established")?.negotiated;
  const wire = { local: { address: address("192.0.2.9") }, remote: { address: address("192.0.2.1") } };
  const seen = {
    session,
    outbound,
    counters: emptyCounters(),
    up: negotiated && { negotiated, received: new ReceivedRoutes() },
    wire: session.connections.length === 0 ? undefined : wire,
  };
  const [view] = viewOf({ peerings: new Map([["tor", seen]]), problems: () => problems, now, wallClock: WALL });
  assert.ok(view);
  return view;
}

describe("what an operator sees of a session", () => {
  test("that is up: who is there, what was agreed, since when", () => {
    const rig = new Rig().bring("established");
    rig.at(rig.now + 60_000);
    const { state, since, peerAsn, routerId, peerRouterId, holdTimeSeconds, localAddress, problems } = look(rig);
    assert.deepEqual(
      { state, since: since.getTime(), peerAsn, routerId, peerRouterId, holdTimeSeconds, localAddress, problems },
      {
        state: "established",
        since: WALL - 60_000,
        peerAsn: 65002,
        routerId: "10.0.0.2",
        peerRouterId: "10.0.0.1",
        holdTimeSeconds: 90,
        localAddress: "192.0.2.9",
        problems: [],
      },
    );
  });

  test("before anything happened: what is configured", () => {
    const view = look(new Rig({ peerAsn: "external", peer: { type: "interface", device: "eth1" } }));
    assert.deepEqual([view.state, view.peer, view.peerAsn, view.families], ["idle", "eth1", "external", ["IPv4"]]);
    assert.deepEqual(view.problems, ["no router has advertised itself on eth1 so far"]);
  });

  test("that repeats: one line of history, with how often", () => {
    const rig = new Rig({ connectTimeSeconds: 1 }).bring("connect");
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      rig.do({ type: "closed", connection: `out:${attempt}`, reason: "connect ECONNREFUSED" });
      rig.at(rig.now + 1000).do({ type: "clock" });
    }
    const { history, lastReason } = look(rig);
    assert.deepEqual(
      history.map(({ times, reason }) => `${times} x ${reason}`),
      ["5 x connect ECONNREFUSED"],
    );
    assert.equal(lastReason, "connect ECONNREFUSED");
  });

  const problems: readonly { readonly name: string; readonly rig: () => Rig; readonly says: RegExp }[] = [
    {
      name: "a password, and no answer",
      rig: () => {
        const rig = new Rig({ password: "secret" }).bring("connect");
        return rig.at(rig.now + 10_000).do({ type: "clock" });
      },
      says: /does not answer.*one that differs from the peer's/,
    },
    {
      name: "no family in common",
      rig: () => new Rig({ families: ["IPv6"] }).bring("established"),
      says: /carries none of IPv6/,
    },
    {
      name: "a peer that refuses capabilities",
      rig: () =>
        new Rig()
          .bring("openSent")
          .hear("out:1", { type: "notification", code: 2, subcode: 7, data: new Uint8Array(0) }),
      says: /refuses some of our capabilities/,
    },
  ];
  for (const { name, rig, says } of problems)
    test(`names as a problem: ${name}`, () => assert.match(look(rig()).problems.join("; "), says));

  test("names a route that cannot be told, how many more there are, and why", () => {
    const outbound = new Outbound();
    const routes = ["2001:db8::1/128", "2001:db8::2/128"]
      .map((text) => parsePrefix(text))
      .filter((prefix) => prefix !== undefined);
    outbound.set(routesByPrefix(routes.map((prefix) => ({ prefix }))));
    outbound.due({ context: INITIAL_CONTEXT, localAs: 65001, nextHops: {} }, false);
    const view = look(new Rig().bring("established", peerOpen()), outbound, ["a port is taken"]);
    assert.deepEqual(view.problems, [
      "a port is taken",
      "2001:db8::1/128 and 1 more cannot be announced: the session does not carry IPv6 routes",
    ]);
    assert.equal(view.pending, 2);
  });
});
