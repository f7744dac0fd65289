/**
 * From an address and port to the id of its row: an open-addressing table of ids alone. What an id stands for is in the
 * columns of whoever owns the rows, so a hundred thousand entries are half a megabyte instead of five.
 */
import type { Address } from "../net/address.ts";

/** Whether the row of an id stands for the address and port. */
export type StandsFor = (id: number, address: Address, port: number) => boolean;

const EMPTY = 0;
/** At most so full: then a search meets two or three entries. */
const FULL = 0.5;
const SMALLEST = 64;

export class IdIndex {
  readonly #standsFor: StandsFor;
  /** The hash of what an id stands for, for those that must make room. */
  readonly #hashOf: (id: number) => number;
  #ids = new Uint32Array(SMALLEST);
  #count = 0;

  constructor(standsFor: StandsFor, hashOf: (id: number) => number) {
    this.#standsFor = standsFor;
    this.#hashOf = hashOf;
  }

  get size(): number {
    return this.#count;
  }

  get(address: Address, port: number): number | undefined {
    const at = this.#find(address, port);
    const id = this.#ids[at];
    return id === EMPTY ? undefined : id;
  }

  /** An id above zero, which stands for the address and port already; none may be there for them. */
  add(id: number, address: Address, port: number): void {
    if ((this.#count + 1) / this.#ids.length > FULL) this.#grow();
    this.#ids[this.#find(address, port)] = id;
    this.#count += 1;
  }

  /** While the id still stands for them. */
  delete(address: Address, port: number): void {
    let hole = this.#find(address, port);
    if (this.#ids[hole] === EMPTY) return;
    this.#count -= 1;
    // Those behind it move up, unless they would come to lie before where they are searched for.
    const mask = this.#ids.length - 1;
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const id = this.#ids[at] as number;
      if (id === EMPTY) break;
      const home = this.#hashOf(id) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      this.#ids[hole] = id;
      hole = at;
    }
    this.#ids[hole] = EMPTY;
  }

  #find(address: Address, port: number): number {
    const mask = this.#ids.length - 1;
    let at = endpointHash(address, port) & mask;
    for (;;) {
      const id = this.#ids[at] as number;
      if (id === EMPTY || this.#standsFor(id, address, port)) return at;
      at = (at + 1) & mask;
    }
  }

  #grow(): void {
    const before = this.#ids;
    this.#ids = new Uint32Array(before.length * 2);
    const mask = this.#ids.length - 1;
    for (const id of before) {
      if (id === EMPTY) continue;
      let at = this.#hashOf(id) & mask;
      while (this.#ids[at] !== EMPTY) at = (at + 1) & mask;
      this.#ids[at] = id;
    }
  }
}

/** Mixed well, because addresses of pods differ in few bits (the last steps of MurmurHash3). */
export function endpointHash({ family, value }: Address, port: number): number {
  let hash = port;
  if (family === "IPv4") hash = mix(hash ^ Number(value));
  else for (let rest = value; rest > 0n; rest >>= 32n) hash = mix(hash ^ Number(rest & 0xffff_ffffn));
  return hash >>> 0;
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return hash ^ (hash >>> 16);
}
