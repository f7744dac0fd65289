/** Manifests judged offline: read as the programs read them, by the rules the programs follow, with the place of everything that is wrong. */
import { SECRET_MISSING } from "../../announce/bgp/password.ts";
import { judgeConfiguration, suspicions } from "../../announce/judgement.ts";
import type { Problem } from "../../net/problem.ts";
import { readClaim } from "../../pool/claim.ts";
import { unsupported } from "../../service/unsupported.ts";
import { atOnce } from "../../time/slices.ts";
import type { Snapshot } from "../source.ts";
import { isRecord } from "./decode-object.ts";
import { decodeManifest } from "./decode.ts";
import { decoderAtOnce } from "./decoders.ts";
import { FolderFiles, type Reading } from "./files.ts";
import type { Collection } from "./kinds.ts";
import { Merger, type ManifestEntry } from "./merge.ts";
import { unknownFields } from "./unknown-fields.ts";
import { yamlDocuments, type RawDocument } from "./yaml-documents.ts";

/** What is wrong, and where. */
export interface CheckRow {
  /** A warning is allowed, but hardly meant. */
  readonly severity: "error" | "warning";
  readonly file: string;
  /** Counted from 1. */
  readonly document?: number;
  /** `BGPPeer metallb-system/router`, as far as it could be read. */
  readonly object?: string;
  readonly path?: string;
  readonly message: string;
}

export interface CheckOptions {
  /** The only namespace whose configuration a cluster reads; absent: any. */
  readonly namespace?: string;
}

export interface Checked {
  readonly rows: readonly CheckRow[];
  /** Objects that could be read. */
  readonly objects: number;
}

/** Kinds that only count in the system namespace. */
const CONFIGURATION: ReadonlySet<Collection> = new Set([
  "ipAddressPools",
  "l2Advertisements",
  "bgpAdvertisements",
  "bgpPeers",
  "bfdProfiles",
  "communities",
] as const);

/** `paths`: folders or files. Rows are in the order of files and documents. */
export async function checkManifests(paths: readonly string[], { namespace }: CheckOptions = {}): Promise<Checked> {
  const rows: CheckRow[] = [];
  const decoder = decoderAtOnce((text, file) => decode(text, file, rows));
  const folders = paths.map((path) => new FolderFiles<ManifestEntry>(path, decoder));
  for (const folder of folders) atOnce((await folder.look("all", () => false))());
  const unread = folders.flatMap((folder) => folder.problems);
  rows.push(...unread.map(({ subject, message }): CheckRow => ({ severity: "error", file: subject, message })));
  const empty = folders.filter(({ readings, problems }) => readings.length + problems.length === 0);
  const nothing = "holds no manifest: a file .yaml, .yml or .json";
  rows.push(...empty.map(({ folder }): CheckRow => ({ severity: "warning", file: folder, message: nothing })));
  const complete = rows.every(({ severity }) => severity === "warning");
  const files = folders.flatMap((folder) => folder.readings);
  const places = placesOf(
    files.flatMap((file) => file.entries),
    rows,
    namespace,
  );
  const none = new Map<string, never>();
  const inputs = { serviceStates: none, poolStates: none, problems: [], complete };
  const snapshot = new Merger().merge({ files, ...inputs });
  rows.push(...judgeConfiguration(snapshot).map((problem) => located(problem, severityOf(problem), places)));
  rows.push(...impossibleRequests(snapshot).map((problem) => located(problem, "error", places)));
  // What one object refers to may be in one that could not be read.
  const doubts = complete ? [...suspicions(snapshot), ...unknownPools(snapshot)] : [];
  rows.push(...[...doubts, ...notDone(snapshot)].map((problem) => located(problem, "warning", places)));
  return { rows: rows.toSorted(byPlace), objects: places.size };
}

function decode(text: string, file: string, rows: CheckRow[]): Reading<ManifestEntry> {
  const { objects, problems } = decodeManifest(text);
  for (const { document, object, path, message, broken } of problems) {
    const place = {
      file,
      document,
      ...(object === undefined ? {} : { object }),
      ...(path === undefined ? {} : { path }),
    };
    rows.push({ severity: broken ? "error" : "warning", ...place, message });
  }
  rows.push(...mistyped(text, file, new Map(objects.map(({ document, key }) => [document, key]))));
  return { entries: objects.map((object) => ({ ...object, path: file })), problems: [], broken: false };
}

