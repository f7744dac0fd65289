/** Rules between a BGPAdvertisement, a pool, and the advertisements that announce the pool already. */
import type { Family } from "../../net/address.ts";
import { addressBits } from "../../net/prefix.ts";
import { formatRange, prefixesOfRange, type Range } from "../../net/range.ts";
import type { Pool } from "../../pool/pools.ts";
import type { Node } from "../../service/objects.ts";
import { formatSelector, matchesAny, type LabelSelector } from "../../service/selector.ts";
import { quote, type Finding } from "./findings.ts";

/** What of an advertisement matters here. */
export interface Aggregating {
  readonly key: string;
  readonly aggregationLength: number;
  readonly aggregationLengthV6: number;
  readonly localPref: number;
  readonly nodeSelectors: readonly LabelSelector[];
  readonly peers: ReadonlySet<string>;
  readonly serviceSelectors: readonly LabelSelector[];
}

/** An aggregate wider than an entry of the pool would announce addresses that are not the pool's. */
export function aggregationFinding(advertisement: Aggregating, pool: Pool): Finding | undefined {
  for (const range of pool.ranges) {
    const length = lengthFor(advertisement, range.family);
    const widest = widestPrefix(range);
    if (length >= widest) continue;
    const path = range.family === "IPv4" ? "spec.aggregationLength" : "spec.aggregationLengthV6";
    const message = `invalid aggregation length ${length}: prefix ${widest} in this pool is more specific than the aggregation length for addresses ${formatRange(range)} of pool ${quote(pool.name)}; the advertisement leaves this pool out`;
    return { path, message };
  }
  return undefined;
}

/** Of two LOCAL_PREFs for one route only one can be announced. `others` announce already. */
export function localPrefConflict(
  advertisement: Aggregating,
  pool: Pool,
  others: readonly Aggregating[],
  nodes: readonly Node[],
): Finding | undefined {
  // Service selectors may keep them apart: that is judged Service by Service.
  if (advertisement.serviceSelectors.length > 0) return undefined;
  const other = others.find(
    (one) =>
      one.serviceSelectors.length === 0 &&
      one.localPref !== advertisement.localPref &&
      mayMeet(one, advertisement, pool, nodes),
  );
  if (other === undefined) return undefined;
  const message = `invalid localPref ${advertisement.localPref}: pool ${quote(pool.name)} is announced with localPref ${other.localPref} by ${other.key} to the same peers from the same nodes with the same length; the advertisement leaves this pool out`;
  return { path: "spec.localPref", message };
}

/** Whether the two could announce one route of the pool to one peer. Also asked Service by Service, where selectors meet. */
export function mayMeet(a: Aggregating, b: Aggregating, pool: Pool, nodes: readonly Node[]): boolean {
  const families = new Set(pool.ranges.map(({ family }) => family));
  const apart = [...families].every((family) => lengthFor(a, family) !== lengthFor(b, family));
  if (apart) return false;
  if (a.peers.size > 0 && b.peers.size > 0 && a.peers.isDisjointFrom(b.peers)) return false;
  return shareNode(a.nodeSelectors, b.nodeSelectors, nodes);
}

function lengthFor({ aggregationLength, aggregationLengthV6 }: Aggregating, family: Family): number {
  return family === "IPv4" ? aggregationLength : aggregationLengthV6;
}

/** Shortest length among the prefixes that make up the range: its smaller pieces at the ends do not count. */
function widestPrefix(range: Range): number {
  const known = WIDEST.get(range);
  if (known !== undefined) return known;
  const widest = Math.min(...prefixesOfRange(range).map(({ length }) => length), addressBits(range.family));
  WIDEST.set(range, widest);
  return widest;
}

/** Asked for with every advertisement. */
const WIDEST = new WeakMap<Range, number>();

/** Where no node is known, selectors that differ are taken for disjoint. */
function shareNode(a: readonly LabelSelector[], b: readonly LabelSelector[], nodes: readonly Node[]): boolean {
  if (a.length === 0 && b.length === 0) return true;
  const covers = (selectors: readonly LabelSelector[], node: Node): boolean =>
    selectors.length === 0 || matchesAny(selectors, node.metadata.labels);
  if (nodes.length > 0) return nodes.some((node) => covers(a, node) && covers(b, node));
  const text = (selectors: readonly LabelSelector[]): string => selectors.map(formatSelector).toSorted().join(";");
  return a.length === 0 || b.length === 0 || text(a) === text(b);
}
