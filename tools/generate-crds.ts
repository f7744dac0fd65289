/**
 * Writes deploy/crds/*.yaml, the CustomResourceDefinitions, from the schemas that parse the objects, and once more into the chart: Helm
 * takes nothing from outside of its folder.
 *   node tools/generate-crds.ts            writes the files
 *   node tools/generate-crds.ts --check    exits 1 when a file is not what would be written
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { z } from "zod";
import {
  bfdProfileSchema,
  bgpAdvertisementSchema,
  bgpPeerSchema,
  bgpPeerV1Beta1ObjectSchema,
  communitySchema,
} from "../src/announce/bgp/objects.ts";
import { l2AdvertisementSchema } from "../src/announce/objects.ts";
import { ipAddressPoolSchema } from "../src/pool/objects.ts";
import {
  configurationStateSchema,
  serviceBGPStatusSchema,
  serviceL2StatusSchema,
} from "../src/source/status-objects.ts";
import { ROOT } from "./tree.ts";

export interface Crd {
  readonly kind: string;
  readonly plural: string;
  readonly description: string;
  /** The one that is stored first. */
  readonly versions: readonly Version[];
}

export interface Version {
  readonly name: string;
  readonly schema: z.ZodObject;
  readonly deprecationWarning?: string;
  /** What `kubectl get` shows. */
  readonly columns: readonly Column[];
}

interface Column {
  readonly name: string;
  readonly jsonPath: string;
  readonly type: "string" | "boolean" | "integer" | "date";
  /** Above 0: only with -o wide. */
  readonly priority?: number;
}

export const CRD_FOLDERS = ["deploy/crds", "deploy/helm/fairlead/files/crds"] as const;
const GROUP = "metallb.io";

const pools: Column = { name: "IPAddressPools", type: "string", jsonPath: ".spec.ipAddressPools" };
const poolSelectors: Column = {
  name: "IPAddressPool Selectors",
  type: "string",
  jsonPath: ".spec.ipAddressPoolSelectors",
};
const nodeSelectors: Column = {
  name: "Node Selectors",
  type: "string",
  jsonPath: ".spec.nodeSelectors",
  priority: 10,
};
const peerColumns: readonly Column[] = [
  { name: "Address", type: "string", jsonPath: ".spec.peerAddress" },
  { name: "ASN", type: "string", jsonPath: ".spec.peerASN" },
  { name: "BFD Profile", type: "string", jsonPath: ".spec.bfdProfile" },
  { name: "Multi Hops", type: "string", jsonPath: ".spec.ebgpMultiHop" },
];
const serviceColumns: readonly Column[] = [
  { name: "Service Name", type: "string", jsonPath: ".status.serviceName" },
  { name: "Service Namespace", type: "string", jsonPath: ".status.serviceNamespace" },
];

export const CRDS: readonly Crd[] = [
  {
    kind: "IPAddressPool",
    plural: "ipaddresspools",
    description: "IPAddressPool holds addresses to give to Services of type LoadBalancer.",
    versions: [
      {
        name: "v1beta1",
        schema: ipAddressPoolSchema,
        columns: [
          { name: "Auto Assign", type: "boolean", jsonPath: ".spec.autoAssign" },
          { name: "Avoid Buggy IPs", type: "boolean", jsonPath: ".spec.avoidBuggyIPs" },
          { name: "Addresses", type: "string", jsonPath: ".spec.addresses" },
        ],
      },
    ],
  },
  {
    kind: "L2Advertisement",
    plural: "l2advertisements",
    description: "L2Advertisement says which addresses are announced by ARP and NDP, and where.",
    versions: [
      {
        name: "v1beta1",
        schema: l2AdvertisementSchema,
        columns: [
          pools,
          poolSelectors,
          { name: "Interfaces", type: "string", jsonPath: ".spec.interfaces" },
          nodeSelectors,
        ],
      },
    ],
  },
  {
    kind: "BGPAdvertisement",
    plural: "bgpadvertisements",
    description: "BGPAdvertisement says which addresses are announced by BGP, to whom, and with which attributes.",
    versions: [
      {
        name: "v1beta1",
        schema: bgpAdvertisementSchema,
        columns: [pools, poolSelectors, { name: "Peers", type: "string", jsonPath: ".spec.peers" }, nodeSelectors],
      },
    ],
  },
  {
    kind: "BGPPeer",
    plural: "bgppeers",
    description: "BGPPeer is a router to have a BGP session with.",
    versions: [
      { name: "v1beta2", schema: bgpPeerSchema, columns: peerColumns },
      {
        name: "v1beta1",
        schema: bgpPeerV1Beta1ObjectSchema,
        deprecationWarning: "v1beta1 is deprecated, please use v1beta2",
        columns: peerColumns,
      },
    ],
  },
  {
    kind: "BFDProfile",
    plural: "bfdprofiles",
    description: "BFDProfile holds the settings of BFD sessions that watch over BGP sessions.",
    versions: [
      {
        name: "v1beta1",
        schema: bfdProfileSchema,
        columns: [
          { name: "Passive Mode", type: "boolean", jsonPath: ".spec.passiveMode" },
          { name: "Transmit Interval", type: "integer", jsonPath: ".spec.transmitInterval" },
          { name: "Receive Interval", type: "integer", jsonPath: ".spec.receiveInterval" },
          { name: "Multiplier", type: "integer", jsonPath: ".spec.detectMultiplier" },
        ],
      },
    ],
  },
  {
    kind: "Community",
    plural: "communities",
    description: "Community gives names to BGP communities, for use in BGPAdvertisements.",
    versions: [{ name: "v1beta1", schema: communitySchema, columns: [] }],
  },
  {
    kind: "ServiceL2Status",
    plural: "servicel2statuses",
    description: "ServiceL2Status says which node announces a Service by ARP and NDP.",
    versions: [
      {
        name: "v1beta1",
        schema: serviceL2StatusSchema,
        columns: [{ name: "Allocated Node", type: "string", jsonPath: ".status.node" }, ...serviceColumns],
      },
    ],
  },
  {
    kind: "ServiceBGPStatus",
    plural: "servicebgpstatuses",
    description: "ServiceBGPStatus says to which peers a node announces a Service.",
    versions: [
      {
        name: "v1beta1",
        schema: serviceBGPStatusSchema,
        columns: [{ name: "Node", type: "string", jsonPath: ".status.node" }, ...serviceColumns],
      },
    ],
  },
  {
    kind: "ConfigurationState",
    plural: "configurationstates",
    description: "ConfigurationState says what a program makes of the configuration it reads.",
    versions: [
      {
        name: "v1beta1",
        schema: configurationStateSchema,
        columns: [
          { name: "Result", type: "string", jsonPath: ".status.result" },
          { name: "ErrorSummary", type: "string", jsonPath: ".status.errorSummary" },
          { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
        ],
      },
    ],
  },
];

/** Name of the file → its text. */
export function crdFiles(): ReadonlyMap<string, string> {
  return new Map(
    CRDS.map((crd) => {
      const text = stringify(definitionOf(crd), { version: "1.1", lineWidth: 120, aliasDuplicateObjects: false });
      return [`${crd.plural}.yaml`, `# Written by tools/generate-crds.ts: do not edit.\n${text}`];
    }),
  );
}

/** As OpenAPI v3, in the structural form that the API server wants. */
export function openApiSchema({ schema }: Version, description: string): SchemaNode {
  const json = z.toJSONSchema(schema, { io: "input", target: "openapi-3.0", unrepresentable: "any" }) as SchemaNode;
  const { metadata: _, ...properties } = structural(json).properties ?? {};
  const required = json.required?.filter((name) => name !== "metadata") ?? [];
  return {
    description,
    type: "object",
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      ...properties,
      // Objects dumped from MetalLB have an empty one.
      status: properties["status"] ?? { type: "object" },
    },
    ...(required.length === 0 ? {} : { required }),
  };
}

