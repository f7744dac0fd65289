import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { address } from "../../net/address.ts";
import { instant, later, type Instant } from "../../time/instant.ts";
import { seededRandom } from "../../time/jitter.ts";
import { DEFAULT_PROFILE, SESSIONS_MAX, type BfdSessionConfig } from "./config.ts";
import { decodeControl, encodeControl, type Control } from "./packet.ts";
import type { Entry } from "./entry.ts";
import { parseParked } from "./parked.ts";
import { nextDeadline, Sessions } from "./sessions.ts";
import type { ParkedSession } from "./view.ts";

const FAST = { ...DEFAULT_PROFILE, transmitIntervalMilliseconds: 50, receiveIntervalMilliseconds: 50 };
const KEY = { type: "meticulousKeyedSha1", keyId: 1, secret: new TextEncoder().encode("geheim") } as const;

/** Two nodes on one clock; `lost`: what is sent gets nowhere. */
class Network {
  readonly #random = seededRandom(4);
  #numbers = 100;
  now: Instant = instant(0);
  lost = false;
  /** Every datagram of node 0, for a peer who would play it back. */
  readonly recorded: Uint8Array[] = [];
  readonly nodes: [Sessions, Sessions] = [this.node(0), this.node(1)];

  node(i: 0 | 1, parked: readonly ParkedSession[] = []): Sessions {
    return new Sessions(
      {
        random: this.#random,
        hash: (algorithm, bytes) => createHash(algorithm).update(bytes).digest(),
        newDiscriminator: () => (this.#numbers += 1),
        send: (entry, bytes) => {
          if (i === 0) this.recorded.push(bytes);
          if (!this.lost) this.deliver(i === 0 ? 1 : 0, bytes, entry.config.multihop);
        },
        changed: () => {},
      },
      parked,
    );
  }

  deliver(to: 0 | 1, bytes: Uint8Array, multihop = false): Entry | undefined {
    return this.nodes[to].receive({ bytes, from: to === 0 ? "10.0.0.2" : "10.0.0.1", multihop }, this.now);
  }

  configure(i: 0 | 1, parts: Partial<BfdSessionConfig> = {}): this {
    this.nodes[i].configure([config(i === 0 ? "10.0.0.2" : "10.0.0.1", parts)], this.now);
    return this;
  }

  run(milliseconds: number): this {
    const end = later(this.now, milliseconds);
    for (let next = this.#next(); next !== undefined && next.moment <= end; next = this.#next()) {
      if (next.moment > this.now) this.now = next.moment;
      next.sessions.handle(next.entry, { type: "clock" }, this.now);
    }
    this.now = end;
    return this;
  }

  details(i: 0 | 1) {
    const [details] = this.nodes[i].details();
    assert.ok(details);
    return details;
  }

  #next(): { moment: Instant; entry: Entry; sessions: Sessions } | undefined {
    return this.nodes
      .flatMap((sessions) => [...sessions.entries].map((entry) => ({ moment: nextDeadline(entry), entry, sessions })))
      .filter((one): one is { moment: Instant; entry: Entry; sessions: Sessions } => one.moment !== undefined)
      .toSorted((a, b) => a.moment - b.moment)[0];
  }
}

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

function config(peer: string, parts: Partial<BfdSessionConfig> = {}): BfdSessionConfig {
  return { name: "peer", peer: address(peer), multihop: false, profile: FAST, ...parts };
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
