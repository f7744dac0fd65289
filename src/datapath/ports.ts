/**
 * What the tables are applied to: the maps of one node, as the kernel (src/kernel) or a model in a test offers them.
 * Every method is synchronous and throws when the kernel refuses; the caller then no longer knows what is there and reads it back.
 */

export interface HashTable {
  /** Rows that fit. */
  readonly capacity: number;
  /** Every row. What is yielded may be reused for the next. */
  entries(): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** Writes rows that lie one behind the other; existing ones are replaced, each at once. */
  put(keys: Uint8Array, values: Uint8Array, count: number): void;
  /** Deletes rows; that one is already gone is success. */
  remove(keys: Uint8Array, count: number): void;
}

/** An array map too large to be in reach as a whole. */
export interface ArrayTable<Elements> {
  readonly length: number;
  /**
   * Elements from `start` on, as far as there are any, until the next call: then they may be out of reach. They are memory
   * shared with the datapath: a store is visible to the next packet.
   */
  window(start: number, count: number): Elements;
}

export interface ForwardingPorts {
  readonly frontends: HashTable;
  /** Bytes of struct backend[] */
  readonly backends: ArrayTable<Uint8Array>;
  readonly slots: ArrayTable<Uint32Array>;
  readonly maglev: ArrayTable<Uint16Array>;
  /** struct address_filter */
  readonly filter: Uint32Array;
}
