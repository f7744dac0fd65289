import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeSchema } from "../../service/objects.ts";
import { hazardKey, planHazardEvents, type Told } from "./events.ts";
import type { Hazard } from "./facts.ts";

const HELD: Hazard = {
  check: "AddressHeld",
  level: "problem",
  subject: "lo",
  message: "it has 192.0.2.1",
  todo: "Take it off.",
  addresses: ["192.0.2.1"],
};
const ADVICE: Hazard = { ...HELD, check: "MTU", level: "advice" };
const told = (...hazards: readonly Hazard[]): Told => new Map(hazards.map((each) => [hazardKey(each), each]));

const ROWS: readonly { name: string; hazards: readonly Hazard[]; told: Told; says: readonly string[] }[] = [
  { name: "nothing", hazards: [], told: told(), says: [] },
  {
    name: "a hazard that appears",
    hazards: [HELD],
    told: told(),
    says: ["Warning AddressHeld lo: it has 192.0.2.1. Take it off."],
  },
  { name: "one that was told", hazards: [HELD], told: told(HELD), says: [] },
  { name: "one whose words change", hazards: [{ ...HELD, message: "it has 2" }], told: told(HELD), says: [] },
  {
    name: "one on another device",
    hazards: [HELD, { ...HELD, subject: "dummy0" }],
    told: told(HELD),
    says: ["Warning AddressHeld dummy0: it has 192.0.2.1. Take it off."],
  },
  {
    name: "one that went",
    hazards: [],
    told: told(HELD),
    says: ["Normal HazardGone AddressHeld of lo: not seen any more"],
  },
  {
    name: "one that is advice now",
    hazards: [{ ...HELD, level: "advice" }],
    told: told(HELD),
    says: ["Normal HazardGone AddressHeld of lo: not seen any more"],
  },
  { name: "advice", hazards: [ADVICE], told: told(), says: [] },
];

for (const row of ROWS)
  test(`events about this node for ${row.name}: ${row.says.length}`, () => {
    const nodes = new Map([["me", nodeSchema.parse({ metadata: { name: "me", uid: "u-1" } })]]);
    const events = planHazardEvents("me", { nodes }, row.hazards, row.told);
    assert.deepEqual(
      events.map(({ write: { type, reason, message } }) => `${type} ${reason} ${message}`),
      row.says,
    );
    for (const { write } of events)
      assert.deepEqual(write.regarding, { kind: "Node", namespace: "", name: "me", uid: "u-1" });
  });
