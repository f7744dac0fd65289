/** Objects from all files, and the state written about them, into one snapshot. Pure; unchanged objects keep their identity. */
import type { Problem } from "../../net/problem.ts";
import { OUTPUT_ANNOTATIONS } from "../../pool/claim.ts";
import type { IPAddressPool } from "../../pool/objects.ts";
import type { Service } from "../../service/objects.ts";
import type { Snapshot } from "../source.ts";
import type { DecodedObject } from "./decode.ts";
import type { Reading } from "./files.ts";
import { COLLECTIONS, type Collection, type ObjectOf } from "./kinds.ts";
import type { PoolState, ServiceState } from "./state.ts";

const WRITTEN: readonly string[] = OUTPUT_ANNOTATIONS;

/** An object and the file it is from. */
export interface ManifestEntry extends DecodedObject {
  readonly path: string;
}

export interface Inputs {
  /** In the order that decides whose object counts when two files hold one key: the first. */
  readonly files: readonly Reading<ManifestEntry>[];
  readonly serviceStates: ReadonlyMap<string, ServiceState>;
  readonly poolStates: ReadonlyMap<string, PoolState>;
  readonly problems: readonly Problem[];
  readonly complete: boolean;
}

/** Remembers what it merged, so that the same inputs give the same object again. */
export class Merger {
  readonly #services = new WeakMap<Service, { readonly state: ServiceState; readonly merged: Service }>();
  readonly #pools = new WeakMap<IPAddressPool, { readonly state: PoolState; readonly merged: IPAddressPool }>();

  merge(inputs: Inputs): Snapshot {
    const problems = [...inputs.problems];
    const found = collect(inputs.files, problems);
    const services = mapValues(found.services, (service, key) => this.#service(service, inputs.serviceStates.get(key)));
    const ipAddressPools = mapValues(found.ipAddressPools, (pool, key) => this.#pool(pool, inputs.poolStates.get(key)));
    const reserved = inputs.complete ? new Map<string, readonly string[]>() : orphans(inputs.serviceStates, services);
    return { ...found, services, ipAddressPools, problems, complete: inputs.complete, reserved };
  }

  /** Once there is state about a Service, it replaces the status of the manifest: also where it says "no address". */
  #service(service: Service, state: ServiceState | undefined): Service {
    if (state === undefined) return service;
    const known = this.#services.get(service);
    if (known?.state === state) return known.merged;
    // A manifest copied from a cluster may carry what a controller wrote there.
    const own = Object.entries(service.metadata.annotations).filter(([name]) => !WRITTEN.includes(name));
    const annotations = { ...Object.fromEntries(own), ...state.annotations };
    const merged = { ...service, metadata: { ...service.metadata, annotations }, status: state.status };
    this.#services.set(service, { state, merged });
    return merged;
  }

  #pool(pool: IPAddressPool, state: PoolState | undefined): IPAddressPool {
    if (state === undefined) return pool;
    const known = this.#pools.get(pool);
    if (known?.state === state) return known.merged;
    const merged = { ...pool, status: state.status };
    this.#pools.set(pool, { state, merged });
    return merged;
  }
}

type Collections = { readonly [C in Collection]: ReadonlyMap<string, ObjectOf<C>> };

function collect(files: readonly Reading<ManifestEntry>[], problems: Problem[]): Collections {
  const found = new Map<Collection, Map<string, ObjectOf<Collection>>>(COLLECTIONS.map((c) => [c, new Map()]));
  const first = new Map<string, string>();
  for (const file of files) {
    for (const entry of file.entries) {
      const elsewhere = first.get(entry.key);
      if (elsewhere !== undefined) {
        const message = `the object is in ${elsewhere} too; that one counts, remove one of them`;
        problems.push({ subject: `${entry.path} document ${entry.document} (${entry.key})`, message });
        continue;
      }
      first.set(entry.key, `${entry.path} document ${entry.document}`);
      found.get(entry.collection)?.set(entry.name, entry.value);
    }
  }
  // The schema of a kind fixes the type of everything in its collection; TypeScript cannot follow that through the table.
  return Object.fromEntries(found) as unknown as Collections;
}

function orphans(
  states: ReadonlyMap<string, ServiceState>,
  services: ReadonlyMap<string, Service>,
): ReadonlyMap<string, readonly string[]> {
  const reserved = new Map<string, readonly string[]>();
  for (const [key, state] of states) {
    const ips = state.status.loadBalancer.ingress.map((ingress) => ingress.ip).filter((ip) => ip !== undefined);
    if (!services.has(key) && ips.length > 0) reserved.set(key, ips);
  }
  return reserved;
}

function mapValues<T>(map: ReadonlyMap<string, T>, change: (value: T, key: string) => T): ReadonlyMap<string, T> {
  return new Map([...map].map(([key, value]) => [key, change(value, key)]));
}
