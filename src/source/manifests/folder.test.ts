import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { z } from "zod";
import type { Problem } from "../../net/problem.ts";
import type { Snapshot, Source, StatusWriter } from "../source.ts";
import { FILE_BYTES_MAX } from "./files.ts";
import { openFolderSource } from "./folder.ts";
import { decodePoolState, decodeServiceState } from "./state.ts";

interface Bench {
  readonly manifests: string;
  readonly state: string;
  readonly source: Source & StatusWriter;
  readonly logged: Problem[];
}

/** Fails the test instead of hanging when what is awaited never comes. Not a measurement. */
const PATIENCE_MS = 10_000;

async function bench(t: TestContext, files: Readonly<Record<string, string>>): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), "fl-source-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const manifests = join(folder, "manifests");
  mkdirSync(manifests);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(manifests, name), text);
  const state = join(folder, "state");
  return { manifests, state, ...(await open(t, manifests, state)) };
}

async function open(t: TestContext, manifests: string, state: string): Promise<Pick<Bench, "source" | "logged">> {
  const logged: Problem[] = [];
  const source = await openFolderSource({ manifests: [manifests], state, log: (p) => logged.push(p) });
  t.after(() => source.close());
  return { source, logged };
}

async function until(source: Source, met: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
  if (met(source.snapshot())) return source.snapshot();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The snapshot did not become what was awaited")), PATIENCE_MS);
    const stop = source.subscribe(() => {
      if (!met(source.snapshot())) return;
      clearTimeout(timer);
      stop();
      resolve(source.snapshot());
    });
  });
}

const ANNOTATION = "metallb.io/ip-allocated-from-pool";
const written = { ingress: [{ ip: "10.0.0.1", ipMode: "VIP" }], conditions: [], annotations: { [ANNOTATION]: "demo" } };

function service(name: string, port = 80): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {type: LoadBalancer, ports: [{port: ${port}}]}\n`;
}

const names = (snapshot: Snapshot): readonly string[] => [...snapshot.services.keys()];
const port = (snapshot: Snapshot, key: string): number | undefined => snapshot.services.get(key)?.spec.ports[0]?.port;

test("folder: an edit, a new file and a removed file take effect", async (t) => {
  const { manifests, source } = await bench(t, { "a.yaml": service("a") });
  assert.deepEqual(names(source.snapshot()), ["default/a"]);
  writeFileSync(join(manifests, "a.yaml"), service("a", 81));
  await until(source, (s) => port(s, "default/a") === 81);
  writeFileSync(join(manifests, "b.json"), '{"apiVersion":"v1","kind":"Service","metadata":{"name":"b"},"spec":{}}');
  await until(source, (s) => s.services.has("default/b"));
  rmSync(join(manifests, "a.yaml"));
  assert.deepEqual(names(await until(source, (s) => !s.services.has("default/a"))), ["default/b"]);
});

test("folder: objects that did not change keep their identity", async (t) => {
  const { manifests, source } = await bench(t, { "a.yaml": service("a"), "b.yaml": service("b") });
  const before = source.snapshot();
  writeFileSync(join(manifests, "a.yaml"), `${service("a")}---\n${service("c")}`);
  const after = await until(source, (s) => s.services.has("default/c"));
  assert.equal(after.services.get("default/a"), before.services.get("default/a"));
  assert.equal(after.services.get("default/b"), before.services.get("default/b"));
});

test("folder: a file that breaks keeps its last good objects, says where and why, and recovers", async (t) => {
  const { manifests, source, logged } = await bench(t, {
    "a.yaml": `${service("a")}---\n${service("b")}`,
    "c.yaml": service("c"),
  });
  writeFileSync(join(manifests, "a.yaml"), `${service("a", 90)}---\n${service("b", 0)}`);
  const broken = await until(source, (s) => s.problems.length > 0);
  assert.deepEqual(names(broken), ["default/a", "default/b", "default/c"]);
  assert.equal(port(broken, "default/a"), 90);
  assert.equal(port(broken, "default/b"), 80);
  assert.equal(broken.complete, false);
  assert.deepEqual(broken.problems, [
    {
      subject: `${join(manifests, "a.yaml")} document 2 (Service b)`,
      path: "spec.ports[0].port",
      message: "Too small: expected number to be >=1, found 0",
    },
  ]);
  assert.deepEqual(logged, broken.problems);
  writeFileSync(join(manifests, "a.yaml"), service("a", 91));
  const mended = await until(source, (s) => s.problems.length === 0);
  assert.deepEqual(names(mended), ["default/a", "default/c"]);
  assert.equal(mended.complete, true);
});

const breakages = [
  { name: "is not YAML", text: "kind: [", message: /is not YAML: line 1/ },
  { name: "is emptied", text: "", message: /is empty now; delete it if that is meant/ },
  { name: "grows beyond the bound", text: `#${"x".repeat(FILE_BYTES_MAX)}`, message: /more than 16777216; split it/ },
];

