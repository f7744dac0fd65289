import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";
import { initialState, type AgentState } from "./state.ts";
import type { Sliced } from "../time/slices.ts";
import { startLoop, type Loop } from "./loop.ts";
import type { Passed } from "./pass.ts";
import { memoryMaps } from "./world.fixture.ts";

let state: AgentState;
let passes: number;
let outcome: () => Passed;
/** A pass is so many pieces of work, each of which takes a millisecond of the loop's clock. */
let pieces: number;
let now: number;
let loop: Loop;
let events: string[];

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setImmediate", "Date"] });
  state = initialState({ node: "me", version: "0", maps: memoryMaps() });
  passes = 0;
  events = [];
  outcome = () => ({ written: 1, settled: true });
  pieces = 0;
  now = 0;
  const pass = function* (): Sliced<Passed> {
    passes += 1;
    for (let piece = 0; piece < pieces; piece += 1) {
      now += 1;
      events.push(`piece ${piece}`);
      yield;
    }
    return outcome();
  };
  const pace = { sliceMilliseconds: 2, now: () => now };
  loop = startLoop({ state, log: (event) => void events.push(event), pass, onPass: () => {}, pace });
});

afterEach(() => {
  loop.stop();
  mock.timers.reset();
});

function refuse(): never {
  throw new Error("Cannot write rows: No space left on device (ENOSPC)");
}

describe("the loop", () => {
  test("takes several changes of one turn together", () => {
    loop.soon();
    loop.soon();
    mock.timers.tick(0);
    assert.equal(passes, 1);
    assert.deepEqual(state.convergence, { state: "done" });
    assert.deepEqual(events, ["ready", "reconciled"]);
  });

  test("lets others have their turn between the slices of a long pass", () => {
    pieces = 5;
    loop.soon();
    setImmediate(() => events.push("other"));
    for (let turn = 0; turn < 4; turn += 1) mock.timers.tick(0);
    const order = ["piece 0", "piece 1", "other", "piece 2", "piece 3", "piece 4", "ready"];
    assert.deepEqual(events.slice(0, order.length), order);
  });

  test("passes again after a pass during which something changed, never two at a time", () => {
    pieces = 4;
    loop.soon();
    setImmediate(() => loop.soon());
    mock.timers.tick(0);
    mock.timers.tick(0);
    mock.timers.tick(0);
    mock.timers.tick(0);
    assert.equal(passes, 2);
    assert.deepEqual(events.slice(0, 6), ["piece 0", "piece 1", "piece 2", "piece 3", "ready", "reconciled"]);
  });

  test("a failure in a late slice is a failure of the pass", () => {
    pieces = 4;
    outcome = refuse;
    loop.soon();
    for (let turn = 0; turn < 4; turn += 1) mock.timers.tick(0);
    assert.equal(state.convergence.state, "failed");
  });

  test("a loop that is stopped in a pause does not go on", () => {
    pieces = 10;
    loop.soon();
    mock.timers.tick(0);
    loop.stop();
    const done = events.length;
    mock.timers.tick(60_000);
    assert.equal(events.length, done);
  });

  test("passes again after half a minute although nothing changed", () => {
    loop.soon();
    mock.timers.tick(0);
    mock.timers.tick(29_999);
    assert.equal(passes, 1);
    mock.timers.tick(2);
    assert.equal(passes, 2);
  });

  test("is not ready while something waits, and looks again soon", () => {
    outcome = () => ({ written: 0, settled: false });
    loop.soon();
    mock.timers.tick(0);
    assert.equal(state.convergence.state, "pending");
    assert.equal(events.includes("ready"), false);
    outcome = () => ({ written: 0, settled: true });
    mock.timers.tick(2001);
    assert.equal(state.convergence.state, "done");
  });

  test("after a failure keeps the reason, waits although something changes, and tries again", () => {
    outcome = refuse;
    loop.soon();
    mock.timers.tick(0);
    assert.equal(state.convergence.state, "failed");
    assert.match(state.convergence.state === "failed" ? state.convergence.message : "", /^Cannot write rows: /);
    loop.soon();
    mock.timers.tick(0);
    assert.equal(passes, 1);
    state.convergence = { state: "failed", message: "", attempts: 1, retryAt: 0 };
    outcome = () => ({ written: 1, settled: true });
    loop.soon();
    mock.timers.tick(0);
    assert.equal(passes, 2);
    assert.equal(state.convergence.state, "done");
  });

  test("does nothing any more when it is stopped", () => {
    loop.soon();
    loop.stop();
    mock.timers.tick(60_000);
    loop.soon();
    mock.timers.tick(60_000);
    assert.equal(passes, 0);
  });
});
