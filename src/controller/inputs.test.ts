import assert from "node:assert/strict";
import { test } from "node:test";
import { assign } from "../pool/assign.ts";
import { ipAddressPoolSchema, type IPAddressPool } from "../pool/objects.ts";
import { serviceSchema, type Service } from "../service/objects.ts";
import type { Snapshot } from "../source/source.ts";
import { atOnce } from "../time/slices.ts";
import { snapshotOf } from "./decisions.fixture.ts";
import { sameButForWrites, sameInputs } from "./inputs.ts";
import { plan, type Operation } from "./plan.ts";

const NOW = new Date("2026-01-01T00:00:00Z");

function service(name: string): Service {
  const metadata = { name, namespace: "default", annotations: { "example.com/note": "as people write them" } };
  return serviceSchema.parse({ metadata, spec: { type: "LoadBalancer", ports: [{ port: 80 }] } });
}

const POOL: IPAddressPool = ipAddressPoolSchema.parse({
  metadata: { name: "demo", namespace: "metallb-system" },
  spec: { addresses: ["10.0.0.0/29"] },
});

/** Two Services and a pool, what is to be written about them, and the objects as they are when it is. */
function written(): {
  before: Snapshot;
  operations: readonly Operation[];
  services: Map<string, Service>;
  pools: Map<string, IPAddressPool>;
} {
  const before = snapshotOf(new Map(["a", "b"].map((name) => [`default/${name}`, service(name)])), new Map([["metallb-system/demo", POOL]])); // prettier-ignore
  const operations = plan(before, assign(before), NOW);
  const services = new Map(before.services);
  const pools = new Map(before.ipAddressPools);
  for (const operation of operations) {
    if (operation.type === "service") {
      const { ingress, conditions, annotations } = operation.write;
      const object = service(operation.key.replace("default/", ""));
      const kept = Object.entries({ ...object.metadata.annotations, ...annotations }).filter((entry): entry is [string, string] => entry[1] !== undefined); // prettier-ignore
      const metadata = { ...object.metadata, annotations: Object.fromEntries(kept) };
      services.set(operation.key, { ...object, metadata, status: { loadBalancer: { ingress }, conditions } });
    }
    if (operation.type === "pool") {
      const { conditions, ...counts } = operation.write;
      const numbers = Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)]));
      pools.set(operation.key, ipAddressPoolSchema.parse({ ...POOL, status: { ...numbers, conditions } }));
    }
  }
  return { before, operations, services, pools };
}

function changed(
  services: Map<string, Service>,
  key: string,
  change: (service: Service) => Service,
): Map<string, Service> {
  const object = services.get(key) ?? assert.fail();
  return new Map(services).set(key, change(object));
}

test("what was written because of a decision is nothing to decide about", () => {
  const { before, operations, services, pools } = written();
  assert.deepEqual(operations.map(({ type }) => type).toSorted(), ["event", "event", "pool", "service", "service"]);
  const after = snapshotOf(services, pools);
  assert.equal(sameInputs(before, after), false);
  assert.equal(atOnce(sameButForWrites(before, after, operations)), true);
});

test("whatever else has changed meanwhile is decided about", () => {
  const { before, operations, services, pools } = written();
  const key = "default/a";
  const others: Record<string, Snapshot> = {
    "another port": snapshotOf(
      changed(services, key, (s) => ({ ...s, spec: { ...s.spec, ports: [] } })),
      pools,
    ),
    "another label": snapshotOf(changed(services, key, (s) => ({ ...s, metadata: { ...s.metadata, labels: { x: "y" } } })), pools), // prettier-ignore
    "an annotation of its owner": snapshotOf(changed(services, key, (s) => ({ ...s, metadata: { ...s.metadata, annotations: { ...s.metadata.annotations, "example.com/note": "" } } })), pools), // prettier-ignore
    "an address that somebody took out": snapshotOf(changed(services, key, (s) => ({ ...s, status: { ...s.status, loadBalancer: { ingress: [] } } })), pools), // prettier-ignore
    "our annotation taken away": snapshotOf(changed(services, key, (s) => ({ ...s, metadata: { ...s.metadata, annotations: {} } })), pools), // prettier-ignore
    "a Service that went": snapshotOf(new Map([...services].slice(1)), pools),
    "a Service that came": snapshotOf(new Map([...services, ["default/c", service("c")]]), pools),
    "a pool made smaller": snapshotOf(services, new Map([["metallb-system/demo", { ...(pools.get("metallb-system/demo") ?? POOL), spec: { ...POOL.spec, addresses: ["10.0.0.0/30"] } }]])), // prettier-ignore
    "a pool whose counts somebody changed": snapshotOf(services, new Map([["metallb-system/demo", POOL]])),
    "a namespace that came": { ...snapshotOf(services, pools), namespaces: new Map([["n", { metadata: { name: "n", labels: {}, annotations: {} } }]]) }, // prettier-ignore
    "a problem": { ...snapshotOf(services, pools), problems: [{ subject: "x", message: "y" }] },
    "reading that is complete no more": { ...snapshotOf(services, pools), complete: false },
  };
  for (const [what, after] of Object.entries(others))
    assert.equal(atOnce(sameButForWrites(before, after, operations)), false, what);
});

test("an address that was given up may be what somebody waits for", () => {
  const { before, operations, services, pools } = written();
  const releasing = operations.map((operation) =>
    operation.type === "service" ? { ...operation, releases: ["10.0.0.1"] } : operation,
  );
  assert.equal(atOnce(sameButForWrites(before, snapshotOf(services, pools), releasing)), false);
});
