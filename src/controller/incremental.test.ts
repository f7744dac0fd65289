/**
 * Many small changes, one after the other: what is decided about each alone is what would be decided from nothing, and so is what
 * has to be written. `test/script/world.ts` compares the same at every step of every script; here fields change one at a time,
 * somebody edits statuses, and writes come late.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { assign } from "../pool/assign.ts";
import type { Decision } from "../pool/decision.ts";
import { Assigner } from "../pool/assigner.ts";
import { ipAddressPoolSchema, type IPAddressPool } from "../pool/objects.ts";
import { serviceSchema, type Service } from "../service/objects.ts";
import type { ServiceStatusWrite } from "../source/source.ts";
import { atOnce } from "../time/slices.ts";
import { outcome, snapshotOf, textsOf } from "./decisions.fixture.ts";
import { plan, planning } from "./plan.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

/** What a Service is made of: the value of each field, as a person would change it. */
interface Fields {
  readonly pool?: string | undefined;
  readonly span?: string | undefined;
  readonly key?: string | undefined;
  readonly addresses?: string | undefined;
  readonly sharedAs?: "forgotten" | undefined;
  readonly labels?: Readonly<Record<string, string>>;
  readonly createdAt?: string;
  readonly type?: string;
  readonly loadBalancerClass?: string | undefined;
  readonly ports?: readonly number[];
  readonly policy?: string;
  readonly ipFamilyPolicy?: string;
  readonly ipFamilies?: readonly string[];
}

const maybe = <T>(...values: readonly T[]): fc.Arbitrary<T | undefined> => fc.constantFrom(undefined, ...values);

const FIELDS = {
  pool: maybe("p0", "p1", "p1,p0"),
  span: maybe("span"),
  key: maybe("x", "x", "y"),
  addresses: maybe("10.0.0.0", "10.0.0.1", "10.0.1.5", "fc00::", "10.0.0.1,fc00::1"),
  labels: fc.constantFrom({}, { tier: "web" }),
  createdAt: fc.constantFrom("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
  type: fc.constantFrom("LoadBalancer", "LoadBalancer", "ClusterIP"),
  loadBalancerClass: fc.constantFrom(undefined, undefined, undefined, "other"),
  ports: fc.constantFrom([80], [81], [80, 443]),
  policy: fc.constantFrom("Cluster", "Local"),
  ipFamilyPolicy: fc.constantFrom("SingleStack", "PreferDualStack", "RequireDualStack"),
  ipFamilies: fc.constantFrom(["IPv4"], ["IPv6"], ["IPv6", "IPv4"]),
};

const POOLS: readonly (readonly object[])[] = [
  [{ addresses: ["10.0.0.0/31", "fc00::/127"] }],
  [{ addresses: ["10.0.0.0/32", "fc00::/128"] }, { addresses: ["10.0.0.1/32", "fc00::1/128"], autoAssign: false }],
  [
    { addresses: ["10.0.0.1/32", "fc00::/128"] },
    {
      addresses: ["10.0.0.0/32", "10.0.1.5/32", "fc00::1/128"],
      serviceAllocation: { priority: 1, namespaces: ["shop"], serviceSelectors: [{ matchLabels: { tier: "web" } }] },
    },
  ],
];

type Edit =
  | { readonly what: "make"; readonly key: string; readonly fields: Fields }
  | { readonly what: "change"; readonly key: string; readonly fields: Fields }
  | { readonly what: "delete"; readonly key: string }
  | { readonly what: "status"; readonly key: string; readonly ingress?: readonly string[]; readonly conditions?: [] }
  | { readonly what: "pools"; readonly pools: readonly object[] };

const key = fc
  .tuple(fc.constantFrom("shop", "blog"), fc.constantFrom("a", "b", "c", "d"))
  .map((parts) => parts.join("/"));
const whole = fc.record(FIELDS);
const oneField = fc
  .constantFrom(...Object.entries(FIELDS))
  .chain(([name, values]) => (values as fc.Arbitrary<unknown>).map((value): Fields => ({ [name]: value })));
const edits: fc.Arbitrary<Edit> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("make" as const), key, fields: whole }) },
  { weight: 8, arbitrary: fc.record({ what: fc.constant("change" as const), key, fields: oneField }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constant("delete" as const), key }) },
  {
    weight: 1,
    arbitrary: fc
      .record({ what: fc.constant("change" as const), key, fields: whole })
      .map(({ fields, ...rest }): Edit => ({ ...rest, fields: { ports: fields.ports, sharedAs: "forgotten" } })),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      {
        what: fc.constant("status" as const),
        key,
        ingress: fc.subarray(["10.0.0.0", "10.0.0.1", "fc00::", "192.0.2.1"], { maxLength: 2 }),
        conditions: fc.constant([] as []),
      },
      { requiredKeys: ["what", "key"] },
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(...POOLS).map((pools): Edit => ({ what: "pools", pools })) },
);

