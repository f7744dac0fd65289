/**
 * Fields of a configuration object that its kind does not have. An API server drops them without a word, and one mistyped selector
 * then means everything: worth a warning to whoever checks manifests. Nothing else cares, so that objects of later versions are read.
 */
import { z } from "zod";
import { isRecord } from "./decode-object.ts";
import { KINDS } from "./kinds.ts";

export interface UnknownField {
  /** From the object's top: `spec.nodeselectors`. */
  readonly path: string;
  readonly message: string;
}

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly additionalProperties?: unknown;
}

/** Our own kinds: of Kubernetes' objects the schemas name only the fields that are read. */
const GROUP = "metallb.io/";
/** Not what an administrator writes. */
const NOT_LOOKED_AT: ReadonlySet<string> = new Set(["apiVersion", "kind", "metadata", "status"]);

/** By kind: making one takes as long as looking through hundreds of objects. */
const schemas = new Map<(typeof KINDS)[number], SchemaNode>();

export function unknownFields(raw: unknown): readonly UnknownField[] {
  if (!isRecord(raw)) return [];
  const { apiVersion, kind } = raw;
  const known = KINDS.find((k) => k.kind === kind && k.apiVersion === apiVersion && k.apiVersion.startsWith(GROUP));
  if (known === undefined) return [];
  const schema =
    schemas.get(known) ?? (z.toJSONSchema(known.schema, { io: "input", unrepresentable: "any" }) as SchemaNode);
  schemas.set(known, schema);
  const looked = Object.fromEntries(Object.entries(raw).filter(([name]) => !NOT_LOOKED_AT.has(name)));
  return within(looked, schema, "");
}

function within(value: unknown, node: SchemaNode, path: string): readonly UnknownField[] {
  const { items, properties, additionalProperties } = node;
  if (Array.isArray(value))
    return items === undefined ? [] : value.flatMap((item, index) => within(item, items, `${path}[${index}]`));
  if (!isRecord(value) || properties === undefined || additionalProperties !== undefined) return [];
  return Object.entries(value).flatMap(([name, field]) => {
    const inner = path === "" ? name : `${path}.${name}`;
    const next = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return next === undefined ? [unknown(inner, name, Object.keys(properties))] : within(field, next, inner);
  });
}

function unknown(path: string, name: string, fields: readonly string[]): UnknownField {
  const there = fields.filter((field) => !NOT_LOOKED_AT.has(field));
  const meant = there.find((field) => isNear(field, name));
  const advice = meant === undefined ? `there are ${there.join(", ")}` : `${meant} is probably meant`;
  return { path, message: `is no field here and has no effect: ${advice}` };
}

/** The same but for letters of another case and an ending. */
function isNear(a: string, b: string): boolean {
  const [shorter, longer] = [a.toLowerCase(), b.toLowerCase()].toSorted((x, y) => x.length - y.length);
  return (
    shorter !== undefined && longer !== undefined && longer.startsWith(shorter) && longer.length - shorter.length <= 2
  );
}
