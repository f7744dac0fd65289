import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configure, goodPeer, type Spec } from "../announce/bgp/configuration.fixture.ts";
import { desiredBgp, type DesiredSession } from "../announce/bgp/desired.ts";
import { bgpInput } from "../announce/bgp/desired.fixture.ts";
import { address, formatAddress } from "../net/address.ts";
import type { Bfd } from "../protocol/bfd/driver.ts";
import type { BfdSessionView } from "../protocol/bfd/view.ts";
import type { SessionView } from "../protocol/bgp/speaker.ts";
import { bfdSessions, watchPeers } from "./bfd.ts";
import { eth0 } from "./world.fixture.ts";

const link = { ...eth0, addresses: ["10.0.0.7/24", "fe80::7/64"] };

function desired(fields: Spec, profile: Spec = {}): readonly DesiredSession[] {
  const row = { peers: { router: goodPeer({ bfdProfile: "fast", ...fields }) }, bfd: { fast: profile } };
  assert.deepEqual(configure(row).problems, []);
  return desiredBgp(bgpInput(row), { name: "iris1" }).sessions;
}

function watched(fields: Spec, view: Partial<SessionView> = {}): readonly string[] {
  const seen = { name: "router", peer: "10.0.0.1", ...view } as SessionView;
  return bfdSessions(desired(fields), [seen], [link]).map(({ name, peer, local, device, multihop }) =>
    [
      name,
      formatAddress(peer),
      ...(device === undefined ? [] : [device]),
      ...(local === undefined ? [] : [`from ${formatAddress(local)}`]),
      ...(multihop ? ["multihop"] : []),
    ].join(" "),
  );
}

