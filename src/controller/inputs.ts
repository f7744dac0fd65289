/**
 * What a decision depends on: whether it has changed, and whether all that has changed is what was written because of the
 * decision. Deciding about one's own writes would find nothing to do, and with a hundred thousand Services it takes seconds.
 */
import { isDeepStrictEqual } from "node:util";
import type { IPAddressPool } from "../pool/objects.ts";
import { OUTPUT_ANNOTATIONS } from "../service/written.ts";
import { differing, sameEntries } from "../reconcile/layered-map.ts";
import type { Service } from "../service/objects.ts";
import type { PoolStatusWrite, ServiceStatusWrite, Snapshot } from "../source/source.ts";
import { forEach, type Sliced } from "../time/slices.ts";
import { poolStatusDiffers } from "./plan-pools.ts";
import { statusDiffers } from "./plan.ts";
import type { Write } from "./writing.ts";

/** So many objects are compared between two pauses. */
const OBJECTS_A_STEP = 100;

/** Endpoints and nodes come and go far more often than what addresses depend on. */
export function sameInputs(a: Snapshot, b: Snapshot): boolean {
  return (
    sameBesideStatus(a, b) && sameEntries(a.services, b.services) && sameEntries(a.ipAddressPools, b.ipAddressPools)
  );
}

/**
 * Whether `after` is `before` with these writes, and nothing else that a decision depends on. Not when an address was given up:
 * that of a Service which is not ours any more is kept from others until its status is written, and somebody may wait for it.
 */
export function* sameButForWrites(before: Snapshot, after: Snapshot, writes: readonly Write[]): Sliced<boolean> {
  if (!sameBesideStatus(before, after)) return false;
  if (writes.some((write) => write.type === "service" && write.releases.length > 0)) return false;
  const services = new Map<string, ServiceStatusWrite>();
  const pools = new Map<string, PoolStatusWrite>();
  yield* forEach(writes, OBJECTS_A_STEP, (write) => {
    if (write.type === "service") services.set(write.key, write.write);
    if (write.type === "pool") pools.set(write.key, write.write);
  });
  return (
    (yield* allWritten(before.services, after.services, services, isServiceWith)) &&
    (yield* allWritten(before.ipAddressPools, after.ipAddressPools, pools, isPoolWith))
  );
}

function sameBesideStatus(a: Snapshot, b: Snapshot): boolean {
  return (
    a.complete === b.complete &&
    a.unread.has("services") === b.unread.has("services") &&
    sameEntries(a.namespaces, b.namespaces) &&
    sameEntries(a.communities, b.communities) &&
    JSON.stringify(a.problems) === JSON.stringify(b.problems) &&
    (a.reserved === b.reserved || JSON.stringify([...a.reserved]) === JSON.stringify([...b.reserved]))
  );
}

function* allWritten<T extends object, W>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  writes: ReadonlyMap<string, W>,
  isWith: (object: T, written: T, write: W) => boolean,
): Sliced<boolean> {
  let all = true;
  // Also what is as before: a write that somebody has undone.
  const keys = new Set([...(yield* differing(before, after)), ...writes.keys()]);
  yield* forEach(keys, OBJECTS_A_STEP, (key) => {
    const [object, written, write] = [before.get(key), after.get(key), writes.get(key)];
    all &&= object !== undefined && written !== undefined && write !== undefined && isWith(object, written, write);
  });
  return all;
}

function isServiceWith(object: Service, written: Service, write: ServiceStatusWrite): boolean {
  return (
    !statusDiffers(written, write) &&
    isDeepStrictEqual(written.spec, object.spec) &&
    isDeepStrictEqual(withoutOutput(written.metadata), withoutOutput(object.metadata))
  );
}

function isPoolWith(object: IPAddressPool, written: IPAddressPool, write: PoolStatusWrite): boolean {
  return (
    !poolStatusDiffers(written, write) &&
    isDeepStrictEqual(written.spec, object.spec) &&
    isDeepStrictEqual(written.metadata, object.metadata)
  );
}

/** Without the annotations that are ours to write. */
function withoutOutput(metadata: Service["metadata"]): Service["metadata"] {
  const annotations = Object.entries(metadata.annotations).filter(([name]) => !WRITTEN.has(name));
  return { ...metadata, annotations: Object.fromEntries(annotations) };
}

const WRITTEN: ReadonlySet<string> = new Set(OUTPUT_ANNOTATIONS);
