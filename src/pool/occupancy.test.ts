import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, formatAddress, type Address, type Family } from "../net/address.ts";
import { atOnce } from "../time/slices.ts";
import { ipAddressPoolSchema } from "./objects.ts";
import { Occupancy } from "./occupancy.ts";
import { parsePools, poolMayUse, type Pool, type PoolSet } from "./pools.ts";
import { groupConflict, NO_SHARING, type Sharing } from "./sharing.ts";
import { SortedSet } from "./sorted-set.ts";

function poolsOf(...specs: readonly object[]): PoolSet {
  const objects = specs.map((spec, index): [string, ReturnType<typeof ipAddressPoolSchema.parse>] => [
    `metallb-system/p${index}`,
    ipAddressPoolSchema.parse({ metadata: { name: `p${index}`, namespace: "metallb-system" }, spec }),
  ]);
  return parsePools(new Map(objects), new Map());
}

/** Who holds what in a list, and every question answered by looking at all of it. */
class Ledger {
  readonly held = new Map<string, { readonly addresses: readonly Address[]; readonly sharing: Sharing }>();

  allows(service: string, sharing: Sharing, a: Address): boolean {
    for (const [other, { addresses, sharing: theirs }] of this.held) {
      if (other === service || !addresses.some((b) => formatAddress(b) === formatAddress(a))) continue;
      if (groupConflict(sharing, theirs) !== undefined) return false;
      if (sharing.ports.some((port) => theirs.ports.includes(port))) return false;
    }
    return true;
  }

  first(pool: Pool, family: Family, service: string, sharing: Sharing): string | undefined {
    for (const range of pool.ranges)
      for (let value = range.first; range.family === family && value <= range.last; value += 1n) {
        const a = { family, value };
        if (poolMayUse(pool, a) && this.allows(service, sharing, a)) return formatAddress(a);
      }
    return undefined;
  }
}

const SET = poolsOf(
  { addresses: ["10.0.0.4/31", "10.0.0.0/31", "fc00::/126"] },
  { addresses: ["10.0.1.254-10.0.2.2", "fc01::1/128"], avoidBuggyIPs: true },
);
const ALL = SET.pools.flatMap(({ ranges }) =>
  ranges.flatMap(({ family, first, last }) =>
    Array.from({ length: Number(last - first) + 1 }, (_, i): Address => ({ family, value: first + BigInt(i) })),
  ),
);

const sharings = fc.record({
  key: fc.constantFrom("", "k", "k", "l"),
  backends: fc.constantFrom("", "", "app=x"),
  ports: fc.subarray(["TCP/80", "TCP/81", "UDP/80"]),
});
const steps = fc.array(
  fc.record({
    service: fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h"),
    sharing: sharings,
    want: fc.oneof(
      fc.record({ type: fc.constant("first"), pool: fc.nat(1), family: fc.constantFrom("IPv4", "IPv6") }),
      fc.record({ type: fc.constant("address"), index: fc.nat(ALL.length - 1) }),
      fc.record({ type: fc.constant("nothing") }),
      fc.record({ type: fc.constant("advance") }),
    ),
  }),
  { maxLength: 60, size: "max" },
);

test("occupancy: whatever is taken and given back, it answers as a list that is looked through does", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const occupancy = new Occupancy(SET);
      const ledger = new Ledger();
      for (const { service, sharing, want } of list) {
        let found: Address | undefined;
        if (want.type === "advance") {
          atOnce(occupancy.advancing());
          continue;
        }
        if (want.type === "first") {
          const pool = SET.pools[want.pool] ?? assert.fail();
          found = occupancy.without(service, () => occupancy.first(pool, want.family, sharing));
          const expected = ledger.first(pool, want.family, service, sharing);
          assert.equal(found === undefined ? undefined : formatAddress(found), expected);
        } else if (want.type === "address") {
          const asked = ALL[want.index] ?? assert.fail();
          const allowed = ledger.allows(service, sharing, asked);
          assert.equal(occupancy.refusal(service, sharing, asked) === undefined, allowed);
          if (allowed && poolMayUse(SET.openPoolOf(asked)?.pool ?? assert.fail(), asked)) found = asked;
        }
        if (found === undefined && want.type !== "nothing") continue;
        const addresses = found === undefined ? [] : [found];
        occupancy.take(service, sharing, addresses);
        ledger.held.set(service, { addresses, sharing });
        const used = [...ledger.held.values()].flatMap((held) => held.addresses.map(formatAddress));
        assert.deepEqual([...occupancy.used()].map(formatAddress).toSorted(), [...new Set(used)].toSorted());
      }
    }),
    { numRuns: 500 },
  );
});

