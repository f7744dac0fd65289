import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { address, formatAddress } from "../net/address.ts";
import { announcementsOf, electAddresses } from "./announcements.ts";
import type { Election } from "./election.ts";

function elected(
  announcer: string,
  addresses: readonly string[],
  interfaces: readonly string[] | "all" = "all",
): Election {
  return { announcer, addresses: addresses.map(address), interfaces };
}

function table(node: string, elections: Record<string, Election>): readonly string[] {
  return announcementsOf(node, electAddresses(new Map(Object.entries(elections)))).map(
    ({ address: a, interfaces, services }) =>
      `${formatAddress(a)} on ${interfaces === "all" ? "all" : interfaces.join("+")} for ${services.join("+")}`,
  );
}

describe("a node announces", () => {
  const rows: { name: string; elections: Record<string, Election>; a: string[]; b: string[] }[] = [
    {
      name: "nothing when nobody was elected",
      elections: { "x/s": { addresses: [address("10.0.0.1")], reason: "noEndpoints" } },
      a: [],
      b: [],
    },
    { name: "nothing without Services", elections: {}, a: [], b: [] },
    {
      name: "what it was elected for, and the other nothing",
      elections: { "x/s": elected("a", ["10.0.0.1"], ["eth0"]) },
      a: ["10.0.0.1 on eth0 for x/s"],
      b: [],
    },
    {
      name: "all addresses of a Service, sorted",
      elections: { "x/s": elected("a", ["fc00::1", "10.0.0.10", "10.0.0.9"]) },
      a: ["10.0.0.9 on all for x/s", "10.0.0.10 on all for x/s", "fc00::1 on all for x/s"],
      b: [],
    },
    {
      name: "an address listed twice once",
      elections: { "x/s": elected("a", ["10.0.0.1", "10.0.0.1"]) },
      a: ["10.0.0.1 on all for x/s"],
      b: [],
    },
    {
      name: "a shared address once, on the interfaces of all sharers",
      elections: { "x/t": elected("a", ["10.0.0.1"], ["eth1"]), "x/s": elected("a", ["10.0.0.1"], ["eth0"]) },
      a: ["10.0.0.1 on eth0+eth1 for x/s+x/t"],
      b: [],
    },
    {
      name: "a shared address everywhere if one sharer may",
      elections: { "x/t": elected("a", ["10.0.0.1"], ["eth1"]), "x/s": elected("a", ["10.0.0.1"]) },
      a: ["10.0.0.1 on all for x/s+x/t"],
      b: [],
    },
    {
      name: "a shared address although another sharer elected nobody",
      elections: {
        "x/s": elected("a", ["10.0.0.1"]),
        "x/t": { addresses: [address("10.0.0.1")], reason: "noEndpoints" },
      },
      a: ["10.0.0.1 on all for x/s"],
      b: [],
    },
    {
      name: "the second address of a dual-stack Service unless another Service has it first",
      elections: { "x/dual": elected("a", ["fc00::1", "10.0.0.1"]), "x/four": elected("b", ["10.0.0.1"], ["eth0"]) },
      a: ["fc00::1 on all for x/dual"],
      b: ["10.0.0.1 on eth0 for x/dual+x/four"],
    },
    {
      name: "an address that two Services have first if its Service comes first by name",
      elections: { "x/t": elected("b", ["10.0.0.1"]), "x/s": elected("a", ["10.0.0.1"]) },
      a: ["10.0.0.1 on all for x/s+x/t"],
      b: [],
    },
  ];
  for (const row of rows) {
    test(row.name, () => {
      assert.deepEqual(table("a", row.elections), row.a);
      assert.deepEqual(table("b", row.elections), row.b);
    });
  }

  test("each address on exactly one node, however Services share", () => {
    const nodes = ["a", "b", "c"];
    const addresses = fc.uniqueArray(fc.constantFrom("10.0.0.1", "10.0.0.2", "fc00::1"), {
      minLength: 1,
      maxLength: 3,
    });
    const elections = fc.array(fc.tuple(fc.constantFrom(...nodes), addresses), { maxLength: 5 });
    fc.assert(
      fc.property(elections, (list) => {
        const map = new Map(list.map(([node, texts], index) => [`x/${index}`, elected(node, texts)]));
        const announced = nodes.flatMap((node) =>
          announcementsOf(node, electAddresses(map)).map((each) => formatAddress(each.address)),
        );
        assert.deepEqual(announced.toSorted(), [...new Set(list.flatMap(([, texts]) => texts))].toSorted());
      }),
    );
  });
});