for (const row of breakages) {
  test(`folder: a file that ${row.name} keeps its last good objects`, async (t) => {
    const { manifests, source } = await bench(t, { "a.yaml": service("a") });
    writeFileSync(join(manifests, "a.yaml"), row.text);
    const broken = await until(source, (s) => s.problems.length > 0);
    assert.match(broken.problems[0]?.message ?? "", row.message);
    assert.deepEqual(names(broken), ["default/a"]);
    assert.equal(broken.complete, false);
  });
}

test("folder: a folder that disappears keeps everything, and is picked up when it is back", async (t) => {
  const { manifests, source } = await bench(t, { "a.yaml": service("a") });
  renameSync(manifests, `${manifests}.gone`);
  const gone = await until(source, (s) => s.problems.length > 0);
  assert.deepEqual(names(gone), ["default/a"]);
  assert.match(gone.problems[0]?.message ?? "", /cannot be listed, keeping what was read from it/);
  mkdirSync(manifests);
  writeFileSync(join(manifests, "b.yaml"), service("b"));
  assert.deepEqual(names(await until(source, (s) => s.services.has("default/b") && s.problems.length === 0)), [
    "default/b",
  ]);
});

test("folder: of one object in two files the first counts, and the second is reported", async (t) => {
  const { manifests, source } = await bench(t, { "a.yaml": service("web", 80), "b.yaml": service("web", 90) });
  const snapshot = source.snapshot();
  assert.equal(port(snapshot, "default/web"), 80);
  assert.deepEqual(snapshot.problems, [
    {
      subject: `${join(manifests, "b.yaml")} document 1 (Service default/web)`,
      message: `the object is in ${join(manifests, "a.yaml")} document 1 too; that one counts, remove one of them`,
    },
  ]);
  rmSync(join(manifests, "a.yaml"));
  assert.equal(port(await until(source, (s) => s.problems.length === 0), "default/web"), 90);
});

test("folder: a thousand files are all read, and of an edit only what it changed is another object", async (t) => {
  const files = Array.from({ length: 1000 }, (_, i) => [`${i}.yaml`, service(`s${i}`)] as const);
  const { manifests, source } = await bench(t, Object.fromEntries(files));
  const before = source.snapshot();
  assert.equal(before.services.size, 1000);
  writeFileSync(join(manifests, "500.yaml"), service("s500", 81));
  const after = await until(source, (s) => port(s, "default/s500") === 81);
  assert.equal([...after.services].filter(([key, value]) => before.services.get(key) === value).length, 999);
  assert.equal(after.nodes, before.nodes);
});

test("folder: what we write while files are read is not undone by what was read before", async (t) => {
  const { manifests, state, source } = await bench(t, { "a.yaml": service("a") });
  await source.writeService("default/a", written);
  const stale = JSON.parse(readFileSync(join(state, "services", "default_a.json"), "utf8")) as object;
  writeFileSync(join(state, "services", "default_a.json"), JSON.stringify({ ...stale, metadata: { name: "a" } }));
  writeFileSync(join(manifests, "b.yaml"), service("b"));
  await source.writeService("default/a", { ...written, ingress: [{ ip: "10.0.0.2" }] });
  const snapshot = await until(source, (s) => s.services.has("default/b"));
  assert.deepEqual(snapshot.services.get("default/a")?.status.loadBalancer.ingress, [{ ip: "10.0.0.2" }]);
});

