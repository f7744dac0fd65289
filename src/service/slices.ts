/** Which EndpointSlices belong to which Service. */
import { changedKeys, emptyMap, type PersistentMap } from "../reconcile/persistent-map.ts";
import { SERVICE_NAME_LABEL, type EndpointSlice } from "./objects.ts";

type SliceMap = ReadonlyMap<string, EndpointSlice>;
/** By Service; each list in the order of the slices' names, and the same list as long as it holds the same. */
export type SliceIndex = PersistentMap<readonly EndpointSlice[]>;

const NONE: readonly EndpointSlice[] = [];

interface Known {
  readonly slices: SliceMap;
  readonly index: SliceIndex;
}

/** Snapshots never change, and elections, BGP and the forwarding tables all ask: one index serves them all, and the next is made from it. */
let latest: Known = { slices: new Map(), index: emptyMap() };

/** The slices of a Service (`namespace/name`). */
export function slicesOf(endpointSlices: SliceMap, service: string): readonly EndpointSlice[] {
  return indexOf(endpointSlices).get(service) ?? NONE;
}

export function indexOf(endpointSlices: SliceMap): SliceIndex {
  if (latest.slices !== endpointSlices) latest = { slices: endpointSlices, index: nextIndex(latest, endpointSlices) };
  return latest.index;
}

/** Whether two lists hold the very same objects: then everything derived from them is the same too. */
export function sameObjects(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((object, index) => object === b[index]);
}

function nextIndex(before: Known, slices: SliceMap): SliceIndex {
  const lists = before.index.draft();
  const touched = new Map<string, Set<EndpointSlice>>();
  const listOf = (service: string): Set<EndpointSlice> => {
    const list = touched.get(service) ?? new Set(lists.get(service));
    touched.set(service, list);
    return list;
  };
  for (const key of changedKeys(before.slices, slices)) {
    const [old, now] = [before.slices.get(key), slices.get(key)];
    const [left, joined] = [old && serviceOf(old), now && serviceOf(now)];
    if (old !== undefined && left !== undefined) listOf(left).delete(old);
    if (now !== undefined && joined !== undefined) listOf(joined).add(now);
  }
  for (const [service, list] of touched) {
    if (list.size === 0) lists.delete(service);
    else lists.set(service, [...list].toSorted(byName));
  }
  return lists.finish();
}

function serviceOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels[SERVICE_NAME_LABEL];
  return name === undefined ? undefined : `${metadata.namespace}/${name}`;
}

function byName(a: EndpointSlice, b: EndpointSlice): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}