describe("the BFD session beside a BGP session", () => {
  test("is with the peer's address, one hop away, before the session is up", () =>
    assert.deepEqual(watched({}), ["router 10.0.0.1"]));
  test("is not there without a profile", () => assert.deepEqual(watched({ bfdProfile: "" }), []));
  test("has the session's source address", () =>
    assert.deepEqual(watched({ sourceAddress: "10.0.0.9" }), ["router 10.0.0.1 from 10.0.0.9"]));
  test("over several hops needs the address that BGP runs from, so it waits for the session", () => {
    assert.deepEqual(watched({ ebgpMultiHop: true }), []);
    assert.deepEqual(watched({ ebgpMultiHop: true }, { localAddress: "10.0.0.7", peerAddress: "10.0.0.1" }), [
      "router 10.0.0.1 from 10.0.0.7 multihop",
    ]);
  });
  test("begins before the BGP session where another program had that, over several hops from the address it had", () => {
    const before = (fields: Spec, formerLocal?: string) =>
      bfdSessions(
        desired(fields).map((each) => ({ ...each, ...(formerLocal && { formerLocal: address(formerLocal) }) })),
        [],
        [link],
      ).map(({ name, local }) => [name, local && formatAddress(local)]);
    assert.deepEqual(before({}, "10.0.0.7"), [["router", undefined]]);
    assert.deepEqual(before({ ebgpMultiHop: true }, "10.0.0.7"), [["router", "10.0.0.7"]]);
    assert.deepEqual(before({ ebgpMultiHop: true }), []);
    assert.deepEqual(before({ peerAddress: undefined, interface: "eth0" }, "fe80::7"), []);
  });
  test("over several hops goes on while BGP has no connection, as long as the node has the address and the peer is the same", () => {
    const sessions = desired({ ebgpMultiHop: true });
    const view = (more: Partial<SessionView>) => [{ name: "router", peer: "10.0.0.1", ...more } as SessionView];
    const first = bfdSessions(sessions, view({ localAddress: "10.0.0.7" }), [link]);
    assert.equal(first.length, 1);
    assert.deepEqual(bfdSessions(sessions, view({}), [link], first), first);
    assert.deepEqual(bfdSessions(sessions, view({}), [{ ...link, addresses: ["10.0.0.8/24"] }], first), []);
    assert.deepEqual(bfdSessions(sessions, view({ peer: "10.0.0.2" }), [link], first), []);
    const moved = bfdSessions(sessions, view({ localAddress: "10.0.0.9" }), [link], first);
    assert.deepEqual(
      moved.map(({ local }) => local && formatAddress(local)),
      ["10.0.0.9"],
    );
  });
  test("with a peer of our own AS is multihop where the peer is on no network of this node", () => {
    const internal = { peerASN: 64512 };
    assert.deepEqual(watched(internal), ["router 10.0.0.1"]);
    const far = { peer: "10.9.0.1", peerAddress: "10.9.0.1", localAddress: "10.0.0.7" };
    assert.deepEqual(watched({ ...internal, peerAddress: "10.9.0.1" }, far), [
      "router 10.9.0.1 from 10.0.0.7 multihop",
    ]);
  });
  test("of a peer in a VRF goes out through it", () =>
    assert.deepEqual(watched({ vrf: "red" }), ["router 10.0.0.1 red"]));
  test("of an unnumbered peer waits until it is found", () => {
    const unnumbered = { peerAddress: "", interface: "up0" };
    assert.deepEqual(watched(unnumbered, { peer: "up0" }), []);
    assert.deepEqual(watched(unnumbered, { peer: "up0", peerAddress: "fe80::1%up0" }), ["router fe80::1 up0"]);
  });
  test("of a peer that called from a prefix has that session's name", () => {
    const seen = { name: "router/10.0.0.1", peer: "10.0.0.1" } as SessionView;
    assert.deepEqual(
      bfdSessions(desired({}), [seen], [link]).map(({ name }) => name),
      ["router/10.0.0.1"],
    );
  });
  test("takes its pace from the profile, and FRR's where that says nothing", () => {
    const seen = { name: "router", peer: "10.0.0.1" } as SessionView;
    const profile = (spec: Spec) => bfdSessions(desired({}, spec), [seen], [link])[0]?.profile;
    assert.deepEqual(profile({}), {
      transmitIntervalMilliseconds: 300,
      receiveIntervalMilliseconds: 300,
      detectMultiplier: 3,
      minimumTtl: 254,
      passive: false,
    });
    const full = { transmitInterval: 50, receiveInterval: 60, detectMultiplier: 5, minimumTtl: 10, passiveMode: true };
    assert.deepEqual(profile({ ...full, echoMode: true, echoInterval: 70 }), {
      transmitIntervalMilliseconds: 50,
      receiveIntervalMilliseconds: 60,
      detectMultiplier: 5,
      minimumTtl: 10,
      passive: true,
      echoReceiveIntervalMilliseconds: 70,
      echoTransmitIntervalMilliseconds: 70,
    });
    const echo = (spec: Spec) => {
      const found = profile(spec);
      return [found?.echoReceiveIntervalMilliseconds, found?.echoTransmitIntervalMilliseconds];
    };
    assert.deepEqual(echo({ echoMode: true }), [50, 50]);
    assert.deepEqual(echo({ echoInterval: 80 }), [80, undefined]);
    assert.deepEqual(echo({ echoMode: false }), [undefined, undefined]);
  });
});

test("a BGP session that begins when its BFD is up already is told so, once", () => {
  const told: string[] = [];
  let views: readonly SessionView[] = [];
  const speaker = { view: () => views, bfd: (name: string, state: string) => void told.push(`${name} ${state}`) };
  const up = { name: "router", state: "up", remoteState: "up" } as BfdSessionView;
  const started: Bfd = {
    setSessions: () => undefined,
    onChange: () => () => undefined,
    view: () => ({ sessions: [up] }),
    details: async () => [],
    stop: async () => [],
  };
  const watch = watchPeers(speaker, "/nonexistent", () => started);
  watch.apply(desired({}), [link]);
  assert.deepEqual(told, []);
  views = [{ name: "router", peer: "10.0.0.1" } as SessionView];
  watch.apply(desired({}), [link]);
  watch.apply(desired({}), [link]);
  assert.deepEqual(told, ["router up"]);
});
