import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEFAULT_PROFILE, SESSIONS_MAX } from "./config.ts";
import { config, FAST, KEY, Network } from "./network.fixture.ts";
import { decodeControl, encodeControl, type Control } from "./packet.ts";
import { parseParked } from "./parked.ts";
import type { ParkedSession } from "./view.ts";

describe("the sessions of a node", () => {
  test("come Up with a peer, with a key and without", () => {
    for (const key of [undefined, KEY]) {
      const parts = key === undefined ? {} : { key };
      const network = new Network().configure(0, parts).configure(1, parts).run(5000);
      assert.deepEqual([network.details(0).state, network.details(1).state], ["up", "up"]);
      assert.deepEqual(network.details(0).discarded, {});
      assert.equal(network.details(0).detectionMilliseconds, 150);
    }
  });

  test("take no packet without their key, of another key, or played back", () => {
    const network = new Network().configure(0, { key: KEY }).configure(1, { key: KEY }).run(5000);
    const { myDiscriminator, yourDiscriminator } = network.details(1);
    const forged = control({ myDiscriminator: yourDiscriminator, yourDiscriminator: myDiscriminator, state: "down" });
    assert.equal(network.deliver(1, encodeControl(forged)), undefined);
    const old = network.recorded.at(-2);
    assert.ok(old);
    assert.equal(network.deliver(1, old), undefined);
    assert.deepEqual(network.details(1).discarded, { missingAuthentication: 1, replayed: 1 });
    assert.equal(network.details(1).state, "up");
  });

  test("take any sequence again after a long silence", () => {
    const network = new Network().configure(0, { key: KEY }).configure(1, { key: KEY }).run(5000);
    network.nodes[0] = network.node(0);
    // Its sequence starts below what was heard: until twice the detection time is over it counts as played back.
    network.configure(0, { key: KEY }).run(10_000);
    assert.equal(network.details(1).state, "up");
    assert.ok((network.details(1).discarded["replayed"] ?? 0) > 0);
  });

  const strangers: readonly { name: string; parts: Partial<Control>; multihop?: boolean; reason: string }[] = [
    { name: "of a discriminator nobody has", parts: { yourDiscriminator: 9 }, reason: "unknownSession" },
    {
      name: "of ours, but by the other kind of path",
      parts: { yourDiscriminator: 101 },
      multihop: true,
      reason: "unknownSession",
    },
    {
      name: "of none, by the other kind of path",
      parts: { yourDiscriminator: 0, state: "down" },
      multihop: true,
      reason: "unknownSession",
    },
    { name: "that is Up and knows nobody", parts: { yourDiscriminator: 0 }, reason: "zeroYourDiscriminator" },
  ];
  for (const { name, parts, multihop = false, reason } of strangers) {
    test(`count a packet ${name} as ${reason}`, () => {
      const network = new Network().configure(0);
      assert.equal(network.details(0).myDiscriminator, 101);
      assert.equal(network.deliver(0, encodeControl(control(parts)), multihop), undefined);
      assert.deepEqual([...network.nodes[0].unknown], [[reason, 1]]);
    });
  }

  test("drop what is too much for one second, and go on in the next", () => {
    const network = new Network().configure(0);
    const bytes = encodeControl(control({ yourDiscriminator: 0, state: "down" }));
    for (let i = 0; i < 1000; i += 1) network.deliver(0, bytes);
    assert.deepEqual([network.details(0).received, network.details(0).discarded], [400, { tooMany: 600 }]);
    network.run(1000);
    assert.ok(network.deliver(0, bytes));
  });

  test("keep running when their pace changes, and begin anew with another key or path", () => {
    const network = new Network().configure(0).configure(1).run(5000);
    const { myDiscriminator } = network.details(0);
    network.configure(0, { profile: { ...FAST, transmitIntervalMilliseconds: 200 } }).run(2000);
    assert.deepEqual([network.details(0).state, network.details(0).flaps], ["up", 0]);
    assert.equal(network.details(1).detectionMilliseconds, 600);
    assert.equal(network.details(0).myDiscriminator, myDiscriminator);
    network.configure(0, { key: KEY });
    assert.equal(network.details(0).state, "down");
    assert.notEqual(network.details(0).myDiscriminator, myDiscriminator);
  });

  test("tell the peer AdminDown when they end", () => {
    const network = new Network().configure(0).configure(1).run(5000);
    network.nodes[0].configure([], network.now);
    assert.deepEqual([network.details(1).state, network.details(1).remoteState], ["down", "adminDown"]);
    assert.deepEqual(network.nodes[0].details(), []);
  });

  test("of one path are one session under each name, which outlives the first of them", () => {
    const network = new Network().configure(1);
    const [one, two] = [
      config("10.0.0.2", { name: "one" }),
      config("10.0.0.2", { name: "two", profile: DEFAULT_PROFILE }),
    ];
    network.nodes[0].configure([one, two], network.now);
    network.run(5000);
    const states = network.nodes[0].views(network.now).map(({ name, state, flaps }) => [name, state, flaps]);
    assert.deepEqual(states, [
      ["one", "up", 0],
      ["two", "up", 0],
    ]);
    assert.equal(network.details(0).detectionMilliseconds, 150);
    network.nodes[0].configure([two], network.now);
    network.run(2000);
    assert.deepEqual([network.details(0).name, network.details(0).state, network.details(1).flaps], ["two", "up", 0]);
    assert.equal(network.details(0).detectionMilliseconds, 900);
  });

  test("beyond what a node carries are refused by name", () => {
    const network = new Network();
    const configs = Array.from({ length: SESSIONS_MAX + 1 }, (_, i) =>
      config(`10.1.${i >> 8}.${i & 255}`, { name: `p${i}` }),
    );
    network.nodes[0].configure(configs, network.now);
    const refused = network.nodes[0].views(network.now).filter(({ problem }) => problem !== undefined);
    assert.deepEqual(
      refused.map(({ name, problem }) => [name, problem]),
      [["p512", "more than the 512 sessions of a node"]],
    );
  });
});

