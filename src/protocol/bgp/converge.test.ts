/**
 * Whole sessions on one virtual clock: two machines and a network that delays, loses connections and falls silent. What they
 * promise each other, whatever happens, is stated here and nowhere else.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { address } from "../../net/address.ts";
import { virtualClock, type VirtualClock } from "../../time/clock.ts";
import { later } from "../../time/instant.ts";
import { seededRandom, type Random } from "../../time/jitter.ts";
import type { SessionConfig } from "./config.ts";
import { step } from "./machine.ts";
import { ceaseNotification } from "./notification.ts";
import { deadline, initialSession, stateOf, type Effect, type Event, type Received, type Session } from "./session.ts";
import { CONFIG } from "./session.fixture.ts";

interface Options {
  readonly left: Partial<SessionConfig>;
  readonly right: Partial<SessionConfig>;
  readonly identifiers: readonly [number, number];
  readonly seed: number;
  /** Longest way of a message. */
  readonly delayMilliseconds: number;
  /** All messages take exactly so long. */
  readonly even?: boolean;
}

/** One end of a TCP connection. */
interface End {
  readonly machine: Machine;
  readonly id: string;
  peer?: End;
  open: boolean;
}

class Machine {
  session: Session;
  readonly ends = new Map<string, End>();
  /** Went up less went down, and the connections that are up. */
  readonly up = new Set<string>();
  accepted = 0;
  cancel = (): void => {};

  readonly world: World;

  constructor(world: World, config: SessionConfig, identifier: number) {
    this.world = world;
    this.session = initialSession(config, { bgpIdentifier: identifier, hostname: "" }, world.clock.now());
  }

  do(event: Event): void {
    const [next, effects] = step(this.session, event, this.world.clock.now(), this.world.random);
    this.session = next;
    for (const effect of effects) this.perform(effect);
    this.cancel();
    const wakeAt = deadline(next);
    if (wakeAt !== undefined)
      assert.ok(wakeAt >= later(this.world.clock.now(), -1), "a timer that is always due spins");
    this.cancel = wakeAt === undefined ? (): void => {} : this.world.clock.at(wakeAt, () => this.do({ type: "clock" }));
    this.check();
  }

  perform(effect: Effect): void {
    if (effect.type === "dial") this.world.dial(this, effect.connection);
    if (effect.type === "send") this.world.deliver(this.ends.get(effect.connection), effect.message);
    if (effect.type === "close") this.world.close(this, effect);
    if (effect.type === "up") this.up.add(effect.connection);
    if (effect.type === "down") assert.ok(this.up.delete(effect.connection), "down without up");
  }

  /** What holds after every event. */
  check(): void {
    const { connections, dialAt } = this.session;
    assert.ok(connections.filter(({ direction }) => direction === "outgoing").length <= 1);
    assert.ok(connections.filter(({ state }) => state === "established").length <= 1);
    assert.ok(connections.length <= 3);
    assert.deepEqual(
      [...this.up].toSorted(),
      connections.filter(({ state }) => state === "established").map(({ id }) => id),
    );
    for (const connection of connections) {
      assert.ok(this.ends.has(connection.id), `${connection.id} has no socket`);
      const { state, negotiated, holdAt, keepaliveAt, attemptEndsAt } = connection;
      if (state === "connecting") assert.ok(attemptEndsAt !== undefined, "an attempt without end");
      else if (negotiated?.holdTimeSeconds === 0) assert.deepEqual([holdAt, keepaliveAt], [undefined, undefined]);
      else assert.ok(holdAt !== undefined, `nobody would notice silence in ${state}`);
      if (negotiated !== undefined && negotiated.holdTimeSeconds > 0)
        assert.ok(keepaliveAt !== undefined, "no KEEPALIVE would follow");
    }
    for (const id of this.ends.keys())
      assert.ok(
        connections.some((one) => one.id === id),
        `${id} is a socket nobody looks after`,
      );
    if (!this.session.running)
      assert.deepEqual([connections.length, dialAt, deadline(this.session)], [0, undefined, undefined]);
    else if (connections.length === 0 && this.session.config.initiation !== "accept")
      assert.ok(dialAt !== undefined, "nobody will dial again");
  }
}

