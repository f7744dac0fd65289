import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";
import { initialState, type AgentState } from "./state.ts";
import { startLoop, type Loop } from "./loop.ts";
import { memoryMaps } from "./world.fixture.ts";

let state: AgentState;
let passes: number;
let outcome: () => { written: number; settled: boolean };
let loop: Loop;
let events: string[];

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setImmediate", "Date"] });
  state = initialState({ node: "me", version: "0", maps: memoryMaps() });
  passes = 0;
  events = [];
  outcome = () => ({ written: 1, settled: true });
  const pass = (): { written: number; settled: boolean } => {
    passes += 1;
    return outcome();
  };
  loop = startLoop({ state, log: (event) => void events.push(event), pass, onPass: () => {} });
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
