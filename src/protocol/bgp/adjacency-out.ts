/**
 * What a peer has been told of our routes, and what to send so that it knows what it should (Adj-RIB-Out, RFC 4271 §3.2).
 * Pure: `advertise(told, desired, sender)` gives the new `told` and the messages. What did not change costs nothing on the
 * wire, and one change costs one message; a session that is lost has told nothing.
 *
 * Announcements go before withdrawals: an aggregate that takes the place of what is inside it must be there first.
 */
import { formatAddress, type Family } from "../../net/address.ts";
import type { Prefix } from "../../net/prefix.ts";
import { changedKeys, emptyMap, type PersistentMap } from "../../reconcile/persistent-map.ts";
import { encodeAttributes } from "./attribute-list.ts";
import { communitiesKey } from "./community.ts";
import { encodeMessage } from "./message.ts";
import type { NextHop } from "./multiprotocol.ts";
import { fitsOne, packAnnouncements, packWithdrawals, type Wrapping } from "./packing.ts";
import { outfitOf, type Route, type Routes, type Sender } from "./route.ts";
import { endOfRib } from "./update.ts";

export interface Told {
  /** By prefix as text. */
  readonly routes: PersistentMap<ToldRoute>;
  /** Routes this peer cannot be told, each with the reason. */
  readonly withheld: PersistentMap<Withheld>;
  /** What it was made from, and by whom. */
  readonly of: Routes;
  readonly senderKey: string;
}

export interface Withheld {
  readonly route: Route;
  readonly reason: string;
}

export interface ToldRoute {
  readonly route: Route;
  readonly outfit: EncodedOutfit;
}

interface EncodedOutfit extends Wrapping {
  /** Equal for equal bytes on the wire. */
  readonly key: string;
  /** Of the sender it was made for. */
  readonly senderKey: string;
}

/** What a new session, or one that was lost, has told. */
export const NOTHING_TOLD: Told = { routes: emptyMap(), withheld: emptyMap(), of: emptyMap(), senderKey: "" };

export interface Advertisement {
  readonly told: Told;
  /** Whole messages, in the order to send them. */
  readonly messages: readonly Uint8Array[];
  readonly announced: number;
  readonly withdrawn: number;
}

/** `desired`: all of them. From the same sender only those are looked at that are others than last time. */
export function advertise(told: Told, desired: Routes, sender: Sender): Advertisement {
  const routes = told.routes.draft();
  const withheld = told.withheld.draft();
  const outfits = new Outfits(sender);
  const groups = new Map<string, { readonly outfit: EncodedOutfit; readonly prefixes: Prefix[] }>();
  const gone: Prefix[] = [];
  let announced = 0;
  for (const key of keysToTell(told, desired, outfits.senderKey)) {
    const route = desired.get(key);
    const before = routes.get(key);
    const outfit = route === undefined ? undefined : outfits.of(route, before);
    if (route !== undefined && typeof outfit === "string") withheld.set(key, { route, reason: outfit });
    else withheld.delete(key);
    if (route === undefined || outfit === undefined || typeof outfit === "string") {
      if (before !== undefined) gone.push(before.route.prefix);
      routes.delete(key);
      continue;
    }
    if (before?.route !== route || before.outfit !== outfit) routes.set(key, { route, outfit });
    if (before?.outfit.key === outfit.key) continue;
    const group = groups.get(outfit.key);
    if (group === undefined) groups.set(outfit.key, { outfit, prefixes: [route.prefix] });
    else group.prefixes.push(route.prefix);
    announced += 1;
  }
  const messages = [
    ...[...groups.values()].flatMap(({ outfit, prefixes }) => packAnnouncements(outfit, prefixes, sender.context)),
    ...packWithdrawals(gone, sender.context),
  ];
  const now = {
    routes: routes.finish(),
    withheld: withheld.finish(),
    of: desired,
    senderKey: outfits.senderKey,
  };
  return { told: now, messages, announced, withdrawn: gone.length };
}

