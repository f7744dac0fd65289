import assert from "node:assert/strict";
import { test } from "node:test";
import { address, formatAddress, type Family } from "../net/address.ts";
import { formatProblem } from "../net/problem.ts";
import { namespaceSchema, type Namespace } from "../service/objects.ts";
import { countPools, poolCapacity } from "./counts.ts";
import { ipAddressPoolSchema, type IPAddressPool } from "./objects.ts";
import { Occupancy } from "./occupancy.ts";
import { NO_SHARING } from "./sharing.ts";
import { parsePools, poolAllows, type Pool, type PoolSet } from "./pools.ts";

type Spec = Readonly<Record<string, unknown>>;

function pool(name: string, spec: Spec, metadata: Spec = {}): [string, IPAddressPool] {
  const object = { metadata: { name, namespace: "metallb-system", ...metadata }, spec };
  return [`metallb-system/${name}`, ipAddressPoolSchema.parse(object)];
}

function parse(...pools: readonly [string, IPAddressPool][]): PoolSet {
  const namespaces: [string, Namespace][] = [
    ["shop", namespaceSchema.parse({ metadata: { name: "shop", labels: { tier: "gold" } } })],
    ["blog", namespaceSchema.parse({ metadata: { name: "blog" } })],
  ];
  return parsePools(new Map(pools), new Map(namespaces));
}

function only(set: PoolSet): Pool {
  const [first, ...more] = set.pools;
  assert.ok(first);
  assert.equal(more.length, 0);
  return first;
}

const capacities = [
  { name: "a /24", addresses: ["1.2.3.0/24"], v4: 256n, v6: 0n },
  { name: "a /24 and a /25", addresses: ["1.2.3.0/24", "1.2.4.0/25"], v4: 384n, v6: 0n },
  {
    name: "a /24 and a /25 without buggy addresses",
    addresses: ["1.2.3.0/24", "1.2.4.0/25"],
    avoid: true,
    v4: 381n,
    v6: 0n,
  },
  {
    name: "a /31 at .0 and a /127 without buggy addresses",
    addresses: ["1.2.3.0/31", "1000::/127"],
    avoid: true,
    v4: 1n,
    v6: 2n,
  },
  { name: "a /16 without buggy addresses", addresses: ["10.0.0.0/16"], avoid: true, v4: 65536n - 512n, v6: 0n },
  { name: "a range between two buggy addresses", addresses: ["10.0.0.1-10.0.0.254"], avoid: true, v4: 254n, v6: 0n },
  { name: "the last address of a block", addresses: ["10.0.0.255/32"], avoid: true, v4: 0n, v6: 0n },
  { name: "a /64", addresses: ["1000::/64"], v4: 0n, v6: 1n << 64n },
  {
    name: "everything but the unspecified addresses",
    addresses: ["0.0.0.0/0", "::/0"],
    v4: (1n << 32n) - 1n,
    v6: (1n << 128n) - 1n,
  },
];

for (const row of capacities) {
  test(`pool of ${row.name} has ${row.v4} IPv4 and ${row.v6} IPv6 addresses`, () => {
    const p = only(parse(pool("demo", { addresses: row.addresses, avoidBuggyIPs: row.avoid ?? false })));
    assert.equal(poolCapacity(p, "IPv4"), row.v4);
    assert.equal(poolCapacity(p, "IPv6"), row.v6);
  });
}

test("an address in use counts once however many Services share it, and only in its pool", () => {
  const set = parse(pool("a", { addresses: ["10.0.0.0/30", "fc00::/127"] }), pool("b", { addresses: ["10.1.0.0/30"] }));
  const inUse = ["10.0.0.1", "10.0.0.1", "10.0.0.2", "fc00::1", "192.0.2.1"].map(address);
  assert.deepEqual(
    [...countPools(set, inUse)],
    [
      [
        "metallb-system/a",
        { assignedIPv4: 2n, assignedIPv6: 1n, availableIPv4: 2n, availableIPv6: 1n, restingIPv4: 0n, restingIPv6: 0n },
      ],
      [
        "metallb-system/b",
        { assignedIPv4: 0n, assignedIPv6: 0n, availableIPv4: 4n, availableIPv6: 0n, restingIPv4: 0n, restingIPv6: 0n },
      ],
    ],
  );
});

