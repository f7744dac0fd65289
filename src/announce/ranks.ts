/**
 * The order of nodes for an address: SHA-256 of `node#address`, ascending. Remembers the first 32 bits of each hash, so that
 * with thousands of Services and a hundred nodes the loss of one costs comparisons, not a million hashes.
 */
export type Sha256 = (text: string) => Uint8Array;

/** Beyond so many addresses the memory is not worth it: start anew. */
const ADDRESSES_MAX = 65536;
const NODES_GROWTH = 16;

export class Ranks {
  readonly #sha256: Sha256;
  readonly #indexes = new Map<string, number>();
  /** By address, then by index of the node. 0: not known yet. */
  readonly #prefixes = new Map<string, Uint32Array>();

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
  }

  /** The first of the nodes; undefined of none. */
  first(nodes: readonly string[], address: string): string | undefined {
    let best = Number.POSITIVE_INFINITY;
    let leaders: string[] = [];
    for (const node of nodes) {
      const prefix = this.#prefix(node, address);
      if (prefix > best) continue;
      leaders = prefix === best ? [...leaders, node] : [node];
      best = prefix;
    }
    // Equal in 32 bits: the rest of the hash decides.
    if (leaders.length > 1) leaders.sort((a, b) => compareBytes(this.#hash(a, address), this.#hash(b, address)));
    return leaders[0];
  }

  #prefix(node: string, address: string): number {
    const index = this.#index(node);
    const prefixes = this.#row(address, index);
    const known = prefixes[index] ?? 0;
    if (known !== 0) return known;
    const [a = 0, b = 0, c = 0, d = 0] = this.#hash(node, address);
    const prefix = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    prefixes[index] = prefix;
    return prefix;
  }

  #hash(node: string, address: string): Uint8Array {
    return this.#sha256(`${node}#${address}`);
  }

  #index(node: string): number {
    const known = this.#indexes.get(node);
    if (known !== undefined) return known;
    this.#indexes.set(node, this.#indexes.size);
    return this.#indexes.size - 1;
  }

  #row(address: string, index: number): Uint32Array {
    const known = this.#prefixes.get(address);
    if (known !== undefined && index < known.length) return known;
    if (this.#prefixes.size >= ADDRESSES_MAX) this.#prefixes.clear();
    const row = new Uint32Array(Math.ceil((index + 1) / NODES_GROWTH) * NODES_GROWTH);
    row.set(known ?? []);
    this.#prefixes.set(address, row);
    return row;
  }
}

/** Of two nodes for an address, for sorting. */
export function compareRanks(a: string, b: string, address: string, sha256: Sha256): number {
  return compareBytes(sha256(`${a}#${address}`), sha256(`${b}#${address}`));
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (const [index, byte] of a.entries()) {
    const difference = byte - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
