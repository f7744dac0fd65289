/**
 * From what advertisements offer to the routes of each session. One prefix is one route: what several offers of it say is put together.
 *
 *     offers of all Services ─► groups by prefix ─► for each peer: those offers that are for it ─► one Route
 */
import type { Prefix } from "../../net/prefix.ts";
import { canonicalCommunities, communitiesKey, linkBandwidth, type Community } from "../../protocol/bgp/community.ts";
import type { SessionConfig } from "../../protocol/bgp/config.ts";
import type { Route } from "../../protocol/bgp/route.ts";
import type { PersistentMap } from "../../reconcile/persistent-map.ts";
import { forEach, type Sliced } from "../../time/slices.ts";
import type { Advertisement } from "./advertisements.ts";
import type { Offer } from "./verdict.ts";

/** What all Services together offer of one prefix: how many, and of which advertisements. */
export interface Group {
  readonly prefix: Prefix;
  readonly text: string;
  /** By advertisement, each once. */
  readonly shares: readonly Share[];
}

export interface Share {
  readonly advertisement: Advertisement;
  /** How many offers there are of it. */
  readonly offers: number;
  /** Of all of them together. */
  readonly localEndpoints: number;
}

/** By prefix as text. */
export type Groups = PersistentMap<Group>;

/** So many are counted between two pauses. */
const OFFERS_A_STEP = 256;

/** The groups without some offers that were there, and with others. */
export function* regrouping(before: Groups, left: Iterable<Offer>, joined: Iterable<Offer>): Sliced<Groups> {
  const groups = before.draft();
  const count = (offer: Offer, sign: 1 | -1): void => {
    const { prefix, text } = offer;
    const shares = sharesWith(groups.get(text)?.shares ?? [], offer, sign);
    if (shares.length === 0) groups.delete(text);
    else groups.set(text, { prefix, text, shares });
  };
  // First more, then less: no group goes and comes back.
  yield* forEach(joined, OFFERS_A_STEP, (offer) => count(offer, 1));
  yield* forEach(left, OFFERS_A_STEP, (offer) => count(offer, -1));
  return groups.finish();
}

function sharesWith(shares: readonly Share[], offer: Offer, sign: 1 | -1): readonly Share[] {
  const { advertisement } = offer;
  const index = shares.findIndex((share) => share.advertisement === advertisement);
  const { offers = 0, localEndpoints = 0 } = shares[index] ?? {};
  const share = {
    advertisement,
    offers: offers + sign,
    localEndpoints: localEndpoints + sign * offer.localEndpoints,
  };
  if (index < 0) return [...shares, share];
  return share.offers === 0 ? shares.toSpliced(index, 1) : shares.with(index, share);
}

function isFor({ advertisement }: Share, peer: string): boolean {
  return advertisement.peers.size === 0 || advertisement.peers.has(peer);
}

/** The session's route for a prefix; `undefined` when no offer is for this peer, or its session carries no routes of the family. */
export function routeOf(group: Group, config: SessionConfig): Route | undefined {
  if (!config.families.includes(group.prefix.family)) return undefined;
  const shares = group.shares.filter((share) => isFor(share, config.name));
  if (shares.length === 0) return undefined;
  const advertisements = shares.map(({ advertisement }) => advertisement);
  const localPref = Math.max(...advertisements.map((each) => each.localPref));
  const meds = advertisements.flatMap(({ med }) => med ?? []);
  const prepend = Math.min(...advertisements.map((each) => each.asPathPrepend));
  const communities = communitiesOf(shares, config.localAsn);
  return {
    prefix: group.prefix,
    ...(localPref === 0 ? {} : { localPref }),
    ...(meds.length === 0 ? {} : { multiExitDisc: Math.min(...meds) }),
    ...(prepend === 0 ? {} : { asPathPrepend: prepend }),
    ...(communities.length === 0 ? {} : { communities }),
  };
}

/** Whether two routes of one prefix are told alike. */
export function sameRoute(a: Route, b: Route): boolean {
  return (
    a.localPref === b.localPref &&
    a.multiExitDisc === b.multiExitDisc &&
    a.asPathPrepend === b.asPathPrepend &&
    communitiesKey(a.communities ?? NONE) === communitiesKey(b.communities ?? NONE)
  );
}

const NONE: readonly Community[] = [];

function communitiesOf(shares: readonly Share[], localAsn: number): readonly Community[] {
  const all = shares.flatMap(({ advertisement }) => advertisement.communities);
  const bandwidth = bandwidthOf(shares);
  if (bandwidth !== undefined) all.push(linkBandwidth(localAsn, bandwidth));
  return canonicalCommunities(all);
}

/**
 * What the endpoints here are worth, where an advertisement asks for it: routers with weighted ECMP then share traffic by endpoints, not by
 * nodes. A node without an endpoint says one byte a second: nothing at all would make all nodes equal.
 */
function bandwidthOf(shares: readonly Share[]): number | undefined {
  const weighed = shares.filter(({ advertisement }) => advertisement.endpointBandwidth !== undefined);
  if (weighed.length === 0) return undefined;
  const sum = weighed.reduce(
    (total, each) => total + each.localEndpoints * (each.advertisement.endpointBandwidth ?? 0),
    0,
  );
  return Math.max(sum, 1);
}