export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly required?: readonly string[];
  readonly [extension: string]: unknown;
}

function definitionOf({ kind, plural, description, versions }: Crd): object {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      scope: "Namespaced",
      versions: versions.map((version, index) => ({
        name: version.name,
        served: true,
        storage: index === 0,
        ...(version.deprecationWarning === undefined
          ? {}
          : { deprecated: true, deprecationWarning: version.deprecationWarning }),
        ...(version.columns.length === 0 ? {} : { additionalPrinterColumns: version.columns }),
        schema: { openAPIV3Schema: openApiSchema(version, description) },
        subresources: { status: {} },
      })),
    },
  };
}

/** JSON Schema as zod makes it, without what a structural schema may not have or does not need. */
function structural(node: SchemaNode): SchemaNode {
  const { propertyNames: _, "x-required": __, default: fallback, minimum, maximum, properties, items, ...rest } = node;
  const required = requiredOf(node);
  return {
    ...rest,
    ...(isEmpty(fallback) ? {} : { default: fallback }),
    ...bounds(node, minimum, maximum),
    ...(properties === undefined ? {} : { properties: mapFields(properties, structural) }),
    ...(items === undefined ? {} : { items: structural(items) }),
    ...(typeof node.additionalProperties === "object"
      ? { additionalProperties: structural(node.additionalProperties) }
      : {}),
    ...(required.length === 0 ? {} : { required }),
  };
}

/** What the parser completes, so that it can report all that is missing, the API server may still insist on. */
function requiredOf({ required = [], properties = {} }: SchemaNode): readonly string[] {
  const marked = Object.entries(properties).filter(([, field]) => field["x-required"] === true);
  return [...new Set([...required, ...marked.map(([name]) => name)])];
}

/** A default that says nothing is better not written into everybody's objects. */
function isEmpty(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.values(value).every(isEmpty);
  return value === undefined || value === "" || value === 0;
}

/** Safe integers are JavaScript's bounds, not the field's. */
function bounds({ type, format }: SchemaNode, minimum: number | undefined, maximum: number | undefined): object {
  if (type !== "integer") return {};
  const least = minimum === -Number.MAX_SAFE_INTEGER ? undefined : minimum;
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  return {
    format: format ?? (most !== undefined && most < 2 ** 31 ? "int32" : "int64"),
    ...(least === undefined ? {} : { minimum: least }),
    ...(most === undefined ? {} : { maximum: most }),
  };
}

function mapFields<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

function main(): void {
  const check = process.argv.includes("--check");
  for (const folder of CRD_FOLDERS) {
    mkdirSync(join(ROOT, folder), { recursive: true });
    for (const [name, text] of crdFiles()) {
      const path = join(ROOT, folder, name);
      if (!check) writeFileSync(path, text);
      else if (readFileSync(path, "utf8") !== text) {
        console.error(`${folder}/${name} is not what the schemas say: run \`npm run generate\``);
        process.exitCode = 1;
      }
    }
  }
}

if (import.meta.main) main();
