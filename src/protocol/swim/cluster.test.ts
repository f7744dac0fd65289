/**
 * Whole nodes over one simulated network and one virtual clock: each with an agent (membership, stamp, and the simplest
 * election: the first in order that may) and a datapath that answers probes and, within its stamp, ARP for one address.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { address, formatAddress } from "../../net/address.ts";
import { virtualClock, type VirtualClock } from "../../time/clock.ts";
import { fromNanoseconds, later, nanoseconds, type Instant } from "../../time/instant.ts";
import { seededRandom, type Random } from "../../time/jitter.ts";
import { DEFAULT_TIMING } from "./config.ts";
import { deadline, initialState, step, type Event, type State } from "./machine.ts";
import { decodeProbe, encodeProbe } from "./packet.ts";
import { Roster, type Peer } from "./roster.ts";
import type { SipKey } from "./siphash.ts";
import { initialStamp, isSettled, mayTake, stepStamp, type StampEvent, type StampState } from "./stamp.ts";

const KEY: SipKey = [1n, 2n];
const GRACE = 5000;
const MARGIN = 1000;
/** From a change of view to the datapath's map: a busy agent. */
const REACTION = 40;
/** Shorter than the product's, as the grace is. */
const TIMING = { ...DEFAULT_TIMING, awayMilliseconds: 1500 };

interface Network {
  readonly clock: VirtualClock;
  readonly random: Random;
  /** Share of packets lost, each way. */
  loss: number;
  /** Whether a packet may pass from one to the other. */
  passes: (from: string, to: string) => boolean;
  readonly nodes: Map<string, Machine>;
  /** Whether an agent that starts learns what there is to announce. */
  informs: boolean;
  /** Everything that happened, for failures. */
  readonly log: string[];
}

/** A machine keeps its datapath while it is powered; its agent comes and goes. */
class Machine {
  readonly name: string;
  readonly #network: Network;
  powered = true;
  /** `runtime.valid_until_ns` and the map `announced`. */
  validUntil = 0n;
  announced = false;
  agent: Agent | undefined;

  constructor(name: string, network: Network) {
    this.name = name;
    this.#network = network;
  }

  answersArp(): boolean {
    const { clock } = this.#network;
    return this.powered && this.announced && nanoseconds(later(clock.now(), MARGIN)) < this.validUntil;
  }

  /** bpf/probe.h. */
  answer(bytes: Uint8Array): Uint8Array | undefined {
    const probe = decodeProbe(bytes, KEY);
    if (!this.powered || !probe.ok || probe.value.type !== "request") return undefined;
    const left = fromNanoseconds(this.validUntil) - this.#network.clock.now();
    return encodeProbe({ ...probe.value, type: "answer", remainingMilliseconds: Math.max(0, Math.floor(left)) }, KEY);
  }

  startAgent(): void {
    this.agent ??= new Agent(this, this.#network);
  }

  killAgent(): void {
    this.agent?.kill();
    this.agent = undefined;
  }

  crash(): void {
    this.killAgent();
    this.powered = false;
  }

  boot(): void {
    this.powered = true;
    this.validUntil = 0n;
    this.announced = false;
    this.startAgent();
  }
}

class Agent {
  readonly #machine: Machine;
  readonly #network: Network;
  readonly #roster = new Roster();
  readonly #order: readonly string[];
  readonly #peers: readonly Peer[];
  #informed = false;
  #state: State;
  #stamp: StampState;
  #killed = false;
  #wake = (): void => {};
  #wakeStamp = (): void => {};

