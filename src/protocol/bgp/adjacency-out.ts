/**
 * What a peer has been told of our routes, and what to send so that it knows what it should (Adj-RIB-Out, RFC 4271 §3.2).
 * Pure: `advertise(told, desired, sender)` gives the new `told` and the messages. What did not change costs nothing on the
 * wire, and one change costs one message; a session that is lost has told nothing.
 *
 * Announcements go before withdrawals: an aggregate that takes the place of what is inside it must be there first.
 */
import { formatAddress, type Family } from "../../net/address.ts";
import type { Prefix } from "../../net/prefix.ts";
import { encodeAttributes } from "./attribute-list.ts";
import { communitiesKey } from "./community.ts";
import { encodeMessage } from "./message.ts";
import type { NextHop } from "./multiprotocol.ts";
import { fitsOne, packAnnouncements, packWithdrawals, type Wrapping } from "./packing.ts";
import { outfitOf, type Route, type Sender } from "./route.ts";
import { endOfRib } from "./update.ts";

/** By prefix, see {@link prefixKey}. */
export type Told = ReadonlyMap<string, ToldRoute>;

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
export const NOTHING_TOLD: Told = new Map();

export interface Advertisement {
  readonly told: Told;
  /** Whole messages, in the order to send them. */
  readonly messages: readonly Uint8Array[];
  readonly announced: number;
  readonly withdrawn: number;
  /** Routes this peer cannot be told, each with the reason. */
  readonly withheld: readonly { readonly route: Route; readonly reason: string }[];
}

/** `desired`: all of them, in any order; of two for one prefix the first counts. */
export function advertise(told: Told, desired: readonly Route[], sender: Sender): Advertisement {
  const next = new Map<string, ToldRoute>();
  const withheld: { route: Route; reason: string }[] = [];
  const groups = new Map<string, { readonly outfit: EncodedOutfit; readonly prefixes: Prefix[] }>();
  const outfits = new Outfits(sender);
  let announced = 0;
  let kept = 0;
  for (const route of desired) {
    const key = prefixKey(route.prefix);
    const before = told.get(key);
    const outfit = next.has(key) ? "another route for this prefix comes first" : outfits.of(route, before);
    if (typeof outfit === "string") {
      withheld.push({ route, reason: outfit });
      continue;
    }
    next.set(key, before?.route === route && before.outfit === outfit ? before : { route, outfit });
    if (before !== undefined) kept += 1;
    if (before?.outfit.key === outfit.key) continue;
    const group = groups.get(outfit.key);
    if (group === undefined) groups.set(outfit.key, { outfit, prefixes: [route.prefix] });
    else group.prefixes.push(route.prefix);
    announced += 1;
  }
  // Only where something is gone is it looked for.
  const gone =
    kept === told.size ? [] : [...told].filter(([key]) => !next.has(key)).map(([, { route }]) => route.prefix);
  const messages = [
    ...[...groups.values()].flatMap(({ outfit, prefixes }) => packAnnouncements(outfit, prefixes, sender.context)),
    ...packWithdrawals(gone, sender.context),
  ];
  return { told: next, messages, announced, withdrawn: gone.length, withheld };
}

/** Everything the peer was told of a family, once more (RFC 2918); with markers around it where both know them (RFC 7313 §4). */
export function refresh(told: Told, family: Family, sender: Sender): readonly Uint8Array[] {
  const routes = [...told.values()].filter(({ route }) => route.prefix.family === family).map(({ route }) => route);
  const { messages } = advertise(NOTHING_TOLD, routes, sender);
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

/** Equal for equal prefixes. */
function prefixKey({ family, value, length }: Prefix): string {
  return family === "IPv4" ? `${Number(value)}/${length}` : `${value.toString(16)}:${length}`;
}

/** Few outfits for many routes: each is made once for a call. */
class Outfits {
  readonly #sender: Sender;
  readonly #senderKey: string;
  readonly #byStyle = new Map<string, EncodedOutfit | string>();

  constructor(sender: Sender) {
    this.#sender = sender;
    this.#senderKey = senderKey(sender);
  }

  of(route: Route, before: ToldRoute | undefined): EncodedOutfit | string {
    if (before?.route === route && before.outfit.senderKey === this.#senderKey) return before.outfit;
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
    return { attributes, mpNextHop, key, senderKey: this.#senderKey };
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