const allocation = (fields: Spec): Spec => ({ addresses: ["10.0.0.0/24"], serviceAllocation: fields });

const problems = [
  {
    name: "duplicate namespaces",
    spec: allocation({ namespaces: ["a", "b", "a"] }),
    problem: 'serviceAllocation.namespaces[2]: duplicate definition of namespace "a"; remove one',
  },
  {
    name: "duplicate namespace selectors, in another order",
    spec: allocation({
      namespaceSelectors: [{ matchLabels: { a: "1", b: "2" } }, { matchLabels: { b: "2", a: "1" } }],
    }),
    problem: 'serviceAllocation.namespaceSelectors[1]: duplicate definition of selector "a=1,b=2"; remove one',
  },
  {
    name: "duplicate service selectors",
    spec: allocation({
      serviceSelectors: [
        { matchExpressions: [{ key: "a", operator: "In", values: ["y", "x"] }] },
        { matchExpressions: [{ key: "a", operator: "In", values: ["x", "y"] }] },
      ],
    }),
    problem: 'serviceAllocation.serviceSelectors[1]: duplicate definition of selector "a in (x,y)"; remove one',
  },
  {
    name: "a value twice in an expression",
    spec: allocation({
      serviceSelectors: [{ matchExpressions: [{ key: "a", operator: "In", values: ["x", "y", "x"] }] }],
    }),
    problem:
      'serviceAllocation.serviceSelectors[0].matchExpressions[0].values[2]: duplicate definition of match expression value "x"; remove one',
  },
  {
    name: "an expression twice in a selector",
    spec: allocation({
      namespaceSelectors: [
        {
          matchExpressions: [
            { key: "a", operator: "Exists" },
            { key: "a", operator: "Exists" },
          ],
        },
      ],
    }),
    problem:
      'serviceAllocation.namespaceSelectors[0].matchExpressions[1]: duplicate definition of match expression "a"; remove one',
  },
  {
    name: "an entry twice",
    spec: { addresses: ["10.0.0.0/24", "10.0.0.0/24"] },
    problem: "addresses[1]: 10.0.0.0/24 overlaps with 10.0.0.0/24 of spec.addresses[0] of pool metallb-system/demo",
  },
];

for (const row of problems) {
  test(`pool with ${row.name} is closed and says why`, () => {
    const set = parse(pool("demo", row.spec));
    assert.deepEqual(set.problems.map(formatProblem), [`IPAddressPool metallb-system/demo: spec.${row.problem}`]);
    assert.notEqual(only(set).closedBecause, undefined);
  });
}

test("of pools that overlap the older is open, whatever its name", () => {
  const set = parse(
    pool("young", { addresses: ["10.0.0.0/24"] }, { name: "a", creationTimestamp: "2026-02-01T00:00:00Z" }),
    pool("old", { addresses: ["10.0.0.128/25"] }, { name: "b", creationTimestamp: "2026-01-01T00:00:00Z" }),
  );
  assert.deepEqual(
    set.pools.map((p) => [p.name, p.closedBecause !== undefined]),
    [
      ["b", false],
      ["a", true],
    ],
  );
});

test("a pool that is closed does not close those that overlap only with it", () => {
  const set = parse(
    pool("a", { addresses: ["10.0.0.0/24"] }),
    pool("b", { addresses: ["10.0.0.255-10.0.1.10"] }),
    pool("c", { addresses: ["10.0.1.0/24"] }),
  );
  assert.deepEqual(
    set.pools.map((p) => p.closedBecause !== undefined),
    [false, true, false],
  );
  assert.deepEqual(
    set.poolsOf(address("10.0.1.5")).map((p) => p.name),
    ["c", "b"],
  );
});

