/**
 * The election of one Service, with everything that was looked at on the way: what `fairlead explain` shows. The same rules
 * as election.ts, which decides for thousands of Services at a time and remembers no reasons. Pure.
 */
import { formatAddress, parseAddress } from "../net/address.ts";
import { NO_NAMESPACES, parsePools, type Pool } from "../pool/pools.ts";
import type { Service } from "../service/objects.ts";
import { slicesOf } from "../service/slices.ts";
import { isPassedOver, type Contenders } from "./away.ts";
import { poolOfAll, poolOfEach } from "./candidacy.ts";
import {
  covers,
  interfacesOf,
  isSharedBySelector,
  obstacleOf,
  scoreOf,
  unconcerned,
  usableNodes,
  type Members,
  type Obstacle,
  type Unconcerned,
} from "./coverage.ts";
import type { ElectionInput } from "./election.ts";
import type { L2Advertisement } from "./objects.ts";
import { compareRanks, isFirst, type Sha256 } from "./ranks.ts";

export interface Survey {
  /** Names of the pools that hold its addresses, one where possible; empty: an address lies in none, or they must not differ. */
  readonly pools: readonly string[];
  /** All there are, by key. */
  readonly advertisements: readonly SurveyedAdvertisement[];
  /** The advertisements that concern the Service must not be used for a shared address. */
  readonly sharedBySelector: boolean;
  /** Some endpoint is usable, wherever it is. */
  readonly hasEndpoint: boolean;
  /** All there are, those that may announce first, in the order in which they would. */
  readonly nodes: readonly SurveyedNode[];
}

export interface SurveyedAdvertisement {
  readonly key: string;
  /** `undefined`: it speaks for the Service. */
  readonly unconcerned: Unconcerned | undefined;
  /** Names of the nodes it covers. */
  readonly covers: readonly string[];
}

export interface SurveyedNode {
  readonly name: string;
  /** By an advertisement that concerns the Service. */
  readonly covered: boolean;
  readonly obstacle: Obstacle | undefined;
  /** Policy Local asks for an endpoint on the node, and there is none. */
  readonly lacksEndpoint: boolean;
  readonly score: number;
  readonly interfaces: readonly string[] | "all";
}

export function surveyElection(key: string, input: ElectionInput, members: Members, sha256: Sha256): Survey {
  const service = input.services.get(key);
  const usable = usableNodes(slicesOf(input.endpointSlices, key));
  if (service === undefined)
    return { pools: [], advertisements: [], sharedBySelector: false, hasEndpoint: false, nodes: [] };
  const addresses = service.status.loadBalancer.ingress
    .map(({ ip }) => parseAddress(ip ?? ""))
    .filter((address) => address !== undefined);
  const set = parsePools(input.ipAddressPools, NO_NAMESPACES);
  const one = poolOfAll(addresses, set);
  const pools = one === undefined ? (poolOfEach(addresses, service, set) ?? []) : [one];
  const reasons = [...input.l2Advertisements].map(([name, advertisement]) => ({
    name,
    advertisement,
    reason: unconcernedWithAll(advertisement, pools, input, service),
  }));
  const concerned = reasons.filter(({ reason }) => reason === undefined).map(({ advertisement }) => advertisement);
  const nodes = [...input.nodes.values()];
  const [first] = addresses;
  return {
    pools: pools.map(({ name }) => name),
    advertisements: reasons.map(({ name, advertisement, reason }) => ({
      key: name,
      unconcerned: reason,
      covers: nodes.filter((node) => covers(advertisement, node)).map(({ metadata }) => metadata.name),
    })),
    sharedBySelector: isSharedBySelector(service, concerned),
    hasEndpoint: usable !== undefined,
    nodes: withoutPassedOver(
      surveyNodes(input, members, concerned, localNodes(service, usable)),
      {
        address: first === undefined ? "" : formatAddress(first),
        advertisements: concerned,
        nodes: () => nodes,
        members,
      },
      sha256,
    ),
  };
}

/** In order; who is passed over has an obstacle, unless that would be all. */
function withoutPassedOver(
  surveyed: readonly SurveyedNode[],
  contenders: Contenders,
  sha256: Sha256,
): readonly SurveyedNode[] {
  const allowed = new Set(surveyed.filter(({ lacksEndpoint }) => !lacksEndpoint).map(({ name }) => name));
  const among = {
    ...contenders,
    nodes: () => contenders.nodes().filter(({ metadata }) => allowed.has(metadata.name)),
  };
  const order = { isFirst: (...words: [string, readonly string[], string]) => isFirst(...words, sha256) };
  const judged = surveyed.map((node): SurveyedNode =>
    mayAnnounce(node) && isPassedOver(node.name, among, order) ? { ...node, obstacle: "away" } : node,
  );
  const { address } = contenders;
  return (judged.some(mayAnnounce) ? judged : surveyed).toSorted(
    (a, b) =>
      Number(mayAnnounce(b)) - Number(mayAnnounce(a)) ||
      b.score - a.score ||
      compareRanks(a.name, b.name, address, sha256),
  );
}

/** Where a Service has addresses of several pools, an advertisement of one of them speaks for it. */
function unconcernedWithAll(
  advertisement: L2Advertisement,
  pools: readonly Pool[],
  { ipAddressPools }: ElectionInput,
  service: Service,
): Unconcerned | undefined {
  const reasons = pools.map((pool) =>
    unconcerned(advertisement, pool, ipAddressPools.get(pool.key)?.metadata.labels ?? {}, service),
  );
  if (reasons.includes(undefined) && reasons.length > 0) return undefined;
  return reasons.includes("otherService") ? "otherService" : "otherPool";
}

/** Whether the node takes part in the election. */
export function mayAnnounce({ covered, obstacle, lacksEndpoint }: SurveyedNode): boolean {
  return covered && obstacle === undefined && !lacksEndpoint;
}

/** The nodes that policy Local allows; undefined: all. Without any endpoint the policy is not what is missing. */
function localNodes(service: Service, usable: ReadonlySet<string> | undefined): ReadonlySet<string> | undefined {
  return service.spec.externalTrafficPolicy === "Local" ? usable : undefined;
}

function surveyNodes(
  { nodes }: ElectionInput,
  members: Members,
  concerned: readonly L2Advertisement[],
  local: ReadonlySet<string> | undefined,
): SurveyedNode[] {
  return [...nodes.values()].map((node) => ({
    name: node.metadata.name,
    covered: concerned.some((advertisement) => covers(advertisement, node)),
    obstacle: obstacleOf(node, members),
    lacksEndpoint: local !== undefined && !local.has(node.metadata.name),
    score: scoreOf(concerned, node),
    interfaces: interfacesOf(concerned, node),
  }));
}