  constructor(machine: Machine, network: Network) {
    this.#machine = machine;
    this.#network = network;
    const now = network.clock.now();
    this.#order = [...network.nodes.keys()];
    this.#state = initialState(TIMING, now);
    this.#stamp = initialStamp(
      { graceMilliseconds: GRACE, marginMilliseconds: MARGIN, awayMilliseconds: TIMING.awayMilliseconds },
      fromNanoseconds(machine.validUntil),
      now,
    );
    const peers = this.#order.flatMap((name, index) =>
      name === machine.name ? [] : [{ name, address: address(`10.0.0.${index + 1}`) }],
    );
    this.#peers = peers;
    this.#tick();
    if (network.informs) this.inform();
  }

  /** It reads who else there is, and what there is to announce. */
  inform(): void {
    if (this.#killed || this.#informed) return;
    this.#informed = true;
    this.#roster.expect(this.#peers);
    const { random } = this.#network;
    const peers = this.#peers.map((peer) => ({ ...peer, nonce: BigInt(Math.floor(random() * 2 ** 52)) }));
    this.feed({ type: "peers", peers });
    this.feedStamp({ type: "informed" });
  }

  view(): ReturnType<Roster["view"]> {
    const self = isSettled(this.#stamp) ? this.#machine.name : undefined;
    return this.#roster.view(self, mayTake(this.#stamp), this.#network.clock.now());
  }

  kill(): void {
    this.#killed = true;
    this.#wake();
    this.#wakeStamp();
  }

  feed(event: Event): void {
    if (this.#killed) return;
    const { clock, random } = this.#network;
    const [next, effects] = step(this.#state, event, clock.now(), random);
    this.#state = next;
    for (const effect of effects)
      if (effect.type === "send") this.#send(formatAddress(effect.to), encodeProbe(effect.probe, KEY));
    if (effects.some(({ type }) => type === "publish")) this.#publish();
    this.#wake();
    const at = deadline(next);
    this.#wake = at === undefined ? (): void => {} : clock.at(at, () => this.feed({ type: "clock" }));
  }

  feedStamp(event: StampEvent): void {
    if (this.#killed) return;
    const { clock } = this.#network;
    const before = this.#stamp;
    const [next, effects] = stepStamp(this.#stamp, event, clock.now());
    this.#stamp = next;
    for (const effect of effects) {
      if (effect.type === "write") this.#machine.validUntil = nanoseconds(effect.validUntil);
      if (effect.type === "withdraw") this.#later(() => this.#withdraw());
    }
    this.#wakeStamp();
    this.#wakeStamp = next.wakeAt === undefined ? (): void => {} : clock.at(next.wakeAt, () => this.#tick());
    if (isSettled(before) !== isSettled(next) || mayTake(before) !== mayTake(next)) this.#later(() => this.#apply());
  }

  #tick(): void {
    this.#hear(false);
    this.feedStamp({ type: "clock", othersSeen: this.#roster.allSeenSince(this.#stamp.settledAt) });
  }

  #withdraw(): void {
    this.#machine.announced = false;
    this.feedStamp({ type: "withdrawn" });
  }

  #publish(): void {
    this.#hear(true);
    this.#later(() => this.#apply());
  }

  #hear(changed: boolean): void {
    const { peers, isolated, reunions } = this.#state;
    const rows = peers.map((peer) => ({ ...peer, address: formatAddress(peer.address), problem: undefined }));
    this.#roster.hear({ isolated, reunions, changed, peers: rows });
  }

  #apply(): void {
    const view = this.view();
    if (!this.#informed || !view.complete) return;
    const first = (alive: ReadonlySet<string>): string | undefined => this.#order.find((name) => alive.has(name));
    // As announce/election.ts does.
    const announcer = this.#order.find((name) => {
      const before = view.away.get(name);
      return view.alive.has(name) && (before === undefined || first(before) === name);
    });
    const announced = announcer === this.#machine.name && (view.mayTake || this.#machine.announced);
    if (announced !== this.#machine.announced)
      this.#network.log.push(
        `${this.#network.clock.now()} ${this.#machine.name} ${announced ? "announces" : "withdraws"}`,
      );
    this.#machine.announced = announced;
  }

  #later(action: () => void): void {
    const { clock } = this.#network;
    clock.at(later(clock.now(), REACTION), () => {
      if (!this.#killed) action();
    });
  }

  #send(to: string, bytes: Uint8Array): void {
    const name = this.#order[Number(to.slice(to.lastIndexOf(".") + 1)) - 1] ?? "";
    const peer = this.#network.nodes.get(name);
    assert.ok(peer !== undefined);
    this.#carry(this.#machine.name, name, () => {
      const answer = peer.answer(bytes);
      if (answer === undefined) return;
      this.#carry(name, this.#machine.name, () => {
        const probe = decodeProbe(answer, KEY);
        assert.ok(probe.ok);
        if (this.#machine.powered) this.feed({ type: "received", probe: probe.value });
      });
    });
  }

  #carry(from: string, to: string, arrive: () => void): void {
    const { clock, random, loss, passes } = this.#network;
    if (random() < loss || !passes(from, to)) return;
    clock.at(later(clock.now(), 0.2 + 2 * random()), arrive);
  }
}

