/**
 * MetalLB's configuration before there were custom resources (up to v0.12): YAML under the key `config` of a ConfigMap.
 * Read item by item, so that a mistake costs one item; keys that mean nothing are reported, as MetalLB refused them.
 */
import { z } from "zod";

/** Go's YAML library takes any scalar for text. */
const text = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const texts = z.array(text).default([]);
const asn = z.number().int().min(0).max(4_294_967_295);
const count = z.number().int().min(0).max(4_294_967_295).optional();

const requirementSchema = z.object({ key: text, operator: text, values: texts });

const nodeSelectorSchema = z.object({
  "match-labels": z.record(z.string(), text).default({}),
  "match-expressions": z.array(requirementSchema).default([]),
});

export const peerSchema = z.object({
  "my-asn": asn.default(0),
  "peer-asn": asn.default(0),
  "peer-address": text.default(""),
  "source-address": text.optional(),
  "peer-port": z.number().int().min(0).max(65_535).default(0),
  "hold-time": text.optional(),
  "keepalive-time": text.optional(),
  "router-id": text.optional(),
  "node-selectors": z.array(nodeSelectorSchema).default([]),
  password: text.optional(),
  "bfd-profile": text.optional(),
  "ebgp-multihop": z.boolean().optional(),
});

const advertisementSchema = z.object({
  "aggregation-length": z.number().int().optional(),
  "aggregation-length-v6": z.number().int().optional(),
  localpref: count,
  communities: texts,
});

export const poolSchema = z.object({
  protocol: text.default(""),
  name: text.default(""),
  addresses: texts,
  "auto-assign": z.boolean().optional(),
  "avoid-buggy-ips": z.boolean().optional(),
  "bgp-advertisements": z.array(advertisementSchema).default([]),
});

export const profileSchema = z.object({
  name: text.default(""),
  "receive-interval": count,
  "transmit-interval": count,
  "detect-multiplier": count,
  "echo-interval": count,
  "echo-mode": z.boolean().optional(),
  "passive-mode": z.boolean().optional(),
  "minimum-ttl": count,
});

export type OldPeer = z.infer<typeof peerSchema>;
export type OldPool = z.infer<typeof poolSchema>;
export type OldProfile = z.infer<typeof profileSchema>;

export interface OldConfiguration {
  readonly peers: readonly OldPeer[];
  readonly pools: readonly OldPool[];
  readonly profiles: readonly OldProfile[];
  /** Value by alias. */
  readonly communities: Readonly<Record<string, string>>;
}

export interface Complaint {
  readonly path: string;
  readonly message: string;
}

/** What can be read of it. `raw` is the decoded YAML. */
export function readConfiguration(raw: unknown): {
  readonly old: OldConfiguration;
  readonly complaints: readonly Complaint[];
} {
  const complaints: Complaint[] = [];
  const top = record(raw);
  if (top === undefined)
    complaints.push({ path: "", message: "the configuration is not a map of peers, address-pools …" });
  for (const key of Object.keys(top ?? {})) {
    if (TOP_KEYS.includes(key)) continue;
    const message = OBSOLETE[key] ?? `is no part of the configuration: there are ${TOP_KEYS.join(", ")}`;
    complaints.push({ path: key, message });
  }
  const items = <S extends z.ZodObject>(key: string, schema: S): readonly z.infer<S>[] => {
    const list: unknown = top?.[key] ?? [];
    if (!Array.isArray(list)) complaints.push({ path: key, message: "is not a list" });
    return (Array.isArray(list) ? list : []).flatMap((item: unknown, index) =>
      readItem(schema, item, `${key}[${index}]`, complaints),
    );
  };
  const old = {
    peers: items("peers", peerSchema),
    pools: items("address-pools", poolSchema),
    profiles: items("bfd-profiles", profileSchema),
    communities:
      readItem(z.record(z.string(), text), top?.["bgp-communities"] ?? {}, "bgp-communities", complaints)[0] ?? {},
  };
  return { old, complaints };
}

const TOP_KEYS = ["peers", "address-pools", "bgp-communities", "bfd-profiles"];
/** Once there. */
const OBSOLETE: Readonly<Record<string, string>> = {
  "peer-autodiscovery":
    "peers found by annotations of nodes have no equivalent: write a BGPPeer with nodeSelectors for each",
};

/** One item or none. */
function readItem<S extends z.ZodType>(schema: S, raw: unknown, path: string, complaints: Complaint[]): z.infer<S>[] {
  complaints.push(...unknownKeys(schema, raw, path));
  const parsed = schema.safeParse(raw);
  if (parsed.success) return [parsed.data];
  for (const issue of parsed.error.issues)
    complaints.push({
      path: issue.path.reduce<string>(joined, path),
      message: `${issue.message}; the item is left out`,
    });
  return [];
}

function unknownKeys(schema: z.ZodType, raw: unknown, path: string): readonly Complaint[] {
  const inner = schema instanceof z.ZodDefault ? (schema.unwrap() as z.ZodType) : schema;
  if (inner instanceof z.ZodArray && Array.isArray(raw))
    return raw.flatMap((item, index) => unknownKeys(inner.element as z.ZodType, item, `${path}[${index}]`));
  const fields = record(raw);
  if (!(inner instanceof z.ZodObject) || fields === undefined) return [];
  return Object.entries(fields).flatMap(([key, value]) => {
    const field = Object.hasOwn(inner.shape, key) ? (inner.shape[key] as z.ZodType) : undefined;
    if (field !== undefined) return unknownKeys(field, value, joined(path, key));
    const known = Object.keys(inner.shape).join(", ");
    return [{ path: joined(path, key), message: `is no field here and left out: there are ${known}` }];
  });
}

function joined(path: string, part: PropertyKey): string {
  return typeof part === "number" ? `${path}[${part}]` : `${path}.${String(part)}`;
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  const is = typeof value === "object" && value !== null && !Array.isArray(value);
  return is ? (value as Readonly<Record<string, unknown>>) : undefined;
}
