/**
 * The address filter: one bit for each hash that an address of ours has, so that a foreign packet costs one test. Bits are
 * counted, because addresses share them. A bit too many costs a lookup, a bit too few loses packets: bits are set before an
 * address is used and cleared after it is not.
 */
import type { Address } from "../net/address.ts";
import { ADDRESS_FILTER_MULTIPLIER, ADDRESS_FILTER_WORDS } from "./abi.generated.ts";
import { writeAddress } from "./encode.ts";

const FILTER_BITS = ADDRESS_FILTER_WORDS * 64;
const WORD_BITS = 32;
const WORDS = FILTER_BITS / WORD_BITS;

/** Which of the two bitmaps of struct address_filter: both lie in one array of 32-bit words. */
export type FilterPart = "frontends" | "node";
const PART_START = { frontends: 0, node: WORDS } as const satisfies Record<FilterPart, number>;

const scratch = new DataView(new ArrayBuffer(16));

/** The same function as `address_hash` in bpf/parse.h: the words as the processor loads them. */
export function filterHash(address: Address): number {
  writeAddress(scratch, 0, address);
  const word = (i: number): number => scratch.getUint32(i * 4, true);
  return Math.imul(word(0) ^ word(1) ^ word(2) ^ word(3), ADDRESS_FILTER_MULTIPLIER) >>> 16;
}

export class FilterCounts {
  readonly #counts = new Uint16Array(FILTER_BITS);

  /** The bit to set, or `undefined` when it is set already. */
  add(address: Address): number | undefined {
    const hash = filterHash(address);
    this.#counts[hash] = (this.#counts[hash] as number) + 1;
    return this.#counts[hash] === 1 ? hash : undefined;
  }

  /** The bit to clear, or `undefined` when another address needs it. */
  remove(address: Address): number | undefined {
    const hash = filterHash(address);
    this.#counts[hash] = (this.#counts[hash] as number) - 1;
    return this.#counts[hash] === 0 ? hash : undefined;
  }

  has(bit: number): boolean {
    return (this.#counts[bit] as number) > 0;
  }
}

export function setFilterBit(filter: Uint32Array, part: FilterPart, bit: number): void {
  const at = PART_START[part] + Math.floor(bit / WORD_BITS);
  filter[at] = (filter[at] as number) | (1 << (bit % WORD_BITS));
}

export function clearFilterBit(filter: Uint32Array, part: FilterPart, bit: number): void {
  const at = PART_START[part] + Math.floor(bit / WORD_BITS);
  filter[at] = (filter[at] as number) & ~(1 << (bit % WORD_BITS));
}

/** Bits that are set, ascending. */
export function filterBits(filter: Uint32Array, part: FilterPart): number[] {
  const bits: number[] = [];
  for (let word = 0; word < WORDS; word += 1) {
    const value = filter[PART_START[part] + word] as number;
    for (let bit = 0; value !== 0 && bit < WORD_BITS; bit += 1)
      if ((value >>> bit) & 1) bits.push(word * WORD_BITS + bit);
  }
  return bits;
}
