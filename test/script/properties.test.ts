/** What must hold whatever the objects are, tried on small worlds where everything collides. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, formatAddress } from "../../src/net/address.ts";
import { assign } from "../../src/pool/assign.ts";
import { readClaim } from "../../src/pool/claim.ts";
import type { Service } from "../../src/service/objects.ts";
import type { Snapshot } from "../../src/source/source.ts";
import { World } from "./world.ts";

const ADDRESSES = ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.1.5", "fc00::", "fc00::1", "192.0.2.1"];
const ENTRIES = [
  "10.0.0.0/31",
  "10.0.0.2-10.0.0.3",
  "10.0.1.5/32",
  "fc00::/127",
  "fc00::8/128",
  "10.0.0.3-10.0.0.1",
  "10.0.0.0/30",
];

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });

const service = fc.record({
  apiVersion: fc.constant("v1"),
  kind: fc.constant("Service"),
  metadata: fc.record({
    name: fc.constantFrom("a", "b", "c", "d", "e", "f"),
    namespace: fc.constantFrom("shop", "blog"),
    annotations: fc.record(
      {
        "metallb.io/address-pool": fc.constantFrom("p0", "p1", "p2", "nowhere"),
        "metallb.io/allow-shared-ip": fc.constantFrom("x", "x", "y"),
        "metallb.universe.tf/loadBalancerIPs": fc.constantFrom(...ADDRESSES, "10.0.0.1,fc00::1", "nonsense"),
      },
      { requiredKeys: [] },
    ),
  }),
  spec: fc.record({
    type: fc.constantFrom("LoadBalancer", "LoadBalancer", "LoadBalancer", "ClusterIP"),
    ports: fc.uniqueArray(fc.record({ port: fc.constantFrom(80, 81, 443), protocol: fc.constantFrom("TCP", "UDP") }), {
      maxLength: 2,
      selector: (p) => `${p.protocol}/${p.port}`,
    }),
    externalTrafficPolicy: fc.constantFrom("Cluster", "Cluster", "Local"),
    selector: fc.constantFrom({}, { app: "one" }, { app: "two" }),
    ipFamilyPolicy: maybe(fc.constantFrom("SingleStack", "PreferDualStack", "RequireDualStack")),
    ipFamilies: maybe(fc.constantFrom(["IPv4"], ["IPv6"], ["IPv6", "IPv4"])),
    clusterIPs: maybe(fc.constantFrom(["10.96.0.1"], ["fd00::1"], ["10.96.0.1", "fd00::1"], ["None"])),
    loadBalancerIP: maybe(fc.constantFrom(...ADDRESSES)),
  }),
  status: maybe(
    fc
      .array(fc.constantFrom(...ADDRESSES), { maxLength: 3 })
      .map((ips) => ({ loadBalancer: { ingress: ips.map((ip) => ({ ip })) } })),
  ),
});

const pool = fc.record({
  apiVersion: fc.constant("metallb.io/v1beta1"),
  kind: fc.constant("IPAddressPool"),
  metadata: fc.record({ name: fc.constantFrom("p0", "p1", "p2"), namespace: fc.constant("metallb-system") }),
  spec: fc.record(
    {
      addresses: fc.array(fc.constantFrom(...ENTRIES), { minLength: 1, maxLength: 3 }),
      autoAssign: fc.boolean(),
      avoidBuggyIPs: fc.boolean(),
      serviceAllocation: fc.record({
        priority: fc.nat(3),
        namespaces: fc.subarray(["shop", "blog"]),
      }),
    },
    { requiredKeys: ["addresses"] },
  ),
});

const byName = (object: { metadata: { name: string; namespace: string } }): string =>
  `${object.metadata.namespace}/${object.metadata.name}`;
const services = fc.uniqueArray(service, { maxLength: 9, selector: byName });
const pools = fc.uniqueArray(pool, { maxLength: 3, selector: byName });
const objects = fc.tuple(services, pools);
const file = (items: readonly object[]): string => JSON.stringify({ apiVersion: "v1", kind: "List", items });

function worldOf(
  [someServices, somePools]: readonly [readonly object[], readonly object[]],
  world = new World(),
): World {
  world.apply("pools.json", file(somePools));
  world.apply("services.json", file(someServices));
  return world;
}

const held = (s: Service): readonly string[] => s.status.loadBalancer.ingress.map((i) => i.ip ?? "");

function ours(snapshot: Snapshot): readonly Service[] {
  return [...snapshot.services.values()].filter((s) => s.spec.type === "LoadBalancer");
}

function mayShare(a: Service, b: Service): boolean {
  const [first, second] = [readClaim(a).sharing, readClaim(b).sharing];
  const apart = first.ports.every((port) => !second.ports.includes(port));
  return first.key !== "" && first.key === second.key && first.backends === second.backends && apart;
}

test("no address is held by two Services that may not share it", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      const world = worldOf(after, worldOf(before));
      const all = ours(world.snapshot());
      for (const [index, a] of all.entries())
        for (const b of all.slice(index + 1))
          if (held(a).some((ip) => held(b).includes(ip))) assert.ok(mayShare(a, b), `${byName(a)} and ${byName(b)}`);
    }),
    { numRuns: 300 },
  );
});

test("an address that is held is of a wanted family, one of each, and in a pool that lets the Service in", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      const world = worldOf(after, worldOf(before));
      const { pools: set, assignments } = world.decision();
      for (const s of ours(world.snapshot())) {
        const claim = readClaim(s);
        const addresses = held(s).map(address);
        if (claim.fault === undefined) assert.ok(addresses.every((a) => claim.families.includes(a.family)));
        if (claim.fault === undefined) assert.equal(new Set(addresses.map((a) => a.family)).size, addresses.length);
        const from = set.pools.filter((p) => p.name === assignments.get(byName(s))?.pool);
        for (const a of addresses)
          assert.ok(
            set.poolsOf(a).some((p) => from.includes(p)),
            `${formatAddress(a)} of ${byName(s)}`,
          );
      }
    }),
    { numRuns: 200 },
  );
});

test("a restart is invisible: nothing is written and nothing said", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      const world = worldOf(after, worldOf(before));
      world.restart();
      assert.deepEqual(world.writes(), []);
    }),
    { numRuns: 300 },
  );
});

test("the order of objects does not matter", () => {
  fc.assert(
    fc.property(objects, fc.array(fc.nat(), { minLength: 12, maxLength: 12 }), (all, order) => {
      const snapshot = worldOf(all).snapshot();
      const ranks = [...order];
      const shuffle = <T>(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> => {
        const ranked = [...map].map((entry) => ({ entry, rank: ranks.shift() ?? 0 }));
        return new Map(ranked.toSorted((a, b) => a.rank - b.rank).map(({ entry }) => entry));
      };
      // Without status, so that there is something to decide.
      const bare = new Map(
        [...snapshot.services].map(([key, s]) => [
          key,
          { ...s, status: { loadBalancer: { ingress: [] }, conditions: [] } },
        ]),
      );
      const decide = (s: ReadonlyMap<string, Service>, p: Snapshot["ipAddressPools"]): unknown => {
        const decision = assign({ ...snapshot, services: s, ipAddressPools: p });
        return [...decision.assignments].toSorted(([a], [b]) => (a < b ? -1 : 1));
      };
      assert.deepEqual(decide(shuffle(bare), shuffle(snapshot.ipAddressPools)), decide(bare, snapshot.ipAddressPools));
    }),
    { numRuns: 200 },
  );
});

test("a Service that did not change keeps its addresses while others come and go", () => {
  fc.assert(
    fc.property(services, services, pools, (first, second, somePools) => {
      const world = worldOf([first, somePools]);
      const before = new Map(ours(world.snapshot()).map((s) => [byName(s), held(s)]));
      const kept = first.filter((s) => before.get(byName(s))?.length === 2 || isContent(world, byName(s)));
      const others = second.filter((s) => !first.some((f) => byName(f) === byName(s)));
      world.apply("services.json", file([...others, ...kept]));
      for (const s of kept) {
        if (s.spec.type !== "LoadBalancer") continue;
        assert.deepEqual(held(world.snapshot().services.get(byName(s)) ?? assert.fail()), before.get(byName(s)));
      }
    }),
    { numRuns: 300 },
  );
});

/** Has what it asks for: one that waits for something better may move when that is free. */
function isContent(world: World, key: string): boolean {
  const assignment = world.decision().assignments.get(key);
  return assignment !== undefined && assignment.addresses.length > 0 && assignment.unmet === undefined;
}