function cluster(size: number, seed: number, loss = 0): Network {
  const network: Network = {
    clock: virtualClock(1_000_000),
    random: seededRandom(seed),
    loss,
    passes: () => true,
    nodes: new Map(),
    informs: true,
    log: [],
  };
  for (let index = 1; index <= size; index += 1) network.nodes.set(`n${index}`, new Machine(`n${index}`, network));
  for (const machine of network.nodes.values()) machine.startAgent();
  return network;
}

function node(network: Network, name: string): Machine {
  const machine = network.nodes.get(name);
  assert.ok(machine !== undefined);
  return machine;
}

function answering(network: Network): readonly string[] {
  return [...network.nodes.values()].filter((machine) => machine.answersArp()).map(({ name }) => name);
}

/** What is to be announced can be read again, or cannot. */
function setInforms(network: Network, informs: boolean): void {
  network.informs = informs;
  if (informs) for (const { agent } of network.nodes.values()) agent?.inform();
}

/** Moves time on in small steps; at no moment two nodes may answer. Returns who answered at each step. */
function watch(network: Network, milliseconds: number): readonly (string | undefined)[] {
  const seen: (string | undefined)[] = [];
  const end: Instant = later(network.clock.now(), milliseconds);
  while (network.clock.now() < end) {
    network.clock.advance(5);
    const names = answering(network);
    assert.ok(names.length <= 1, `${names.join(" and ")} answer at ${network.clock.now()}:\n${network.log.join("\n")}`);
    seen.push(names[0]);
  }
  return seen;
}

type Action = "killAgent" | "startAgent" | "crash" | "boot" | "outage" | "recovery";

const sizes = fc.integer({ min: 2, max: 5 });
const seeds = fc.nat({ max: 2 ** 31 - 1 });
const phases = fc.integer({ min: 0, max: 700 });

describe("a cluster", () => {
  test("announces from the first node once everybody has settled", () => {
    fc.assert(
      fc.property(sizes, seeds, (size, seed) => {
        const network = cluster(size, seed);
        assert.equal(watch(network, 2000).at(-1), "n1");
        for (const { agent } of network.nodes.values())
          assert.deepEqual([agent?.view().complete, agent?.view().gone.size], [true, 0]);
      }),
      { numRuns: 20 },
    );
  });

  test("loses a dead node at all others within 700 ms, view and announcer, whatever is lost on the way", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 5 }),
        seeds,
        phases,
        fc.constantFrom(0, 0.05, 0.2),
        (size, seed, phase, loss) => {
          const network = cluster(size, seed, loss);
          watch(network, 2000 + phase);
          node(network, "n1").crash();
          // A window, the reaction, and an answer that was still under way.
          watch(network, DEFAULT_TIMING.windowMilliseconds + REACTION + 10);
          for (const { name, agent } of network.nodes.values())
            if (name !== "n1") assert.deepEqual([...(agent?.view().gone ?? [])], ["n1"], name);
          assert.deepEqual(answering(network), ["n2"]);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("of two loses the dead one as well: there is nobody else to serve", () => {
    const network = cluster(2, 1);
    watch(network, 2000);
    node(network, "n1").crash();
    watch(network, 700);
    assert.deepEqual(answering(network), ["n2"]);
  });

  // 20 pairs × 120 s × 6.7 probes a second × 0.36^17 (17 probes of a window, each or its answer lost): below one in a thousand.
  test("of five loses nobody in two minutes although a fifth of all packets is lost in either direction", () => {
    const network = cluster(5, 42, 0.2);
    for (let second = 0; second < 120; second += 1) {
      network.clock.advance(1000);
      for (const { agent } of network.nodes.values()) assert.equal(agent?.view().gone.size, 0);
    }
    for (const { agent } of network.nodes.values())
      assert.deepEqual([agent?.view().reunions, agent?.view().isolated], [0, false]);
  });

  test("does lose nodes where most packets are lost: the test above can fail", () => {
    const network = cluster(5, 42, 0.6);
    network.clock.advance(20_000);
    assert.ok([...network.nodes.values()].some(({ agent }) => (agent?.view().reunions ?? 0) > 0));
  });
});

