/**
 * Which row of the map `backends` stands for which backend. One row serves every Service that names the same address and
 * port, because the row also counts out the source ports used towards it.
 *
 * Services may disagree about a backend (publishNotReadyAddresses): the best state that anyone sees wins. A row that nobody
 * uses any more becomes GONE at once, so that its flows choose again; after a quarantine it may stand for another backend,
 * with the next generation.
 */
import { sameAddress, type Address } from "../net/address.ts";
import { backend_state } from "./abi.generated.ts";
import { endpointHash, IdIndex } from "./id-index.ts";
import { QUARANTINE_MS } from "./regions.ts";

export type BackendState = "active" | "notReady" | "terminating";

/** A row in use, as it is (or shall be) in the map. */
export interface BackendRecord {
  readonly id: number;
  readonly address: Address;
  readonly port: number;
  /** enum backend_state */
  readonly state: number;
  readonly local: boolean;
  readonly generation: number;
}

/** What has to be written. `fresh`: the row stands for this backend for the first time; else only state and local changed. */
export interface BackendChange extends BackendRecord {
  readonly fresh: boolean;
}

type Wanted = Pick<BackendRecord, "address" | "port" | "local"> & { readonly state: BackendState };

const COLUMNS = { active: 0, terminating: 1, notReady: 2 } as const satisfies Record<BackendState, number>;
/** By column, best first: what a row becomes when it has users in that column and in none before. */
const STATES = [
  backend_state.BACKEND_ACTIVE,
  backend_state.BACKEND_TERMINATING,
  backend_state.BACKEND_NOT_READY,
] as const;
const COLUMN_COUNT = STATES.length;

/** Kept in `#written`: nothing was written yet, or the state and, above it, this bit for a local backend. */
const UNWRITTEN = 0xff;
const LOCAL_BIT = 0x80;

/** Columns instead of an object a row: a hundred thousand backends are a few megabytes. */
export class BackendRows {
  readonly #ids = new IdIndex(
    (id, address, port) => {
      const own = this.#addresses[id];
      return own !== undefined && this.#ports[id] === port && sameAddress(own, address);
    },
    (id) => {
      const own = this.#addresses[id];
      return own === undefined ? 0 : endpointHash(own, this.#ports[id] as number);
    },
  );
  readonly #addresses: (Address | undefined)[] = [];
  readonly #ports: Uint16Array;
  readonly #local: Uint8Array;
  /** State and locality as in the map. */
  readonly #written: Uint8Array;
  /** As in the map. */
  readonly #generations: Uint32Array;
  /** COLUMN_COUNT numbers a row: how many frontends see it in which state. */
  readonly #users: Uint32Array;
  /** Ids whose users changed, each once: those marked in `#marks`. */
  #touched: number[] = [];
  readonly #marks: Uint8Array;
  readonly #resting: { readonly id: number; readonly until: number }[] = [];
  /** Ids from here on were never used; 0 never is. */
  #unused = 1;

