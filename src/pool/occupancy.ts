/**
 * Who holds which address, who could stand beside whom, and the first address of a pool a Service could have. The cost of
 * a question depends neither on the size of a pool nor on how many share an address or a key: ::/0 is as cheap as a /124.
 */
import { formatAddress, sameAddress, type Address, type Family } from "../net/address.ts";
import type { Range } from "../net/range.ts";
import { countingPool, poolMayUse, type Pool, type PoolSet } from "./pools.ts";
import { RangeIndex } from "./range-index.ts";
import { groupConflict, groupOf, NO_SHARING, SharedSlots, type Sharing } from "./sharing.ts";
import type { Sliced } from "../time/slices.ts";
import { compareSlots, Space, type Slot } from "./space.ts";

/** So many addresses in use are passed over between two pauses. */
const ADDRESSES_A_STEP = 1000;

/** One address in use. All who hold it are of one group. */
interface Use {
  readonly address: Address;
  readonly sharing: Sharing;
  readonly holders: Set<string>;
  /** The first of them by name, once somebody has asked; whoever came first must not matter. */
  first: string | undefined;
  /** Who has each port; empty where nobody can join. */
  readonly ports: Map<string, string>;
  /** Where an open pool has it. */
  readonly place: Place | undefined;
}

/** Addresses in use, each once. */
export type Tally = Readonly<Record<Family, number>>;

const NONE: Tally = { IPv4: 0, IPv6: 0 };

interface Place {
  readonly pool: Pool;
  readonly slot: Slot;
}

interface Held {
  readonly addresses: readonly Address[];
  readonly sharing: Sharing;
}

export class Occupancy {
  readonly #pools: PoolSet;
  readonly #uses: Record<Family, Map<bigint, Use>> = { IPv4: new Map(), IPv6: new Map() };
  readonly #held = new Map<string, Held>();
  readonly #spaces: Record<Family, Map<Pool, Space>> = { IPv4: new Map(), IPv6: new Map() };
  readonly #shared: Record<Family, Map<Pool, Map<string, SharedSlots>>> = { IPv4: new Map(), IPv6: new Map() };
  /** Given up in this decision, in pools where that makes an address rest. */
  readonly #resting: Record<Family, Set<bigint>> = { IPv4: new Set(), IPv6: new Set() };
  /** Released before this decision, and still resting. */
  readonly #cooling = new RangeIndex<undefined>();
  /** Pools with addresses that rest. */
  readonly #withResting = new Set<Pool>();
  /** Of each pool: what of it is in use. */
  readonly #tallies = new Map<Pool, Record<Family, number>>();
  #releases = 0;
  /** In use, or resting: then up to where. */
  readonly #blocked = (address: Address): bigint | undefined => {
    const { family, value } = address;
    if (this.#uses[family].has(value) || this.#resting[family].has(value)) return value;
    return this.#withResting.size === 0 ? undefined : this.#cooling.entryOf(address)?.range.last;
  };

  constructor(pools: PoolSet) {
    this.#pools = pools;
  }

  /** Grows whenever an address may have become free: a pool that had none has none until then. */
  get releases(): number {
    return this.#releases;
  }

  /** Takes the addresses for the Service and gives back what it held before. They must have been found possible. */
  take(service: string, sharing: Sharing, addresses: readonly Address[]): void {
    const before = this.#held.get(service);
    this.#lift(service);
    this.#put(service, { addresses, sharing });
    for (const address of before?.addresses ?? []) if (!this.isUsed(address)) this.#rest(address);
  }

  /** Takes everything from the Service, as if it had never been there: nothing comes to rest by that. */
  forget(service: string): void {
    this.#lift(service);
  }

  /** Keeps an address from everybody, for a Service that cannot be read now or is not ours. False: somebody has it. */
  reserve(service: string, address: Address): boolean {
    if (this.isUsed(address)) return false;
    this.#join(service, NO_SHARING, address);
    return true;
  }

