/**
 * Which row of the map `backends` stands for which backend. One row serves every Service that names the same address and
 * port, because the row also counts out the source ports used towards it.
 *
 * Services may disagree about a backend (publishNotReadyAddresses): the best state that anyone sees wins. A row that nobody
 * uses any more becomes GONE at once, so that its flows choose again; after a quarantine it may stand for another backend,
 * with the next generation.
 */
import { formatAddress, type Address } from "../net/address.ts";
import { backend_state } from "./abi.generated.ts";
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

interface Row {
  readonly id: number;
  readonly key: string;
  readonly address: Address;
  readonly port: number;
  local: boolean;
  /** As in the map; undefined: never written. */
  written: { readonly state: number; readonly local: boolean } | undefined;
}

export class BackendRows {
  readonly #capacity: number;
  readonly #rows = new Map<string, Row>();
  readonly #byId: (Row | undefined)[] = [];
  /** By id, as in the map. */
  readonly #generations: Uint32Array;
  /** COLUMN_COUNT numbers a row: how many frontends see it in which state. */
  readonly #users: Uint32Array;
  readonly #touched = new Set<Row>();
  #resting: { readonly id: number; readonly until: number }[] = [];
  /** Ids from here on were never used; 0 never is. */
  #unused = 1;

  /** `generations` are those of every row of the map, `found` the rows in use. */
  constructor(generations: Uint32Array, found: readonly BackendRecord[]) {
    this.#capacity = generations.length;
    this.#generations = generations;
    this.#users = new Uint32Array(generations.length * COLUMN_COUNT);
    for (const record of found) {
      const { id, address, port, local } = record;
      const row = { id, address, port, local, key: backendKey(address, port), written: record };
      // Two rows for one backend come from no writer of ours; the later one is given up when it is found unused.
      if (!this.#rows.has(row.key)) this.#rows.set(row.key, row);
      this.#byId[record.id] = row;
      this.#touched.add(row);
      this.#unused = Math.max(this.#unused, record.id + 1);
    }
    for (let id = 1; id < this.#unused; id += 1) {
      if (this.#byId[id] === undefined) this.#resting.push({ id, until: 0 });
    }
  }

  /** Adds a user and answers with the row's id, or 0 when the map is full. */
  use(wanted: Wanted, now: number): number {
    const key = backendKey(wanted.address, wanted.port);
    const row = this.#rows.get(key) ?? this.#create(key, wanted, now);
    if (row === undefined) return 0;
    row.local = wanted.local;
    this.#count(row, wanted.state, 1);
    return row.id;
  }

  /** Takes back one {@link use}. Id 0 is nobody. */
  drop(id: number, state: BackendState): void {
    const row = this.#byId[id];
    if (row !== undefined) this.#count(row, state, -1);
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
    const kept: Row[] = [];
    for (const row of this.#touched) {
      const state = this.#stateOf(row);
      if (state !== undefined) {
        const { written, local } = row;
        if (written?.state === state && written.local === local) continue;
        changes.push({ ...this.#record(row, state), fresh: written === undefined });
        row.written = { state, local };
        continue;
      }
      if (unused === "keepUnused") {
        kept.push(row);
        continue;
      }
      gone.push(row.id);
      if (this.#rows.get(row.key) === row) this.#rows.delete(row.key);
      this.#byId[row.id] = undefined;
      this.#resting.push({ id: row.id, until: now + QUARANTINE_MS });
    }
    this.#touched.clear();
    for (const row of kept) this.#touched.add(row);
    return { changes, gone };
  }

  /** The row of an id in use. */
  get(id: number): BackendRecord | undefined {
    const row = this.#byId[id];
    return row === undefined ? undefined : this.#record(row, row.written?.state ?? backend_state.BACKEND_GONE);
  }

  get count(): number {
    return this.#rows.size;
  }

  get resting(): boolean {
    return this.#resting.length > 0;
  }

  #record(row: Row, state: number): BackendRecord {
    const { id, address, port, local } = row;
    return { id, address, port, local, state, generation: this.#generations[id] as number };
  }

  #create(key: string, { address, port, local }: Wanted, now: number): Row | undefined {
    const id = this.#takeId(now);
    if (id === undefined) return undefined;
    this.#generations[id] = (this.#generations[id] as number) + 1;
    const row = { id, key, address, port, local, written: undefined };
    this.#rows.set(key, row);
    this.#byId[id] = row;
    return row;
  }

  #takeId(now: number): number | undefined {
    const oldest = this.#resting[0];
    if (oldest !== undefined && oldest.until <= now) {
      this.#resting.shift();
      return oldest.id;
    }
    if (this.#unused >= this.#capacity) return undefined;
    this.#unused += 1;
    return this.#unused - 1;
  }

  #count(row: Row, state: BackendState, difference: 1 | -1): void {
    const at = row.id * COLUMN_COUNT + COLUMNS[state];
    const count = (this.#users[at] as number) + difference;
    if (count < 0) throw new Error(`Backend ${row.key} was dropped more often than it was used`);
    this.#users[at] = count;
    this.#touched.add(row);
  }

  #stateOf(row: Row): number | undefined {
    const column = STATES.findIndex((_, i) => (this.#users[row.id * COLUMN_COUNT + i] as number) > 0);
    return STATES[column];
  }
}

function backendKey(address: Address, port: number): string {
  return `${formatAddress(address)} ${port}`;
}
