/**
 * Maglev tables (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4).
 *
 * A table is a pure function of (seed, size, backends with weights): every node computes the same one, so a flow that meets
 * another node meets the same backend. The order of the argument does not matter: turns are taken in the order of the
 * backends' hashes, and only the numbers in the result refer to positions in the argument.
 */

export interface MaglevBackend {
  /** "address:port/protocol": what the hash sees, the same on every node. */
  readonly text: string;
  /** Relative share, default 1; 0 takes no entry while another backend can. */
  readonly weight?: number;
}

/** Each at least 100 × (1, 2, 5, 10, …): with 100 entries a backend the shares differ by about a percent. */
export const MAGLEV_SIZES = [101, 211, 503, 1009, 2003, 5003, 10007, 20011, 50021, 100003, 200003, 500009] as const;
const ENTRIES_PER_BACKEND = 100;
const EMPTY = 0xffff;
/** Entries are 16 bits wide, and one value means "empty" while a table is built. */
export const MAGLEV_BACKENDS_MAX = EMPTY;

/**
 * The table size for a number of backends: the smallest that has room, but a table already in use is kept until it is more
 * than one size too large, so that a Service scaled back and forth over a boundary does not remap its clients each time.
 */
export function maglevSize(backends: number, current = 0): number {
  const wanted = MAGLEV_SIZES.findIndex((size) => size >= backends * ENTRIES_PER_BACKEND);
  const index = wanted === -1 ? MAGLEV_SIZES.length - 1 : wanted;
  const used = MAGLEV_SIZES.findIndex((size) => size === current);
  return MAGLEV_SIZES[used === index + 1 ? used : index] ?? 0;
}

/** Scratch shared by all calls: tables are built one at a time, by the ten thousand. */
const scratch = { capacity: 0, skip: new Uint32Array(0), next: new Uint32Array(0) };

/**
 * Builds the table: element i is the position in `backends` of the one that entry i belongs to.
 * Throws on our own mistakes: no backends, more than {@link MAGLEV_BACKENDS_MAX}, or a size that is none of {@link MAGLEV_SIZES}.
 */
export function maglevTable(input: { seed: number; size: number; backends: readonly MaglevBackend[] }): Uint16Array {
  const { size, backends } = input;
  if (backends.length === 0 || backends.length > MAGLEV_BACKENDS_MAX) {
    throw new RangeError(
      `Cannot build a Maglev table for ${backends.length} backends: 1 to ${MAGLEV_BACKENDS_MAX} fit`,
    );
  }
  if (!MAGLEV_SIZES.some((known) => known === size))
    throw new RangeError(`Cannot build a Maglev table of ${size} entries`);
  const order = permute(input);
  const table = new Uint16Array(size).fill(EMPTY);
  const weights = backends.map((backend) => backend.weight ?? 1);
  if (weights.every((weight) => weight === weights[0])) fillEvenly(table, Uint32Array.from(order));
  else fillByWeight(table, order, weights);
  return table;
}

/** Computes each backend's walk through the table (the first entry, then `skip` at a time) and the order in which they take turns. */
function permute({
  seed,
  size,
  backends,
}: {
  seed: number;
  size: number;
  backends: readonly MaglevBackend[];
}): number[] {
  if (scratch.capacity < backends.length) {
    scratch.capacity = backends.length * 2;
    scratch.skip = new Uint32Array(scratch.capacity);
    scratch.next = new Uint32Array(scratch.capacity);
  }
  const first: number[] = [];
  const order: number[] = [];
  backends.forEach((backend, i) => {
    const [a, b] = hashText(backend.text, seed);
    first.push(a);
    order.push(i);
    // size is prime, so any step from 1 to size - 1 visits every entry.
    scratch.skip[i] = (b % (size - 1)) + 1;
    scratch.next[i] = a % size;
  });
  const text = (i: number): string => (backends[i] as MaglevBackend).text;
  return order.toSorted((i, j) => (first[i] as number) - (first[j] as number) || (text(i) < text(j) ? -1 : 1));
}

function fillEvenly(table: Uint16Array, order: Uint32Array): void {
  for (let filled = 0, turn = 0; filled < table.length; filled += 1) {
    take(table, order[turn] as number);
    turn = turn + 1 === order.length ? 0 : turn + 1;
  }
}

/** In round r a backend takes a turn when r × weight has caught up with what its turns so far have cost. */
function fillByWeight(table: Uint16Array, order: readonly number[], weights: readonly number[]): void {
  const heaviest = Math.max(...weights);
  const spent = weights.map((weight) => heaviest - weight);
  for (let filled = 0, round = 1; ; round += 1) {
    for (const i of order) {
      const weight = weights[i] as number;
      if (weight === 0 || round * weight <= (spent[i] as number)) continue;
      spent[i] = (spent[i] as number) + heaviest;
      take(table, i);
      filled += 1;
      if (filled === table.length) return;
    }
  }
}

/** Gives backend `i` the next entry of its walk that is still free. The caller knows that one is. */
function take(table: Uint16Array, i: number): void {
  const size = table.length;
  const skip = scratch.skip[i] as number;
  let at = scratch.next[i] as number;
  while (table[at] !== EMPTY) {
    at += skip;
    if (at >= size) at -= size;
  }
  table[at] = i;
  at += skip;
  scratch.next[i] = at >= size ? at - size : at;
}

/** Two 32-bit hashes of ASCII text: multiply and rotate per character, finished with MurmurHash3's mixer. */
function hashText(text: string, seed: number): readonly [number, number] {
  let a = seed ^ 0x811c9dc5;
  let b = seed ^ 0x9747b28c;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(((b << 5) | (b >>> 27)) ^ code, 0xcc9e2d51);
  }
  return [mix(a), mix(b)];
}

function mix(h: number): number {
  let x = h ^ (h >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