/** A cluster, and a controller that has not been restarted since it began. */
class Cluster {
  readonly fields = new Map<string, Fields>();
  readonly assigner = new Assigner();
  services = new Map<string, Service>();
  pools: ReadonlyMap<string, IPAddressPool> = poolsOf(POOLS[0] ?? []);
  /** What somebody has written and nobody has read yet. */
  #late: (readonly [string, ServiceStatusWrite])[] = [];
  partial = 0;

  edit(edit: Edit): void {
    if (edit.what === "pools") {
      this.pools = poolsOf(edit.pools);
      return;
    }
    const before = this.services.get(edit.key);
    const fields = this.fields.get(edit.key);
    if (edit.what === "delete") {
      this.services.delete(edit.key);
      this.fields.delete(edit.key);
    } else if (edit.what === "make") this.#set(edit.key, edit.fields, undefined);
    else if (before === undefined || fields === undefined) return;
    else if (edit.what === "change") this.#set(edit.key, { ...fields, ...edit.fields }, before);
    else {
      const ingress = edit.ingress?.map((ip) => ({ ip, ipMode: "VIP" as const })) ?? before.status.loadBalancer.ingress;
      const conditions = edit.conditions ?? before.status.conditions;
      this.services.set(edit.key, { ...before, status: { loadBalancer: { ingress }, conditions } });
    }
  }

  #set(of: string, fields: Fields, before: Service | undefined): void {
    this.fields.set(of, fields);
    const made = serviceOf(of, fields);
    const written = Object.entries(before?.metadata.annotations ?? {}).filter(
      ([name]) => /pool$|shared-as|assigned/.test(name) && name !== "metallb.io/address-pool",
    );
    const kept = written.filter(([name]) => fields.sharedAs !== "forgotten" || !name.endsWith("shared-as"));
    const metadata = { ...made.metadata, annotations: { ...made.metadata.annotations, ...Object.fromEntries(kept) } };
    this.services.set(of, { ...made, metadata, status: before?.status ?? made.status });
  }

  /** Decides both ways and writes. `late`: the writes are not to be seen before the next turn. `takesIn`: what was written is taken in at once. */
  turn(late: boolean, takesIn = false): Decision {
    const snapshot = snapshotOf(this.services, this.pools);
    const decision = atOnce(this.assigner.deciding(snapshot, NOW));
    const anew = assign(snapshot, undefined, NOW);
    assert.deepEqual(outcome(decision), outcome(anew));
    const operations = atOnce(planning(snapshot, decision, new Date(NOW), decision.looked));
    const wasLate = this.#late.length > 0;
    if (!wasLate) assert.deepEqual(textsOf(operations), textsOf(plan(snapshot, anew, new Date(NOW))));
    if (decision.looked !== undefined) this.partial += 1;
    this.services = new Map(this.services);
    for (const [of, write] of this.#late) this.#write(of, write);
    const writes = operations.flatMap((one) => (one.type === "service" ? [[one.key, one.write] as const] : []));
    this.#late = late && !wasLate ? writes : [];
    if (this.#late.length === 0) for (const [of, write] of writes) this.#write(of, write);
    if (takesIn && !late && !wasLate) atOnce(this.assigner.takingIn(snapshotOf(new Map(this.services), this.pools)));
    return decision;
  }

  #write(of: string, { ingress, conditions, annotations }: ServiceStatusWrite): void {
    const before = this.services.get(of);
    if (before === undefined) return;
    const all = Object.entries({ ...before.metadata.annotations, ...annotations });
    const kept = all.filter((entry): entry is [string, string] => entry[1] !== undefined);
    const metadata = { ...before.metadata, annotations: Object.fromEntries(kept) };
    const status = { loadBalancer: { ingress: [...ingress] as never }, conditions: [...conditions] as never };
    this.services.set(of, { ...before, metadata, status });
  }

  held(of: string): readonly string[] {
    return (this.services.get(of)?.status.loadBalancer.ingress ?? []).map(({ ip }) => ip ?? "");
  }
}