test("a Service without wishes gets an address as long as an open pool has one of its family", () => {
  fc.assert(
    fc.property(objects, (all) => {
      const world = worldOf(all);
      world.apply(
        "plain.json",
        file([{ apiVersion: "v1", kind: "Service", metadata: { name: "plain" }, spec: { type: "LoadBalancer" } }]),
      );
      const { pools: set, assignments } = world.decision();
      const inUse = new Set([...assignments.values()].flatMap((a) => a.addresses.map(formatAddress)));
      const room = set.pools.some(
        (p) => p.autoAssign && p.closedBecause === undefined && p.scope?.namespaces === undefined && freeIPv4(p, inUse),
      );
      assert.equal(assignments.get("default/plain")?.addresses.length === 1, room || inUse.has(plainAddress(world)));
    }),
    { numRuns: 200 },
  );
});

function plainAddress(world: World): string {
  return held(world.snapshot().services.get("default/plain") ?? assert.fail())[0] ?? "none";
}

/** By looking at every address, which these tiny pools allow. */
function freeIPv4(
  p: { readonly ranges: readonly { family: string; first: bigint; last: bigint }[]; readonly avoidBuggyIPs: boolean },
  inUse: ReadonlySet<string>,
): boolean {
  return p.ranges.some((range) => {
    if (range.family !== "IPv4") return false;
    for (let value = range.first; value <= range.last; value += 1n) {
      const buggy = p.avoidBuggyIPs && (value % 256n === 0n || value % 256n === 255n);
      if (!buggy && !inUse.has(formatAddress({ family: "IPv4", value }))) return true;
    }
    return false;
  });
}
