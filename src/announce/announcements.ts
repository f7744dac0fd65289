/** Who announces which address in layer 2: the elections of all Services put together, and one node's part of it. Pure. */
import { compareAddresses, formatAddress, sameAddress, type Address } from "../net/address.ts";
import type { Elected, Election } from "./election.ts";

export interface Announcement {
  readonly address: Address;
  /** Names of the network interfaces it is announced on; they need not exist. */
  readonly interfaces: readonly string[] | "all";
  /** Keys of the Services that have the address, sorted. */
  readonly services: readonly string[];
}

/** Who announces an address. */
export interface AddressElection {
  readonly address: Address;
  readonly announcer: string;
  readonly sharers: readonly Sharer[];
}

/** A Service that has the address, with what it elected for itself. */
export interface Sharer {
  readonly service: string;
  readonly address: Address;
  readonly elected: Elected;
  readonly isFirst: boolean;
}

/**
 * An address has one announcer, also where the Services that share it elected different nodes (MetalLB lets both answer):
 * the Service whose *first* address it is decides, then the first by key.
 */
export function electAddresses(elections: ReadonlyMap<string, Election>): ReadonlyMap<string, AddressElection> {
  const byText = new Map<string, AddressElection>();
  for (const [text, sharers] of byAddress(elections)) {
    const [decisive] = sharers.toSorted(byPrecedence);
    if (decisive === undefined) continue;
    byText.set(text, { address: decisive.address, announcer: decisive.elected.announcer, sharers });
  }
  return byText;
}

/** The announcements of a node, by address. */
export function announcementsOf(
  node: string,
  addresses: ReadonlyMap<string, AddressElection>,
): readonly Announcement[] {
  const announced: Announcement[] = [];
  for (const { address, announcer, sharers } of addresses.values()) {
    if (announcer !== node) continue;
    const mine = sharers.filter(({ elected }) => elected.announcer === node);
    announced.push({
      address,
      interfaces: union(mine.map(({ elected }) => elected.interfaces)),
      services: sharers.map(({ service }) => service).toSorted(),
    });
  }
  return announced.toSorted((a, b) => compareAddresses(a.address, b.address));
}

function byAddress(elections: ReadonlyMap<string, Election>): ReadonlyMap<string, readonly Sharer[]> {
  const sharers = new Map<string, Sharer[]>();
  for (const [service, election] of elections) {
    if (election.announcer === undefined) continue;
    const texts = textsOf(election);
    for (const [index, address] of election.addresses.entries()) {
      const elected = election.parts === undefined ? election : election.parts[index];
      if (elected?.announcer === undefined) continue;
      const text = texts[index] ?? formatAddress(address);
      const list = sharers.get(text) ?? [];
      if (list.some((other) => other.service === service && sameAddress(other.address, address))) continue;
      list.push({ service, address, elected, isFirst: index === 0 });
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
