import assert from "node:assert/strict";
import { test } from "node:test";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import { serviceSchema, type Service } from "../service/objects.ts";
import { snapshotOf } from "./decisions.fixture.ts";
import { Deciding } from "./deciding.ts";

const POOL = ipAddressPoolSchema.parse({
  metadata: { name: "demo", namespace: "metallb-system" },
  spec: { addresses: ["10.0.0.0/29"] },
});
const POOLS = new Map([["metallb-system/demo", POOL]]);
const HOUR = 3_600_000;

function service(name: string): [string, Service] {
  const metadata = { namespace: "default", name };
  return [`default/${name}`, serviceSchema.parse({ metadata, spec: { type: "LoadBalancer", ports: [{ port: 80 }] } })];
}

test("an hour after the last one, a decision is from nothing, and what it finds otherwise is told", async () => {
  const errors: object[] = [];
  const deciding = new Deciding({ log: { error: (fields: object) => errors.push(fields) } });
  const unmet = { type: "LoadBalancer", ports: [{ port: 80 }], loadBalancerIP: "192.0.2.1" };
  const metadata = { namespace: "default", name: "a" };
  const services = new Map<string, Service>([["default/a", serviceSchema.parse({ metadata, spec: unmet })]]);
  const snapshot = snapshotOf(services, POOLS);
  assert.equal((await deciding.decide(snapshot, HOUR, false)).looked, undefined);
  const soon = await deciding.decide(snapshot, HOUR + 1, false);
  assert.deepEqual([...(soon.looked ?? [])], ["default/a"]);

  // Nobody changes a map that was given away; who did would be overlooked, and found in time.
  services.set(...service("b"));
  const overlooked = await deciding.decide(snapshot, 2 * HOUR - 1, false);
  assert.equal(overlooked.assignments.has("default/b"), false);
  assert.deepEqual(errors, []);
  const checked = await deciding.decide(snapshot, 2 * HOUR, false);
  assert.equal(checked.assignments.get("default/b")?.addresses.length, 1);
  assert.deepEqual(errors, [{ event: "decisionCorrected", services: ["default/b"] }]);

  await deciding.decide(snapshot, 3 * HOUR, false);
  assert.equal(errors.length, 1, "nothing is told where nothing differs");
});

test("what could not be written is decided from nothing", async () => {
  const deciding = new Deciding({ log: { error: () => assert.fail() } });
  const snapshot = snapshotOf(new Map([service("a")]), POOLS);
  for (const anew of [false, true]) assert.equal((await deciding.decide(snapshot, HOUR, anew)).looked, undefined);
});