  /** Keeps addresses that nobody uses from being chosen. Before the first search; ranges must not overlap. */
  cool(pool: Pool, range: Range): void {
    this.#cooling.add(range, undefined);
    this.#withResting.add(pool);
  }

  rests(pool: Pool): boolean {
    return this.#withResting.has(pool);
  }

  /** What a search finds that must not see what the Service holds itself. */
  without<T>(service: string, search: () => T): T {
    const held = this.#held.get(service);
    if (held === undefined) return search();
    this.#lift(service);
    try {
      return search();
    } finally {
      this.#put(service, held);
    }
  }

  /** Why the Service cannot have the address, or undefined when it can. Its own holding of it is no hindrance. */
  refusal(service: string, sharing: Sharing, address: Address): string | undefined {
    const use = this.#uses[address.family].get(address.value);
    if (use === undefined || (use.holders.size === 1 && use.holders.has(service))) return undefined;
    const conflict = groupConflict(sharing, use.sharing);
    if (conflict !== undefined) return `${formatAddress(address)} is in use by ${firstBut(service, use)}: ${conflict}`;
    const port = sharing.ports.find((p) => (use.ports.get(p) ?? service) !== service);
    if (port === undefined) return undefined;
    return `${formatAddress(address)} is in use by ${use.ports.get(port)}: port ${port} is already in use there`;
  }

  /** The first address, in the order of the pool's ranges, that is free or can be shared. The pool must be open. */
  first(pool: Pool, family: Family, sharing: Sharing): Address | undefined {
    const free = this.#spaceOf(pool, family).first(this.#blocked);
    const joined = this.#joinable(pool, family, sharing);
    if (free === undefined || joined === undefined) return (free ?? joined)?.address;
    return compareSlots(joined, free) < 0 ? joined.address : free.address;
  }

