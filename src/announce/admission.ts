/**
 * May an object of the configuration be written? The rules are those the programs follow, asked of the cluster as it would be
 * then: an object is refused for what is wrong with it, and for what would be wrong with others because of it. (MetalLB's webhooks
 * see a part of the first, and of the second nothing: there a smaller pool may break an advertisement.) Pure.
 */
import { formatProblem, type Problem } from "../net/problem.ts";
import type { Secret } from "../service/objects.ts";
import { BFD_SECRET_ANNOTATION } from "./bgp/annotations.ts";
import type { BFDProfile, BGPAdvertisement, BGPPeer } from "./bgp/objects.ts";
import { judgeConfiguration, suspicions, type ConfigurationObjects } from "./judgement.ts";

/** Collections of which an object can be asked about. */
export type ConfigurationCollection = Exclude<
  keyof ConfigurationObjects,
  "namespaces" | "nodes" | "secrets" | "unread"
>;

export type Proposal =
  | {
      readonly operation: "CREATE" | "UPDATE";
      readonly kind: string;
      readonly collection: ConfigurationCollection;
      /** `namespace/name` */
      readonly key: string;
      /** As its schema read it, with the time of its creation. */
      readonly object: object;
    }
  | {
      readonly operation: "DELETE";
      readonly kind: string;
      readonly collection: ConfigurationCollection;
      readonly key: string;
    };

export interface Admission {
  /** Empty: it may be written. */
  readonly refusals: readonly string[];
  /** What is allowed but hardly meant. */
  readonly warnings: readonly string[];
}

export function admit(proposal: Proposal, objects: ConfigurationObjects): Admission {
  const after = proposed(proposal, objects);
  if (proposal.operation === "DELETE") {
    const refusals = proposal.collection === "bfdProfiles" ? profileInUse(proposal.key, objects) : [];
    return { refusals, warnings: news(judged(after, false), judged(objects, false)) };
  }
  const subject = `${proposal.kind} ${proposal.key}`;
  const before = judged(objects, true);
  const found = judged(after, true);
  const own = found.filter((problem) => problem.subject === subject).map(formatProblem);
  return {
    refusals: [...new Set([...own, ...news(found, before)])],
    warnings: news(suspicions(after), suspicions(objects)),
  };
}

/** With `forgiving`, what is not there yet is taken for something that will come: objects are written in any order. */
function judged(objects: ConfigurationObjects, forgiving: boolean): readonly Problem[] {
  return judgeConfiguration(forgiving ? withReferences(objects) : withSecrets(objects));
}

function news(after: readonly Problem[], before: readonly Problem[]): readonly string[] {
  const known = new Set(before.map(formatProblem));
  return after.map(formatProblem).filter((text) => !known.has(text));
}

function proposed(proposal: Proposal, objects: ConfigurationObjects): ConfigurationObjects {
  const collection = new Map<string, object>(objects[proposal.collection]);
  if (proposal.operation === "DELETE") collection.delete(proposal.key);
  else collection.set(proposal.key, proposal.object);
  // The collection is of the object's kind; TypeScript cannot follow that through the name.
  return { ...objects, [proposal.collection]: collection };
}

function profileInUse(key: string, { bgpPeers, bfdProfiles }: ConfigurationObjects): readonly string[] {
  const name = bfdProfiles.get(key)?.metadata.name ?? key.slice(key.indexOf("/") + 1);
  return [...bgpPeers.values()]
    .filter(({ spec }) => spec.bfdProfile === name)
    .map(({ metadata }) => `failed to delete BFDProfile ${name}, used by BGPPeer ${metadata.name}`);
}

function withReferences(objects: ConfigurationObjects): ConfigurationObjects {
  return {
    ...withSecrets(objects),
    bfdProfiles: withProfiles(objects),
    bgpAdvertisements: withoutUnknownAliases(objects),
  };
}

/** Passwords and keys are not read here, so every Secret that is named counts as there and well. */
function withSecrets(objects: ConfigurationObjects): ConfigurationObjects {
  const ofPeers = [...objects.bgpPeers.values()].map(({ metadata, spec }) => ({
    metadata,
    name: spec.passwordSecret.name,
  }));
  const ofProfiles = [...objects.bfdProfiles.values()].map(({ metadata }) => ({
    metadata,
    name: metadata.annotations[BFD_SECRET_ANNOTATION] ?? "",
  }));
  const secrets = [...ofPeers, ...ofProfiles].map(({ metadata: { namespace }, name }): [string, Secret] => {
    const metadata = { name, namespace, labels: {}, annotations: {} };
    const secret = { metadata, type: "kubernetes.io/basic-auth", data: {}, stringData: { password: "unknown" } };
    return [`${namespace}/${name}`, secret];
  });
  return { ...objects, secrets: new Map(secrets) };
}

function withProfiles({ bgpPeers, bfdProfiles }: ConfigurationObjects): ConfigurationObjects["bfdProfiles"] {
  const names = new Set([...bfdProfiles.values()].map(({ metadata }) => metadata.name));
  const missing = [...bgpPeers.values()].filter(({ spec }) => spec.bfdProfile !== "" && !names.has(spec.bfdProfile));
  return new Map([...bfdProfiles, ...missing.map(profileNamedBy)]);
}

function profileNamedBy({ metadata: { namespace }, spec }: BGPPeer): [string, BFDProfile] {
  const metadata = { name: spec.bfdProfile, namespace, labels: {}, annotations: {} };
  return [`${namespace}/${spec.bfdProfile}`, { metadata, spec: { echoMode: false, passiveMode: false } }];
}

function withoutUnknownAliases(objects: ConfigurationObjects): ReadonlyMap<string, BGPAdvertisement> {
  const aliases = new Set(
    [...objects.communities.values()].flatMap(({ spec }) => spec.communities.map(({ name }) => name)),
  );
  return new Map(
    [...objects.bgpAdvertisements].map(([key, { spec, ...rest }]) => {
      const communities = spec.communities.filter((entry) => entry.includes(":") || aliases.has(entry));
      return [key, { ...rest, spec: { ...spec, communities } }];
    }),
  );
}
