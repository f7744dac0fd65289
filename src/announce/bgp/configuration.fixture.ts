/** BGP objects for tests: from what a row says to a configuration. */
import { formatProblem } from "../../net/problem.ts";
import { ipAddressPoolSchema } from "../../pool/objects.ts";
import { nodeSchema, objectKey, secretSchema } from "../../service/objects.ts";
import { parseBgpConfiguration, type BgpConfiguration, type BgpObjects, type BgpView } from "./configuration.ts";
import { bfdProfileSchema, bgpAdvertisementSchema, bgpPeerSchema, communitySchema } from "./objects.ts";

export type Spec = Readonly<Record<string, unknown>>;
/** By name; `metadata` in a spec adds labels and annotations, or a namespace. */
export type Specs = Readonly<Record<string, Spec>>;

export interface BgpRow {
  readonly peers?: Specs;
  readonly ads?: Specs;
  readonly bfd?: Specs;
  readonly communities?: Specs;
  readonly pools?: Specs;
  readonly secrets?: Specs;
  /** Labels by name. */
  readonly nodes?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A peer that is right; its address differs with the last byte. */
export function goodPeer(fields: Spec = {}, last = 1): Spec {
  return { myASN: 64512, peerASN: 64513, peerAddress: `10.0.0.${last}`, ...fields };
}

export const POOL: Specs = { pool: { addresses: ["192.0.2.0/28"] } };

export function bgpObjects(row: BgpRow): BgpObjects {
  return {
    bgpPeers: collect(row.peers, (raw) => bgpPeerSchema.parse(raw)),
    bgpAdvertisements: collect(row.ads, (raw) => bgpAdvertisementSchema.parse(raw)),
    bfdProfiles: collect(row.bfd, (raw) => bfdProfileSchema.parse(raw)),
    communities: collect(row.communities, (raw) => communitySchema.parse(raw)),
    ipAddressPools: collect(row.pools, (raw) => ipAddressPoolSchema.parse(raw)),
    secrets: collect(row.secrets, ({ metadata, spec }) => secretSchema.parse({ metadata, ...spec })),
    nodes: new Map(
      Object.entries(row.nodes ?? {}).map(([name, labels]) => [name, nodeSchema.parse({ metadata: { name, labels } })]),
    ),
    namespaces: new Map(),
  };
}

export function configure(row: BgpRow, view: BgpView = {}): BgpConfiguration {
  return parseBgpConfiguration(bgpObjects(row), view);
}

/** One line for each. */
export function problemTexts(configuration: BgpConfiguration): readonly string[] {
  return configuration.problems.map(formatProblem);
}

interface Raw {
  readonly metadata: object;
  readonly spec: Spec;
}

interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

function collect<T extends Named>(specs: Specs = {}, parse: (raw: Raw) => T): ReadonlyMap<string, T> {
  const objects = Object.entries(specs).map(([name, { metadata, ...spec }]) =>
    parse({ metadata: { name, namespace: "metallb-system", ...(metadata as object | undefined) }, spec }),
  );
  return new Map(objects.map((object) => [objectKey(object), object]));
}
