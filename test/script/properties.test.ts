/** What must hold whatever the objects are, tried on small worlds where everything collides. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address, formatAddress } from "../../src/net/address.ts";
import { assign } from "../../src/pool/assign.ts";
import { rangeContains } from "../../src/net/range.ts";
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
    creationTimestamp: fc.constantFrom("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
    annotations: fc.record(
      {
        "metallb.io/address-pool": fc.constantFrom("p0", "p1", "p2", "nowhere", "p1,p0"),
        "fairlead.io/dual-stack-pools": fc.constant("span"),
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
  metadata: fc.record({
    name: fc.constantFrom("p0", "p1", "p2"),
    namespace: fc.constant("metallb-system"),
    annotations: fc.record({ "fairlead.io/cool-down": fc.constantFrom("1m", "10m") }, { requiredKeys: [] }),
  }),
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
/** Without cool-downs. */
const warm = objects.map(([list, poolList]): [typeof list, object[]] => [
  list,
  poolList.map((p) => ({ ...p, metadata: { ...p.metadata, annotations: {} } })),
]);
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

/** Pairs of ours that list one address and may not share it. */
function conflicts(snapshot: Snapshot): readonly string[] {
  const all = ours(snapshot);
  return all.flatMap((a, index) =>
    all
      .slice(index + 1)
      .filter((b) => !mayShare(a, b))
      .flatMap((b) =>
        held(a)
          .filter((ip) => held(b).includes(ip))
          .map((ip) => `${ip} ${byName(a)} ${byName(b)}`),
      ),
  );
}

test("no address is held by two Services that may not share it", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      const world = worldOf(after, worldOf(before));
      assert.deepEqual(conflicts(world.snapshot()), []);
    }),
    { numRuns: 200 },
  );
});

test("at no moment while the controller writes do two Services come to list one address that they may not share", () => {
  fc.assert(
    fc.property(objects, objects, fc.nat(20), (before, after, operations) => {
      const world = worldOf(before);
      world.stop();
      worldOf(after, world);
      // What a change of the Services themselves made a conflict is there before anything is written.
      const known = new Set(conflicts(world.snapshot()));
      world.restart(undefined, operations);
      assert.deepEqual(
        conflicts(world.snapshot()).filter((conflict) => !known.has(conflict)),
        [],
      );
    }),
    { numRuns: 200 },
  );
});

test("an address is written to its new holder after the old one gave it up, whoever is first by name", () => {
  const wanting = (name: string, ip: string): object => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "shop" },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }], loadBalancerIP: ip },
  });
  const spec = { addresses: ["10.0.0.0/30"] };
  const metadata = { name: "p", namespace: "metallb-system" };
  const pool0 = { apiVersion: "metallb.io/v1beta1", kind: "IPAddressPool", metadata, spec };
  for (let killedAfter = 0; killedAfter < 8; killedAfter += 1) {
    const world = worldOf([[wanting("m", "10.0.0.0"), wanting("z", "10.0.0.1")], [pool0]]);
    world.stop();
    // A chain: each takes what the next gives up.
    world.apply("services.json", file([wanting("a", "10.0.0.0"), wanting("m", "10.0.0.1"), wanting("z", "10.0.0.2")]));
    world.restart(undefined, killedAfter);
    assert.deepEqual(conflicts(world.snapshot()), [], `killed after ${killedAfter}`);
    world.restart();
    assert.deepEqual(ours(world.snapshot()).map(held), [["10.0.0.0"], ["10.0.0.1"], ["10.0.0.2"]]);
  }
});

test("a stop between two writes leaves nobody with an address that it never had a right to", () => {
  const service = (name: string, fields: object, ip?: string): object => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default", ...fields },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }], clusterIPs: [name === "copy" ? "None" : "fd00::1"] },
    ...(ip === undefined ? {} : { status: { loadBalancer: { ingress: [{ ip }] } } }),
  });
  const pool = {
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    metadata: { name: "p", namespace: "metallb-system" },
    spec: { addresses: ["fc00::/127"] },
  };
  for (let killedAfter = 0; killedAfter < 5; killedAfter += 1) {
    const world = worldOf([[service("a", {})], [pool]]);
    world.stop();
    const moved = service("a", { annotations: { "metallb.io/loadBalancerIPs": "fc00::1" } });
    world.apply("services.json", file([moved, service("copy", {}, "fc00::")]));
    world.restart(undefined, killedAfter);
    world.restart();
    assert.deepEqual(ours(world.snapshot()).map(held), [["fc00::1"], []], `killed after ${killedAfter}`);
  }
});

