import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Snapshot } from "../source.ts";
import { decodeFile } from "./decoders.ts";
import { Merger, type Inputs } from "./merge.ts";
import type { ServiceState } from "./state.ts";

const state = (ip: string): ServiceState => ({
  key: "",
  digest: "",
  annotations: { ip },
  status: { loadBalancer: { ingress: [{ ip }] }, conditions: [] },
});
const file = (names: readonly string[]): ReturnType<typeof decodeFile> =>
  decodeFile(
    names
      .map((name) => JSON.stringify({ apiVersion: "v1", kind: "Service", metadata: { name }, spec: {} }))
      .join("\n---\n"),
    "a.yaml",
  );
const inputs = (files: Inputs["files"], states: Readonly<Record<string, ServiceState>>): Inputs => ({
  files,
  serviceStates: new Map(Object.entries(states).map(([name, value]) => [`default/${name}`, value])),
  poolStates: new Map(),
  problems: [],
  complete: true,
});

/** With maps that can be compared. */
const plain = (snapshot: Snapshot): object => ({
  ...snapshot,
  services: new Map(snapshot.services),
  ipAddressPools: new Map(snapshot.ipAddressPools),
});

test("a collection in which nothing changed is the same map again, one in which something did is another", () => {
  const merger = new Merger();
  const files = [file(["a", "b"])];
  const [one, two] = [state("10.0.0.1"), state("10.0.0.2")];
  const first = merger.merge(inputs(files, { a: one }));
  const same = merger.merge(inputs(files, { a: one }));
  assert.equal(same.services, first.services);
  const changed = merger.merge(inputs(files, { a: two }));
  assert.notEqual(changed.services, first.services);
  assert.equal(changed.services.get("default/b"), first.services.get("default/b"));
  assert.equal(changed.nodes, first.nodes);
  assert.deepEqual(first.services.get("default/a")?.status.loadBalancer.ingress, [{ ip: "10.0.0.1" }]);
});

test("after any changes of files and states, the snapshot is as if merged for the first time", () => {
  const names = fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 0 });
  const states = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom("10.0.0.1", "10.0.0.2"));
  const known = new Map(["10.0.0.1", "10.0.0.2"].map((ip) => [ip, state(ip)]));
  const steps = fc.array(fc.record({ names, states, edit: fc.boolean() }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(steps, (list) => {
      const merger = new Merger();
      let files = [file([])];
      for (const step of list) {
        if (step.edit) files = [file(step.names)];
        const given = Object.entries(step.states).map(([name, ip]) => [name, known.get(ip) ?? state(ip)] as const);
        const now = inputs(files, Object.fromEntries(given));
        assert.deepEqual(plain(merger.merge(now)), plain(new Merger().merge(now)));
      }
    }),
  );
});

test("merging with pauses comes to the same, also when others merge in a pause", () => {
  const many = Array.from({ length: 3000 }, (_, i) => `s${i}`);
  const states = Object.fromEntries(many.map((name) => [name, state("10.0.0.1")]));
  const before = inputs([file(["old"])], {});
  const after = inputs([file(many)], states);
  const merger = new Merger();
  merger.merge(before);
  const work = merger.merging(after);
  let pauses = 0;
  let step = work.next();
  for (; step.done !== true; step = work.next()) {
    pauses += 1;
    assert.deepEqual([...merger.merge(before).services.keys()], ["default/old"]);
  }
  assert.ok(pauses > 10, `${pauses} pauses`);
  assert.deepEqual(plain(step.value), plain(new Merger().merge(after)));
  assert.deepEqual(plain(merger.merge(after)), plain(step.value));
});
