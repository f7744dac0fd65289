/** deploy/crds is what the schemas say, is structural, takes what people have, and refuses what MetalLB's schemas refuse. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { REFUSED_BY_SCHEMA } from "../src/announce/bgp/objects.fixture.ts";
import { CRD_FOLDERS, CRDS, crdFiles, openApiSchema, type SchemaNode } from "./generate-crds.ts";
import { projectFiles, readProjectFile, ROOT } from "./tree.ts";

for (const folder of CRD_FOLDERS) {
  test(`${folder} is what tools/generate-crds.ts writes, and nothing else lies there`, () => {
    const files = crdFiles();
    const found = projectFiles().filter(
      (name) => name.startsWith(`${folder}/`) && !name.endsWith("kustomization.yaml"),
    );
    assert.deepEqual(found, [...files.keys()].map((name) => `${folder}/${name}`).toSorted());
    for (const [name, text] of files)
      assert.equal(readFileSync(join(ROOT, folder, name), "utf8"), text, `${name}: run npm run generate`);
  });
}

const schemas = new Map<string, SchemaNode>(
  CRDS.flatMap(({ kind, description, versions }) =>
    versions.map((version) => [`metallb.io/${version.name} ${kind}`, openApiSchema(version, description)] as const),
  ),
);

test("every version of every kind has a schema", () => {
  assert.equal(schemas.size, 10);
});

for (const [name, schema] of schemas) {
  test(`CRD of ${name} is structural, and every field of its spec described`, () => {
    const faults: string[] = [];
    visit(schema, "", (node, path) => {
      if (node.type === undefined) faults.push(`${path} has no type`);
      const extra = Object.keys(node).filter((key) => !ALLOWED.has(key) && !key.startsWith("x-kubernetes-"));
      if (extra.length > 0) faults.push(`${path} has ${extra.join()}`);
      const absent = (node.required ?? []).filter((field) => node.properties?.[field] === undefined);
      if (absent.length > 0) faults.push(`${path} requires ${absent.join()}`);
    });
    for (const [field, node] of Object.entries(schema.properties?.["spec"]?.properties ?? {}))
      if ((node.description ?? "") === "") faults.push(`spec.${field} has no description`);
    assert.deepEqual(faults, []);
  });
}

test("CRDs take every example of ours", () => {
  const objects = projectFiles()
    .filter((name) => /^examples\/.*\.yaml$/.test(name))
    .flatMap((name) => parseAllDocuments(readProjectFile(name)).map((document) => document.toJS() as Manifest))
    .filter(({ apiVersion }) => apiVersion.startsWith("metallb.io/"));
  assert.ok(objects.length >= 5);
  for (const object of objects) assert.deepEqual(issuesOf(object), [], JSON.stringify(object));
});

for (const { kind, name, spec, path } of REFUSED_BY_SCHEMA) {
  test(`CRD of ${kind} refuses ${name} at ${path}`, () => {
    const [word = "", version = kind === "BGPPeer" ? "v1beta2" : "v1beta1"] = kind.split(" ");
    const paths = issuesOf({ apiVersion: `metallb.io/${version}`, kind: word, metadata: {}, spec });
    // What is a duration is CEL's and the parser's affair: for the schema it is text.
    if (DURATIONS.test(path) && typeof spec[path.slice("spec.".length)] === "string") assert.deepEqual(paths, []);
    else assert.deepEqual(paths, [path]);
  });
}

const more: readonly { readonly kind: string; readonly name: string; readonly spec: object; readonly path: string }[] =
  [
    { kind: "IPAddressPool", name: "no addresses field", spec: {}, path: "spec.addresses" },
    { kind: "IPAddressPool", name: "no address", spec: { addresses: [] }, path: "spec.addresses" },
    { kind: "L2Advertisement", name: "weight 0", spec: preferring(0), path: "spec.preferredNodeSelectors.0.weight" },
    {
      kind: "L2Advertisement",
      name: "weight 101",
      spec: preferring(101),
      path: "spec.preferredNodeSelectors.0.weight",
    },
    {
      kind: "L2Advertisement",
      name: "a preference without weight",
      spec: { preferredNodeSelectors: [{ preference: {} }] },
      path: "spec.preferredNodeSelectors.0.weight",
    },
    {
      kind: "L2Advertisement",
      name: "a weight without preference",
      spec: { preferredNodeSelectors: [{ weight: 1 }] },
      path: "spec.preferredNodeSelectors.0.preference",
    },
    {
      kind: "L2Advertisement",
      name: "an expression without key",
      spec: { nodeSelectors: [{ matchExpressions: [{ operator: "Exists" }] }] },
      path: "spec.nodeSelectors.0.matchExpressions.0.key",
    },
    {
      kind: "L2Advertisement",
      name: "an expression without operator",
      spec: { nodeSelectors: [{ matchExpressions: [{ key: "a" }] }] },
      path: "spec.nodeSelectors.0.matchExpressions.0.operator",
    },
    {
      kind: "L2Advertisement",
      name: "an operator that is none",
      spec: { nodeSelectors: [{ matchExpressions: [{ key: "a", operator: "Near" }] }] },
      path: "spec.nodeSelectors.0.matchExpressions.0.operator",
    },
  ];

for (const { kind, name, spec, path } of more) {
  test(`CRD of ${kind} refuses ${name} at ${path}`, () => {
    assert.deepEqual(issuesOf({ apiVersion: "metallb.io/v1beta1", kind, metadata: {}, spec }), [path]);
  });
}

const DURATIONS = /^spec\.(hold|keepalive|connect)Time$/;
const ALLOWED = new Set(
  "type description format default minimum maximum minLength minItems enum properties additionalProperties items required".split(
    " ",
  ),
);

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: object;
  readonly spec: object;
}

function preferring(weight: number): object {
  return { preferredNodeSelectors: [{ weight, preference: {} }] };
}

/** Paths of what the CRD's schema refuses. The rules in CEL are the API server's to run. */
function issuesOf(object: Manifest): readonly string[] {
  const schema = schemas.get(`${object.apiVersion} ${object.kind}`);
  assert.ok(schema, `${object.apiVersion} ${object.kind}`);
  // Both describe JSON Schema; zod's type lists more of it.
  const parsed = z
    .fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0], { defaultTarget: "openapi-3.0" })
    .safeParse(object);
  return (parsed.error?.issues ?? []).map((issue) => issue.path.join("."));
}

function visit(node: SchemaNode, path: string, look: (node: SchemaNode, path: string) => void): void {
  look(node, path);
  for (const [name, field] of Object.entries(node.properties ?? {})) visit(field, `${path}.${name}`, look);
  if (node.items !== undefined) visit(node.items, `${path}[]`, look);
  if (typeof node.additionalProperties === "object") visit(node.additionalProperties, `${path}{}`, look);
}