function serviceOf(of: string, fields: Fields): Service {
  const [namespace, name] = of.split("/");
  const { labels, createdAt, type = "LoadBalancer", loadBalancerClass, ports = [80] } = fields;
  const annotations = {
    "metallb.io/address-pool": fields.pool,
    "fairlead.io/dual-stack-pools": fields.span,
    "metallb.io/allow-shared-ip": fields.key,
    "metallb.io/loadBalancerIPs": fields.addresses,
  };
  return serviceSchema.parse({
    metadata: {
      namespace,
      name,
      labels,
      creationTimestamp: createdAt,
      annotations: Object.fromEntries(Object.entries(annotations).filter(([, value]) => value !== undefined)),
    },
    spec: {
      type,
      loadBalancerClass,
      externalTrafficPolicy: fields.policy,
      ipFamilyPolicy: fields.ipFamilyPolicy,
      ipFamilies: fields.ipFamilies,
      ports: ports.map((port) => ({ port })),
    },
  });
}

function poolsOf(specs: readonly object[]): ReadonlyMap<string, IPAddressPool> {
  return new Map(
    specs.map((spec, number) => [
      `metallb-system/p${number}`,
      ipAddressPoolSchema.parse({ metadata: { name: `p${number}`, namespace: "metallb-system" }, spec }),
    ]),
  );
}

test("deciding about what has changed is deciding about everything", () => {
  let [turns, partial] = [0, 0];
  const step = fc.tuple(fc.array(edits, { minLength: 1, maxLength: 3 }), fc.nat(8));
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 30 }), (steps) => {
      const cluster = new Cluster();
      for (const [some, chance] of steps) {
        for (const edit of some) cluster.edit(edit);
        cluster.turn(chance === 0, chance % 2 === 1);
      }
      turns += steps.length;
      partial += cluster.partial;
    }),
    { numRuns: 1000 },
  );
  assert.ok(partial > turns / 3, `${partial} of ${turns} turns were about what had changed alone`);
});

/** Services by name, in turns: what is made or changed in each, and who holds what at the end. */
interface Row {
  readonly name: string;
  readonly pools: readonly object[];
  /** From the second turn on; the third is about what has changed again. */
  readonly poolsLater?: readonly object[];
  readonly turns: readonly Readonly<Record<string, Fields | undefined>>[];
  readonly held: Readonly<Record<string, string>>;
  /** Parts of what somebody is told at last. */
  readonly told?: Readonly<Record<string, string>>;
  /** The last turn is about everything. */
  readonly anew?: boolean;
}

const ONE = [{ addresses: ["10.0.0.0/32"] }];

