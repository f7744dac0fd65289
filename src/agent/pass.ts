/**
 * One pass: from everything the agent knows to what the kernel holds. Cheap when little changed; with pauses when much did, in
 * which packets, probes and requests have their turn - but no other pass.
 *
 *     world ─► desired (pure) ─► attach devices ─► small maps ─► plan + apply forwarding ─► announce
 *
 * A failure leaves the rest of the pass undone; the tables are then read back from the kernel before the next one.
 */
import { applyingForwarding } from "../datapath/apply.ts";
import { planSize } from "../datapath/draft.ts";
import { clearFilterBit, filterBits, filterHash, setFilterBit } from "../datapath/filter.ts";
import { planningForwarding } from "../datapath/plan.ts";
import { deviceRows, endpointRows, storeTraffic } from "../datapath/records.ts";
import { readingTables } from "../datapath/tables.ts";
import type { Address } from "../net/address.ts";
import { atOnce, type Sliced } from "../time/slices.ts";
import type { Snapshot } from "../source/source.ts";
import { planRows } from "../reconcile/rows.ts";
import { programAnnounced, type AnnouncedPlace } from "./announced.ts";
import { MAGLEV_SEED } from "./datapath.ts";
import type { Attacher } from "./attach.ts";
import {
  desiredAnnouncing,
  desiredAttachments,
  desiredForwarding,
  type Forwarding,
  type Me,
  type Memo,
  type World,
} from "./desired.ts";
import { trafficOf } from "./handover.ts";
import { rowsOf, writeRows } from "./map-writes.ts";
import type { AgentState } from "./state.ts";

export interface PassParts {
  readonly state: AgentState;
  readonly me: Me;
  readonly memo: Memo;
  readonly attacher: Attacher;
  /** What the source has told of since it was asked last; undefined: nothing. */
  readonly news?: () => Snapshot | undefined;
  /** Everything that decides was read once: this node can take addresses over. */
  readonly inform?: () => void;
  /** Tells the segments what this node announces from now on. */
  readonly announce: (places: readonly AnnouncedPlace[]) => void;
}

export interface Passed {
  /** Rows. */
  readonly written: number;
  /** False: some things wait until more is known. */
  readonly settled: boolean;
}

/** Brings the kernel to what `world` asks for. Throws what the kernel refused. */
export function runPass(parts: PassParts, world: World): Passed {
  return atOnce(passing(parts, world));
}

/** As {@link runPass}, with pauses. */
export function* passing(parts: PassParts, world: World): Sliced<Passed> {
  const { state, me, memo } = parts;
  const { withdrawals } = state;
  const membersChanged = state.world !== undefined && !sameMembers(state.world.members, world.members);
  state.world = world;
  // Before anything is attached or announced.
  storeTraffic(state.maps.runtime, trafficOf(world.snapshot, me));
  let written = attachDevices(parts, world);
  const mayForward = areRead(world.snapshot, OF_FORWARDING);
  const isInformed = mayForward && areRead(world.snapshot, OF_ANNOUNCING);
  if (isInformed) parts.inform?.();
  const { complete } = state.membership();
  const mayAnnounce = isInformed && complete;
  let { snapshot } = world;
  const forward = function* (): Sliced<number> {
    if (!mayForward) return 0;
    const latest = { ...world, snapshot };
    state.forwarding = yield* desiredForwarding(latest, me, memo);
    // Until every peer was heard or missed once, what an earlier agent left is the better guess at who is there; and
    // whether it is still us who announce, nobody knows.
    return complete || !isLeftOver(state) ? yield* programForwarding(state, latest) : 0;
  };
  /** What changes while thousands of addresses are elected is forwarded to at once: that never waits for announcing. */
  const overtake = function* (): Sliced<void> {
    const now = parts.news?.();
    if (now === undefined || sameOfForwarding(now, snapshot)) return;
    snapshot = now;
    written += yield* forward();
  };
  const announce = function* (): Sliced<number> {
    if (!mayAnnounce) return 0;
    state.announcing = yield* interrupted(desiredAnnouncing(world, me, memo), overtake);
    // The stamp ran out in a pause: what was found before is not to be announced any more.
    return state.withdrawals === withdrawals ? programAnnounced(parts, world) : 0;
  };
  // A new Service is served before it is announced. But where a node died, its addresses go to nobody until we take them.
  const steps = membersChanged ? [announce, forward] : [forward, announce];
  for (const run of steps) written += yield* run();
  return { written, settled: mayAnnounce && state.withdrawals === withdrawals };
}

