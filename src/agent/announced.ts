/**
 * The addresses that this node announces, brought to the kernel and to the segments. As a whole they are compared with the kernel's rows now and
 * then, and whenever devices are others; in between only announcements are looked at that are others than last time.
 */
import { announcedAddress, announcedRows, sameAnnounced, type NodeDevice } from "../datapath/records.ts";
import { formatAddress, type Address } from "../net/address.ts";
import type { Announcement } from "../announce/announcements.ts";
import { planRows } from "../reconcile/rows.ts";
import { interfaceProblems, placeAnnouncements, type Me, type PlacedAnnouncement, type World } from "./desired.ts";
import { standingByProblems } from "./handover.ts";
import { rowsOf, writeRows } from "./map-writes.ts";
import type { AgentState } from "./state.ts";

/** An address on a device, as the segment is told; the very same as long as nothing about it changes. */
export interface AnnouncedPlace {
  readonly address: Address;
  readonly ifindex: number;
  readonly mac: Uint8Array;
}

/** What was brought to the kernel last. */
export interface Announced {
  /** What else the rows were made of. */
  readonly from: object;
  readonly announcements: readonly Announcement[];
  /** By announcement, those of the list. */
  readonly placements: Map<Announcement, Placement>;
  /** Till then the kernel need not be asked. */
  readonly until: number;
}

interface Placement {
  readonly placed: PlacedAnnouncement;
  readonly places: readonly AnnouncedPlace[];
}

const COMPARE_MS = 25_000;

/** How many rows were written. */
export function programAnnounced(
  { state, me, announce }: { state: AgentState; me: Me; announce: (places: readonly AnnouncedPlace[]) => void },
  { snapshot }: World,
): number {
  const announcements = announcementsNow(state);
  const { devices } = state.attachments;
  const now = performance.now();
  const standing = standingByProblems(snapshot, me);
  const { complete } = snapshot;
  const from = { devices, words: JSON.stringify(standing), complete, withdrawals: state.withdrawals };
  const last = state.announced;
  const isValid = last !== undefined && last.until > now && sameFields(last.from, from);
  if (isValid && last.announcements === announcements) return 0;
  // Whatever fails from here on: what the kernel holds is not known then.
  state.announced = undefined;
  const placements = isValid ? last.placements : new Map<Announcement, Placement>();
  const { left, joined } = replace(placements, announcements, devices);
  const all = announcements.flatMap((announcement) => placements.get(announcement) ?? []);
  state.placed = all.map(({ placed }) => placed);
  state.announceProblems = [...standing, ...interfaceProblems(state.placed, devices)];
  const found = isValid ? announcedRows(left, devices) : rowsOf(state.maps.announced);
  const { puts, removes } = planRows(announcedRows(joined, devices), found, sameAnnounced);
  const mayGo = complete ? () => true : isOfReadable(state);
  const written = writeRows(state.maps.announced, { puts, removes: removes.filter(mayGo) });
  announce(all.flatMap(({ places }) => places));
  state.announced = { from, announcements, placements, until: isValid ? last.until : now + COMPARE_MS };
  return written;
}

/** Before the others have seen that an agent is at work here again, only what the datapath answers for already: they may have taken the rest. */
function announcementsNow({ announcing: { announcements }, maps, membership }: AgentState): readonly Announcement[] {
  if (membership().mayTake) return announcements;
  const had = new Set(rowsOf(maps.announced).map(({ key }) => formatAddress(announcedAddress(key))));
  return announcements.filter(({ address }) => had.has(formatAddress(address)));
}

/** The placements are of these announcements afterwards. */
function replace(
  placements: Map<Announcement, Placement>,
  announcements: readonly Announcement[],
  devices: readonly NodeDevice[],
): { readonly left: readonly Announcement[]; readonly joined: readonly Announcement[] } {
  const staying = new Set(announcements);
  const left = placements
    .keys()
    .filter((announcement) => !staying.has(announcement))
    .toArray();
  const joined = announcements.filter((announcement) => !placements.has(announcement));
  for (const announcement of left) placements.delete(announcement);
  for (const [index, placed] of placeAnnouncements(joined, devices).entries()) {
    const places = placed.devices.map(({ ifindex, mac }) => ({ address: placed.address, ifindex, mac }));
    const announcement = joined[index];
    if (announcement !== undefined) placements.set(announcement, { placed, places });
  }
  return { left, joined };
}

/** An address that no Service we can read has may belong to one that we cannot read just now. */
function isOfReadable({ announcing: { elections } }: AgentState): (key: Uint8Array) => boolean {
  const known = new Set([...elections.values()].flatMap(({ addresses }) => addresses.map(formatAddress)));
  return (key) => known.has(formatAddress(announcedAddress(key)));
}

/** All fields hold the very same. */
function sameFields(a: object, b: object): boolean {
  return Object.entries(a).every(([name, value]) => Reflect.get(b, name) === value);
}
