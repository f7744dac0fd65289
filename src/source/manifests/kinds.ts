/** The kinds read from manifests: which collection of the snapshot they fill, and how one is validated. */
import type { z } from "zod";
import {
  bfdProfileSchema,
  bgpAdvertisementSchema,
  bgpPeerSchema,
  bgpPeerV1Beta1Schema,
  communitySchema,
} from "../../announce/bgp/objects.ts";
import { l2AdvertisementSchema } from "../../announce/objects.ts";
import { ipAddressPoolSchema } from "../../pool/objects.ts";
import {
  endpointSliceSchema,
  namespaceSchema,
  nodeSchema,
  secretSchema,
  serviceSchema,
} from "../../service/objects.ts";
import type { Snapshot } from "../source.ts";

/** Names of the collections of a snapshot. */
export type Collection = {
  [K in keyof Snapshot]: Snapshot[K] extends ReadonlyMap<string, { readonly metadata: object }> ? K : never;
}[keyof Snapshot];

/** The object type of a collection. */
export type ObjectOf<C extends Collection> = Snapshot[C] extends ReadonlyMap<string, infer O> ? O : never;

interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  readonly collection: Collection;
  readonly schema: z.ZodType<ObjectOf<Collection>>;
  /** What to say to whoever uses it. */
  readonly deprecated?: string;
}

export const KINDS: readonly Kind[] = [
  { apiVersion: "v1", kind: "Service", collection: "services", schema: serviceSchema },
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    collection: "endpointSlices",
    schema: endpointSliceSchema,
  },
  { apiVersion: "v1", kind: "Node", collection: "nodes", schema: nodeSchema },
  { apiVersion: "v1", kind: "Namespace", collection: "namespaces", schema: namespaceSchema },
  { apiVersion: "v1", kind: "Secret", collection: "secrets", schema: secretSchema },
  {
    apiVersion: "metallb.io/v1beta1",
    kind: "IPAddressPool",
    collection: "ipAddressPools",
    schema: ipAddressPoolSchema,
  },
  {
    apiVersion: "metallb.io/v1beta1",
    kind: "L2Advertisement",
    collection: "l2Advertisements",
    schema: l2AdvertisementSchema,
  },
  {
    apiVersion: "metallb.io/v1beta1",
    kind: "BGPAdvertisement",
    collection: "bgpAdvertisements",
    schema: bgpAdvertisementSchema,
  },
  // The newest version of a kind comes first: it is the one that messages name.
  { apiVersion: "metallb.io/v1beta2", kind: "BGPPeer", collection: "bgpPeers", schema: bgpPeerSchema },
  {
    apiVersion: "metallb.io/v1beta1",
    kind: "BGPPeer",
    collection: "bgpPeers",
    schema: bgpPeerV1Beta1Schema,
    deprecated: "v1beta1 is deprecated, please use v1beta2",
  },
  { apiVersion: "metallb.io/v1beta1", kind: "BFDProfile", collection: "bfdProfiles", schema: bfdProfileSchema },
  { apiVersion: "metallb.io/v1beta1", kind: "Community", collection: "communities", schema: communitySchema },
];

export const COLLECTIONS: readonly Collection[] = [...new Set(KINDS.map((k) => k.collection))];
