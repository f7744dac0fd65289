import assert from "node:assert/strict";
import { test } from "node:test";
import { PACE, type Pace } from "../../time/slices.ts";
import { decodeFile, manifestDecoder } from "./decoders.ts";
import type { Reading } from "./files.ts";
import type { ManifestEntry } from "./merge.ts";
import { yamlAsJson } from "./yaml-conversion.ts";

const service = (number: number): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: `service-${number}` },
  spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
});
const list = (items: readonly object[]): string => JSON.stringify({ apiVersion: "v1", kind: "List", items });
const services = (count: number): readonly object[] => Array.from({ length: count }, (_, number) => service(number));

async function decode(
  text: string,
  before: readonly ManifestEntry[] = [],
  pace: Pace = PACE,
): Promise<Reading<ManifestEntry>> {
  return manifestDecoder.inSlices(Buffer.from(text), "all.json", before, pace);
}

test("a large list is decoded an object at a time, with pauses in between", async () => {
  let now = 0;
  let pauses = 0;
  // Every look at the clock finds a slice used up: there is a pause wherever there may be one.
  const pace: Pace = { sliceMilliseconds: 1, now: () => (now += 1), pause: async () => void (pauses += 1) };
  const reading = await decode(list(services(1000)), [], pace);
  assert.equal(reading.entries.length, 1000);
  assert.ok(pauses >= 1000, `${pauses} pauses`);
});

test("a slice does not begin anew with every document of YAML: of thousands of small ones there are pauses too", async () => {
  let now = 0;
  let pauses = 0;
  // A slice holds ten looks at the clock, and a document is looked at less often.
  const pace: Pace = { sliceMilliseconds: 10, now: () => (now += 1), pause: async () => void (pauses += 1) };
  const documents = services(1000).map((object) => `# in YAML\n${JSON.stringify(object)}\n`);
  const reading = await decode(documents.join("---\n"), [], pace);
  assert.equal(reading.entries.length, 1000);
  assert.ok(pauses > 50, `${pauses} pauses`);
});

test("a large file says the same as if it were small", async () => {
  const items = [
    ...services(50),
    { kind: "Service" },
    { apiVersion: "v1", kind: "Node", metadata: { name: "a", labels: null } },
  ];
  for (const text of [list(items), JSON.stringify(service(1)), `[${list(items)}]`, '{"apiVersion":"v1","kind":"List"}'])
    assert.deepEqual(await decode(text), decodeFile(text, "all.json"));
});

test("of a large list that changed a little, only what changed is decoded anew", async () => {
  const before = await decode(list(services(100)));
  const items = services(100).map((item, i) => (i === 50 ? { ...item, spec: { type: "ClusterIP" } } : item));
  const after = await decode(list(items), before.entries);
  const kept = after.entries.filter((entry, i) => entry === before.entries[i]);
  assert.equal(kept.length, 99);
  assert.notEqual(after.entries[50], before.entries[50]);
});

test("large YAML is read in another thread and says the same as if it were small", async () => {
  const text = `# one\n---\n${JSON.stringify(service(1))}\n---\nkind: [\n---\n- 1\n---\n${list(services(20))}\n---\nhello\n`;
  assert.deepEqual(await decode(text), decodeFile(text, "all.json"));
});

const faults = [
  { name: "JSON that was not written to its end", text: list(services(3)).slice(0, -30), message: /is not complete/ },
  { name: "JSON nested without end", text: `{"a":${"[".repeat(5000)}`, message: /nested too deeply/ },
  {
    name: "an object larger than a cluster would store",
    text: JSON.stringify({ ...service(1), data: "x".repeat(1_600_000) }),
    message: /holds one object of 1600\d+ bytes, more than the 1572864 that Kubernetes would store/,
  },
  {
    name: "a list with a mistake in it",
    text: '{"apiVersion":"v1","kind":"List","items":[{"a" "b"}]}',
    message: /is not YAML: line 1/,
  },
  { name: "YAML nested without end", text: `a: ${"[".repeat(50_000)}`, message: /Maximum call stack size exceeded/ },
  {
    name: "YAML that refers to itself",
    text: "a: &a [*a]\n",
    message: /cannot be read as YAML: Converting circular structure|nested too deeply/,
  },
];
for (const { name, text, message } of faults) {
  test(`${name} is a problem, and nothing is lost by it`, async () => {
    const reading = await decode(text);
    assert.equal(reading.broken, true);
    assert.match(reading.problems[0]?.message ?? "", message);
  });
}

test("one object that is too large does not hide the others of its list", async () => {
  const large = { ...service(1), data: "x".repeat(1_600_000) };
  const reading = await decode(list([service(0), large, service(2)]));
  assert.deepEqual(
    reading.entries.map(({ name }) => name),
    ["default/service-0", "default/service-2"],
  );
  assert.equal(reading.broken, true);
});

test("of thousands of mistakes the first are told, and how many more there are", async () => {
  const wrong = { ...service(1), spec: { ports: Array.from({ length: 5000 }, () => ({ port: 0 })) } };
  const object = await decode(list([wrong]));
  assert.equal(object.problems.length, 11);
  assert.equal(object.problems.at(-1)?.message, "and 4990 more problems of this object");
  const file = await decode(list(Array.from({ length: 1000 }, () => ({ kind: "Service" }))));
  assert.equal(file.problems.length, 201);
  assert.equal(file.problems.at(-1)?.message, "and 800 more problems of this file");
});

test("YAML that needs more time or memory than there is is refused with what to do", async () => {
  const text = Buffer.from("- a: b\n".repeat(400_000));
  const [slow] = await yamlAsJson(text, { milliseconds: 1, megabytes: 512 });
  assert.match(slow !== undefined && "fault" in slow ? slow.fault : "", /within 0.001 s: split it into smaller files/);
  const [large] = await yamlAsJson(text, { milliseconds: 60_000, megabytes: 16 });
  assert.match(large !== undefined && "fault" in large ? large.fault : "", /within 16 MB of memory: split it/);
});
