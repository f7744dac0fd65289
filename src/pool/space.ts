/**
 * The addresses of one family of one pool, in the order in which they are given out: ranges as listed, each from its lowest.
 * The first free one is found without walking what is in use: up to a mark everything was given out once, and what came back
 * from there is kept in order.
 */
import type { Address, Family } from "../net/address.ts";
import type { Range } from "../net/range.ts";
import { poolMayUse, type Pool } from "./pools.ts";
import { SortedSet } from "./sorted-set.ts";

/** An address and its place in the order. */
export interface Slot {
  /** Index in the ranges of the pool. */
  readonly range: number;
  readonly address: Address;
}

export function compareSlots(a: Slot, b: Slot): number {
  if (a.range !== b.range) return a.range - b.range;
  return a.address.value < b.address.value ? -1 : a.address.value > b.address.value ? 1 : 0;
}

/** The last address from this one on that cannot be had, without a gap; undefined: this one can. */
export type Blocked = (address: Address) => bigint | undefined;

export class Space {
  readonly #pool: Pool;
  readonly #family: Family;
  /** The mark: the next slot that was never looked at. */
  #range = 0;
  #next: bigint | undefined;
  /** Free slots before the mark. */
  readonly #freed = new SortedSet<Slot>(compareSlots);

  constructor(pool: Pool, family: Family) {
    this.#pool = pool;
    this.#family = family;
  }

  first(blocked: Blocked): Slot | undefined {
    return this.#freed.first() ?? this.#beyond(blocked);
  }

  /** Moves the mark on to the first free slot, looking at so many at most; false: there may be more in its way. */
  advance(blocked: Blocked, looks: number): boolean {
    let left = looks;
    let spent = false;
    // To the search, a slot that is not looked at any more is as good as free: the mark stays there.
    this.#beyond((address) => {
      spent = left === 0;
      left -= 1;
      return spent ? undefined : blocked(address);
    });
    return !spent;
  }

  /** The first free slot from the mark on, which moves there. */
  #beyond(blocked: Blocked): Slot | undefined {
    for (let range = this.#pool.ranges[this.#range]; range !== undefined; range = this.#pool.ranges[this.#range]) {
      const value = range.family === this.#family ? this.#firstIn(range, blocked) : undefined;
      if (value !== undefined) return { range: this.#range, address: { family: this.#family, value } };
      this.#range += 1;
      this.#next = undefined;
    }
    return undefined;
  }

  taken(slot: Slot): void {
    this.#freed.delete(slot);
  }

  released(slot: Slot): void {
    const { range, address } = slot;
    const seen =
      range < this.#range || (range === this.#range && this.#next !== undefined && address.value < this.#next);
    if (seen && poolMayUse(this.#pool, address)) this.#freed.add(slot);
  }

  /** Moves the mark to what it finds, so that nothing is looked at twice. */
  #firstIn(range: Range, blocked: Blocked): bigint | undefined {
    let value = this.#next ?? range.first;
    for (; value <= range.last; value += 1n) {
      const address = { family: this.#family, value };
      const until = poolMayUse(this.#pool, address) ? blocked(address) : value;
      if (until === undefined) break;
      value = until;
    }
    this.#next = value;
    return value <= range.last ? value : undefined;
  }
}