const ROWS: readonly Row[] = [
  {
    name: "an address that comes back goes to the oldest that waits",
    pools: ONE,
    turns: [
      { a: {}, b: { createdAt: "2026-02-01T00:00:00Z" }, c: { createdAt: "2026-01-02T00:00:00Z" } },
      { a: undefined },
    ],
    held: { c: "10.0.0.0" },
  },
  {
    name: "what somebody leaves for an address it asks for goes to who waits",
    pools: [{ addresses: ["10.0.0.0/32"] }, { addresses: ["10.0.1.0/32"], autoAssign: false }],
    turns: [{ a: {}, b: {} }, { a: { addresses: "10.0.1.0" } }],
    held: { a: "10.0.1.0", b: "10.0.0.0" },
  },
  {
    name: "who asks for an address is told who has it now",
    pools: ONE,
    turns: [{ d: { key: "x" } }, { u: { key: "y", addresses: "10.0.0.0" } }, { b: { key: "x", ports: [81] } }],
    held: { d: "10.0.0.0", b: "10.0.0.0", u: "" },
    told: { u: "in use by shop/b" },
  },
  {
    name: "who asks for an address is told who has it still",
    pools: ONE,
    turns: [
      { b: { key: "x", ports: [81] }, d: { key: "x" } },
      { u: { key: "y", addresses: "10.0.0.0" } },
      { b: undefined },
    ],
    held: { d: "10.0.0.0", u: "" },
    told: { u: "in use by shop/d" },
  },
  {
    name: "a port that becomes free lets another join",
    pools: ONE,
    turns: [
      { a: { key: "x" }, b: { key: "x", ports: [81] }, c: { key: "x", ports: [81] } },
      { b: { key: "x", ports: [82] } },
    ],
    held: { a: "10.0.0.0", b: "10.0.0.0", c: "10.0.0.0" },
    anew: true,
  },
  {
    name: "who lost one of two addresses is not moved for the other later than at once",
    pools: [{ addresses: ["10.0.0.0/32", "fc00::/128"] }, { addresses: ["10.0.1.0/32", "fc00::1/128"] }],
    poolsLater: [{ addresses: ["10.0.0.0/32"] }, { addresses: ["10.0.1.0/32", "fc00::1/128"] }],
    turns: [
      { a: { ipFamilyPolicy: "PreferDualStack" }, b: { ipFamilyPolicy: "PreferDualStack" } },
      {},
      { b: undefined },
    ],
    held: { a: "10.0.0.0" },
  },
  {
    name: "a label that opens a pool",
    pools: [
      { addresses: ["10.0.0.0/32"], serviceAllocation: { serviceSelectors: [{ matchLabels: { tier: "web" } }] } },
    ],
    turns: [{ a: {} }, { a: { labels: { tier: "web" } } }],
    held: { a: "10.0.0.0" },
  },
];

describe("changes that concern others", () => {
  for (const { name, pools, poolsLater = pools, turns, held, told, anew } of ROWS)
    test(name, () => {
      const cluster = new Cluster();
      cluster.pools = poolsOf(pools);
      let last: Decision | undefined;
      for (const [number, turn] of turns.entries()) {
        if (number === 1 && poolsLater !== pools) cluster.pools = poolsOf(poolsLater);
        for (const [of, fields] of Object.entries(turn))
          cluster.edit(
            fields === undefined
              ? { what: "delete", key: `shop/${of}` }
              : { what: cluster.fields.has(`shop/${of}`) ? "change" : "make", key: `shop/${of}`, fields },
          );
        last = cluster.turn(false);
      }
      assert.equal(last?.looked === undefined, anew === true);
      for (const [of, address] of Object.entries(held)) assert.equal(cluster.held(`shop/${of}`).join(), address, of);
      for (const [of, part] of Object.entries(told ?? {}))
        assert.ok(last?.assignments.get(`shop/${of}`)?.unmet?.message.includes(part), part);
    });
});
