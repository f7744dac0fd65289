/** BFDProfiles as values. Their ranges are the schema's; here is what one object alone cannot tell. */
import { problemsAbout, type Problem } from "../../net/problem.ts";
import { objectKey } from "../../service/objects.ts";
import { unknownAnnotations } from "./annotations.ts";
import { type Finding } from "./findings.ts";
import type { BFDProfile } from "./objects.ts";
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
}

export interface ParsedProfiles {
  readonly profiles: ReadonlyMap<string, BfdSettings>;
  readonly problems: readonly Problem[];
}

/** Two profiles of one name: the one that was there first counts. */
export function parseBfdProfiles(
  objects: ReadonlyMap<string, BFDProfile>,
  before: ReadonlyMap<string, BfdSettings> = new Map(),
): ParsedProfiles {
  const profiles = new Map<string, BfdSettings>();
  const problems: Problem[] = [];
  const incumbents = new Set([...before.values()].map(({ key }) => key));
  for (const object of firstCome(objects, incumbents)) {
    const key = objectKey(object);
    const other = profiles.get(object.metadata.name);
    const findings: Finding[] = [...unknownAnnotations(object.metadata.annotations, "BFDProfile")];
    if (other !== undefined) findings.push(sameName("bfdProfile", object.metadata.name, other.key));
    else profiles.set(object.metadata.name, settingsOf(object));
    problems.push(...problemsAbout(`BFDProfile ${key}`, findings));
  }
  return { profiles, problems };
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