const scopes = [
  { name: "no serviceAllocation", allocation: undefined, allowed: ["shop", "blog", "red"] },
  { name: "an empty serviceAllocation", allocation: {}, allowed: ["shop", "blog", "red"] },
  { name: "a namespace", allocation: { namespaces: ["shop"] }, allowed: ["shop"] },
  {
    name: "a namespace selector",
    allocation: { namespaceSelectors: [{ matchLabels: { tier: "gold" } }] },
    allowed: ["shop"],
  },
  {
    name: "a namespace and a selector",
    allocation: { namespaces: ["blog"], namespaceSelectors: [{ matchLabels: { tier: "gold" } }] },
    allowed: ["shop", "blog", "red"],
  },
  {
    name: "a namespace selector that matches none",
    allocation: { namespaceSelectors: [{ matchLabels: { tier: "tin" } }] },
    allowed: [],
  },
  {
    name: "a service selector",
    allocation: { serviceSelectors: [{ matchLabels: { team: "red" } }] },
    allowed: ["red"],
  },
  {
    name: "one of two service selectors",
    allocation: { serviceSelectors: [{ matchLabels: { team: "blue" } }, { matchLabels: { team: "red" } }] },
    allowed: ["red"],
  },
  {
    name: "a namespace and a service selector that do not meet",
    allocation: { namespaces: ["shop"], serviceSelectors: [{ matchLabels: { team: "red" } }] },
    allowed: [],
  },
];

for (const row of scopes) {
  test(`pool with ${row.name} is open to ${row.allowed.join(", ") || "nobody"}`, () => {
    const spec = {
      addresses: ["10.0.0.0/24"],
      ...(row.allocation === undefined ? {} : { serviceAllocation: row.allocation }),
    };
    const p = only(parse(pool("demo", spec)));
    const services = [
      { name: "shop", namespace: "shop", labels: {} },
      { name: "blog", namespace: "blog", labels: {} },
      { name: "red", namespace: "blog", labels: { team: "red" } },
    ];
    assert.deepEqual(
      services.filter((s) => poolAllows(p, s.namespace, s.labels)).map((s) => s.name),
      row.allowed,
    );
  });
}

test("the lowest free address of the largest pool is found by what is in use, not by walking it", () => {
  const set = parse(pool("demo", { addresses: ["::/0", "0.0.0.0/0"], avoidBuggyIPs: true }));
  const occupancy = new Occupancy(set);
  const first = (family: Family): string =>
    formatAddress(occupancy.first(only(set), family, NO_SHARING) ?? assert.fail());
  assert.equal(first("IPv6"), "::1");
  assert.equal(first("IPv4"), "0.0.0.1");
  for (let i = 1n; i <= 254n; i += 1n) occupancy.take(`s${i}`, NO_SHARING, [{ family: "IPv4", value: i }]);
  assert.equal(first("IPv4"), "0.0.1.1");
});

test("an address given back is the next that is given out", () => {
  const set = parse(pool("demo", { addresses: ["10.0.0.0/31"] }));
  const occupancy = new Occupancy(set);
  occupancy.take("a", NO_SHARING, [address("10.0.0.0")]);
  occupancy.take("b", NO_SHARING, [address("10.0.0.1")]);
  assert.equal(occupancy.first(only(set), "IPv4", NO_SHARING), undefined);
  occupancy.take("a", NO_SHARING, []);
  assert.deepEqual(occupancy.first(only(set), "IPv4", NO_SHARING), address("10.0.0.0"));
});

test("a pool that is wrong a hundred thousand times is closed, with a hundred problems and a number", () => {
  const many = Array.from({ length: 150_000 }, (_, index) => `x${index % 2}`);
  const set = parse(pool("demo", { addresses: many, serviceAllocation: { namespaces: many } }));
  assert.equal(set.problems.length, 101);
  assert.equal(set.problems.at(-1)?.message, "and 299898 more problems");
  assert.notEqual(only(set).closedBecause, undefined);
});
