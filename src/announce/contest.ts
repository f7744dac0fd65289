/**
 * Does this node come first among some nodes for an address? The same order as in ranks.ts, but that is all an agent must know to do its part,
 * and it takes far fewer hashes than to know who does: somebody who comes before it is found after about ln N of them. That rival is remembered:
 * as long as it is there, other nodes come and go at no cost. Where this node came first, only those are asked about that were not there before.
 */
import { compareBytes, isFirst, type Sha256 } from "./ranks.ts";

/** Some other node: it does not matter which. */
export const ANOTHER = Symbol("another node");

/** Beyond so many addresses the memory is not worth it: start anew. */
const ADDRESSES_MAX = 65536;

type Nodes = ReadonlySet<string>;

export class Contest {
  readonly #self: string;
  readonly #sha256: Sha256;
  /** Of each address that this node does not come first for: a node that comes before it. */
  readonly #rivals = new Map<string, string>();
  /** Of each address that it came first for: among whom. */
  readonly #won = new Map<string, Nodes>();
  /** Thousands of addresses have the same few lists of nodes. */
  readonly #sets = new WeakMap<readonly string[], Nodes>();

  constructor(self: string, sha256: Sha256) {
    this.#self = self;
    this.#sha256 = sha256;
  }

  /** The first of the nodes, if it is this one; undefined of none. A list that is passed again must not have changed. */
  first(nodes: readonly string[], address: string): string | typeof ANOTHER | undefined {
    if (nodes.length === 0) return undefined;
    const wanted = this.#setOf(nodes);
    if (!wanted.has(this.#self)) return ANOTHER;
    const known = this.#rivals.get(address);
    if (known !== undefined && wanted.has(known)) return ANOTHER;
    const among = this.#won.get(address);
    if (among === wanted) return this.#self;
    const rival = this.#rivalAmong(among === undefined ? nodes : nodes.filter((node) => !among.has(node)), address);
    this.#remember(address, rival, wanted);
    return rival === undefined ? this.#self : ANOTHER;
  }

  isFirst(node: string, nodes: readonly string[], address: string): boolean {
    return isFirst(node, nodes, address, this.#sha256);
  }

  #rivalAmong(nodes: readonly string[], address: string): string | undefined {
    const own = this.#hash(this.#self, address);
    // Not from the same node on for every address: the first of a list would be the rival in half of them, and its loss as dear.
    const start = ((own.at(-2) ?? 0) << 8) | (own.at(-1) ?? 0);
    for (let index = 0; index < nodes.length; index += 1) {
      const node = nodes[(start + index) % nodes.length] ?? this.#self;
      if (node !== this.#self && compareBytes(this.#hash(node, address), own) < 0) return node;
    }
    return undefined;
  }

  #hash(node: string, address: string): Uint8Array {
    return this.#sha256(`${node}#${address}`);
  }

  #remember(address: string, rival: string | undefined, wanted: Nodes): void {
    if (this.#rivals.size + this.#won.size >= ADDRESSES_MAX) {
      this.#rivals.clear();
      this.#won.clear();
    }
    if (rival === undefined) {
      this.#rivals.delete(address);
      this.#won.set(address, wanted);
    } else {
      this.#won.delete(address);
      this.#rivals.set(address, rival);
    }
  }

  #setOf(nodes: readonly string[]): Nodes {
    const known = this.#sets.get(nodes) ?? new Set(nodes);
    this.#sets.set(nodes, known);
    return known;
  }
}
