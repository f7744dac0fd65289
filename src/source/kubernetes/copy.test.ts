import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ObjectCopy } from "./copy.ts";
import { RESOURCES, type Resource } from "./kinds.ts";
import type { Change } from "./reflector/driver.ts";
import type { Raw } from "./reflector/machine.ts";

const SERVICES = RESOURCES.find(({ collection }) => collection === "services") as Resource;

interface Made {
  readonly name: string;
  readonly uid: string;
  readonly version: number;
  readonly port: number | string;
}

/** Content follows from uid and version, as in a cluster. A port that is a text cannot be read. */
function service({ name, uid, version, port }: Made): Raw {
  return {
    metadata: { name, namespace: "default", uid, resourceVersion: String(version), managedFields: [{ manager: "x" }] },
    spec: { type: "LoadBalancer", ports: [{ port: version % 3 === 0 ? String(port) : version }] },
    status: { loadBalancer: { ingress: [{ ip: `10.0.0.${version}` }] } },
  };
}

const made = fc.record({
  name: fc.constantFrom("a", "b", "c"),
  uid: fc.constantFrom("one", "two"),
  version: fc.integer({ min: 1, max: 9 }),
  port: fc.constant("none"),
});
const list = fc.uniqueArray(made, { selector: ({ name }) => name, maxLength: 3 });
const change = fc.oneof(
  fc.record({ type: fc.constant("replace" as const), items: list }),
  fc.record({ type: fc.constantFrom("put" as const, "remove" as const), object: made }),
);

test("a copy of objects read ahead is the same as one of objects read when they take effect", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
      const [plain, ahead] = [new ObjectCopy(SERVICES), new ObjectCopy(SERVICES)];
      for (const each of changes) {
        const of = (read: (object: Raw) => Raw): Change =>
          each.type === "replace"
            ? { type: "replace", items: each.items.map((item) => read(service(item))) }
            : { type: each.type, object: service(each.object) };
        const changed = plain.apply([of((object) => object)]);
        assert.equal(ahead.apply([of((object) => ahead.ahead(object))]), changed);
        assert.deepEqual(new Map(ahead.values), new Map(plain.values));
        assert.deepEqual(ahead.problems, plain.problems);
        assert.deepEqual(ahead.unreadable, plain.unreadable);
      }
    }),
  );
});

test("what stands for an object that was read ahead holds nothing but its identity", () => {
  const stub = new ObjectCopy(SERVICES).ahead(service({ name: "a", uid: "one", version: 1, port: "" }));
  assert.deepEqual(Object.entries(stub), [
    ["metadata", { name: "a", namespace: "default", uid: "one", resourceVersion: "1" }],
  ]);
});

test("a list read ahead does not bring back what was written meanwhile", () => {
  const copy = new ObjectCopy(SERVICES);
  const of = (version: number): Raw => service({ name: "a", uid: "one", version, port: "" });
  copy.apply([{ type: "put", object: of(4) }]);
  const same = copy.ahead(of(4));
  const older = copy.ahead(of(2));
  copy.apply([{ type: "put", object: of(5) }]);
  for (const stub of [same, older]) assert.equal(copy.apply([{ type: "replace", items: [stub] }]), false);
  assert.equal(copy.values.get("default/a")?.metadata.name, "a");
  assert.deepEqual(copy.version("default/a")?.resourceVersion, "5");
});

test("an object that did not change keeps its identity, and so does the map when nothing did", () => {
  const copy = new ObjectCopy(SERVICES);
  const [a, b] = ["a", "b"].map((name) => service({ name, uid: "one", version: 1, port: "" })) as [Raw, Raw];
  copy.apply([{ type: "replace", items: [a, b] }]);
  const before = copy.values;
  assert.equal(copy.apply([{ type: "replace", items: [copy.ahead(a), copy.ahead(b)] }]), false);
  assert.equal(copy.values, before);
  copy.apply([{ type: "remove", object: b }]);
  assert.notEqual(copy.values, before);
  assert.equal(before.size, 2);
  assert.equal(copy.values.get("default/a"), before.get("default/a"));
});