test("folder: hidden files, folders and other extensions are not read", async (t) => {
  const { manifests, source } = await bench(t, {
    ".a.yaml": service("a"),
    "b.yaml~": service("b"),
    "c.txt": service("c"),
  });
  mkdirSync(join(manifests, "d.yaml"));
  writeFileSync(join(manifests, "e.yml"), service("e"));
  const snapshot = await until(source, (s) => s.services.size > 0);
  assert.deepEqual(names(snapshot), ["default/e"]);
  assert.deepEqual(snapshot.problems, []);
});

test("state: what is written is in the snapshot at once, in another process soon, and after a restart", async (t) => {
  const { manifests, state, source } = await bench(t, { "a.yaml": service("a") });
  const agent = await open(t, manifests, state);
  await source.writeService("default/a", written);
  const restarted = await open(t, manifests, state);
  for (const reader of [source, restarted.source, agent.source]) {
    const snapshot = await until(reader, (s) => s.services.get("default/a")?.status.loadBalancer.ingress.length === 1);
    const web = snapshot.services.get("default/a");
    assert.deepEqual(web?.status.loadBalancer.ingress, written.ingress);
    assert.equal(web?.metadata.annotations[ANNOTATION], "demo");
  }
});

test("state: a file holds the Kubernetes shape of the object, and nothing else is left beside it", async (t) => {
  const { state, source } = await bench(t, { "a.yaml": service("a") });
  await source.writeService("default/a", { ...written, annotations: { [ANNOTATION]: undefined } });
  assert.deepEqual(readdirSync(join(state, "services")), ["default_a.json"]);
  assert.deepEqual(JSON.parse(readFileSync(join(state, "services", "default_a.json"), "utf8")), {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "a", namespace: "default", annotations: {} },
    status: { loadBalancer: { ingress: written.ingress }, conditions: [] },
  });
});

test("state: counters of a pool are exact up to the largest the API holds", async (t) => {
  const { state, source } = await bench(t, {});
  const counts = { assignedIPv4: 1n, assignedIPv6: 2n, availableIPv4: 255n, availableIPv6: 1n << 100n, conditions: [] };
  await source.writePool("metallb-system/demo", counts);
  const text = readFileSync(join(state, "ipaddresspools", "metallb-system_demo.json"), "utf8");
  assert.match(text, /"availableIPv6": 9223372036854775807\b/);
});

test("state: a Service that went is forgotten, one that cannot be read keeps its address reserved", async (t) => {
  const { manifests, state, source } = await bench(t, { "a.yaml": service("a"), "b.yaml": service("b") });
  await source.writeService("default/a", written);
  writeFileSync(join(manifests, "b.yaml"), "kind: [");
  await until(source, (s) => !s.complete);
  rmSync(join(manifests, "a.yaml"));
  const partly = await until(source, (s) => !s.services.has("default/a"));
  await source.forgetDeleted();
  assert.deepEqual([...partly.reserved], [["default/a", ["10.0.0.1"]]]);
  assert.deepEqual(readdirSync(join(state, "services")), ["default_a.json"]);
  rmSync(join(manifests, "b.yaml"));
  const complete = await until(source, (s) => s.complete);
  assert.deepEqual([...complete.reserved], []);
  await source.forgetDeleted();
  assert.deepEqual(readdirSync(join(state, "services")), []);
});

test("state: a file that is no state is reported and the Service keeps what was known", async (t) => {
  const { state, source } = await bench(t, { "a.yaml": service("a") });
  await source.writeService("default/a", written);
  appendFileSync(join(state, "services", "default_a.json"), "}");
  const snapshot = await until(source, (s) => s.problems.length > 0);
  assert.match(snapshot.problems[0]?.message ?? "", /^is not state as Fairlead writes it/);
  assert.deepEqual(snapshot.services.get("default/a")?.status.loadBalancer.ingress, written.ingress);
});

