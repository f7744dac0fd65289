import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Problem } from "../net/problem.ts";
import { Hindrances } from "./hindrances.ts";

const AWAY = "Cannot have the Lease x: the API server cannot be reached: it hung up";
const REFUSED = "Cannot have the Lease x: the API server answers 403: no";
const OUTAGE: Problem = {
  subject: "Kubernetes",
  message: "the API server cannot be reached: it hung up; what was last read stays in force",
};

let problems: readonly Problem[];
let lines: string[];
let counts: number[];
let hindrances: Hindrances;

beforeEach(() => {
  problems = [];
  lines = [];
  counts = [];
  const note = (_: unknown, text?: string): void => void lines.push(text ?? "");
  hindrances = new Hindrances({
    log: { info: note, warn: note },
    problems: () => problems,
    counted: (count) => counts.push(count),
  });
});

test("a hindrance is told when it begins and when it ends, however often it is met", () => {
  for (const message of [REFUSED, REFUSED, undefined, undefined]) hindrances.note("the Lease", message);
  assert.deepEqual(
    [lines, counts],
    [
      [REFUSED, `Solved: ${REFUSED}`],
      [1, 0],
    ],
  );
});

test("an API server that is away, and refuses when it is back, is told by what is read, not by everything that cannot be done", () => {
  hindrances.note("the Lease", AWAY);
  problems = [OUTAGE];
  hindrances.note("the Lease", AWAY);
  hindrances.note("the agents' key", AWAY);
  hindrances.note("the Lease", REFUSED);
  problems = [];
  hindrances.note("the Lease", undefined);
  assert.deepEqual([lines, counts], [[], []]);
});

test("what was refused before an outage stays told, until it is not any more", () => {
  hindrances.note("statuses", REFUSED);
  problems = [OUTAGE];
  hindrances.note("statuses", AWAY);
  problems = [];
  hindrances.note("statuses", REFUSED);
  hindrances.note("statuses", undefined);
  assert.deepEqual(lines, [REFUSED, `Solved: ${REFUSED}`]);
});