/** Fields that no kind has, of objects in documents of their own; `keys` by document. */
function mistyped(text: string, file: string, keys: ReadonlyMap<number, string>): readonly CheckRow[] {
  return valuesOf(text).flatMap((raw, index) => {
    const [document, value] = [index + 1, "value" in raw ? raw.value : undefined];
    const listed = isRecord(value) && Array.isArray(value["items"]) ? value["items"] : undefined;
    const place = { severity: "warning", file, document } as const;
    if (listed === undefined) {
      const object = keys.get(document);
      const named = object === undefined ? place : { ...place, object };
      return unknownFields(value).map((found): CheckRow => ({ ...named, ...found }));
    }
    return listed.flatMap((item, at) =>
      unknownFields(item).map(({ path, message }): CheckRow => ({ ...place, path: `items[${at}].${path}`, message })),
    );
  });
}

/** YAML takes a hundred times as long as JSON. */
function valuesOf(text: string): readonly RawDocument[] {
  try {
    return [{ value: JSON.parse(text) }];
  } catch {
    return [...yamlDocuments(text)];
  }
}

/** Of Services that can have no address, whatever the pools are. */
function impossibleRequests({ services }: Pick<Snapshot, "services">): readonly Problem[] {
  return [...services].flatMap(([key, service]) => {
    if (service.spec.type !== "LoadBalancer") return [];
    const { fault } = readClaim(service);
    return fault === undefined ? [] : [{ subject: `Service ${key}`, message: `it gets no address: ${fault.message}` }];
  });
}

/** What Services ask for and is not done, whatever addresses they get. */
function notDone({ services }: Pick<Snapshot, "services">): readonly Problem[] {
  return [...services].flatMap(([key, service]) => {
    const { type, ipFamilies } = service.spec;
    if (type !== "LoadBalancer") return [];
    return unsupported(service, new Set(ipFamilies.length > 0 ? ipFamilies : ["IPv4"]), `Service ${key}`);
  });
}

/** Only where pools are among what is checked: Services often lie elsewhere. */
function unknownPools({ services, ipAddressPools }: Snapshot): readonly Problem[] {
  const known = new Set(ipAddressPools.values().map(({ metadata }) => metadata.name));
  if (known.size === 0) return [];
  return [...services].flatMap(([key, service]) =>
    service.spec.type === "LoadBalancer"
      ? readClaim(service)
          .wantedPools.filter((name) => !known.has(name))
          .map((name) => ({
            subject: `Service ${key}`,
            message: `it asks for the IPAddressPool "${name}", which is not here`,
          }))
      : [],
  );
}

/** Secrets seldom lie beside other manifests. */
function severityOf({ message }: Problem): CheckRow["severity"] {
  return message.startsWith(SECRET_MISSING) ? "warning" : "error";
}

/** Where each object is, the first where it is twice; and what is wrong with where it is. */
function placesOf(
  entries: readonly ManifestEntry[],
  rows: CheckRow[],
  namespace: string | undefined,
): ReadonlyMap<string, ManifestEntry> {
  const places = new Map<string, ManifestEntry>();
  for (const entry of entries) {
    const say = (severity: CheckRow["severity"], message: string, path?: string): void => {
      const { path: file, document, key: object } = entry;
      rows.push({ severity, file, document, object, ...(path === undefined ? {} : { path }), message });
    };
    const first = places.get(entry.key);
    if (first === undefined) places.set(entry.key, entry);
    else say("error", `the object is in ${first.path} document ${first.document} too; remove one of them`);
    if (entry.deprecated !== undefined) say("warning", entry.deprecated, "apiVersion");
    if (namespace === undefined || !CONFIGURATION.has(entry.collection)) continue;
    if (entry.name.startsWith(`${namespace}/`)) continue;
    say("error", `resource must be created in ${namespace} namespace`, "metadata.namespace");
  }
  return places;
}

function located(
  { subject, path, message }: Problem,
  severity: CheckRow["severity"],
  places: ReadonlyMap<string, ManifestEntry>,
): CheckRow {
  const place = places.get(subject);
  return {
    severity,
    file: place?.path ?? "",
    ...(place === undefined ? {} : { document: place.document }),
    object: subject,
    ...(path === undefined ? {} : { path }),
    message,
  };
}

function byPlace(a: CheckRow, b: CheckRow): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return (a.document ?? 0) - (b.document ?? 0);
}
