import assert from "node:assert/strict";
import { test } from "node:test";
import { openLog } from "./log.ts";

function capture(level: string): {
  readonly lines: Record<string, unknown>[];
  readonly log: ReturnType<typeof openLog>;
} {
  const lines: Record<string, unknown>[] = [];
  const log = openLog({
    node: "worker1",
    level,
    write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  });
  return { lines, log };
}

test("an event is one line of JSON with its name, its level, the node and the time", () => {
  const { lines, log } = capture("info");
  log("addressTaken", { address: "192.168.10.0" });
  assert.equal(lines.length, 1);
  const { time, ...rest } = lines[0] ?? {};
  assert.deepEqual(rest, {
    level: "info",
    node: "worker1",
    event: "addressTaken",
    address: "192.168.10.0",
    msg: "This node announces the address",
  });
  assert.match(String(time), /^\d{4}-\d{2}-\d{2}T[\d:.]+Z$/);
});

test("events below the level are not written", () => {
  const { lines, log } = capture("warn");
  log("reconciled");
  log("starting");
  log("problem", { subject: "Service default/web" });
  assert.deepEqual(
    lines.map(({ event }) => event),
    ["problem"],
  );
});

test("silent is silent", () => {
  const { lines, log } = capture("silent");
  log("reconcileFailed");
  assert.deepEqual(lines, []);
});
