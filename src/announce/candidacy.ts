/**
 * What of a Service's election nodes have no say in: whether it may be announced at all, and by which advertisements. Computed anew when the
 * Service, its EndpointSlices, pools or advertisements change; nodes come and go without it. Pure.
 */
import { formatAddress, parseAddress, type Address } from "../net/address.ts";
import { spansPools } from "../pool/claim.ts";
import type { IPAddressPool } from "../pool/objects.ts";
import { NO_NAMESPACES, parsePools, type Pool, type PoolSet } from "../pool/pools.ts";
import { isTakenOn } from "../service/class.ts";
import type { EndpointSlice, Service } from "../service/objects.ts";
import { isSharedBySelector, unconcerned, usableNodes } from "./coverage.ts";
import type { L2Advertisement } from "./objects.ts";

/** Why a Service is announced by nobody. */
export type Reason =
  | "otherClass" // its loadBalancerClass is another load balancer's
  | "noAddress" // the controller has not given it one
  | "invalidIP" // an entry of its status is not an IP address
  | "ipNotAllowed" // its addresses do not lie in one pool
  | "noEndpoints" // no endpoint could answer
  | "sharedIPWithServiceSelector" // two Services on one address could elect different nodes
  | "noMatchingAdvertisement" // no L2Advertisement covers its pool, itself and a node
  | "noEligibleNode"; // every node of its advertisements is gone, excluded, without network or (policy Local) without endpoint

export interface Unannounced {
  readonly addresses: readonly Address[];
  readonly announcer?: undefined;
  readonly reason: Reason;
  readonly parts?: undefined;
}

/** Addresses that one of the advertisements' nodes announces. */
export interface Candidate {
  readonly addresses: readonly Address[];
  /** The first of them, which decides among nodes. */
  readonly text: string;
  /** Those that concern it; the same list for all that the same ones concern. */
  readonly advertisements: readonly L2Advertisement[];
  /** Of policy Local: none but these. */
  readonly onlyNodes: ReadonlySet<string> | undefined;
}

export type Candidacy =
  | Candidate
  | Unannounced
  /** Of a Service whose addresses come from several pools: of each address, in their order. */
  | { readonly addresses: readonly Address[]; readonly each: readonly (Candidate | Unannounced)[] };

/** Pools and advertisements. */
export interface Configuration {
  readonly ipAddressPools: ReadonlyMap<string, IPAddressPool>;
  readonly l2Advertisements: ReadonlyMap<string, L2Advertisement>;
  readonly pools: PoolSet;
  readonly advertisements: readonly L2Advertisement[];
  /** By the places of advertisements in the list: nearly all Services have the same few. */
  readonly lists: Map<string, readonly L2Advertisement[]>;
}

export function configurationOf({
  ipAddressPools,
  l2Advertisements,
}: Pick<Configuration, "ipAddressPools" | "l2Advertisements">): Configuration {
  return {
    ipAddressPools,
    l2Advertisements,
    // Who may *get* an address of a pool is the controller's matter, so namespaces are not asked for here.
    pools: parsePools(ipAddressPools, NO_NAMESPACES),
    advertisements: [...l2Advertisements.values()],
    lists: new Map(),
  };
}

export function candidacyOf(
  service: Service,
  slices: readonly EndpointSlice[],
  configuration: Configuration,
): Candidacy {
  const { ingress } = service.status.loadBalancer;
  // The copy has room for these and no more: there are as many lists as Services, and they are kept.
  const addresses = ingress
    .map(({ ip }) => parseAddress(ip ?? ""))
    .filter((address) => address !== undefined)
    .slice();
  const nobody = (reason: Reason): Unannounced => ({ addresses, reason });
  if (!isTakenOn(service)) return nobody("otherClass");
  if (ingress.length === 0) return nobody("noAddress");
  if (addresses.length < ingress.length) return nobody("invalidIP");
  const pool = poolOfAll(addresses, configuration.pools);
  if (pool !== undefined) return candidacyIn(pool, addresses, service, slices, configuration);
  const pools = poolOfEach(addresses, service, configuration.pools);
  if (pools === undefined) return nobody("ipNotAllowed");
  // Other pools may have other advertisements, and those other nodes: each address has an election of its own.
  const each = addresses.map((address, index) =>
    candidacyIn(pools[index] as Pool, [address], service, slices, configuration),
  );
  return { addresses, each };
}

function candidacyIn(
  pool: Pool,
  addresses: readonly Address[],
  service: Service,
  slices: readonly EndpointSlice[],
  configuration: Configuration,
): Candidate | Unannounced {
  const usable = usableNodes(slices);
  if (usable === undefined) return { addresses, reason: "noEndpoints" };
  const labels = configuration.ipAddressPools.get(pool.key)?.metadata.labels ?? {};
  const advertisements = listOf(
    configuration.advertisements.filter((each) => unconcerned(each, pool, labels, service) === undefined),
    configuration,
  );
  if (isSharedBySelector(service, advertisements)) return { addresses, reason: "sharedIPWithServiceSelector" };
  const onlyNodes = service.spec.externalTrafficPolicy === "Local" ? usable : undefined;
  const [first] = addresses;
  return { addresses, text: first === undefined ? "" : formatAddress(first), advertisements, onlyNodes };
}

function listOf(
  matching: readonly L2Advertisement[],
  { advertisements, lists }: Configuration,
): readonly L2Advertisement[] {
  const key = matching.map((advertisement) => advertisements.indexOf(advertisement)).join();
  const list = lists.get(key) ?? matching;
  lists.set(key, list);
  return list;
}

/** The pool that holds all the addresses; open pools come first, see {@link PoolSet}. */
export function poolOfAll(addresses: readonly Address[], pools: PoolSet): Pool | undefined {
  const [first = [], ...others] = addresses.map((address) => pools.poolsOf(address));
  return first.find((pool) => others.every((list) => list.includes(pool)));
}

/** The pools of a Service that may span several, one for each address; undefined: it may not, or one lies in no pool. */
export function poolOfEach(
  addresses: readonly Address[],
  service: Service,
  pools: PoolSet,
): readonly Pool[] | undefined {
  if (addresses.length < 2 || !spansPools(service)) return undefined;
  const found = addresses.flatMap((address) => pools.poolsOf(address)[0] ?? []);
  return found.length === addresses.length ? found : undefined;
}