class World {
  readonly clock: VirtualClock = virtualClock(1000);
  readonly random: Random;
  readonly machines: readonly [Machine, Machine];
  /** Nothing arrives. */
  silent = false;
  readonly #delay: () => number;

  constructor({ left, right, identifiers, seed, delayMilliseconds, even = false }: Options) {
    this.random = seededRandom(seed);
    this.#delay = () => (even ? delayMilliseconds : this.random() * delayMilliseconds);
    const peer = { type: "address", address: address("192.0.2.1") } as const;
    this.machines = [
      new Machine(this, { ...CONFIG, peer, localAsn: 65001, peerAsn: 65002, ...left }, identifiers[0]),
      new Machine(this, { ...CONFIG, peer, localAsn: 65002, peerAsn: 65001, ...right }, identifiers[1]),
    ];
  }

  start(): this {
    for (const machine of this.machines) machine.do({ type: "start" });
    return this;
  }

  dial(from: Machine, id: string): void {
    const to = this.machines.find((machine) => machine !== from);
    assert.ok(to);
    const ours: End = { machine: from, id, open: true };
    from.ends.set(id, ours);
    this.#soon(() => {
      if (!ours.open) return;
      to.accepted += 1;
      const theirs: End = { machine: to, id: `in:${to.accepted}`, peer: ours, open: true };
      ours.peer = theirs;
      to.ends.set(theirs.id, theirs);
      this.#soon(() => ours.open && from.do({ type: "connected", connection: id }));
      to.do({ type: "accepted", connection: theirs.id });
    });
  }

  deliver(from: End | undefined, message: Received): void {
    assert.ok(from !== undefined, "sent into no connection");
    this.#soon(() => {
      const to = from.peer;
      if (to?.open === true) to.machine.do({ type: "received", connection: to.id, message });
    });
  }

  close(machine: Machine, { connection, notification }: Extract<Effect, { type: "close" }>): void {
    const ours = machine.ends.get(connection);
    if (ours === undefined) return;
    machine.ends.delete(connection);
    ours.open = false;
    this.#soon(() => {
      const theirs = ours.peer;
      if (theirs?.open !== true) return;
      if (notification !== undefined)
        theirs.machine.do({ type: "received", connection: theirs.id, message: notification });
      if (theirs.open) theirs.machine.do({ type: "closed", connection: theirs.id, reason: "closed" });
    });
  }

  /** TCP is cut: both sides notice. */
  cut(): void {
    for (const machine of this.machines)
      for (const end of [...machine.ends.values()]) {
        end.open = false;
        machine.ends.delete(end.id);
        // What the machine closes by itself is gone already.
        if (machine.session.connections.some(({ id }) => id === end.id))
          machine.do({ type: "closed", connection: end.id, reason: "cut" });
      }
  }

  get established(): boolean {
    return this.machines.every(({ session }) => stateOf(session) === "established");
  }

  #last = 0;
  /** In order, as TCP does it, each a little later. */
  #soon(deliver: () => unknown): void {
    this.#last = Math.max(this.#last, this.clock.now() + this.#delay());
    this.clock.at(later(this.clock.now(), this.#last - this.clock.now()), () => {
      if (!this.silent) deliver();
    });
  }
}

const initiation = fc.constantFrom("dial", "accept", "both");
const options: fc.Arbitrary<Options> = fc
  .record({
    initiations: fc
      .tuple(initiation, initiation)
      .filter(([a, b]) => (a !== "accept" && b !== "dial") || (b !== "accept" && a !== "dial")),
    hold: fc.tuple(fc.constantFrom(0, 3, 9, 90), fc.constantFrom(0, 3, 9, 90)),
    restart: fc.tuple(fc.boolean(), fc.boolean()),
    identifiers: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    seed: fc.nat(),
    delayMilliseconds: fc.constantFrom(0, 1, 50, 400),
  })
  .map(({ initiations, hold, restart, ...rest }) => ({
    ...rest,
    left: half(initiations[0], hold[0], restart[0]),
    right: half(initiations[1], hold[1], restart[1]),
  }));

