import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { instant, later, type Instant } from "../../../time/instant.ts";
import { seededRandom, type Random } from "../../../time/jitter.ts";
import {
  deadline,
  DEFAULT_TIMING,
  initialState,
  isLeading,
  step,
  type Effect,
  type Event,
  type Held,
  type State,
} from "./machine.ts";

const START = instant(1000);
const lease = (holderIdentity: string, version: number): Held => ({
  holderIdentity,
  leaseDurationSeconds: 3,
  renewTime: String(version),
  leaseTransitions: 0,
  resourceVersion: String(version),
});

/** Feeds events, each at its time, and returns the last effects' types. */
function run(...events: readonly (readonly [number, Event])[]): {
  readonly state: State;
  readonly types: readonly string[];
} {
  let state = initialState("a", DEFAULT_TIMING, START);
  let effects: readonly Effect[] = [];
  for (const [at, event] of events) [state, effects] = step(state, event, later(START, at), () => 0.5);
  return { state, types: effects.map(({ type }) => type) };
}

describe("a replica", () => {
  const rows: readonly (readonly [string, readonly (readonly [number, Event])[], readonly string[], boolean])[] = [
    ["looks at the lease first", [[0, { type: "clock" }]], ["read"], false],
    [
      "takes one that nobody has made",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: undefined }],
      ],
      ["write"],
      false,
    ],
    [
      "takes one that was given back",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: lease("", 1) }],
      ],
      ["write"],
      false,
    ],
    [
      "leaves one that is held",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: lease("b", 1) }],
      ],
      [],
      false,
    ],
    [
      "leaves one that is renewed, however long",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: lease("b", 1) }],
        [2900, { type: "read", lease: lease("b", 2) }],
        [5800, { type: "read", lease: lease("b", 3) }],
      ],
      [],
      false,
    ],
    [
      "takes one that was not renewed for its duration",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: lease("b", 1) }],
        [3001, { type: "read", lease: lease("b", 1) }],
      ],
      ["write"],
      false,
    ],
    [
      "leads once its name stands there",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: undefined }],
        [2, { type: "written", lease: lease("a", 1) }],
      ],
      ["lead"],
      true,
    ],
    [
      "does not lead by an answer that came too late",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: undefined }],
        [2002, { type: "written", lease: lease("a", 1) }],
      ],
      [],
      false,
    ],
    [
      "stops when it could not renew in time",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: undefined }],
        [2, { type: "written", lease: lease("a", 1) }],
        [2001, { type: "clock" }],
      ],
      ["follow", "read"],
      false,
    ],
    [
      "renews what is its own without looking",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: undefined }],
        [2, { type: "written", lease: lease("a", 1) }],
        [800, { type: "clock" }],
      ],
      ["write"],
      true,
    ],
    [
      "looks again when its renewal was refused",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: undefined }],
        [2, { type: "written", lease: lease("a", 1) }],
        [800, { type: "clock" }],
        [801, { type: "failed" }],
        [1600, { type: "clock" }],
      ],
      ["read"],
      true,
    ],
    [
      "goes on when only an annotation had been changed",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: undefined }],
        [2, { type: "written", lease: lease("a", 1) }],
        [800, { type: "failed" }],
        [1600, { type: "clock" }],
        [1601, { type: "read", lease: lease("a", 2) }],
      ],
      ["write"],
      true,
    ],
    [
      "stops at once when another name stands there",
      [
        [0, { type: "clock" }],
        [1, { type: "read", lease: undefined }],
        [2, { type: "written", lease: lease("a", 1) }],
        [800, { type: "failed" }],
        [1600, { type: "clock" }],
        [1601, { type: "read", lease: lease("b", 2) }],
      ],
      ["follow"],
      false,
    ],
  ];
  for (const [name, events, types, leading] of rows)
    it(name, () => {
      const ran = run(...events);
      assert.deepEqual(ran.types, types);
      assert.equal(isLeading(ran.state), leading);
    });
});

interface Replica {
  state: State;
  /** Answers on their way. */
  inbox: { at: Instant; event: Event }[];
  /** Does not run until then. */
  pausedUntil: Instant;
}

/** Replicas and one Lease; requests and answers take their time or are lost, replicas are paused. Calls back at every moment. */
function simulate(seed: number, onMoment: (leaders: readonly number[], now: Instant) => void): void {
  const random = seededRandom(seed);
  const replicas = ["a", "b", "c"].map((name): Replica => ({
    state: initialState(name, DEFAULT_TIMING, START),
    inbox: [],
    pausedUntil: START,
  }));
  let stored: Held | undefined;
  let version = 0;
  const send = (replica: Replica, effect: Effect, now: Instant): void => {
    if (effect.type === "lead" || effect.type === "follow") return;
    const answer = (event: Event): void => {
      // One in ten answers is lost: the driver says so after a while.
      const lost = random() < 0.1;
      replica.inbox.push({ at: later(now, lost ? 900 : random() * 300), event: lost ? { type: "failed" } : event });
    };
    if (effect.type === "read") answer({ type: "read", lease: stored });
    else if (effect.over?.resourceVersion !== stored?.resourceVersion) answer({ type: "failed" });
    else {
      stored = { ...lease(replica.state.identity, (version += 1)), leaseTransitions: effect.leaseTransitions };
      answer({ type: "written", lease: stored });
    }
  };
  for (let now = START; now < 60_000; now = later(now, 10)) {
    for (const replica of replicas) {
      if (random() < 0.0005) replica.pausedUntil = later(now, random() * 8000);
      if (replica.pausedUntil > now) continue;
      drive(replica, now, random, send);
    }
    onMoment(
      replicas.flatMap(({ state, pausedUntil }, index) => (isLeading(state) && pausedUntil <= now ? [index] : [])),
      now,
    );
  }
}

function drive(
  replica: Replica,
  now: Instant,
  random: Random,
  send: (r: Replica, e: Effect, now: Instant) => void,
): void {
  const feed = (event: Event): void => {
    const [next, effects] = step(replica.state, event, now, random);
    replica.state = next;
    for (const effect of effects) send(replica, effect, now);
  };
  // Timers before answers, as they are due: who was paused learns first that its time is over.
  if (deadline(replica.state) <= now) feed({ type: "clock" });
  const due = replica.inbox.filter(({ at }) => at <= now);
  replica.inbox = replica.inbox.filter(({ at }) => at > now);
  for (const { event } of due) feed(event);
}

describe("three replicas whose requests are late or lost and who are paused", () => {
  it("never lead two at once, and are never long without a leader", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        let led = 0;
        let moments = 0;
        simulate(seed, (leaders) => {
          assert.ok(leaders.length <= 1, `${leaders.join(" and ")} lead at once`);
          led += leaders.length;
          moments += 1;
        });
        assert.ok(led > moments / 3, `somebody led in ${led} of ${moments} moments`);
      }),
      { numRuns: 60 },
    );
  });
});
