/** BGPAdvertisements as values, and the pools each of them announces. */
import { problemsAbout, type Problem } from "../../net/problem.ts";
import type { IPAddressPool } from "../../pool/objects.ts";
import type { Pool } from "../../pool/pools.ts";
import type { Community as CommunityValue } from "../../protocol/bgp/community.ts";
import { objectKey, type Node } from "../../service/objects.ts";
import { duplicatesInSelectors, matchesAny, type LabelSelector } from "../../service/selector.ts";
import { aggregationFinding, localPrefConflict } from "./aggregation.ts";
import { advertisementAnnotations, type AdvertisementAnnotations } from "./annotations.ts";
import { resolveCommunities, type Aliases } from "./communities.ts";
import { duplicates, judged, type Finding, type Judged } from "./findings.ts";
import type { BGPAdvertisement } from "./objects.ts";
import { firstCome, sameText } from "./precedence.ts";

export interface Advertisement extends AdvertisementAnnotations {
  readonly asPathPrepend: number;
  readonly name: string;
  /** `namespace/name`. */
  readonly key: string;
  /** Names of the pools whose addresses it announces. */
  readonly pools: ReadonlySet<string>;
  readonly aggregationLength: number;
  readonly aggregationLengthV6: number;
  /** 0: not set. */
  readonly localPref: number;
  /** In canonical order. */
  readonly communities: readonly CommunityValue[];
  /** Empty: all nodes. */
  readonly nodeSelectors: readonly LabelSelector[];
  /** Names of BGPPeers; empty: all. */
  readonly peers: ReadonlySet<string>;
  /** Empty: all Services. */
  readonly serviceSelectors: readonly LabelSelector[];
  /** How the pools are chosen; with neither all are. */
  readonly poolNames: readonly string[];
  readonly poolSelectors: readonly LabelSelector[];
}

interface Parsed {
  readonly advertisements: ReadonlyMap<string, Advertisement>;
  readonly problems: readonly Problem[];
}

/** Far more than anybody uses, and few enough that all attributes of a route fit into one message. */
const COMMUNITIES_MAX = 200;

/** Every advertisement by its own rules, in the order in which they count. Pools are attached afterwards. */
export function parseAdvertisements(
  objects: ReadonlyMap<string, BGPAdvertisement>,
  aliases: Aliases,
  before: ReadonlyMap<string, Advertisement> = new Map(),
): Parsed {
  const problems: Problem[] = [];
  const unchanged = new Set<string>();
  const found = new Map<string, Advertisement>();
  for (const [key, object] of objects) {
    const { value, findings } = judgeAdvertisement(object, aliases);
    problems.push(...problemsAbout(`BGPAdvertisement ${key}`, findings));
    const last = before.get(key);
    const used = value ?? last;
    if (used === undefined) continue;
    const same = last !== undefined && sameText(withoutPools(used), withoutPools(last));
    if (same) unchanged.add(key);
    // The pools it announces already: there it comes first.
    found.set(key, { ...used, pools: same ? last.pools : new Set<string>() });
  }
  const ordered = firstCome(objects, unchanged).flatMap((object) => {
    const key = objectKey(object);
    const used = found.get(key);
    return used === undefined ? [] : [[key, used] as const];
  });
  return { advertisements: new Map(ordered), problems };
}

interface PoolWorld {
  readonly pools: readonly Pool[];
  readonly objects: ReadonlyMap<string, IPAddressPool>;
  readonly nodes: readonly Node[];
}

/**
 * A pool that does not go with an advertisement - cut wider than the pool is, or announced already with another LOCAL_PREF - is
 * not announced by it; its other pools are.
 */