describe("an agent that is killed", () => {
  test("costs nothing while its stamp lasts: nobody else takes over", () => {
    const network = cluster(3, 7);
    watch(network, 2000);
    node(network, "n1").killAgent();
    assert.deepEqual(new Set(watch(network, GRACE - MARGIN - 600)), new Set(["n1"]));
    node(network, "n1").startAgent();
    assert.deepEqual(new Set(watch(network, 3000)), new Set(["n1"]));
  });

  test("and stays away falls silent a margin before exactly one other takes over", () => {
    fc.assert(
      fc.property(sizes, seeds, phases, fc.constantFrom(0, 0.05), (size, seed, phase, loss) => {
        const network = cluster(size, seed, loss);
        watch(network, 2000 + phase);
        node(network, "n1").killAgent();
        const seen = watch(network, GRACE + 1000);
        assert.equal(seen.at(-1), "n2");
        const silent = seen.filter((name) => name === undefined).length * 5;
        assert.ok(silent >= MARGIN - 5 && silent <= MARGIN + REACTION + 250, `nobody answered for ${silent} ms`);
        assert.deepEqual([...(node(network, "n2").agent?.view().gone ?? [])], [], "its pods still serve");
      }),
      { numRuns: 25 },
    );
  });

  test("while it announces for another takes over nothing back when it starts again", () => {
    const network = cluster(3, 11);
    watch(network, 2000);
    node(network, "n1").crash();
    watch(network, 1000);
    node(network, "n2").killAgent();
    watch(network, 500);
    node(network, "n2").startAgent();
    assert.deepEqual(new Set(watch(network, 2000)), new Set(["n2"]));
  });
});

describe("a node that is cut off", () => {
  test("keeps its view, and the others lose it", () => {
    const network = cluster(4, 3);
    watch(network, 2000);
    network.passes = (from, to) => from !== "n4" && to !== "n4";
    watch(network, 5000);
    const view = node(network, "n4").agent?.view();
    assert.deepEqual(
      [view?.isolated, view?.gone.size, [...(view?.alive ?? [])].toSorted()],
      [true, 0, ["n1", "n2", "n3", "n4"]],
    );
    assert.deepEqual([...(node(network, "n2").agent?.view().gone ?? [])], ["n4"]);
    assert.deepEqual(answering(network), ["n1"]);
  });

  test("knows that it was, when it is back: what it announces must be announced again", () => {
    const network = cluster(4, 3);
    watch(network, 2000);
    network.passes = (from, to) => from !== "n1" && to !== "n1";
    network.clock.advance(5000);
    // The exception: on a cut segment each side has its announcer.
    assert.deepEqual(answering(network), ["n1", "n2"]);
    network.passes = () => true;
    network.clock.advance(1000);
    assert.deepEqual(answering(network), ["n1"]);
    const view = node(network, "n1").agent?.view();
    assert.deepEqual([view?.isolated, view?.reunions], [false, 1]);
  });
});

test("a node that returns while the agent of its replacement is away waits for it, and takes over when it is back", () => {
  const network = cluster(3, 5);
  watch(network, 2500);
  node(network, "n1").crash();
  watch(network, 1000);
  node(network, "n2").killAgent();
  node(network, "n1").boot();
  assert.deepEqual(new Set(watch(network, 2500)), new Set(["n2"]));
  node(network, "n2").startAgent();
  assert.equal(watch(network, 3000).at(-1), "n1");
});