test("occupancy: among hundreds that share one key a Service joins the first with its ports free", () => {
  const set = poolsOf({ addresses: ["10.0.0.0/16"] });
  const [pool = assert.fail()] = set.pools;
  const occupancy = new Occupancy(set);
  const sharing = (...ports: readonly string[]): Sharing => ({ key: "k", backends: "", ports });
  const first = (...ports: readonly string[]): string =>
    formatAddress(occupancy.first(pool, "IPv4", sharing(...ports)) ?? assert.fail());
  const take = (name: string, ...ports: readonly string[]): string => {
    const found = first(...ports);
    occupancy.take(name, sharing(...ports), [address(found)]);
    return found;
  };
  for (let i = 0; i < 200; i += 1) take(`http-${i}`, "TCP/80");
  assert.equal(first("TCP/80"), "10.0.0.200");
  for (let i = 0; i < 200; i += 1) assert.equal(take(`https-${i}`, "TCP/443"), `10.0.0.${i}`);
  assert.equal(first("TCP/443"), "10.0.0.200");
  assert.equal(first("TCP/80", "TCP/443"), "10.0.0.200");
  assert.equal(first("TCP/8443"), "10.0.0.0");
  occupancy.take("https-77", NO_SHARING, []);
  assert.equal(first("TCP/443"), "10.0.0.77");
  assert.equal(first("TCP/443", "TCP/80"), "10.0.0.200");
  occupancy.take("http-77", NO_SHARING, []);
  assert.equal(first("TCP/443", "TCP/80"), "10.0.0.77");
});

test("occupancy: thousands in use at the beginning of a pool are passed over with pauses, and what comes back there is found", () => {
  const set = poolsOf({ addresses: ["10.0.0.0/16"] });
  const [pool = assert.fail()] = set.pools;
  const occupancy = new Occupancy(set);
  const nth = (n: number): Address => ({ family: "IPv4", value: address("10.0.0.0").value + BigInt(n) });
  for (let n = 0; n < 5500; n += 1) occupancy.take(`service-${n}`, NO_SHARING, [nth(n)]);
  assert.equal([...occupancy.advancing()].length, 5);
  assert.deepEqual(occupancy.first(pool, "IPv4", NO_SHARING), nth(5500));
  occupancy.take("service-7", NO_SHARING, []);
  assert.deepEqual([...occupancy.advancing()].length, 0);
  assert.deepEqual(occupancy.first(pool, "IPv4", NO_SHARING), nth(7));
});

test("occupancy: an address that is reserved is nobody's, and what was there is not reserved over", () => {
  const set = poolsOf({ addresses: ["10.0.0.0/31"] });
  const [pool = assert.fail()] = set.pools;
  const occupancy = new Occupancy(set);
  occupancy.take("a", { key: "k", backends: "", ports: ["TCP/80"] }, [address("10.0.0.0")]);
  occupancy.reserve("unreadable", address("10.0.0.0"));
  occupancy.reserve("unreadable", address("10.0.0.1"));
  assert.equal(occupancy.first(pool, "IPv4", NO_SHARING), undefined);
  assert.deepEqual(occupancy.first(pool, "IPv4", { key: "k", backends: "", ports: ["TCP/81"] }), address("10.0.0.0"));
  assert.match(occupancy.refusal("b", NO_SHARING, address("10.0.0.1")) ?? "", /^10\.0\.0\.1 is in use by unreadable: /);
});

test("sorted set: it behaves as a sorted array without duplicates, also across its chunks", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(800)), { maxLength: 2500, size: "max" }), (list) => {
      const start = Array.from({ length: 300 }, (_, i) => i * 2);
      const set = new SortedSet<number>((a, b) => a - b, start);
      const plain = new Set(start);
      for (const [add, value] of list) {
        if (add) set.add(value);
        else set.delete(value);
        if (add) plain.add(value);
        else plain.delete(value);
      }
      const sorted = [...plain].toSorted((a, b) => a - b);
      assert.deepEqual([...set.values()], sorted);
      assert.equal(set.first(), sorted[0]);
    }),
    { numRuns: 50 },
  );
});
