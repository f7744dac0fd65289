/** AdmissionReview (admission.k8s.io/v1) in and out. Pure; whatever comes in has an answer. */
import { z } from "zod";
import { admit, type Admission, type ConfigurationCollection, type Proposal } from "../../announce/admission.ts";
import { decodeObject } from "../../source/manifests/decode-object.ts";
import type { Snapshot } from "../../source/source.ts";

export interface ReviewContext {
  readonly snapshot: Snapshot;
  /** The only namespace whose configuration is read. */
  readonly systemNamespace: string;
  readonly now: Date;
}

const COLLECTIONS: Readonly<Record<string, ConfigurationCollection>> = {
  IPAddressPool: "ipAddressPools",
  L2Advertisement: "l2Advertisements",
  BGPAdvertisement: "bgpAdvertisements",
  BGPPeer: "bgpPeers",
  BFDProfile: "bfdProfiles",
  Community: "communities",
};

const objectSchema = z.looseObject({ spec: z.unknown(), metadata: z.looseObject({}).default({}) });
const reviewSchema = z.object({
  request: z.object({
    uid: z.string(),
    operation: z.enum(["CREATE", "UPDATE", "DELETE", "CONNECT"]),
    kind: z.object({ group: z.string(), version: z.string(), kind: z.string() }),
    namespace: z.string().default(""),
    name: z.string().default(""),
    object: objectSchema.nullish(),
    oldObject: objectSchema.nullish(),
  }),
});

/** What the API server is answered. */
export interface Review {
  readonly apiVersion: "admission.k8s.io/v1";
  readonly kind: "AdmissionReview";
  readonly response: {
    readonly uid: string;
    readonly allowed: boolean;
    readonly status?: object;
    readonly warnings?: readonly string[];
  };
}

type Request = z.infer<typeof reviewSchema>["request"];

/** The answer to a review, or undefined for what is none. */
export function review(body: unknown, context: ReviewContext): Review | undefined {
  const parsed = reviewSchema.safeParse(body);
  if (!parsed.success) return undefined;
  const { request } = parsed.data;
  const { refusals, warnings } = judge(request, context);
  return {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: {
      uid: request.uid,
      allowed: refusals.length === 0,
      ...(refusals.length === 0 ? {} : { status: { code: 422, reason: "Invalid", message: refusals.join("\n") } }),
      ...(warnings.length === 0 ? {} : { warnings: warnings.map(clip) }),
    },
  };
}

function judge(request: Request, { snapshot, systemNamespace, now }: ReviewContext): Admission {
  const { operation, kind, namespace, object, oldObject } = request;
  const collection = COLLECTIONS[kind.kind];
  if (collection === undefined || operation === "CONNECT") return { refusals: [], warnings: [] };
  if (operation === "CREATE" && namespace !== systemNamespace)
    return refuse(`resource must be created in ${systemNamespace} namespace: objects elsewhere are not read`);
  // Objects elsewhere, of before, mean nothing: they may be changed and deleted.
  if (namespace !== systemNamespace) return { refusals: [], warnings: [] };
  if (operation === "DELETE")
    return admit({ operation, kind: kind.kind, collection, key: `${namespace}/${request.name}` }, snapshot);
  // Labels, annotations and finalizers of an object that is wrong already may be changed: else nobody could delete it.
  const same = operation === "UPDATE" && JSON.stringify(object?.spec) === JSON.stringify(oldObject?.spec);
  if (same && JSON.stringify(object?.metadata["labels"]) === JSON.stringify(oldObject?.metadata["labels"]))
    return { refusals: [], warnings: [] };
  const proposal = proposalOf(request, collection, now);
  return "refusals" in proposal ? proposal : admit(proposal, snapshot);
}

function proposalOf(request: Request, collection: ConfigurationCollection, now: Date): Proposal | Admission {
  const { kind, object, namespace } = request;
  const apiVersion = `${kind.group}/${kind.version}`;
  // What is created now is younger than all there is, and gives way to it.
  const metadata = { creationTimestamp: now.toISOString(), namespace, ...object?.metadata };
  const decoded = decodeObject({ ...object, apiVersion, kind: kind.kind, metadata }, 0);
  if (Array.isArray(decoded))
    return {
      refusals: decoded.map(({ path, message }) => (path === undefined ? message : `${path}: ${message}`)),
      warnings: [],
    };
  const operation = request.operation === "UPDATE" ? "UPDATE" : "CREATE";
  return { operation, kind: kind.kind, collection, key: decoded.name, object: decoded.value };
}

function refuse(message: string): Admission {
  return { refusals: [message], warnings: [] };
}

/** Longer warnings are cut by the API server, or dropped. */
function clip(warning: string): string {
  return warning.length > 250 ? `${warning.slice(0, 249)}…` : warning;
}