describe("an agent that starts and cannot read what there is to announce", () => {
  /** n2's agent starts anew and is seen to be away. */
  function uninformed(size: number, seed: number): Network {
    const network = cluster(size, seed);
    watch(network, 2000);
    setInforms(network, false);
    node(network, "n2").killAgent();
    node(network, "n2").startAgent();
    watch(network, 2000);
    return network;
  }

  test("keeps what its datapath answers for, for as long as that lasts", () => {
    const network = cluster(3, 7);
    watch(network, 2000);
    setInforms(network, false);
    node(network, "n1").killAgent();
    node(network, "n1").startAgent();
    assert.deepEqual(new Set(watch(network, 4 * GRACE)), new Set(["n1"]));
    setInforms(network, true);
    assert.deepEqual(new Set(watch(network, 3000)), new Set(["n1"]));
  });

  test("is passed over for what another node leaves, and takes it when it has read", () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 5 }), seeds, phases, (size, seed, phase) => {
        const network = uninformed(size, seed);
        watch(network, phase);
        node(network, "n1").crash();
        watch(network, DEFAULT_TIMING.windowMilliseconds + REACTION + 10);
        assert.deepEqual(answering(network), ["n3"]);
        assert.deepEqual(new Set(watch(network, 2 * GRACE)), new Set(["n3"]));
        setInforms(network, true);
        assert.equal(watch(network, 3000).at(-1), "n2");
      }),
      { numRuns: 20 },
    );
  });

  test("is passed over as soon as it is seen to be away, also for what was left meanwhile", () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 600, max: 1400 }), (seed, pause) => {
        const network = cluster(3, seed);
        watch(network, 2000);
        setInforms(network, false);
        node(network, "n2").killAgent();
        node(network, "n2").startAgent();
        watch(network, pause);
        node(network, "n1").crash();
        watch(network, TIMING.awayMilliseconds + 500);
        assert.deepEqual(answering(network), ["n3"]);
      }),
      { numRuns: 20 },
    );
  });

  test("keeps what it had taken over before", () => {
    const network = cluster(3, 7);
    watch(network, 2000);
    node(network, "n1").crash();
    watch(network, 1000);
    setInforms(network, false);
    node(network, "n2").killAgent();
    node(network, "n2").startAgent();
    assert.deepEqual(new Set(watch(network, 4 * GRACE)), new Set(["n2"]));
  });

  test("after its node was away gets nothing back before it has read", () => {
    const network = cluster(3, 7);
    watch(network, 2000);
    node(network, "n1").crash();
    watch(network, 1000);
    setInforms(network, false);
    node(network, "n1").boot();
    assert.deepEqual(new Set(watch(network, 2 * GRACE)), new Set(["n2"]));
    setInforms(network, true);
    assert.equal(watch(network, 3000).at(-1), "n1");
  });
});

test("a peer whose agent is dead is passed over long before its grace ends", () => {
  const network = cluster(3, 7);
  watch(network, 2000);
  node(network, "n2").killAgent();
  watch(network, 2000);
  node(network, "n1").crash();
  watch(network, 700);
  assert.deepEqual(answering(network), ["n3"]);
});

test("never two nodes answer, whatever agents and nodes stop and start, and in the end the first does", () => {
  const names = ["n1", "n2", "n3"];
  // Both found by this test: the replacement's agent is away when the first node returns; an agent dies while it settles.
  const examples: [number, [string, Action, number][]][] = [
    [
      0,
      [
        ["n1", "crash", 876],
        ["n2", "killAgent", 0],
        ["n1", "boot", 841],
      ],
    ],
    [
      0,
      [
        ["n1", "crash", 1766],
        ["n1", "boot", 36],
        ["n1", "killAgent", 0],
      ],
    ],
  ];
  const actions = fc.array(
    fc.tuple(
      fc.constantFrom(...names),
      fc.constantFrom<Action>("killAgent", "startAgent", "crash", "boot", "outage", "recovery"),
      fc.oneof(fc.nat({ max: 400 }), fc.nat({ max: 7000 })),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(seeds, actions, (seed, list) => {
      const network = cluster(names.length, seed);
      for (const [name, action, pause] of list) {
        const machine = node(network, name);
        network.log.push(`${network.clock.now()} ${name} ${action}`);
        if (action === "outage" || action === "recovery") setInforms(network, action === "recovery");
        else if (action === "boot" ? !machine.powered : machine.powered) machine[action]();
        watch(network, pause);
      }
      for (const machine of network.nodes.values()) {
        if (machine.powered) machine.startAgent();
        else machine.boot();
      }
      setInforms(network, true);
      assert.equal(watch(network, 3000).at(-1), "n1");
    }),
    { numRuns: 60, examples },
  );
});
