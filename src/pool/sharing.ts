/**
 * Who may stand on one address together, by the rules of MetalLB: equal key, the same way to the pods, no common port; and
 * where in a pool a Service could join others, without asking each of them.
 */
import { compareSlots, type Slot } from "./space.ts";
import { SortedSet } from "./sorted-set.ts";

export interface Sharing {
  /** Empty: shares with nobody. */
  readonly key: string;
  /** The pod selector for externalTrafficPolicy Local, else empty: traffic for one address goes one way. */
  readonly backends: string;
  /** `TCP/80` */
  readonly ports: readonly string[];
}

/** A Service that can not be read shares with nobody. */
export const NO_SHARING: Sharing = { key: "", backends: "", ports: [] };

/** One text for everything that decides with whom a Service may share: two Services of one group differ in ports at most. */
export function groupOf({ key, backends }: Sharing): string {
  return key === "" ? "" : JSON.stringify([key, backends]);
}

/** All of it as text, to see later whether it has changed. */
export function formatSharing({ key, backends, ports }: Sharing): string {
  return [key, backends === "" ? "any pods" : `pods ${backends}`, ports.toSorted().join(",")].join("; ");
}

/** Why two Services cannot stand together whatever their ports are. */
export function groupConflict(a: Sharing, b: Sharing): string | undefined {
  if (a.key === "" || b.key === "")
    return "to share it, both Services need the annotation metallb.io/allow-shared-ip with the same value";
  if (a.key !== b.key) return `sharing key "${a.key}" does not match its sharing key "${b.key}"`;
  if (a.backends === b.backends) return undefined;
  return "Services that share an address need externalTrafficPolicy Cluster, or all Local with the same selector";
}

/** So many addresses are looked at one by one before it pays to remember where a port is free. */
const USES_FEW = 64;

/** The addresses of one group in one space, and on which of them a port is free. */
export class SharedSlots {
  readonly #slots = new SortedSet<Slot>(compareSlots);
  /** On how many of them a port is in use. */
  readonly #uses = new Map<string, number>();
  /** Those where the port is free, for ports that were asked for; kept from then on. */
  readonly #without = new Map<string, SortedSet<Slot>>();

  /** A slot the group did not use. Its ports come after. */
  add(slot: Slot): void {
    this.#slots.add(slot);
    for (const without of this.#without.values()) without.add(slot);
  }

  /** A slot of the group whose ports have gone. */
  delete(slot: Slot): void {
    this.#slots.delete(slot);
    for (const without of this.#without.values()) without.delete(slot);
  }

  addPort(slot: Slot, port: string): void {
    this.#uses.set(port, (this.#uses.get(port) ?? 0) + 1);
    this.#without.get(port)?.delete(slot);
  }

  deletePort(slot: Slot, port: string): void {
    const uses = (this.#uses.get(port) ?? 0) - 1;
    if (uses > 0) this.#uses.set(port, uses);
    else this.#uses.delete(port);
    this.#without.get(port)?.add(slot);
  }

  /** The first slot on which all these ports are free. */
  first(ports: readonly string[], isFree: (slot: Slot, port: string) => boolean): Slot | undefined {
    const busiest = ports.reduce(
      (best, port) => (this.#usesOf(port) > this.#usesOf(best) ? port : best),
      ports[0] ?? "",
    );
    // Where the port that most have is free, few are left to look at. A port that few have is in the way as seldom.
    const slots = this.#usesOf(busiest) > USES_FEW ? this.#slotsWithout(busiest, isFree) : this.#slots;
    for (const slot of slots.values()) if (ports.every((port) => isFree(slot, port))) return slot;
    return undefined;
  }

  #usesOf(port: string): number {
    return this.#uses.get(port) ?? 0;
  }

  #slotsWithout(port: string, isFree: (slot: Slot, port: string) => boolean): SortedSet<Slot> {
    const known = this.#without.get(port);
    if (known !== undefined) return known;
    const free = [...this.#slots.values()].filter((slot) => isFree(slot, port));
    const slots = new SortedSet<Slot>(compareSlots, free);
    this.#without.set(port, slots);
    return slots;
  }
}