describe("a planned restart", () => {
  test("is not noticed by the peer: it waits as it was told, and the next process goes on", () => {
    for (const key of [undefined, KEY]) {
      const parts = key === undefined ? {} : { key };
      const network = new Network().configure(0, parts).configure(1, parts).run(5000);
      const parked = park(network, 20_000);
      assert.equal(network.details(1).detectionMilliseconds, 20_000.001);
      network.nodes[0] = network.node(0);
      network.run(15_000);
      assert.deepEqual([network.details(1).state, network.details(1).flaps], ["up", 0]);
      network.nodes[0] = network.node(0, JSON.parse(JSON.stringify(parked)) as readonly ParkedSession[]);
      network.configure(0, parts).run(2000);
      assert.deepEqual([network.details(0).state, network.details(1).state, network.details(1).flaps], ["up", "up", 0]);
      assert.equal(network.details(1).detectionMilliseconds, 150);
    }
  });

  test("that takes longer than said is a failure like any other", () => {
    const network = new Network().configure(0).configure(1).run(5000);
    const parked = park(network, 20_000);
    network.nodes[0] = network.node(0);
    network.run(21_000);
    assert.deepEqual([network.details(1).state, network.details(1).diagnostic], ["down", "detectionTimeExpired"]);
    network.nodes[0] = network.node(0, parked);
    network.configure(0);
    assert.equal(network.details(0).state, "down");
    assert.equal(network.run(5000).details(1).state, "up");
  });

  test("during which the peer died is noticed soon after, not at the end of the wait", () => {
    const network = new Network().configure(0).configure(1).run(5000);
    const parked = park(network, 60_000);
    network.lost = true;
    network.nodes[0] = network.node(0, parked);
    network.configure(0).run(1100);
    assert.equal(network.details(0).state, "up");
    network.run(100);
    assert.equal(network.details(0).state, "down");
  });

  test("is read back as it was written, and whatever else the file may hold is left out", () => {
    const network = new Network().configure(0).configure(1).run(5000);
    const [parked] = park(network, 20_000);
    assert.ok(parked);
    assert.deepEqual(parseParked(JSON.parse(JSON.stringify([parked]))), [parked]);
    const others = [
      null,
      {},
      { ...parked, until: "soon" },
      { ...parked, myDiscriminator: 0 },
      { ...parked, sourcePort: 70_000 },
      { ...parked, remote: undefined },
      { ...parked, remote: { ...parked.remote, state: "sideways" } },
      { ...parked, remote: { ...parked.remote, detectMult: 0 } },
    ];
    for (const other of others) assert.deepEqual(parseParked([other, parked]), [parked], JSON.stringify(other));
    for (const nothing of [undefined, null, "text", { parked }]) assert.deepEqual(parseParked(nothing), []);
  });

  test("leaves out sessions that are not Up, and those whose peer has not confirmed", () => {
    const network = new Network().configure(0);
    assert.deepEqual(park(network, 20_000), []);
    network.configure(1).run(5000);
    network.lost = true;
    network.nodes[0].park(20_000, network.now);
    assert.deepEqual(network.nodes[0].parkedSessions(20_000, network.now), { complete: false, parked: [] });
  });
});

function park(network: Network, holdMilliseconds: number): readonly ParkedSession[] {
  network.nodes[0].park(holdMilliseconds, network.now);
  const { complete, parked } = network.nodes[0].parkedSessions(holdMilliseconds, network.now);
  assert.equal(complete, true);
  return parked;
}

function control(parts: Partial<Control>): Control {
  const read = decodeControl(
    encodeControl({
      diagnostic: "none",
      state: "up",
      poll: false,
      final: false,
      controlPlaneIndependent: false,
      demand: false,
      detectMult: 3,
      myDiscriminator: 7,
      yourDiscriminator: 1,
      desiredMinTxMicros: 50_000,
      requiredMinRxMicros: 50_000,
      requiredMinEchoRxMicros: 0,
    }),
  );
  assert.ok(read.ok);
  return { ...read.value, ...parts };
}
