/**
 * From what advertisements offer to the routes of each session. One prefix is one route: what several offers of it say is put together.
 *
 *     offers of all Services ─► groups by prefix ─► for each peer: those offers that are for it ─► one Route
 */
import type { Prefix } from "../../net/prefix.ts";
import { canonicalCommunities, linkBandwidth, type Community } from "../../protocol/bgp/community.ts";
import type { SessionConfig } from "../../protocol/bgp/config.ts";
import type { Route } from "../../protocol/bgp/route.ts";
import { sameObjects } from "../../service/slices.ts";
import type { Offer } from "./verdict.ts";

/** All offers of one prefix, of whatever Service. */
export interface Group {
  readonly prefix: Prefix;
  readonly text: string;
  readonly offers: readonly Offer[];
}

/** Groups by prefix, in the order in which prefixes first appear; those whose offers are the same as before are the same objects. */
export function groupOffers(
  offers: Iterable<readonly Offer[]>,
  before: ReadonlyMap<string, Group> = new Map(),
): ReadonlyMap<string, Group> {
  const lists = new Map<string, Offer[]>();
  for (const list of offers) {
    for (const offer of list) {
      const together = lists.get(offer.text);
      if (together === undefined) lists.set(offer.text, [offer]);
      else together.push(offer);
    }
  }
  const groups = new Map<string, Group>();
  for (const [text, together] of lists) {
    const last = before.get(text);
    const [first] = together;
    if (last !== undefined && sameObjects(last.offers, together)) groups.set(text, last);
    else if (first !== undefined) groups.set(text, { prefix: first.prefix, text, offers: together });
  }
  return groups;
}

/** Whether an offer is for a peer. */
export function isFor({ advertisement }: Offer, peer: string): boolean {
  return advertisement.peers.size === 0 || advertisement.peers.has(peer);
}

/** The session's route for a prefix; `undefined` when no offer is for this peer, or its session carries no routes of the family. */
export function routeOf(group: Group, config: SessionConfig): Route | undefined {
  if (!config.families.includes(group.prefix.family)) return undefined;
  const offers = group.offers.filter((offer) => isFor(offer, config.name));
  if (offers.length === 0) return undefined;
  const advertisements = offers.map(({ advertisement }) => advertisement);
  const localPref = Math.max(...advertisements.map((each) => each.localPref));
  const meds = advertisements.flatMap(({ med }) => med ?? []);
  const prepend = Math.min(...advertisements.map((each) => each.asPathPrepend));
  const communities = communitiesOf(offers, config.localAsn);
  return {
    prefix: group.prefix,
    ...(localPref === 0 ? {} : { localPref }),
    ...(meds.length === 0 ? {} : { multiExitDisc: Math.min(...meds) }),
    ...(prepend === 0 ? {} : { asPathPrepend: prepend }),
    ...(communities.length === 0 ? {} : { communities }),
  };
}

function communitiesOf(offers: readonly Offer[], localAsn: number): readonly Community[] {
  const all = offers.flatMap(({ advertisement }) => advertisement.communities);
  const bandwidth = bandwidthOf(offers);
  if (bandwidth !== undefined) all.push(linkBandwidth(localAsn, bandwidth));
  return canonicalCommunities(all);
}

/**
 * What the endpoints here are worth, where an advertisement asks for it: routers with weighted ECMP then share traffic by endpoints, not by
 * nodes. A node without an endpoint says one byte a second: nothing at all would make all nodes equal.
 */
function bandwidthOf(offers: readonly Offer[]): number | undefined {
  const weighed = offers.filter(({ advertisement }) => advertisement.endpointBandwidth !== undefined);
  if (weighed.length === 0) return undefined;
  const sum = weighed.reduce(
    (total, each) => total + each.localEndpoints * (each.advertisement.endpointBandwidth ?? 0),
    0,
  );
  return Math.max(sum, 1);
}