function half(who: SessionConfig["initiation"], holdTimeSeconds: number, restart: boolean): Partial<SessionConfig> {
  const gracefulRestart = { restartTimeSeconds: 60, notifications: false };
  return { initiation: who, holdTimeSeconds, connectTimeSeconds: 5, ...(restart ? { gracefulRestart } : {}) };
}

type Mishap =
  | { readonly type: "cut" | "silence" | "stop" | "start" | "reset" }
  | { readonly type: "wait"; readonly milliseconds: number };

const mishap: fc.Arbitrary<readonly [Mishap, 0 | 1]> = fc.tuple(
  fc.oneof(
    fc.constantFrom<Mishap>(
      { type: "cut" },
      { type: "silence" },
      { type: "stop" },
      { type: "start" },
      { type: "reset" },
    ),
    fc.integer({ min: 0, max: 20_000 }).map((milliseconds): Mishap => ({ type: "wait", milliseconds })),
  ),
  fc.constantFrom(0, 1),
);

describe("two speakers", () => {
  test("come to one session within a minute, whoever calls, however slow the network, and keep it", () => {
    fc.assert(
      fc.property(options, (chosen) => {
        const world = new World(chosen).start();
        world.clock.advance(60_000);
        assert.ok(world.established, world.machines.map(({ session }) => stateOf(session)).join());
        const ups = world.machines.map(
          ({ session }) => session.history.filter(({ to }) => to === "established").length,
        );
        world.clock.advance(600_000);
        assert.ok(world.established);
        const after = world.machines.map(
          ({ session }) => session.history.filter(({ to }) => to === "established").length,
        );
        assert.deepEqual(after, ups, "it flapped although nothing happened");
      }),
      { numRuns: 400 },
    );
  });

  test("find together again after anything, and leave no timer and no socket behind on the way", () => {
    fc.assert(
      fc.property(options, fc.array(mishap, { maxLength: 12 }), (chosen, mishaps) => {
        const world = new World(chosen).start();
        for (const [what, who] of mishaps) happen(world, what, world.machines[who]);
        world.silent = false;
        // With a hold time of zero nobody would notice a silence.
        world.cut();
        for (const machine of world.machines) machine.do({ type: "start" });
        world.clock.advance(400_000);
        assert.ok(world.established, world.machines.map(({ session }) => stateOf(session)).join());
      }),
      { numRuns: 400 },
    );
  });

  test("that call each other at the same moment agree at once on which connection stays", () => {
    for (const identifiers of [
      [1, 2],
      [2, 1],
      [2, 2],
    ] as const)
      for (const delayMilliseconds of [0, 1, 20]) {
        const world = new World({ left: {}, right: {}, identifiers, seed: 1, delayMilliseconds, even: true }).start();
        world.clock.advance(700);
        assert.ok(world.established, `${identifiers.join()} after ${delayMilliseconds} ms`);
        const [left] = world.machines[0].session.connections;
        const ours = identifiers[0] > identifiers[1];
        assert.equal(left?.direction, ours ? "outgoing" : "incoming");
      }
  });

  test("notice within the hold time that the other has fallen silent", () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const left = half("dial", 9, false);
      const world = new World({
        left,
        right: half("accept", 90, false),
        identifiers: [1, 2],
        seed,
        delayMilliseconds: 5,
      }).start();
      world.clock.advance(10_000);
      assert.ok(world.established);
      world.silent = true;
      world.clock.advance(9100);
      for (const { session } of world.machines) assert.notEqual(stateOf(session), "established");
    }
  });
});

function happen(world: World, what: Mishap, machine: Machine): void {
  switch (what.type) {
    case "cut":
      world.cut();
      return;
    case "silence":
      world.silent = true;
      world.clock.advance(15_000);
      world.silent = false;
      return;
    case "stop":
      machine.do({ type: "stop", reason: "test", notification: ceaseNotification("administrativeShutdown") });
      return;
    case "start":
      machine.do({ type: "start" });
      return;
    case "reset":
      machine.do({ type: "reset", reason: "test", notification: ceaseNotification("administrativeReset") });
      return;
    case "wait":
      world.clock.advance(what.milliseconds);
      return;
  }
}