function keysToTell(told: Told, desired: Routes, senderKey: string): Iterable<string> {
  if (told.senderKey === senderKey) return changedKeys(told.of, desired);
  return new Set([...told.routes.keys(), ...told.withheld.keys(), ...desired.keys()]);
}

/** Everything the peer was told of a family, once more (RFC 2918); with markers around it where both know them (RFC 7313 §4). */
export function refresh(told: Told, family: Family, sender: Sender): readonly Uint8Array[] {
  const routes = [...told.routes].flatMap(([key, { route }]) =>
    route.prefix.family === family ? [[key, route] as const] : [],
  );
  const { messages } = advertise(NOTHING_TOLD, new Map(routes), sender);
  const { context } = sender;
  if (!context.enhancedRouteRefresh) return messages;
  const marker = (subtype: "begin" | "end"): Uint8Array =>
    encodeMessage({ type: "routeRefresh", family, subtype }, context);
  return [marker("begin"), ...messages, marker("end")];
}

/** After the first routes of a session: for every family it carries (RFC 4724 §2), asked for or not. */
export function endOfRibs({ context }: Sender): readonly Uint8Array[] {
  return context.families.map((family) => encodeMessage(endOfRib(family), context));
}

/** Few outfits for many routes: each is made once for a call. */
class Outfits {
  readonly #sender: Sender;
  readonly senderKey: string;
  readonly #byStyle = new Map<string, EncodedOutfit | string>();

  constructor(sender: Sender) {
    this.#sender = sender;
    this.senderKey = senderKey(sender);
  }

  of(route: Route, before: ToldRoute | undefined): EncodedOutfit | string {
    if (before?.route === route && before.outfit.senderKey === this.senderKey) return before.outfit;
    const style = styleOf(route);
    const found = this.#byStyle.get(style);
    if (found !== undefined) return found;
    const made = this.#make(route);
    this.#byStyle.set(style, made);
    return made;
  }

  #make(route: Route): EncodedOutfit | string {
    const { context } = this.#sender;
    const { family } = route.prefix;
    const outfit = outfitOf(route, this.#sender);
    if (typeof outfit === "string") return outfit;
    const { mpNextHop } = outfit;
    const attributes = encodeAttributes(outfit.attributes, context);
    if (!fitsOne({ attributes, mpNextHop }, family, context)) return "its attributes alone fill a message";
    const nextHop = mpNextHop === undefined ? "" : formatNextHop(mpNextHop);
    const key = `${family} ${nextHop} ${LATIN1.decode(attributes)}`;
    return { attributes, mpNextHop, key, senderKey: this.senderKey };
  }
}

/** A character for every byte: the quickest key. */
const LATIN1 = new TextDecoder("latin1");

/** Routes of equal style get equal outfits from one sender. */
function styleOf({ prefix, localPref, multiExitDisc, asPathPrepend, communities, nextHop }: Route): string {
  const own = nextHop === undefined ? "" : formatNextHop(nextHop);
  const listed = communities === undefined ? "" : communitiesKey(communities);
  return `${prefix.family} ${localPref ?? ""} ${multiExitDisc ?? ""} ${asPathPrepend ?? ""} ${own} ${listed}`;
}

function senderKey({ context, localAs, localRole, nextHops }: Sender): string {
  const { external, fourOctetAs, families, extendedNextHop } = context;
  const own = [nextHops.IPv4, nextHops.IPv6].map((nextHop) => (nextHop === undefined ? "" : formatNextHop(nextHop)));
  return JSON.stringify([localAs, localRole, own, external, fourOctetAs, families, extendedNextHop]);
}

function formatNextHop({ address, linkLocal }: NextHop): string {
  return linkLocal === undefined ? formatAddress(address) : `${formatAddress(address)}+${formatAddress(linkLocal)}`;
}
