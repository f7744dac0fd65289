/** What one node announces in layer 2, by address: the elections of all Services put together. Pure. */
import { compareAddresses, formatAddress, sameAddress, type Address } from "../net/address.ts";
import type { Elected, Election } from "./election.ts";

export interface Announcement {
  readonly address: Address;
  /** Names of the network interfaces it is announced on; they need not exist. */
  readonly interfaces: readonly string[] | "all";
  /** Keys of the Services that have the address, sorted. */
  readonly services: readonly string[];
}

/**
 * The announcements of a node, by address. An address has one announcer, also where the Services that share it elected
 * different nodes (MetalLB lets both answer): the Service whose *first* address it is decides, then the first by key.
 */
export function announcementsOf(node: string, elections: ReadonlyMap<string, Election>): readonly Announcement[] {
  const announced: Announcement[] = [];
  for (const sharers of byAddress(elections).values()) {
    const [decisive] = sharers.toSorted(byPrecedence);
    if (decisive?.elected.announcer !== node) continue;
    const mine = sharers.filter(({ elected }) => elected.announcer === node);
    announced.push({
      address: decisive.address,
      interfaces: union(mine.map(({ elected }) => elected.interfaces)),
      services: sharers.map(({ service }) => service).toSorted(),
    });
  }
  return announced.toSorted((a, b) => compareAddresses(a.address, b.address));
}

interface Sharer {
  readonly service: string;
  readonly address: Address;
  readonly elected: Elected;
  readonly isFirst: boolean;
}

function byAddress(elections: ReadonlyMap<string, Election>): ReadonlyMap<string, readonly Sharer[]> {
  const sharers = new Map<string, Sharer[]>();
  for (const [service, election] of elections) {
    if (election.announcer === undefined) continue;
    const texts = textsOf(election);
    for (const [index, address] of election.addresses.entries()) {
      const text = texts[index] ?? formatAddress(address);
      const list = sharers.get(text) ?? [];
      if (list.some((other) => other.service === service && sameAddress(other.address, address))) continue;
      list.push({ service, address, elected: election, isFirst: index === 0 });
      sharers.set(text, list);
    }
  }
  return sharers;
}

/** Elections keep their identity while nothing changes: of thousands, the texts need not be made again every time. */
const known = new WeakMap<Election, readonly string[]>();

function textsOf(election: Election): readonly string[] {
  const texts = known.get(election) ?? election.addresses.map(formatAddress);
  known.set(election, texts);
  return texts;
}

function byPrecedence(a: Sharer, b: Sharer): number {
  if (a.isFirst !== b.isFirst) return a.isFirst ? -1 : 1;
  return a.service < b.service ? -1 : 1;
}

function union(lists: readonly (readonly string[] | "all")[]): readonly string[] | "all" {
  if (lists.includes("all")) return "all";
  return [...new Set(lists.flat())].toSorted();
}
