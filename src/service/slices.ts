/** Which EndpointSlices belong to which Service. */
import { SERVICE_NAME_LABEL, type EndpointSlice } from "./objects.ts";

type SliceMap = ReadonlyMap<string, EndpointSlice>;

const NONE: readonly EndpointSlice[] = [];
/** Snapshots never change, and both the election and the forwarding tables ask: one pass over all slices serves them all. */
const known = new WeakMap<SliceMap, ReadonlyMap<string, readonly EndpointSlice[]>>();

/** The slices of a Service (`namespace/name`), in the order of the snapshot. */
export function slicesOf(endpointSlices: SliceMap, service: string): readonly EndpointSlice[] {
  let index = known.get(endpointSlices);
  if (index === undefined) {
    index = indexSlices(endpointSlices);
    known.set(endpointSlices, index);
  }
  return index.get(service) ?? NONE;
}

/** Whether two lists hold the very same objects: then everything derived from them is the same too. */
export function sameObjects(a: readonly object[], b: readonly object[]): boolean {
  return a.length === b.length && a.every((object, index) => object === b[index]);
}

function indexSlices(endpointSlices: SliceMap): ReadonlyMap<string, readonly EndpointSlice[]> {
  const index = new Map<string, EndpointSlice[]>();
  for (const slice of endpointSlices.values()) {
    const service = serviceOf(slice);
    if (service === undefined) continue;
    const slices = index.get(service);
    if (slices === undefined) index.set(service, [slice]);
    else slices.push(slice);
  }
  return index;
}

/** Slices never change either. With thousands of them, putting the same texts together again is what costs. */
const services = new WeakMap<EndpointSlice, string>();

function serviceOf(slice: EndpointSlice): string | undefined {
  const kept = services.get(slice);
  if (kept !== undefined) return kept;
  const name = slice.metadata.labels[SERVICE_NAME_LABEL];
  if (name === undefined) return undefined;
  const service = `${slice.metadata.namespace}/${name}`;
  services.set(slice, service);
  return service;
}
