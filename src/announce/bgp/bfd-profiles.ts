/** BFDProfiles as values. Their ranges are the schema's; here is what one object alone cannot tell. */
import { problemsAbout, type Problem } from "../../net/problem.ts";
import type { BfdKey } from "../../protocol/bfd/authentication.ts";
import { objectKey } from "../../service/objects.ts";
import { profileAnnotations, type ProfileAnnotations } from "./annotations.ts";
import { judged, type Finding, type Judged } from "./findings.ts";
import type { BFDProfile } from "./objects.ts";
import { passwordInSecret, type SecretsRead } from "./password.ts";
import { firstCome, sameName } from "./precedence.ts";

/** What is absent is for the BFD session to choose. */
export interface BfdSettings {
  readonly name: string;
  /** `namespace/name`. */
  readonly key: string;
  readonly receiveIntervalMilliseconds?: number;
  readonly transmitIntervalMilliseconds?: number;
  readonly detectMultiplier?: number;
  readonly echoIntervalMilliseconds?: number;
  readonly echoMode: boolean;
  readonly passiveMode: boolean;
  /** Of packets that arrive on a multi-hop session. */
  readonly minimumTtl?: number;
  /** Absent: packets are not authenticated. */
  readonly authentication?: BfdKey;
}

export interface ParsedProfiles {
  readonly profiles: ReadonlyMap<string, BfdSettings>;
  readonly problems: readonly Problem[];
}

/** Two profiles of one name: the one that was there first counts. One whose key is missing keeps its last good form. */
export function parseBfdProfiles(
  objects: ReadonlyMap<string, BFDProfile>,
  read: SecretsRead,
  before: ReadonlyMap<string, BfdSettings> = new Map(),
): ParsedProfiles {
  const profiles = new Map<string, BfdSettings>();
  const problems: Problem[] = [];
  const incumbents = new Set([...before.values()].map(({ key }) => key));
  for (const object of firstCome(objects, incumbents)) {
    const { name } = object.metadata;
    const key = objectKey(object);
    const { value, findings } = judgeProfile(object, read);
    const other = profiles.get(name);
    const last = before.get(name);
    const used = value ?? (last?.key === key ? last : undefined);
    if (other === undefined && used !== undefined) profiles.set(name, used);
    const all = other === undefined ? findings : [...findings, sameName("bfdProfile", name, other.key)];
    problems.push(...problemsAbout(`BFDProfile ${key}`, all));
  }
  return { profiles, problems };
}

function judgeProfile(object: BFDProfile, read: SecretsRead): Judged<BfdSettings> {
  const annotations = profileAnnotations(object.metadata.annotations);
  const key = keyOf(object, annotations.value, read);
  return judged([...annotations.findings, ...key.findings], () => ({
    ...settingsOf(object),
    ...(key.value === undefined ? {} : { authentication: key.value }),
  }));
}

/** Without the key, packets would go out as if none had been asked for: then the profile cannot be used. */
function keyOf(
  object: BFDProfile,
  { authentication: type, keyId = 1, secret }: ProfileAnnotations,
  read: SecretsRead,
): { readonly value?: BfdKey; readonly findings: readonly Finding[] } {
  if (type === undefined && secret === undefined) return { findings: [] };
  const path = 'metadata.annotations["fairlead.io/authentication-secret"]';
  if (type === undefined || secret === undefined) {
    const message = "fairlead.io/authentication and fairlead.io/authentication-secret go together: set both";
    return { findings: [{ path, message }] };
  }
  const config = `bfd profile ${objectKey(object)}`;
  const found = passwordInSecret(read, `${object.metadata.namespace}/${secret}`, { path, config });
  if (found.value === undefined) return { findings: found.findings };
  const bytes = new TextEncoder().encode(found.value);
  const most = type === "keyedSha1" || type === "meticulousKeyedSha1" ? 20 : 16;
  if (bytes.length <= most) return { value: { type, keyId, secret: bytes }, findings: [] };
  return {
    findings: [{ path, message: `the key has ${bytes.length} bytes; this authentication takes up to ${most}` }],
  };
}

function settingsOf(object: BFDProfile): BfdSettings {
  const { receiveInterval, transmitInterval, detectMultiplier, echoInterval, minimumTtl } = object.spec;
  return {
    name: object.metadata.name,
    key: objectKey(object),
    ...(receiveInterval === undefined ? {} : { receiveIntervalMilliseconds: receiveInterval }),
    ...(transmitInterval === undefined ? {} : { transmitIntervalMilliseconds: transmitInterval }),
    ...(detectMultiplier === undefined ? {} : { detectMultiplier }),
    ...(echoInterval === undefined ? {} : { echoIntervalMilliseconds: echoInterval }),
    ...(minimumTtl === undefined ? {} : { minimumTtl }),
    echoMode: object.spec.echoMode,
    passiveMode: object.spec.passiveMode,
  };
}
