/**
 * The order of nodes for an address: SHA-256 of `node#address`, ascending. Remembers of each address the first few nodes of all that it was
 * asked about, so that with thousands of Services and hundreds of nodes the loss of one costs comparisons, not millions of hashes.
 */
export type Sha256 = (text: string) => Uint8Array;

/** Beyond so many addresses the memory is not worth it: start anew. */
const ADDRESSES_MAX = 65536;
/** So many of the first nodes may go at once before all are hashed again. */
const TOP = 8;
/** Names of nodes that are no more, beyond as many as there are: rank anew. */
const GONE_MAX = 64;

type Nodes = ReadonlySet<string>;

interface Ranking {
  readonly among: Nodes;
  /** The first of them, in order. */
  readonly top: readonly string[];
}

interface Joined {
  readonly union: Nodes;
  readonly fresh: readonly string[];
}

export class Ranks {
  readonly #sha256: Sha256;
  readonly #rankings = new Map<string, Ranking>();
  /** Thousands of addresses have the same few lists of nodes. */
  readonly #sets = new WeakMap<readonly string[], Nodes>();
  readonly #joined = new WeakMap<Nodes, WeakMap<Nodes, Joined>>();

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
  }

  /** The first of the nodes; undefined of none. A list that is passed again must not have changed. */
  first(nodes: readonly string[], address: string): string | undefined {
    if (nodes.length === 0) return undefined;
    const wanted = this.#setOf(nodes);
    const known = this.#rankings.get(address);
    const ranking = known === undefined ? this.#rank(wanted, address) : this.#extended(known, wanted, address);
    const winner = ranking.top.find((node) => wanted.has(node));
    const anew = winner === undefined ? this.#rank(wanted, address) : ranking;
    if (anew !== known) this.#remember(address, anew);
    return winner ?? anew.top[0];
  }

  isFirst(node: string, nodes: readonly string[], address: string): boolean {
    return isFirst(node, nodes, address, this.#sha256);
  }

  #extended(known: Ranking, wanted: Nodes, address: string): Ranking {
    if (known.among === wanted) return known;
    const { union, fresh } = this.#join(known.among, wanted);
    if (union.size > 2 * wanted.size + GONE_MAX) return this.#rank(wanted, address);
    if (fresh.length === 0) return known;
    return { among: union, top: this.#firstOf([...known.top, ...fresh], address) };
  }

  #rank(among: Nodes, address: string): Ranking {
    return { among, top: this.#firstOf(among, address) };
  }

  #firstOf(nodes: Iterable<string>, address: string): readonly string[] {
    const top: { readonly node: string; readonly hash: Uint8Array }[] = [];
    for (const node of nodes) {
      const hash = this.#sha256(`${node}#${address}`);
      const last = top.at(-1);
      if (top.length === TOP && last !== undefined && compareBytes(hash, last.hash) >= 0) continue;
      if (top.length === TOP) top.pop();
      const place = top.findIndex((other) => compareBytes(hash, other.hash) < 0);
      top.splice(place === -1 ? top.length : place, 0, { node, hash });
    }
    return top.map(({ node }) => node);
  }

  #join(among: Nodes, wanted: Nodes): Joined {
    const byWanted = this.#joined.get(among) ?? new WeakMap<Nodes, Joined>();
    this.#joined.set(among, byWanted);
    const known = byWanted.get(wanted);
    if (known !== undefined) return known;
    const fresh = [...wanted].filter((node) => !among.has(node));
    const joined = { union: fresh.length === 0 ? among : among.union(wanted), fresh };
    byWanted.set(wanted, joined);
    return joined;
  }

  #setOf(nodes: readonly string[]): Nodes {
    const known = this.#sets.get(nodes) ?? new Set(nodes);
    this.#sets.set(nodes, known);
    return known;
  }

  #remember(address: string, ranking: Ranking): void {
    if (this.#rankings.size >= ADDRESSES_MAX && !this.#rankings.has(address)) this.#rankings.clear();
    this.#rankings.set(address, ranking);
  }
}

/** Whether a node is one of some, and the first of them. Remembers nothing. */
export function isFirst(node: string, nodes: readonly string[], address: string, sha256: Sha256): boolean {
  if (!nodes.includes(node)) return false;
  const own = sha256(`${node}#${address}`);
  return nodes.every((other) => other === node || compareBytes(own, sha256(`${other}#${address}`)) <= 0);
}

/** Of two nodes for an address, for sorting. */
export function compareRanks(a: string, b: string, address: string, sha256: Sha256): number {
  return compareBytes(sha256(`${a}#${address}`), sha256(`${b}#${address}`));
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < a.length; index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
