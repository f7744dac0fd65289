/** What a speaker originates, and the attributes it goes out with to one peer (RFC 4271 §5, RFC 7606 §5.1 as sender). */
import { formatAddress } from "../../net/address.ts";
import { formatPrefix, type Prefix } from "../../net/prefix.ts";
import { asSequence } from "./as-path.ts";
import type { PathAttribute } from "./attribute.ts";
import type { Role } from "./capability.ts";
import { canonicalCommunities, type Community } from "./community.ts";
import type { SessionContext } from "./context.ts";
import type { NextHop } from "./multiprotocol.ts";

export interface Route {
  readonly prefix: Prefix;
  /** To peers of our own AS only. Default 100, what routers take where there is none. */
  readonly localPref?: number;
  /** Default: none. */
  readonly multiExitDisc?: number;
  /** How many times more than once our AS stands in the path. To peers of other AS only. */
  readonly asPathPrepend?: number;
  /** Any order, any kinds, doubles allowed. */
  readonly communities?: readonly Community[];
  /** Instead of the session's own. */
  readonly nextHop?: NextHop;
}

/**
 * What one peer is told, by prefix as text: equal prefixes have equal keys. Where it is a persistent map, one that was made from another
 * is told at the cost of where they differ.
 */
export type Routes = ReadonlyMap<string, Route>;

/** Of two for one prefix the first counts. */
export function routesByPrefix(routes: readonly Route[]): Routes {
  const found = new Map<string, Route>();
  for (const route of routes) {
    const key = formatPrefix(route.prefix);
    if (!found.has(key)) found.set(key, route);
  }
  return found;
}

/** How routes leave through one session. */
export interface Sender {
  readonly context: SessionContext;
  /** In the path: the local AS of this peer. */
  readonly localAs: number;
  /** RFC 9234: with the agreed role of a provider, route server or peer our routes are marked OTC. */
  readonly localRole?: Role;
  /** Own addresses as next hops, by the family of the route. An IPv6 one for IPv4 routes needs `extendedNextHop`. */
  readonly nextHops: { readonly IPv4?: NextHop; readonly IPv6?: NextHop };
}

/** What routes have in common that may share an UPDATE: all but the prefix. */
export interface Outfit {
  readonly attributes: readonly PathAttribute[];
  /** Goes into MP_REACH, with the prefix; `undefined`: IPv4 with its next hop among the attributes. */
  readonly mpNextHop: NextHop | undefined;
}

const LOCAL_PREF_DEFAULT = 100;
const OTC_ROLES: ReadonlySet<Role | undefined> = new Set(["provider", "routeServer", "peer"]);

/** A text says why this route cannot go to this peer. */
export function outfitOf(route: Route, sender: Sender): Outfit | string {
  const { family } = route.prefix;
  const { context, localAs, localRole } = sender;
  if (!context.families.includes(family)) return `the session does not carry ${family} routes`;
  const nextHop = route.nextHop ?? sender.nextHops[family];
  if (nextHop === undefined) return `this node has no ${family} next hop on the session's interface`;
  if (nextHop.address.family !== family && (family === "IPv6" || !context.extendedNextHop))
    return `the peer takes no ${nextHop.address.family} next hop (${formatAddress(nextHop.address)}) for ${family} routes`;
  const path = context.external ? asSequence(localAs, 1 + (route.asPathPrepend ?? 0)) : [];
  const attributes: PathAttribute[] = [
    { type: "origin", origin: "igp" },
    { type: "asPath", segments: path },
  ];
  const classic = family === "IPv4" && nextHop.address.family === "IPv4";
  if (classic) attributes.push({ type: "nextHop", address: nextHop.address });
  if (context.external && !context.fourOctetAs && localAs > 0xffff)
    attributes.push({ type: "as4Path", segments: path });
  if (route.multiExitDisc !== undefined) attributes.push({ type: "multiExitDisc", value: route.multiExitDisc });
  if (!context.external) attributes.push({ type: "localPref", value: route.localPref ?? LOCAL_PREF_DEFAULT });
  attributes.push(...communityAttributes(route.communities ?? []));
  if (OTC_ROLES.has(localRole)) attributes.push({ type: "onlyToCustomer", as: localAs });
  return { attributes, mpNextHop: classic ? undefined : nextHop };
}

function communityAttributes(given: readonly Community[]): readonly PathAttribute[] {
  const communities = canonicalCommunities(given);
  const attributes: PathAttribute[] = [];
  const standard = communities.filter((one) => one.type === "standard").map(({ value }) => value);
  const extended = communities.filter((one) => one.type === "extended").map(({ value }) => value);
  const large = communities.filter((one) => one.type === "large");
  if (standard.length > 0) attributes.push({ type: "communities", values: standard });
  if (extended.length > 0) attributes.push({ type: "extendedCommunities", values: extended });
  if (large.length > 0) attributes.push({ type: "largeCommunities", values: large });
  return attributes;
}
