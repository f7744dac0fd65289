/** Services of which the tables hold nothing, or less than all: whoever is sent here with them is not served. */
import type { Tables } from "../datapath/tables.ts";
import { changedKeys } from "../reconcile/persistent-map.ts";
import type { Service } from "../service/objects.ts";
import { isAllLeftToNode } from "../service/unsupported.ts";

type Services = ReadonlyMap<string, Service>;

/** Looks again only at Services that changed or were planned again since the last time. */
export class Unforwarded {
  #services: Services = new Map();
  #tables: Tables | undefined;
  #planned: Tables["planned"];
  #troubled: ReadonlySet<string> = new Set();
  #unforwarded: ReadonlySet<string> = new Set();

  /** The same set as long as the same are in it. */
  of(services: Services, tables: Tables): ReadonlySet<string> {
    const now = new Set(this.#unforwarded);
    let changed = false;
    for (const key of this.#keys(services, tables)) {
      const isIn = isUnforwarded(services.get(key), tables, key);
      if (isIn === now.has(key)) continue;
      changed = true;
      if (isIn) now.add(key);
      else now.delete(key);
    }
    this.#services = services;
    this.#tables = tables;
    this.#planned = tables.planned;
    this.#troubled = new Set(tables.troubled);
    if (changed) this.#unforwarded = now;
    return this.#unforwarded;
  }

  #keys(services: Services, tables: Tables): ReadonlySet<string> {
    const changed = changedKeys(this.#services, services);
    const { planned, troubled } = tables;
    // Other tables, or some of which nobody can say what they were brought to.
    if (tables !== this.#tables || planned === undefined || this.#planned === undefined)
      return new Set([...changed, ...services.keys()]);
    return new Set([...changed, ...changedKeys(this.#planned, planned), ...this.#troubled, ...troubled]);
  }
}

function isUnforwarded(service: Service | undefined, { services }: Tables, key: string): boolean {
  if (service?.spec.type !== "LoadBalancer") return false;
  const programmed = services.get(key);
  // What is left to the node's stack on purpose is wanted here all the same.
  if (programmed === undefined) return !isAllLeftToNode(service);
  return programmed.problems.length > 0;
}
