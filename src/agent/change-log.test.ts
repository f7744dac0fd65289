import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { address } from "../net/address.ts";
import { ChangeLog } from "./change-log.ts";
import { initialState, type AgentState } from "./state.ts";
import { memoryMaps } from "./world.fixture.ts";
import { seeing } from "../protocol/swim/view.fixture.ts";

let state: AgentState;
let events: string[];
let changes: ChangeLog;

beforeEach(() => {
  state = initialState({ node: "me", version: "0", maps: memoryMaps() });
  events = [];
  changes = new ChangeLog(
    (event, fields) => void events.push(`${event} ${Object.values(fields ?? {}).join(" ")}`.trim()),
  );
});

test("a problem is told when it comes and when it is solved, and not in between", () => {
  state.attachProblems = [{ subject: "Device eth0", message: "busy" }];
  changes.report(state);
  changes.report(state);
  state.attachProblems = [];
  changes.report(state);
  assert.deepEqual(events, ["problem Device eth0 busy", "problemSolved Device eth0: busy"]);
});

test("a hazard of the node is told like a problem", () => {
  const words = { message: "it has 192.0.2.1", todo: "Take it off.", addresses: [] };
  state.hazards = [{ check: "AddressHeld", level: "problem", subject: "lo", ...words }];
  changes.report(state);
  state.hazards = [];
  changes.report(state);
  assert.deepEqual(events, [
    "problem Node me AddressHeld lo it has 192.0.2.1",
    "problemSolved Node me: AddressHeld lo: it has 192.0.2.1",
  ]);
});

test("a thousand problems are ten lines and a number", () => {
  state.attachProblems = Array.from({ length: 1000 }, (_, i) => ({
    subject: `Service default/s${i}`,
    message: "no room",
  }));
  changes.report(state);
  assert.equal(events.length, 11);
  assert.equal(events.at(-1), "omitted problem 990");
});

test("an address is told when it is taken and when it is given up", () => {
  state.announcing = {
    elections: new Map(),
    addresses: new Map(),
    announcements: [{ address: address("192.168.10.0"), interfaces: "all", services: ["default/web"] }],
  };
  changes.report(state);
  changes.report(state);
  state.announcing = { elections: new Map(), addresses: new Map(), announcements: [] };
  changes.report(state);
  assert.deepEqual(events, ["addressTaken 192.168.10.0 default/web", "addressReleased 192.168.10.0 default/web"]);
});

test("a peer is told when its state changes, not when it is first seen", () => {
  const peer = {
    name: "worker2",
    address: address("192.0.2.2"),
    remainingMilliseconds: 1,
    lastAnswerMilliseconds: 1,
    problem: undefined,
    away: false,
  };
  for (const is of ["alive", "alive", "gone"] as const) {
    state.membership = () => seeing([], { peers: [{ ...peer, state: is }] });
    changes.report(state);
  }
  for (const away of [true, false]) {
    state.membership = () => seeing([], { peers: [{ ...peer, state: "alive", away }] });
    changes.report(state);
  }
  assert.deepEqual(events, [
    "peerChanged worker2 alive gone",
    "peerChanged worker2 gone alive, agent away",
    "peerChanged worker2 alive, agent away alive",
  ]);
});

test("being cut off is told once, and its end", () => {
  for (const isolated of [true, true, false]) {
    state.membership = () => seeing([], { isolated });
    changes.report(state);
  }
  assert.deepEqual(events, ["isolated", "rejoined"]);
});
