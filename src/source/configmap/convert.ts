/**
 * The old ConfigMap of MetalLB into the custom resources that say the same: text in, text out. Whatever has no equivalent is
 * reported, and what comes out is judged as `fairlead config check` would.
 */
import { parseAllDocuments, parseDocument, stringify, type Document } from "yaml";
import { judgeConfiguration } from "../../announce/judgement.ts";
import { decodeManifest } from "../manifests/decode.ts";
import { Merger } from "../manifests/merge.ts";
import { readConfiguration, type Complaint, type OldConfiguration, type OldPool } from "./format.ts";

export interface Converted {
  /** YAML documents; empty when there was nothing to convert. */
  readonly text: string;
  readonly objects: number;
  /** `path` leads into the old configuration, or is that of an object. */
  readonly complaints: readonly Complaint[];
}

/** A custom resource. */
interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}

const NAMESPACE = "metallb-system";
/** Of the old configuration in its ConfigMap. */
const KEY = "config";
/** Kubernetes allows 253; a number may follow. */
const NAME_MAX = 240;

/** Quoted as readers of YAML 1.1 need it: kubectl would take 64512:1 for a number of base 60. */
const YAML = { version: "1.1", lineWidth: 0 } as const;

/** `text`: a manifest with the ConfigMap in it, or the configuration alone. */
export function convertConfiguration(text: string): Converted {
  const complaints: Complaint[] = [];
  const resources = configurationsOf(text, complaints).flatMap(({ raw, namespace }) => {
    const { old, complaints: found } = readConfiguration(raw);
    complaints.push(...found);
    return resourcesOf(old, namespace, complaints);
  });
  const documents = resources.map((resource) => `---\n${stringify(resource, YAML)}`);
  if (resources.length === 0)
    complaints.push({
      path: "",
      message: `holds no configuration: neither a ConfigMap with the key "${KEY}", nor what MetalLB 0.12 had in it`,
    });
  return {
    text: documents.join(""),
    objects: resources.length,
    complaints: [...complaints, ...judged(documents.join(""))],
  };
}

interface Configuration {
  readonly raw: unknown;
  readonly namespace: string;
}

function configurationsOf(text: string, complaints: Complaint[]): readonly Configuration[] {
  const documents = parseAllDocuments(text, { prettyErrors: false, logLevel: "silent", merge: true });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const value = plain(document, "", complaints);
    return itemsOf(value).flatMap((item) => configurationOf(item, complaints));
  });
}

function itemsOf(value: unknown): readonly unknown[] {
  const list = field(value, "kind") === "List" || field(value, "kind") === "ConfigMapList";
  const items = field(value, "items");
  return list && Array.isArray(items) ? items : [value];
}

/** Documents of other kinds are nobody's business: people keep the whole installation in one file. */
function configurationOf(value: unknown, complaints: Complaint[]): readonly Configuration[] {
  const kind = field(value, "kind");
  if (kind === undefined) return Array.isArray(value) || value === null ? [] : [{ raw: value, namespace: NAMESPACE }];
  const config = field(field(value, "data"), KEY);
  if (kind !== "ConfigMap" || typeof config !== "string") return [];
  const namespace = field(field(value, "metadata"), "namespace");
  const document = parseDocument(config, { prettyErrors: false, logLevel: "silent", merge: true });
  const raw = plain(document, `data.${KEY}`, complaints);
  return raw === undefined
    ? []
    : [{ raw: raw ?? {}, namespace: typeof namespace === "string" ? namespace : NAMESPACE }];
}

function plain(document: Pick<Document, "errors" | "toJS">, path: string, complaints: Complaint[]): unknown {
  try {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    complaints.push({ path, message: `is not YAML: ${error instanceof Error ? error.message : String(error)}` });
    return undefined;
  }
}