export function attachPools(advertisements: ReadonlyMap<string, Advertisement>, world: PoolWorld): Parsed {
  const names = new Map<string, Set<string>>([...advertisements.keys()].map((key) => [key, new Set()]));
  const findings = new Map<string, Finding[]>([...advertisements.keys()].map((key) => [key, []]));
  for (const pool of world.pools) {
    const choosing = [...advertisements.values()].filter((each) => selects(each, pool, world.objects));
    const announcing = choosing.filter(({ pools }) => pools.has(pool.name));
    const taken: Advertisement[] = [];
    for (const each of new Set([...announcing, ...choosing])) {
      const finding = aggregationFinding(each, pool) ?? localPrefConflict(each, pool, taken, world.nodes);
      if (finding === undefined) {
        taken.push(each);
        names.get(each.key)?.add(pool.name);
      } else findings.get(each.key)?.push(finding);
    }
  }
  return {
    advertisements: new Map(
      [...advertisements].map(([key, each]) => [key, { ...each, pools: names.get(key) ?? new Set() }]),
    ),
    problems: [...findings].flatMap(([key, list]) => problemsAbout(`BGPAdvertisement ${key}`, list)),
  };
}

function judgeAdvertisement(object: BGPAdvertisement, aliases: Aliases): Judged<Advertisement> {
  const { spec, metadata } = object;
  const entries = spec.communities.slice(0, COMMUNITIES_MAX);
  const { communities, findings: communityFindings } = resolveCommunities(entries, aliases);
  const extra = advertisementAnnotations(metadata.annotations);
  const repeated = (["ipAddressPoolSelectors", "nodeSelectors", "serviceSelectors"] as const).flatMap((field) =>
    duplicatesInSelectors(spec[field], `spec.${field}`).map((f) => ({ ...f, harmless: true as const })),
  );
  const findings: Finding[] = [
    ...lengthFindings(object),
    ...communityFindings,
    ...countFindings(spec.communities.length),
    ...duplicates(entries, "spec.communities", "community"),
    ...duplicates(spec.ipAddressPools, "spec.ipAddressPools", "ipAddressPool"),
    ...duplicates(spec.peers, "spec.peers", "peer"),
    ...repeated,
    ...extra.findings,
  ];
  return judged(findings, () => ({
    name: metadata.name,
    key: objectKey(object),
    pools: new Set(),
    aggregationLength: spec.aggregationLength,
    aggregationLengthV6: spec.aggregationLengthV6,
    localPref: spec.localPref,
    asPathPrepend: spec.asPathPrepend ?? 0,
    communities,
    nodeSelectors: spec.nodeSelectors,
    peers: new Set(spec.peers),
    serviceSelectors: spec.serviceSelectors,
    poolNames: spec.ipAddressPools,
    poolSelectors: spec.ipAddressPoolSelectors,
    ...extra.value,
  }));
}

function lengthFindings({ spec }: BGPAdvertisement): readonly Finding[] {
  const { aggregationLength, aggregationLengthV6, serviceSelectors } = spec;
  const findings: Finding[] = [];
  const check = (field: "aggregationLength" | "aggregationLengthV6", most: number): void => {
    const length = spec[field];
    if (length < 1 || length > most)
      findings.push({
        path: `spec.${field}`,
        message: `invalid aggregation length "${length}": must be from 1 to ${most}`,
      });
  };
  check("aggregationLength", 32);
  check("aggregationLengthV6", 128);
  if (serviceSelectors.length > 0 && (aggregationLength !== 32 || aggregationLengthV6 !== 128))
    findings.push({
      path: "spec.serviceSelectors",
      message:
        "serviceSelectors cannot be combined with an aggregation length other than 32 and 128: an aggregate would announce addresses of other Services too",
    });
  return findings;
}

function countFindings(count: number): readonly Finding[] {
  if (count <= COMMUNITIES_MAX) return [];
  return [{ path: "spec.communities", message: `has ${count} communities; ${COMMUNITIES_MAX} are possible` }];
}

function selects(advertisement: Advertisement, pool: Pool, objects: PoolWorld["objects"]): boolean {
  const { podCidrs, poolNames, poolSelectors } = advertisement;
  if (podCidrs) return false;
  if (poolNames.length === 0 && poolSelectors.length === 0) return true;
  return poolNames.includes(pool.name) || matchesAny(poolSelectors, objects.get(pool.key)?.metadata.labels ?? {});
}

function withoutPools(advertisement: Advertisement): object {
  return { ...advertisement, pools: undefined };
}
