import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeManifest } from "./decode.ts";

const SERVICE = `apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  type: LoadBalancer
  ports: [{port: 80}]
`;
const POOL = `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: demo, namespace: metallb-system}
spec: {addresses: [10.0.0.0/24]}
`;

const good = [
  { name: "one document", text: SERVICE, keys: ["Service default/web"] },
  {
    name: "several documents",
    text: `${SERVICE}---\n${POOL}---\n`,
    keys: ["Service default/web", "IPAddressPool metallb-system/demo"],
  },
  {
    name: "documents with leading and empty separators",
    text: `---\n---\n${SERVICE}---\n# only a comment\n`,
    keys: ["Service default/web"],
  },
  { name: "JSON", text: '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}}', keys: ["Namespace shop"] },
  {
    name: "a List",
    text: `apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Node, metadata: {name: a}}\n- {apiVersion: v1, kind: Node, metadata: {name: b, namespace: ignored}}\n`,
    keys: ["Node a", "Node b"],
  },
  {
    name: "a typed list in JSON",
    text: '{"apiVersion":"v1","kind":"ServiceList","items":[{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{}}]}',
    keys: ["Service default/a"],
  },
  { name: "a List without items", text: "apiVersion: v1\nkind: List\nitems:\n", keys: [] },
  {
    name: "fields that are null",
    text: `${SERVICE}  selector:\n  loadBalancerIP: ~\nstatus: null\n`,
    keys: ["Service default/web"],
  },
  {
    name: "flow style that only looks like JSON",
    text: "{apiVersion: v1, kind: Node, metadata: {name: a}}",
    keys: ["Node a"],
  },
  { name: "merge keys", text: "x: &x {name: a}\napiVersion: v1\nkind: Node\nmetadata: {<<: *x}\n", keys: ["Node a"] },
  { name: "nothing", text: "", keys: [] },
  { name: "Windows line ends", text: SERVICE.replaceAll("\n", "\r\n"), keys: ["Service default/web"] },
];

for (const row of good) {
  test(`manifest of ${row.name} is read without a problem`, () => {
    const decoded = decodeManifest(row.text);
    assert.deepEqual(decoded.problems, []);
    assert.deepEqual(
      decoded.objects.map((o) => o.key),
      row.keys,
    );
  });
}

const node = (metadata: string): string => `apiVersion: v1\nkind: Node\nmetadata: ${metadata}\n`;

const bad = [
  { name: "text that is no object", text: "hello", message: /^is a string, not a Kubernetes object$/ },
  { name: "a list at the top", text: "- 1\n- 2\n", message: /^is a list, not a Kubernetes object$/ },
  { name: "no kind", text: "apiVersion: v1\nmetadata: {name: a}\n", message: /^has no apiVersion and kind$/ },
  { name: "a kind that is a number", text: "apiVersion: v1\nkind: 7\n", message: /^has no apiVersion and kind$/ },
  {
    name: "a tab as indentation",
    text: "apiVersion: v1\nkind: Node\nmetadata:\n\tname: a\n",
    message: /^is not YAML: line 4: /,
  },
  {
    name: "a key given twice",
    text: `${SERVICE}kind: Node\n`,
    message: /^is not YAML: line \d+: Map keys must be unique/,
  },
  { name: "an unknown alias", text: "apiVersion: *nothing\nkind: Node\n", message: /Unresolved alias/ },
  { name: "no metadata", text: "apiVersion: v1\nkind: Node\n", path: "metadata", message: /expected object/ },
  { name: "no name", text: node("{}"), path: "metadata.name", message: /expected string/ },
  {
    name: "a name with upper case",
    text: node("{name: Web}"),
    path: "metadata.name",
    message: /must consist of lower case.*found "Web"/,
  },
  {
    name: "a name that is a path",
    text: node("{name: ../../etc/passwd}"),
    path: "metadata.name",
    message: /must consist of/,
  },
  {
    name: "a label that is a number",
    text: node("{name: a, labels: {x: 1}}"),
    path: "metadata.labels.x",
    message: /expected string.*found 1/,
  },
  {
    name: "a port out of range",
    text: SERVICE.replace("80", "65536"),
    path: "spec.ports[0].port",
    message: /<=65535, found 65536/,
  },
  { name: "a port of zero", text: SERVICE.replace("80", "0"), path: "spec.ports[0].port", message: />=1, found 0/ },
  {
    name: "a type nobody knows",
    text: SERVICE.replace("LoadBalancer", "Balancer"),
    path: "spec.type",
    message: /found "Balancer"/,
  },
  {
    name: "pool addresses that are one text",
    text: POOL.replace("[10.0.0.0/24]", "10.0.0.0/24"),
    path: "spec.addresses",
    message: /expected array.*found "10.0.0.0\/24"/,
  },
  {
    name: "another version of a kind we read",
    text: "apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\n",
    message: /use discovery.k8s.io\/v1$/,
  },
];

