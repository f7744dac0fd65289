/** Who announces which address in layer 2: the elections of all Services put together, and one node's part of it. Pure. */
import { compareAddresses, formatAddress, type Address } from "../net/address.ts";
import { changedKeys, emptyMap, type PersistentMap } from "../reconcile/persistent-map.ts";
import { atOnce, forEach, type Sliced } from "../time/slices.ts";
import { isElected, type Announcer, type Elected, type Election } from "./election.ts";

export interface Announcement {
  readonly address: Address;
  /** Names of the network interfaces it is announced on; they need not exist. */
  readonly interfaces: readonly string[] | "all";
  /** Keys of the Services that have the address, sorted. */
  readonly services: readonly string[];
}

/** Who announces an address. */
export interface AddressElection<A extends Announcer = string> {
  readonly address: Address;
  readonly announcer: A;
  /** By Service. */
  readonly sharers: readonly Sharer<A>[];
}

/** A Service that has the address, with what it elected for itself. */
export interface Sharer<A extends Announcer = string> {
  readonly service: string;
  readonly address: Address;
  readonly elected: Elected<A>;
  readonly isFirst: boolean;
}

/** What was put together last time: pass the same every time, then only what another election touches is looked at again. */
export interface AddressMemo<A extends Announcer = string> {
  elections: ReadonlyMap<string, Election<A>>;
  addresses: PersistentMap<AddressElection<A>>;
}

export function emptyAddressMemo<A extends Announcer = string>(): AddressMemo<A> {
  return { elections: new Map(), addresses: emptyMap() };
}

/** So many Services, or addresses, are looked at between two pauses. */
const SERVICES_A_STEP = 128;

/**
 * An address has one announcer, also where the Services that share it elected different nodes (MetalLB lets both answer):
 * the Service whose *first* address it is decides, then the first by key.
 */
export function electAddresses<A extends Announcer = string>(
  elections: ReadonlyMap<string, Election<A>>,
  memo: AddressMemo<A> = emptyAddressMemo<A>(),
): ReadonlyMap<string, AddressElection<A>> {
  return atOnce(electingAddresses(elections, memo));
}

/** As {@link electAddresses}, with pauses. */
export function* electingAddresses<A extends Announcer>(
  elections: ReadonlyMap<string, Election<A>>,
  memo: AddressMemo<A>,
): Sliced<ReadonlyMap<string, AddressElection<A>>> {
  const changed = new Set(changedKeys(memo.elections, elections));
  const joining = new Map<string, Sharer<A>[]>();
  yield* forEach(changed, SERVICES_A_STEP, (service) => {
    for (const [text] of sharersIn(service, memo.elections.get(service))) joining.set(text, joining.get(text) ?? []);
    for (const [text, sharer] of sharersIn(service, elections.get(service)))
      joining.set(text, [...(joining.get(text) ?? []), sharer]);
  });
  const addresses = memo.addresses.draft();
  yield* forEach(joining, SERVICES_A_STEP, ([text, joined]) => {
    const staying = (addresses.get(text)?.sharers ?? []).filter(({ service }) => !changed.has(service));
    const sharers = [...staying, ...joined].toSorted(byService);
    const [decisive] = sharers.toSorted(byPrecedence);
    if (decisive === undefined) addresses.delete(text);
    else addresses.set(text, { address: decisive.address, announcer: decisive.elected.announcer, sharers });
  });
  memo.elections = elections;
  memo.addresses = addresses.finish();
  return memo.addresses;
}

/** A node's announcements of last time. */
export interface AnnouncementMemo {
  node: string;
  addresses: ReadonlyMap<string, AddressElection<Announcer>>;
  /** By address. */
  readonly mine: Map<string, Announcement>;
  announcements: readonly Announcement[];
}

export function emptyAnnouncementMemo(): AnnouncementMemo {
  return { node: "", addresses: new Map(), mine: new Map(), announcements: [] };
}

/** The announcements of a node, by address; the same list as long as it says the same. */
export function announcementsOf(
  node: string,
  addresses: ReadonlyMap<string, AddressElection<Announcer>>,
  memo: AnnouncementMemo = emptyAnnouncementMemo(),
): readonly Announcement[] {
  if (memo.node !== node) Object.assign(memo, { ...emptyAnnouncementMemo(), node });
  let changed = false;
  for (const text of changedKeys(memo.addresses, addresses)) {
    const election = addresses.get(text);
    const announcement = election?.announcer === node ? announcementOf(node, election) : undefined;
    if (announcement !== undefined) memo.mine.set(text, announcement);
    changed = announcement === undefined ? memo.mine.delete(text) || changed : true;
  }
  memo.addresses = addresses;
  if (changed) memo.announcements = [...memo.mine.values()].toSorted((a, b) => compareAddresses(a.address, b.address));
  return memo.announcements;
}

function announcementOf(node: string, { address, sharers }: AddressElection<Announcer>): Announcement {
  const mine = sharers.filter(({ elected }) => elected.announcer === node);
  return {
    address,
    interfaces: union(mine.map(({ elected }) => elected.interfaces)),
    services: sharers.map(({ service }) => service).toSorted(),
  };
}

/** What a Service elected, by address, each once. */
function sharersIn<A extends Announcer>(
  service: string,
  election: Election<A> | undefined,
): ReadonlyMap<string, Sharer<A>> {
  const sharers = new Map<string, Sharer<A>>();
  if (election === undefined || !isElected(election)) return sharers;
  for (const [index, address] of election.addresses.entries()) {
    const elected = election.parts === undefined ? election : election.parts[index];
    const text = formatAddress(address);
    if (elected === undefined || !isElected(elected) || sharers.has(text)) continue;
    sharers.set(text, { service, address, elected, isFirst: index === 0 });
  }
  return sharers;
}

function byService(a: Sharer<Announcer>, b: Sharer<Announcer>): number {
  return a.service < b.service ? -1 : 1;
}

function byPrecedence(a: Sharer<Announcer>, b: Sharer<Announcer>): number {
  if (a.isFirst !== b.isFirst) return a.isFirst ? -1 : 1;
  return a.service < b.service ? -1 : 1;
}

function union(lists: readonly (readonly string[] | "all")[]): readonly string[] | "all" {
  if (lists.includes("all")) return "all";
  return [...new Set(lists.flat())].toSorted();
}