function field(value: unknown, name: string): unknown {
  const has = typeof value === "object" && value !== null && Object.hasOwn(value, name);
  return has ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function resourcesOf(old: OldConfiguration, namespace: string, complaints: Complaint[]): readonly Resource[] {
  const make = (kind: string, name: string, spec: object): Resource => ({
    apiVersion: kind === "BGPPeer" ? "metallb.io/v1beta2" : "metallb.io/v1beta1",
    kind,
    metadata: { name, namespace },
    // Fields that the old configuration left out stay out, as YAML leaves them: the defaults are the same.
    spec,
  });
  const profileNames = new Names();
  const profiles = old.profiles.map(({ name, ...fields }, index) =>
    make("BFDProfile", profileNames.of(name, index), camelCased(fields)),
  );
  const poolNames = new Names();
  const pools = old.pools.flatMap((pool, index) => {
    const name = poolNames.of(pool.name, index);
    const renamed = `${JSON.stringify(pool.name)} is no name for an object and becomes "${name}": Services that ask for the pool must, too`;
    if (name !== pool.name) complaints.push({ path: `address-pools[${index}].name`, message: renamed });
    const spec = { addresses: pool.addresses, autoAssign: pool["auto-assign"], avoidBuggyIPs: pool["avoid-buggy-ips"] };
    return [
      make("IPAddressPool", name, spec),
      ...advertisementsOf(pool, name, `address-pools[${index}]`, complaints, make),
    ];
  });
  const communities = Object.entries(old.communities).map(([name, value]) => ({ name, value }));
  return [
    ...pools,
    ...(communities.length === 0 ? [] : [make("Community", "communities", { communities })]),
    ...profiles,
    ...old.peers.map((peer, index) => make("BGPPeer", `peer${index + 1}`, peerSpec(peer, profileNames))),
  ];
}

type Make = (kind: string, name: string, spec: object) => Resource;

/** A pool said how it is announced; without details a BGP pool was announced as it is. */
function advertisementsOf(
  pool: OldPool,
  name: string,
  path: string,
  complaints: Complaint[],
  make: Make,
): readonly Resource[] {
  const advertisements = pool["bgp-advertisements"];
  const ipAddressPools = [name];
  if (pool.protocol === "layer2" || pool.protocol === "l2") {
    if (advertisements.length > 0)
      complaints.push({ path: `${path}.bgp-advertisements`, message: "cannot be in a layer2 pool and is left out" });
    return [make("L2Advertisement", name, { ipAddressPools })];
  }
  if (pool.protocol !== "bgp") {
    const found = JSON.stringify(pool.protocol);
    complaints.push({
      path: `${path}.protocol`,
      message: `is neither layer2 nor bgp, found ${found}: nobody announces the pool`,
    });
    return [];
  }
  if (advertisements.length === 0) return [make("BGPAdvertisement", name, { ipAddressPools })];
  return advertisements.map((advertisement, index) =>
    make("BGPAdvertisement", index === 0 ? name : `${name}-${index + 1}`, {
      ipAddressPools,
      aggregationLength: advertisement["aggregation-length"],
      aggregationLengthV6: advertisement["aggregation-length-v6"],
      localPref: advertisement.localpref,
      communities: listed(advertisement.communities),
    }),
  );
}

function peerSpec(peer: OldConfiguration["peers"][number], profileNames: Names): object {
  const selectors = peer["node-selectors"].map((selector) => ({
    matchLabels: selector["match-labels"],
    matchExpressions: selector["match-expressions"],
  }));
  return {
    myASN: peer["my-asn"],
    peerASN: peer["peer-asn"],
    peerAddress: peer["peer-address"],
    sourceAddress: peer["source-address"],
    peerPort: peer["peer-port"] === 0 ? undefined : peer["peer-port"],
    holdTime: peer["hold-time"],
    keepaliveTime: peer["keepalive-time"],
    routerID: peer["router-id"],
    nodeSelectors: listed(selectors),
    password: peer.password,
    bfdProfile: peer["bfd-profile"] === undefined ? undefined : profileNames.renamed(peer["bfd-profile"]),
    ebgpMultiHop: peer["ebgp-multihop"],
  };
}

/** Names were free text; those of objects are not. */
class Names {
  readonly #given = new Map<string, string>();

  /** A name for the item. One that occurs again stays: the result is reported as what it is, a duplicate. */
  of(old: string, index: number): string {
    const before = this.#given.get(old);
    if (before !== undefined) return before;
    const stem = objectName(old) ?? `unnamed-${index + 1}`;
    const taken = new Set(this.#given.values());
    const name = taken.has(stem) ? `${stem}-${index + 1}` : stem;
    this.#given.set(old, name);
    return name;
  }

  /** As it was given; a name nobody has stays what it is. */
  renamed(old: string): string {
    return this.#given.get(old) ?? old;
  }
}

/** Lower case letters, digits, `-` and `.`; none where nothing is left. */
function objectName(text: string): string | undefined {
  const parts = text.toLowerCase().slice(0, NAME_MAX).split(".");
  const labels = parts.map((part) => part.replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-+|-+$/g, ""));
  return labels.filter((label) => label !== "").join(".") || undefined;
}

function judged(text: string): readonly Complaint[] {
  const decoded = decodeManifest(text);
  const entries = decoded.objects.map((object) => ({ ...object, path: "" }));
  const none = new Map<string, never>();
  const files = [{ entries, problems: [], broken: false }];
  const snapshot = new Merger().merge({ files, serviceStates: none, poolStates: none, problems: [], complete: true });
  const twice = snapshot.problems.map(({ message }) => message.replace(/ in  document \d+ too/, " written twice"));
  return [
    ...decoded.problems.map(({ object = "", path = "", message }) => ({ path: `${object}: ${path}`, message })),
    ...twice.map((message) => ({ path: "", message })),
    ...judgeConfiguration(snapshot).map(({ subject, path, message }) => ({
      path: `${subject}: ${path ?? ""}`,
      message,
    })),
  ];
}

function listed<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

function camelCased(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      key.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value as unknown,
    ]),
  );
}