for (const row of bad) {
  test(`manifest with ${row.name} is a problem that may hide an object`, () => {
    const decoded = decodeManifest(row.text);
    const [problem] = decoded.problems;
    assert.ok(problem);
    assert.match(problem.message, row.message);
    assert.equal(problem.path, row.path);
    assert.equal(problem.broken, true);
  });
}

test("manifest of an unknown kind is named and hides nothing", () => {
  const decoded = decodeManifest(
    "apiVersion: frrk8s.metallb.io/v1beta1\nkind: FRRConfiguration\nmetadata: {name: test, namespace: metallb-system}\n",
  );
  assert.deepEqual(decoded.problems, [
    {
      document: 1,
      object: "FRRConfiguration metallb-system/test",
      message: "kind FRRConfiguration of frrk8s.metallb.io/v1beta1 is not read by Fairlead and ignored",
      broken: false,
    },
  ]);
});

test("a broken document leaves the others of its file readable and is counted from one", () => {
  const decoded = decodeManifest(`${SERVICE}---\nkind: [\n---\n${POOL}`);
  assert.deepEqual(
    decoded.objects.map((o) => o.key),
    ["Service default/web", "IPAddressPool metallb-system/demo"],
  );
  assert.deepEqual(
    decoded.problems.map((p) => p.document),
    [2],
  );
});

test("all problems of an object are reported together", () => {
  const decoded = decodeManifest(SERVICE.replace("80", "0").replace("LoadBalancer", "Balancer").replace("web", "WEB"));
  assert.deepEqual(decoded.problems.map((p) => p.path ?? "").toSorted(), [
    "metadata.name",
    "spec.ports[0].port",
    "spec.type",
  ]);
});

test("what a Secret holds appears in no problem", () => {
  const secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: bgp}\ndata: {password: [hunter2]}\n";
  const broken = "apiVersion: v1\nkind: Secret\nmetadata: {name: bgp}\nstringData:\n  password: 'hunter2\n";
  for (const text of [secret, broken]) {
    const decoded = decodeManifest(text);
    assert.equal(decoded.problems.length, 1);
    assert.doesNotMatch(JSON.stringify(decoded.problems), /hunter2/);
  }
});

test("aliases that expand without end are a problem, not a full memory", () => {
  const levels = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(10)}]`);
  const decoded = decodeManifest(`l0: &l0 [x]\n${levels.join("\n")}\n`);
  assert.match(decoded.problems[0]?.message ?? "", /Excessive alias count/);
});

const nested = [
  { name: "YAML", text: "[".repeat(50_000) },
  { name: "JSON", text: `${'{"kind":"Service","apiVersion":"v1","spec":'.repeat(20_000)}1${"}".repeat(20_000)}` },
  { name: "Lists", text: `${'{"kind":"List","items":['.repeat(20_000)}${"]}".repeat(20_000)}` },
];

for (const row of nested) {
  test(`${row.name} nested deeper than the stack is a problem`, () => {
    assert.notEqual(decodeManifest(row.text).problems.length, 0);
  });
}

test("any text has an answer", () => {
  const yamlish = fc.string({ unit: fc.constantFrom(..."-:{}[]&*!|>'\"%@`#,? \n\tabk0~<"), maxLength: 200 });
  const text = fc.oneof(fc.string({ unit: "binary" }), yamlish);
  fc.assert(fc.property(text, answers), { numRuns: 1000 });
});

test("any bytes have an answer", () => {
  const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b).toString("utf8"));
  fc.assert(fc.property(bytes, answers), { numRuns: 500 });
});

test("a good manifest with bytes changed, cut or repeated has an answer", () => {
  const base = `${SERVICE}---\n${POOL}`;
  const mutation = fc.record({
    at: fc.nat(base.length),
    remove: fc.nat(20),
    insert: fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom("null", "[]", "{}", "-1", "1e999", "&a", "*a", "__proto__: {}", "\n---\n", "!!js/function x"),
    ),
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 5 }), (mutations) => {
      let text = base;
      for (const m of mutations) text = text.slice(0, m.at) + m.insert + text.slice(m.at + m.remove);
      answers(text);
    }),
    { numRuns: 1000 },
  );
});

/** Objects and problems are well formed, and a text with words in it does not vanish without either. */
function answers(text: string): void {
  const { objects, problems } = decodeManifest(text);
  for (const object of objects) assert.match(object.key, /^[A-Za-z0-9]+ [-a-z0-9./]+$/);
  for (const problem of problems) assert.notEqual(problem.message, "");
  assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
}