  /** `generations` are those of every row of the map, `found` the rows in use. */
  constructor(generations: Uint32Array, found: Iterable<BackendRecord>) {
    const capacity = generations.length;
    this.#generations = generations;
    this.#ports = new Uint16Array(capacity);
    this.#local = new Uint8Array(capacity);
    this.#written = new Uint8Array(capacity);
    this.#users = new Uint32Array(capacity * COLUMN_COUNT);
    this.#marks = new Uint8Array(capacity);
    for (const { id, address, port, state, local } of found) {
      this.#fill(id, { address, port, local });
      this.#written[id] = state | (local ? LOCAL_BIT : 0);
      this.#touch(id);
      this.#unused = Math.max(this.#unused, id + 1);
    }
    for (let id = 1; id < this.#unused; id += 1) {
      if (this.#addresses[id] === undefined) this.#resting.push({ id, until: 0 });
    }
  }

  /** Adds a user and answers with the row's id, or 0 when the map is full. */
  use(wanted: Wanted, now: number): number {
    const id = this.#ids.get(wanted.address, wanted.port) ?? this.#create(wanted, now);
    if (id === undefined) return 0;
    this.#local[id] = wanted.local ? 1 : 0;
    this.#count(id, wanted.state, 1);
    return id;
  }

  /** Takes back one {@link use}. Id 0 is nobody. */
  drop(id: number, state: BackendState): void {
    if (id !== 0) this.#count(id, state, -1);
  }

  /**
   * Ends a round of use and drop: what has to be written before the slots, and which rows nobody uses any more. Rows found
   * at the start are kept unused until everybody who may want them had his say.
   */
  settle(
    now: number,
    unused: "releaseUnused" | "keepUnused" = "releaseUnused",
  ): { readonly changes: readonly BackendChange[]; readonly gone: readonly number[] } {
    const changes: BackendChange[] = [];
    const gone: number[] = [];
    const touched = this.#touched;
    this.#touched = [];
    for (const id of touched) {
      this.#marks[id] = 0;
      const state = this.#stateOf(id);
      if (state !== undefined) {
        const change = this.#change(id, state);
        if (change !== undefined) changes.push(change);
      } else if (unused === "keepUnused") {
        this.#touch(id);
      } else {
        gone.push(id);
        this.#release(id, now);
      }
    }
    return { changes, gone };
  }

  /** The row of an id in use, as written. */
  get(id: number): BackendRecord | undefined {
    const address = this.#addresses[id];
    if (address === undefined) return undefined;
    const written = this.#written[id] as number;
    return this.#record(id, address, written === UNWRITTEN ? backend_state.BACKEND_GONE : written & ~LOCAL_BIT);
  }

  get count(): number {
    return this.#ids.size;
  }

  #change(id: number, state: number): BackendChange | undefined {
    const address = this.#addresses[id];
    const before = this.#written[id] as number;
    const now = state | (this.#local[id] === 1 ? LOCAL_BIT : 0);
    if (address === undefined || before === now) return undefined;
    this.#written[id] = now;
    return { ...this.#record(id, address, state), fresh: before === UNWRITTEN };
  }

  #record(id: number, address: Address, state: number): BackendRecord {
    const port = this.#ports[id] as number;
    return { id, address, port, local: this.#local[id] === 1, state, generation: this.#generations[id] as number };
  }

  #create(wanted: Wanted, now: number): number | undefined {
    const id = this.#takeId(now);
    if (id === undefined) return undefined;
    this.#generations[id] = (this.#generations[id] as number) + 1;
    this.#fill(id, wanted);
    this.#written[id] = UNWRITTEN;
    return id;
  }

  #fill(id: number, { address, port, local }: Omit<Wanted, "state">): void {
    // Two rows for one backend come from no writer of ours; the later one is given up when it is found unused.
    const known = this.#ids.get(address, port) !== undefined;
    this.#addresses[id] = address;
    this.#ports[id] = port;
    if (!known) this.#ids.add(id, address, port);
    this.#local[id] = local ? 1 : 0;
  }

  #release(id: number, now: number): void {
    const address = this.#addresses[id];
    if (address === undefined) return;
    const port = this.#ports[id] as number;
    if (this.#ids.get(address, port) === id) this.#ids.delete(address, port);
    this.#addresses[id] = undefined;
    this.#resting.push({ id, until: now + QUARANTINE_MS });
  }

  #takeId(now: number): number | undefined {
    const oldest = this.#resting[0];
    if (oldest !== undefined && oldest.until <= now) {
      this.#resting.shift();
      return oldest.id;
    }
    if (this.#unused >= this.#generations.length) return undefined;
    this.#unused += 1;
    return this.#unused - 1;
  }

  #count(id: number, state: BackendState, difference: 1 | -1): void {
    const at = id * COLUMN_COUNT + COLUMNS[state];
    const count = (this.#users[at] as number) + difference;
    if (count < 0) throw new Error(`Backend ${id} was dropped more often than it was used`);
    this.#users[at] = count;
    this.#touch(id);
  }

  #touch(id: number): void {
    if (this.#marks[id] === 1) return;
    this.#marks[id] = 1;
    this.#touched.push(id);
  }

  /** `undefined`: nobody uses it. */
  #stateOf(id: number): number | undefined {
    const column = STATES.findIndex((_, i) => (this.#users[id * COLUMN_COUNT + i] as number) > 0);
    return STATES[column];
  }
}