/** What is decided from these collections waits until each was read once: what an earlier agent left is the better guess. */
const OF_FORWARDING = ["services", "endpointSlices", "nodes"] as const satisfies readonly (keyof Snapshot)[];
const OF_ANNOUNCING = [
  "ipAddressPools",
  "l2Advertisements",
  "namespaces",
] as const satisfies readonly (keyof Snapshot)[];

function sameOfForwarding(a: Snapshot, b: Snapshot): boolean {
  return OF_FORWARDING.every((collection) => a[collection] === b[collection]);
}

/** The work with all its pauses, and after each of them what else there is to do. */
function* interrupted<T>(work: Sliced<T>, between: () => Sliced<void>): Sliced<T> {
  for (let step = work.next(); ; step = work.next()) {
    if (step.done === true) return step.value;
    yield;
    yield* between();
  }
}

function areRead({ unread }: Snapshot, collections: readonly string[]): boolean {
  return !collections.some((collection) => unread.has(collection));
}

function sameMembers(a: World["members"], b: World["members"]): boolean {
  const sameNames = a.alive.symmetricDifference(b.alive).size === 0 && a.gone.symmetricDifference(b.gone).size === 0;
  return sameNames && a.away === b.away;
}

/** The tables are those of an earlier agent. */
function isLeftOver({ tables }: AgentState): boolean {
  return tables.fresh && tables.frontends.size > 0;
}

/** After a failed pass: forgets what was believed about the kernel. */
export function* readBack(state: AgentState): Sliced<void> {
  state.announced = undefined;
  state.tables = yield* readingTables(state.maps.forwarding);
}

/** Takes back every announcement; the agent's stamp had run out, so others may have taken over. */
export function withdrawAnnouncements({ state, announce }: Pick<PassParts, "state" | "announce">): void {
  state.withdrawals += 1;
  writeRows(state.maps.announced, planRows([], rowsOf(state.maps.announced)));
  announce([]);
}

function attachDevices({ state, me, memo, attacher }: PassParts, world: World): number {
  const attachments = desiredAttachments(world, me, memo);
  state.attachments = attachments;
  const { maps } = state;
  let written = programNodeFilter(maps.forwarding.filter, attachments.addresses);
  // Rows before programs, and the other way round when they go: a program finds the row of its device.
  const devices = planRows(deviceRows(attachments.devices), rowsOf(maps.devices));
  const endpoints = planRows(endpointRows(attachments.endpoints), rowsOf(maps.endpoints));
  written +=
    writeRows(maps.devices, { ...devices, removes: [] }) + writeRows(maps.endpoints, { ...endpoints, removes: [] });
  const report = attacher.apply({ ...attachments, links: world.links });
  written += writeRows(maps.endpoints, { ...endpoints, puts: [] }) + writeRows(maps.devices, { ...devices, puts: [] });
  state.devices = report.devices;
  state.attachProblems = report.problems;
  return written;
}

/** Sets what is missing, then clears what is too much: a reply to one of our source ports must never look foreign. */
function programNodeFilter(filter: Uint32Array, addresses: readonly Address[]): number {
  const wanted = new Set(addresses.map(filterHash));
  const found = new Set(filterBits(filter, "node"));
  const missing = [...wanted].filter((bit) => !found.has(bit));
  const surplus = [...found].filter((bit) => !wanted.has(bit));
  for (const bit of missing) setFilterBit(filter, "node", bit);
  for (const bit of surplus) clearFilterBit(filter, "node", bit);
  return missing.length + surplus.length;
}

function* programForwarding(state: AgentState, { snapshot }: World): Sliced<number> {
  const keep = !snapshot.complete;
  const desired = keep ? withoutLeftovers(state, snapshot) : state.forwarding.frontends;
  const startedAt = performance.now();
  // What is given back rests from the end of this on, when the maps do not name it any more: till then, time stands still.
  const now = startedAt - state.programmingMilliseconds;
  const plan = yield* planningForwarding(state.tables, desired, { seed: MAGLEV_SEED, now, keep });
  yield* applyingForwarding(plan, state.maps.forwarding, MAGLEV_SEED);
  state.programmingMilliseconds += performance.now() - startedAt;
  return planSize(plan);
}

/** Some objects cannot be read: of those that can, we still know that they want nothing any more. */
function withoutLeftovers({ forwarding, tables }: AgentState, { services }: Snapshot): Forwarding["frontends"] {
  const desired = new Map(forwarding.frontends);
  for (const key of tables.services.keys()) if (services.has(key) && !desired.has(key)) desired.set(key, []);
  return desired;
}