test("killed at any point while it writes, the controller ends where it would have ended", () => {
  // What was given up between two writes of one decision need not rest (docs/decisions/008).
  fc.assert(
    fc.property(warm, warm, fc.nat(20), (before, after, operations) => {
      const [killed, undisturbed] = [worldOf(before), worldOf(before)];
      for (const world of [killed, undisturbed]) {
        world.stop();
        worldOf(after, world);
      }
      killed.restart(undefined, operations);
      killed.restart();
      undisturbed.restart();
      assert.deepEqual(statusOf(killed), statusOf(undisturbed));
    }),
    { numRuns: 200 },
  );
});

function statusOf(world: World): unknown {
  const { services: all, ipAddressPools } = world.snapshot();
  return [
    [...all].map(([key, s]) => [key, held(s), s.metadata.annotations["metallb.io/ip-allocated-from-pool"]]),
    [...ipAddressPools].map(([key, { status }]) => [key, { ...status, conditions: [] }]),
  ];
}

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
        const names = assignments.get(byName(s))?.pool?.split(",") ?? [];
        const from = set.pools.filter((p) => names.includes(p.name));
        assert.ok(names.length <= 1 || claim.spans, `${byName(s)} has addresses of ${names.join(" and ")}`);
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
    { numRuns: 200 },
  );
});

test("one decision is enough: carried out, it leaves nothing to decide about a Service", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      const world = worldOf(before);
      world.stop();
      worldOf(after, world);
      world.restart();
      const written = world.writes().filter((write) => write.startsWith("service "));
      assert.deepEqual(written, [...new Set(written)]);
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
    { numRuns: 200 },
  );
});

/** Has what it asks for: one that waits for something better may move when that is free. */
function isContent(world: World, key: string): boolean {
  const assignment = world.decision().assignments.get(key);
  return assignment !== undefined && assignment.addresses.length > 0 && assignment.unmet === undefined;
}