test("state: events are counted, bounded in number, and outlive a restart", async (t) => {
  const { manifests, state, source } = await bench(t, {});
  const event = (message: string): Parameters<StatusWriter["writeEvent"]>[0] => ({
    regarding: { kind: "Service", namespace: "default", name: "a" },
    type: "Normal",
    reason: "IPAllocated",
    message,
  });
  const many = Array.from({ length: 1100 }, (_, i) => source.writeEvent(event(`Assigned ${i}`)));
  await Promise.all(many);
  const restarted = await open(t, manifests, state);
  await restarted.source.writeEvent(event("Assigned 1099"));
  const list = z.object({ items: z.array(z.object({ message: z.string(), count: z.number() })) });
  const { items } = list.parse(JSON.parse(readFileSync(join(state, "events.json"), "utf8")));
  assert.equal(items.length, 1000);
  assert.deepEqual(items.at(-1), { message: "Assigned 1099", count: 2 });
  assert.deepEqual(items[0], { message: "Assigned 100", count: 1 });
});

test("state: a folder that cannot be created is refused by name", async () => {
  await assert.rejects(
    openFolderSource({ manifests: [], state: "/dev/null/state" }),
    /Cannot create the state folder "\/dev\/null\/state": ENOTDIR/,
  );
});

test("state: any text in a state file has an answer", () => {
  const base = JSON.stringify({ metadata: { name: "a" }, status: { loadBalancer: { ingress: [{ ip: "10.0.0.1" }] } } });
  const mutated = fc
    .tuple(fc.nat(base.length), fc.nat(9), fc.string({ unit: fc.constantFrom(...'{}[]",:0n-"\\') }))
    .map(([at, remove, insert]) => base.slice(0, at) + insert + base.slice(at + remove));
  fc.assert(
    fc.property(fc.oneof(fc.string(), mutated, fc.json()), (text) => {
      for (const decode of [decodeServiceState, decodePoolState]) {
        const reading = decode(text, "x.json");
        assert.equal(reading.entries.length === 1, !reading.broken);
        assert.equal(reading.problems.length === 1, reading.broken);
      }
    }),
    { numRuns: 500 },
  );
});

test("examples: every manifest is read without a problem", async (t) => {
  const examples = join(import.meta.dirname, "../../../examples");
  const source = await openFolderSource({ manifests: [join(examples, "l2"), join(examples, "bgp")] });
  t.after(() => source.close());
  const { services, ipAddressPools, l2Advertisements, bgpAdvertisements, bgpPeers, problems, complete } =
    source.snapshot();
  assert.deepEqual([...services.keys()], ["default/metallb1-cluster"]);
  assert.deepEqual([...ipAddressPools.keys()], ["metallb-system/demo-pool", "metallb-system/bgp-pool"]);
  assert.deepEqual([...l2Advertisements.keys()], ["metallb-system/demo"]);
  assert.deepEqual([...bgpAdvertisements.keys()], ["metallb-system/local"]);
  assert.deepEqual([...bgpPeers.keys()], ["metallb-system/test"]);
  assert.deepEqual(problems, []);
  assert.equal(complete, true);
});

test("writing without a state folder is refused and says so", async (t) => {
  const { manifests } = await bench(t, {});
  const source = await openFolderSource({ manifests: [manifests] });
  t.after(() => source.close());
  await assert.rejects(
    source.writeService("default/a", written),
    /Cannot write the status of Service default\/a: no state folder was given/,
  );
});

test("what was written is put together beforehand, also while more is written", async (t) => {
  const { source } = await bench(t, { "a.yaml": service("a"), "b.yaml": service("b") });
  await source.writeService("default/a", written);
  const merging = source.merged();
  await source.writeService("default/b", { ...written, ingress: [{ ip: "10.0.0.2", ipMode: "VIP" }] });
  await merging;
  await source.merged();
  const snapshot = source.snapshot();
  const ips = ["default/a", "default/b"].map((key) => snapshot.services.get(key)?.status.loadBalancer.ingress[0]?.ip);
  assert.deepEqual(ips, ["10.0.0.1", "10.0.0.2"]);
  await source.merged();
  assert.equal(source.snapshot(), snapshot);
});