  /** Before a search, with pauses: what is in use at the beginning of pools is passed over, so that no search has to. */
  *advancing(): Sliced<void> {
    for (const spaces of Object.values(this.#spaces))
      for (const space of spaces.values()) while (!space.advance(this.#blocked, ADDRESSES_A_STEP)) yield;
  }

  isUsed(address: Address): boolean {
    return this.#uses[address.family].has(address.value);
  }

  /** Whether several Services hold it. */
  isShared({ family, value }: Address): boolean {
    return (this.#uses[family].get(value)?.holders.size ?? 0) > 1;
  }

  /** How much of a pool is in use, reserved addresses too. One that a closed pool holds, too, is the open one's. */
  tallyOf(pool: Pool): Tally {
    return this.#tallies.get(pool) ?? NONE;
  }

  /** Every address in use, reserved ones too; each once. */
  *used(): Generator<Address, void, void> {
    for (const family of ["IPv4", "IPv6"] as const) for (const use of this.#uses[family].values()) yield use.address;
  }

  #joinable(pool: Pool, family: Family, sharing: Sharing): Slot | undefined {
    if (sharing.key === "") return undefined;
    const shared = this.#shared[family].get(pool)?.get(groupOf(sharing));
    const isFree = ({ address }: Slot, port: string): boolean =>
      poolMayUse(pool, address) && this.#uses[family].get(address.value)?.ports.has(port) !== true;
    return shared?.first(sharing.ports, isFree);
  }

  #put(service: string, held: Held): void {
    this.#held.set(service, held);
    for (const address of held.addresses) this.#join(service, held.sharing, address);
  }

  #lift(service: string): void {
    const held = this.#held.get(service);
    if (held === undefined) return;
    this.#held.delete(service);
    for (const address of held.addresses) this.#leave(service, held.sharing, address);
  }

  #join(service: string, sharing: Sharing, address: Address): void {
    const uses = this.#uses[address.family];
    const found = uses.get(address.value);
    const use = found ?? {
      address,
      sharing,
      holders: new Set(),
      first: undefined,
      ports: portsFor(sharing),
      place: this.#placeOf(address),
    };
    use.holders.add(service);
    if (use.first !== undefined && service < use.first) use.first = service;
    if (sharing.key !== "") for (const port of sharing.ports) use.ports.set(port, service);
    if (found === undefined) {
      uses.set(address.value, use);
      this.#resting[address.family].delete(address.value);
      this.#count(address, 1);
      if (use.place !== undefined) this.#spaceOf(use.place.pool, address.family).taken(use.place.slot);
    }
    if (sharing.key === "" || use.place === undefined) return;
    const shared = this.#sharedOf(use.place.pool, address.family, groupOf(sharing));
    if (found === undefined) shared.add(use.place.slot);
    for (const port of sharing.ports) shared.addPort(use.place.slot, port);
  }

  #leave(service: string, sharing: Sharing, address: Address): void {
    const use = this.#uses[address.family].get(address.value);
    if (use === undefined) return;
    this.#releases += 1;
    use.holders.delete(service);
    if (use.first === service) use.first = undefined;
    if (sharing.key !== "") for (const port of sharing.ports) use.ports.delete(port);
    if (use.holders.size === 0) {
      this.#uses[address.family].delete(address.value);
      this.#count(address, -1);
    }
    if (use.place === undefined) return;
    const { pool, slot } = use.place;
    if (sharing.key !== "") {
      const shared = this.#sharedOf(pool, address.family, groupOf(sharing));
      for (const port of sharing.ports) shared.deletePort(slot, port);
      if (use.holders.size === 0) shared.delete(slot);
    }
    if (use.holders.size === 0) this.#spaceOf(pool, address.family).released(slot);
  }

  #count(address: Address, difference: 1 | -1): void {
    const pool = countingPool(this.#pools, address);
    if (pool === undefined) return;
    const tally = this.#tallies.get(pool) ?? { ...NONE };
    this.#tallies.set(pool, tally);
    tally[address.family] += difference;
  }

  #rest(address: Address): void {
    const place = this.#placeOf(address);
    if (place === undefined || place.pool.coolDownMilliseconds === 0) return;
    this.#resting[address.family].add(address.value);
    this.#withResting.add(place.pool);
    this.#spaceOf(place.pool, address.family).taken(place.slot);
  }

  #placeOf(address: Address): Place | undefined {
    const found = this.#pools.openPoolOf(address);
    return found === undefined ? undefined : { pool: found.pool, slot: { range: found.range, address } };
  }

  #spaceOf(pool: Pool, family: Family): Space {
    const spaces = this.#spaces[family];
    const space = spaces.get(pool) ?? new Space(pool, family);
    spaces.set(pool, space);
    return space;
  }

  #sharedOf(pool: Pool, family: Family, group: string): SharedSlots {
    const groups = this.#shared[family].get(pool) ?? new Map<string, SharedSlots>();
    this.#shared[family].set(pool, groups);
    const shared = groups.get(group) ?? new SharedSlots();
    groups.set(group, shared);
    return shared;
  }
}

/** One map for all that share with nobody: there are many of them, and their ports do not matter. */
const NO_PORTS = new Map<string, string>();

function portsFor({ key }: Sharing): Map<string, string> {
  return key === "" ? NO_PORTS : new Map<string, string>();
}

/** The first of its holders by name, beside the Service. Remembered: many may ask about an address that many share. */
function firstBut(service: string, use: Use): string | undefined {
  if (!use.holders.has(service)) {
    use.first ??= smallest(use.holders);
    return use.first;
  }
  return use.holders.size === 1 ? undefined : smallest(use.holders, service);
}

function smallest(names: Iterable<string>, except?: string): string | undefined {
  let first: string | undefined;
  for (const name of names) if (name !== except && (first === undefined || name < first)) first = name;
  return first;
}

/** Whether both lists hold the same addresses, in any order. */
export function sameAddresses(a: readonly Address[], b: readonly Address[]): boolean {
  return a.length === b.length && a.every((x) => b.some((y) => sameAddress(x, y)));
}
