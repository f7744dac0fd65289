import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem } from "../net/problem.ts";
import { namespaceSchema } from "../service/objects.ts";
import { readingEntries } from "./entries.ts";
import { ipAddressPoolSchema, type IPAddressPool } from "./objects.ts";
import { NO_NAMESPACES, parsePools, parsingPools } from "./pools.ts";

const dotted = (number: number): string => `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;

function pool(name: string, spec: object): IPAddressPool {
  return ipAddressPoolSchema.parse({ metadata: { name, namespace: "system" }, spec });
}

const setOf = (...pools: readonly IPAddressPool[]): ReadonlyMap<string, IPAddressPool> =>
  new Map(pools.map((each) => [`system/${each.metadata.name}`, each]));

/** Every other address, from the last to the first: none joins its neighbour, and all are added before the others. */
const single = (count: number): string[] => Array.from({ length: count }, (_, i) => `${dotted(2 * (count - i))}/32`);

test("a pool of many single addresses is read with pauses, and not again when only its status is another", () => {
  const many = pool("many", { addresses: single(5000) });
  const pauses = (work: Generator): number => {
    for (let count = 0; ; count += 1) if (work.next().done === true) return count;
  };
  const first = pauses(parsingPools(setOf(many), NO_NAMESPACES));
  assert.ok(first > 25);
  const status = { assignedIPv4: 1, assignedIPv6: 0, availableIPv4: 4999, availableIPv6: 0, conditions: [] };
  const set = parsePools(setOf(many), NO_NAMESPACES);
  assert.equal(parsePools(setOf({ ...many, status }), NO_NAMESPACES), set);
  // Another field of the pool, and the same list.
  const closed = setOf({ ...many, status, spec: { ...many.spec, autoAssign: false } });
  assert.equal(first - pauses(parsingPools(closed, NO_NAMESPACES)), pauses(readingEntries(many)));
  assert.ok(pauses(readingEntries(many)) > 20);
});

test("every entry of a pool is found where it lies, whatever order they are listed in", () => {
  const set = parsePools(setOf(pool("many", { addresses: single(3000) })), NO_NAMESPACES);
  const value = (number: number): bigint => BigInt(10 * 2 ** 24 + number);
  for (let number = 1; number <= 6001; number += 1) {
    const found = set.openPoolOf({ family: "IPv4", value: value(number) });
    assert.equal(found?.range, number % 2 === 0 && number <= 6000 ? 3000 - number / 2 : undefined);
  }
});

test("of one entry, what other pools have against it comes before what its own pool has", () => {
  const first = pool("a", { addresses: ["10.0.0.0/24"] });
  const second = pool("b", { addresses: ["10.0.1.0/24", "x", "10.0.0.7/32", "10.0.0.7/32"] });
  assert.deepEqual(parsePools(setOf(first, second), NO_NAMESPACES).problems.map(formatProblem), [
    'IPAddressPool system/b: spec.addresses[1]: "x" is neither a CIDR nor a range start-end',
    "IPAddressPool system/b: spec.addresses[2]: 10.0.0.7/32 overlaps with 10.0.0.0/24 of pool system/a",
    "IPAddressPool system/b: spec.addresses[3]: 10.0.0.7/32 overlaps with 10.0.0.0/24 of pool system/a",
    "IPAddressPool system/b: spec.addresses[3]: 10.0.0.7/32 overlaps with 10.0.0.7/32 of spec.addresses[2] of pool system/b",
  ]);
});

test("pools are parsed again when the namespaces that one of them selects change, and only then", () => {
  const shop = new Map([["shop", namespaceSchema.parse({ metadata: { name: "shop", labels: { tier: "gold" } } })]]);
  const plain = setOf(pool("a", { addresses: ["10.0.0.0/24"] }));
  assert.equal(parsePools(plain, NO_NAMESPACES), parsePools(plain, shop));
  const selecting = setOf(
    pool("a", {
      addresses: ["10.0.0.0/24"],
      serviceAllocation: { namespaceSelectors: [{ matchLabels: { tier: "gold" } }] },
    }),
  );
  assert.deepEqual([...(parsePools(selecting, NO_NAMESPACES).pools[0]?.scope?.namespaces ?? [])], []);
  assert.deepEqual([...(parsePools(selecting, shop).pools[0]?.scope?.namespaces ?? [])], ["shop"]);
});
