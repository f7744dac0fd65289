import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Node } from "../service/objects.ts";
import { firstAtWork, type Order } from "./away.ts";
import { ad, elect, electFor, node, outcome, service, slice, type Shape } from "./cluster.fixture.ts";
import { ANOTHER } from "./contest.ts";
import { emptyElectionMemo } from "./election.ts";

/** For this address they come in the order of their names. */
const ADDRESS = "192.168.10.19";
const NAMES = ["first", "second", "third"];

function cluster(shape: Shape, ip = ADDRESS): Shape {
  const services = [service("web", [ip])];
  return { nodes: NAMES.map((name) => node(name)), services, slices: [slice("web", { first: null })], ...shape };
}

const PREFERRED = ad({ preferredNodeSelectors: [{ weight: 5, preference: { matchLabels: { name: "second" } } }] });

describe("a node whose agent is away", () => {
  const rows: { name: string; shape: Shape; outcome: string }[] = [
    { name: "keeps what it had", shape: { away: { first: NAMES } }, outcome: "first" },
    {
      name: "keeps what it had taken over before",
      shape: { alive: ["second", "third"], away: { second: ["second", "third"] } },
      outcome: "second",
    },
    {
      name: "takes nothing over: the next does",
      shape: { alive: ["second", "third"], away: { second: NAMES } },
      outcome: "third",
    },
    {
      name: "gives back to a node that comes before it",
      shape: { away: { second: ["second", "third"] } },
      outcome: "first",
    },
    {
      name: "takes over all the same where nobody else is left",
      shape: { alive: ["second", "third"], away: { second: NAMES, third: NAMES } },
      outcome: "second",
    },
    {
      name: "is passed over although it is preferred to all that are left",
      shape: {
        alive: ["second", "third"],
        ads: [
          PREFERRED,
          ad({ preferredNodeSelectors: [{ weight: 9, preference: { matchLabels: { name: "first" } } }] }, "more"),
        ],
        away: { second: NAMES },
      },
      outcome: "third",
    },
    {
      name: "keeps what it had because it is preferred",
      shape: { ads: [PREFERRED], away: { second: NAMES } },
      outcome: "second",
    },
  ];
  for (const row of rows) test(row.name, () => assert.equal(outcome(cluster(row.shape)), row.outcome));

  test("is elected, and passed over, by each node as by all", () => {
    const memos = new Map(NAMES.map((name) => [name, emptyElectionMemo()]));
    const names = fc.subarray(NAMES);
    const addresses = fc.nat({ max: 30 }).map((n) => `192.168.10.${n}`);
    const away = fc.dictionary(fc.constantFrom(...NAMES), names, { maxKeys: 2, noNullPrototype: true });
    const ads = fc.constantFrom([ad()], [PREFERRED], []);
    fc.assert(
      fc.property(names, away, addresses, ads, (alive, gone, ip, some) => {
        const shape = cluster({ alive, away: gone, ads: some }, ip);
        const announcer = elect(shape).get("default/web")?.announcer;
        for (const name of NAMES) {
          // An agent that is away itself decides nothing.
          if (Object.hasOwn(gone, name) || !alive.includes(name)) continue;
          const own = electFor(name, shape, memos.get(name)).get("default/web")?.announcer;
          assert.equal(own === name, announcer === name, `${name}: ${String(own)}, all: ${String(announcer)}`);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("costs an address that somebody at work has no look at the nodes: there are hundreds, and thousands of addresses", () => {
    let looks = 0;
    const members = { alive: new Set(NAMES), away: new Map([["first", new Set(NAMES)]]) };
    const nodes = (): readonly Node[] => ((looks += 1), NAMES.map((name) => node(name)));
    const contenders = { address: ADDRESS, advertisements: [ad()], members, nodes };
    const orderOf = (first: string | typeof ANOTHER): Order<string | typeof ANOTHER> => ({
      first: () => first,
      isFirst: () => false,
    });
    assert.equal(firstAtWork(ANOTHER, ["second", "third"], contenders, orderOf(ANOTHER)), ANOTHER);
    assert.equal(firstAtWork("second", ["second", "third"], contenders, orderOf("second")), "second");
    assert.equal(looks, 0);
    assert.equal(firstAtWork(ANOTHER, ["second", "third"], contenders, orderOf("second")), "second");
    assert.ok(looks > 0);
  });
});
