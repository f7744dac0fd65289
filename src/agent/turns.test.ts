import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { beforeEach, describe, test } from "node:test";
import type { DesiredSession } from "../announce/bgp/desired.ts";
import type { TcpConnection } from "../kernel/connections.ts";
import { address, formatAddress } from "../net/address.ts";
import { parsePrefix } from "../net/prefix.ts";
import type { PeerLocation, SessionConfig } from "../protocol/bgp/config.ts";
import { virtualClock, type VirtualClock } from "../time/clock.ts";
import { heldBy, takeTurns, type Turns } from "./turns.ts";

function session(name: string, peer: PeerLocation, port = 179): DesiredSession {
  const config: SessionConfig = {
    name,
    localAsn: 1,
    peerAsn: 2,
    peer,
    port,
    initiation: "dial",
    holdTimeSeconds: 90,
    connectTimeSeconds: 30,
    families: ["IPv4"],
  };
  return { config, routes: new Map() };
}

const at = (text: string): PeerLocation => ({ type: "address", address: address(text) });
const calls = (text: string, more: Partial<TcpConnection> = {}): TcpConnection => ({
  local: address("10.0.0.11"),
  localPort: 40_000,
  peer: address(text),
  peerPort: 179,
  ...more,
});

describe("a peer is somebody else's", () => {
  const subnet = parsePrefix("10.0.0.0/24") ?? assert.fail();
  const unnumbered: PeerLocation = { type: "interface", device: "eth1" };
  const cases: readonly (readonly [string, PeerLocation, TcpConnection, boolean, number?])[] = [
    ["that was called", at("10.0.0.1"), calls("10.0.0.1"), true],
    ["that has called", at("10.0.0.1"), calls("10.0.0.1", { localPort: 179, peerPort: 5000 }), true],
    ["on another port", at("10.0.0.1"), calls("10.0.0.1", { peerPort: 1790 }), true, 1790],
    ["but another service of it", at("10.0.0.1"), calls("10.0.0.1", { peerPort: 443 }), false],
    ["but another peer", at("10.0.0.1"), calls("10.0.0.2"), false],
    ["of a prefix", { type: "prefix", prefix: subnet, sessionsMax: 9 }, calls("10.0.0.2"), true],
    ["at the other end of a cable", unnumbered, calls("fe80::1", { peerDevice: "eth1" }), true],
    ["but of another cable", unnumbered, calls("fe80::1", { peerDevice: "eth2" }), false],
  ];
  for (const [name, peer, connection, expected, port] of cases)
    test(name, () => {
      assert.equal(heldBy(session("x", peer, port).config, [connection]) !== undefined, expected);
    });

  test("but from an address of the node that is not ours", () => {
    const { config } = session("x", at("10.0.0.1"));
    const from = (text: string): SessionConfig => ({ ...config, sourceAddress: address(text) });
    assert.equal(heldBy(from("10.0.0.12"), [calls("10.0.0.1")]), undefined);
    assert.notEqual(heldBy(from("10.0.0.11"), [calls("10.0.0.1")]), undefined);
  });
});

let clock: VirtualClock;
let connections: readonly TcpConnection[];
let turns: Turns;
let changes: number;
let up: Set<string>;
const bfdIsUp = (name: string): boolean => up.has(name);
const both = [session("a", at("10.0.0.1")), session("b", at("10.0.0.2"))];

beforeEach(() => {
  clock = virtualClock();
  connections = [];
  changes = 0;
  up = new Set();
  turns = takeTurns({ clock, bfdIsUp, onChange: () => (changes += 1), look: async () => connections });
});

const admitted = (): readonly string[] => turns.admit(both).map(({ config }) => config.name);
const look = async (): Promise<void> => {
  clock.advance(50);
  await turn();
};

test("nobody has a session: ours begin as soon as that was seen, and not before", async () => {
  assert.deepEqual(admitted(), []);
  await turn();
  assert.equal(changes, 1);
  assert.deepEqual(admitted(), ["a", "b"]);
  assert.deepEqual(turns.problems(), []);
});

test("a session of others is waited for, and named; when it has ended ours begins, for good", async () => {
  connections = [calls("10.0.0.1")];
  admitted();
  await turn();
  assert.deepEqual(admitted(), ["b"]);
  assert.match(turns.problems()[0]?.message ?? "", /another program of this node has a session with 10\.0\.0\.1/);
  await look();
  assert.deepEqual([admitted(), changes], [["b"], 1], "nothing changed");
  connections = [];
  await look();
  assert.deepEqual([admitted(), changes], [["a", "b"], 2]);
  // Ours by now.
  connections = [calls("10.0.0.1")];
  await look();
  assert.deepEqual(admitted(), ["a", "b"]);
});

test("a session that went away waits for its turn again", async () => {
  admitted();
  await turn();
  assert.deepEqual(turns.admit([]), []);
  connections = [calls("10.0.0.1")];
  clock.advance(50);
  assert.deepEqual(admitted(), []);
  await look();
  assert.deepEqual(admitted(), ["b"]);
});

test("connections cannot be listed: ours begin", async () => {
  turns = takeTurns({ clock, bfdIsUp, onChange: () => undefined, look: () => Promise.reject(new Error("no ss")) });
  admitted();
  await turn();
  assert.deepEqual(admitted(), ["a", "b"]);
});

test("nobody looks any more once it has stopped", async () => {
  connections = [calls("10.0.0.1")];
  admitted();
  turns.stop();
  connections = [];
  await look();
  assert.deepEqual([admitted(), changes], [[], 0]);
});

describe("a session with BFD, when nobody else has it", () => {
  const settings = { echoMode: false, passiveMode: false } as NonNullable<DesiredSession["bfd"]>["settings"];
  const watched = { ...session("a", at("10.0.0.1")), bfd: { settings, multihop: false } };
  const begun = (): readonly string[] => turns.admit([watched]).map(({ config }) => config.name);
  const awaiting = () =>
    turns.awaitingBfd().map(({ config, formerLocal }) => [config.name, formerLocal && formatAddress(formerLocal)]);

  beforeEach(async () => {
    connections = [calls("10.0.0.1")];
    begun();
    await turn();
    assert.deepEqual(awaiting(), [], "BFD is another's as well");
    connections = [];
    await look();
  });

  test("begins when BFD is up, which begins before, from the address that was used", async () => {
    assert.deepEqual([begun(), awaiting(), changes], [[], [["a", "10.0.0.11"]], 2]);
    await look();
    assert.equal(changes, 2, "nothing changed");
    up.add("a");
    await look();
    assert.deepEqual([begun(), awaiting(), changes], [["a"], [], 3]);
  });

  test("begins without it where it does not come up", async () => {
    for (let i = 0; i < 99; i += 1) await look();
    assert.deepEqual(begun(), []);
    await look();
    assert.deepEqual([begun(), awaiting()], [["a"], []]);
  });

  test("waits on when another has it again", async () => {
    connections = [calls("10.0.0.1")];
    await look();
    assert.deepEqual([begun(), awaiting(), turns.problems().length], [[], [], 1]);
    up.add("a");
    await look();
    assert.deepEqual(begun(), []);
  });
});