test("a Service without wishes gets an address as long as an open pool has one of its family", () => {
  fc.assert(
    fc.property(warm, (all) => {
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

test("counts are exact: every distinct address in use, and what is left, by looking at each", () => {
  fc.assert(
    fc.property(objects, objects, (before, after) => {
      const world = worldOf(after, worldOf(before));
      const snapshot = world.snapshot();
      const inUse = new Set(ours(snapshot).flatMap(held));
      const { pools: set } = world.decision();
      for (const p of set.pools) {
        const status = snapshot.ipAddressPools.get(p.key)?.status;
        for (const family of ["IPv4", "IPv6"] as const) {
          const all = addressesOf(p, family);
          const mine = (ip: string): boolean =>
            set.poolsOf(address(ip)).find((q) => addressesOf(q, family).includes(ip)) === p;
          const used = [...inUse].filter((ip) => address(ip).family === family && mine(ip));
          assert.equal(status?.[`assigned${family}`], used.length, `${p.key} ${family} assigned`);
          const resting = all.filter((ip) => isResting(world, p.key, ip));
          assert.ok(resting.every((ip) => !inUse.has(ip)));
          const left = p.closedBecause === undefined ? all.filter((ip) => !inUse.has(ip)).length - resting.length : 0;
          assert.equal(status?.[`available${family}`], left, `${p.key} ${family} available`);
        }
      }
    }),
    { numRuns: 200 },
  );
});

type Walkable = Parameters<typeof freeIPv4>[0];

/** Usable ones, by walking the ranges. */
function addressesOf(p: Walkable, family: "IPv4" | "IPv6"): readonly string[] {
  const found: string[] = [];
  for (const range of p.ranges)
    for (let value = range.first; range.family === family && value <= range.last; value += 1n) {
      const buggy = family === "IPv4" && p.avoidBuggyIPs && (value % 256n === 0n || value % 256n === 255n);
      if (!buggy) found.push(formatAddress({ family, value }));
    }
  return found;
}

function isResting(world: World, pool: string, ip: string): boolean {
  const released = world.decision().coolDowns.get(pool)?.released ?? [];
  return released.some(({ range }) => rangeContains(range, address(ip)));
}

test("an address that was in use is not chosen for anybody else before it has rested", () => {
  fc.assert(
    // Every pool rests for a minute, and it is looked at about then: a rest that is shorter or longer is seen.
    fc.property(objects, objects, fc.integer({ min: 20, max: 80 }), ([list, poolList], after, seconds) => {
      const resting = poolList.map((p) => ({
        ...p,
        metadata: { ...p.metadata, annotations: { "fairlead.io/cool-down": "1m" } },
      }));
      const world = worldOf([list, resting]);
      const owners = new Map(ours(world.snapshot()).flatMap((s) => held(s).map((ip) => [ip, byName(s)] as const)));
      world.apply("services.json", file([]));
      world.wait(seconds * 1000);
      world.apply("services.json", file(after[0].map((s) => ({ ...s, status: undefined }))));
      const wanted = (s: Service): readonly string[] => readClaim(s).wantedAddresses.map(formatAddress);
      const services = ours(world.snapshot());
      for (const s of services)
        for (const ip of held(s)) {
          const [p] = world.decision().pools.poolsOf(address(ip));
          const rested = p === undefined || seconds * 1000 >= p.coolDownMilliseconds;
          // Who asks for it ends its rest, also for those who share it then.
          const asked = services.some((each) => held(each).includes(ip) && wanted(each).includes(ip));
          assert.ok(
            !owners.has(ip) || rested || asked,
            `${ip} of ${owners.get(ip)} is ${byName(s)}'s after ${seconds} s`,
          );
        }
    }),
    { numRuns: 1000 },
  );
});

test("no assigned address changes unless the rules forbid it now or a wish is met", () => {
  fc.assert(
    fc.property(objects, services, pools, (before, others, newPools) => {
      const world = worldOf(before);
      const settled = ours(world.snapshot()).filter((s) => isContent(world, byName(s)));
      const unchanged = before[0].filter((s) => settled.some((t) => byName(t) === byName(s)));
      const more = others.filter((s) => !unchanged.some((t) => byName(t) === byName(s)));
      world.stop();
      world.apply("pools.json", file(newPools));
      world.apply("services.json", file([...more, ...unchanged]));
      world.restart();
      const { pools: set } = world.decision();
      for (const s of settled) {
        const now = world.snapshot().services.get(byName(s)) ?? assert.fail();
        const verdict = verdictOf(s, set);
        if (verdict === "stays") assert.deepEqual(held(now), held(s), byName(s));
        // One that has to go is not left with an address it must not have.
        if (verdict === "goes") assert.notDeepEqual(held(now), held(s), byName(s));
      }
    }),
    { numRuns: 200 },
  );
});

/** By the rules as they are written in the reference, read off the pools one by one. Where its wish is not met any more, it may move. */
function verdictOf(s: Service, set: ReturnType<World["decision"]>["pools"]): "stays" | "goes" | "may move" {
  const claim = readClaim(s);
  const fits = (p: (typeof set.pools)[number], ip: string): boolean =>
    addressesOf(p, address(ip).family).includes(ip) &&
    (p.scope === undefined || p.scope.namespaces === undefined || p.scope.namespaces.has(s.metadata.namespace));
  const ips = held(s);
  const together = set.pools.some((p) => ips.every((ip) => fits(p, ip)));
  const apart = claim.spans && ips.every((ip) => set.pools.some((p) => fits(p, ip)));
  if (!together && !apart) return "goes";
  const homes = set.pools.filter((p) => ips.some((ip) => fits(p, ip)));
  const asked = claim.wantedPools.length === 0 || homes.every((p) => claim.wantedPools.includes(p.name));
  return asked ? "stays" : "may move";
}

test("what is decided does not depend on the order in which objects came while no controller ran", () => {
  fc.assert(
    fc.property(objects, fc.array(fc.nat(), { minLength: 9, maxLength: 9 }), (all, order) => {
      const bare = all[0].map((s) => ({ ...s, status: undefined }));
      const arrive = (ranks: readonly number[]): unknown => {
        const world = new World();
        world.stop();
        const ranked = bare.map((s, index) => ({ s, rank: ranks[index] ?? 0 })).toSorted((a, b) => a.rank - b.rank);
        for (const { s } of ranked) world.apply(`${s.metadata.namespace}-${s.metadata.name}.json`, file([s]));
        world.apply("pools.json", file(all[1]));
        world.restart();
        return statusOf(world);
      };
      assert.deepEqual(arrive(order), arrive([]));
    }),
    { numRuns: 200 },
  );
});
