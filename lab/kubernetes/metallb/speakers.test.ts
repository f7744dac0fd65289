import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { disagreements, readSpeaker, type Speaker } from "./speakers.ts";

const line = (fields: object): string => JSON.stringify({ level: "info", ts: "2026-11-27T17:41:55Z", ...fields });
const started = line({ msg: "MetalLB speaker starting version 0.16.1 (no build information)" });
const leaving = line({ msg: "leaving memberlist cluster", op: "shutdown" });
const member = (event: string, node: string): string =>
  line({ msg: "node event - forcing sync", "node event": event, "node name": node });
const joined = (node: string): string => member("NodeJoin", node);
const controller = "ServiceReconciler - reprocessAll";
const begins = line({ controller, "start reconcile": "metallbreload/reload" });
const ends = line({ controller, "end reconcile": "metallbreload/reload" });
const announced = (protocol: string, ...ips: readonly string[]): string =>
  line({ event: "serviceAnnounced", ips, protocol });
const withdrawn = (...ip: readonly string[]): string =>
  line({ event: "serviceWithdrawn", ip, ips: ip, protocol: "layer2", reason: "notOwner" });
const V4 = "192.0.2.1";
const V6 = "2001:db8::1";

interface Case {
  readonly knows: readonly string[];
  readonly acted: boolean;
  readonly announces: readonly string[];
}

describe("a speaker's log", () => {
  const alone = [started, joined("a"), begins, announced("layer2", V4, V6), ends];
  const met = [...alone, joined("b")];
  const cases: readonly (readonly [string, readonly string[], Case])[] = [
    ["that is empty says nothing", [], { knows: [], acted: false, announces: [] }],
    ["of one that is alone", alone, { knows: ["a"], acted: true, announces: [V4, V6] }],
    [
      "of one that has met another and done nothing about it",
      met,
      { knows: ["a", "b"], acted: false, announces: [V4, V6] },
    ],
    [
      "of one whose review began before it met the other",
      [started, joined("a"), begins, joined("b"), announced("layer2", V4), ends],
      { knows: ["a", "b"], acted: false, announces: [V4] },
    ],
    ["of one that is at it", [...met, begins], { knows: ["a", "b"], acted: false, announces: [] }],
    [
      "of one that has given back what is not its own",
      [...met, begins, withdrawn(V4, V6), ends],
      { knows: ["a", "b"], acted: true, announces: [] },
    ],
    [
      "of one that has given it back without a word, as where BGP announces the Service too",
      [...met, begins, announced("bgp", V4, V6), ends],
      { knows: ["a", "b"], acted: true, announces: [] },
    ],
    [
      "of one that took a Service on afterwards, and lost another",
      [...met, begins, announced("layer2", V6), ends, announced("layer2", V4), withdrawn(V6)],
      { knows: ["a", "b"], acted: true, announces: [V4] },
    ],
    [
      "of one that has seen another leave",
      [...met, begins, ends, member("NodeLeave", "b")],
      { knows: ["a"], acted: false, announces: [] },
    ],
    ["of one that ends says nothing of before", [...alone, leaving], { knows: [], acted: false, announces: [] }],
    ["of one that was killed and began anew neither", [...alone, started], { knows: [], acted: false, announces: [] }],
    [
      "with words of others, and half a line at the end",
      [...alone, "watchfrr[7]: zebra up", "7", joined("b").slice(0, -9)],
      { knows: ["a"], acted: true, announces: [V4, V6] },
    ],
  ];
  for (const [what, lines, expected] of cases)
    test(what, () => {
      const { knows, acted, announces } = readSpeaker(lines.join("\n"));
      assert.deepEqual({ knows: [...knows], acted, announces: [...announces] }, expected);
    });
});

describe("speakers disagree", () => {
  const speaker = (knows: readonly string[], announces: readonly string[], acted = true): Speaker => ({
    knows: new Set(knows),
    acted,
    announces: new Set(announces),
  });
  const all = ["a", "b"];
  const b = ["b", speaker(all, [])] as const;
  const cases: readonly (readonly [string, readonly (readonly [string, Speaker])[], readonly string[]])[] = [
    ["not when each knows all and one announces", [["a", speaker(all, [V4])], b], []],
    ["as long as one has said nothing", [["a", speaker(all, [V4])]], ["the speaker of b does not know a, b"]],
    ["as long as one knows not all", [["a", speaker(["a"], [V4])], b], ["the speaker of a does not know b"]],
    [
      "as long as one has not acted on whom it knows",
      [["a", speaker(all, [V4], false)], b],
      ["the speaker of a has not acted on whom it knows"],
    ],
    [
      "when two announce an address",
      [
        ["a", speaker(all, [V4])],
        ["b", speaker(all, [V4])],
      ],
      [`${V4} is announced by a and b`],
    ],
    ["when nobody does", [["a", speaker(all, [V6])], b], [`${V4} is announced by nobody`]],
  ];
  for (const [when, speakers, expected] of cases)
    test(when, () => {
      assert.deepEqual(disagreements(new Map(speakers), all, [V4]), expected);
    });
});
