/**
 * BPF maps as tables of raw bytes: what the bytes mean is src/datapath's business. Batches cost about half a microsecond an
 * element; arrays that are BPF_F_MMAPABLE are better written through {@link BpfMap.mmap}, without any system call.
 */
import koffi from "koffi";
import { checked, SystemError } from "./error.ts";
import * as libbpf from "./libbpf.ts";
import { close } from "./libc.ts";
import { mapMemory, MapWindow, type MappedMemory } from "./map-memory.ts";

export const MAP_TYPE = {
  hash: 1,
  array: 2,
  percpuHash: 5,
  percpuArray: 6,
  lruHash: 9,
  lruPercpuHash: 10,
  ringbuf: 27,
} as const;
const PERCPU_TYPES: ReadonlySet<number> = new Set([MAP_TYPE.percpuHash, MAP_TYPE.percpuArray, MAP_TYPE.lruPercpuHash]);

export interface MapShape {
  readonly type: number;
  readonly keySize: number;
  /** Of one CPU's value. */
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

export type Existing = "any" | "create" | "replace";
const UPDATE_FLAGS = { any: 0, create: 1, replace: 2 } as const satisfies Record<Existing, number>;

/** Rows of one bpf_map_lookup_batch call; a hash bucket that does not fit makes the call fail, and then it is doubled. */
const BATCH_ROWS = 4096;

const { ENOENT, ENOSPC, EEXIST } = koffi.os.errno as Record<"ENOENT" | "ENOSPC" | "EEXIST", number>;

export class BpfMap {
  readonly name: string;
  readonly shape: MapShape;
  /** Bytes of a value as user space sees it: per-CPU values lie one behind the other, each padded to eight. */
  readonly valueBytes: number;
  #fd: number;
  #memory: MappedMemory | undefined;
  #window: MapWindow | undefined;
  readonly #owned: boolean;

  constructor(name: string, fd: number, shape: MapShape, ownership: "owned" | "borrowed") {
    this.name = name;
    this.shape = shape;
    this.#fd = fd;
    this.#owned = ownership === "owned";
    this.valueBytes = PERCPU_TYPES.has(shape.type) ? roundUp(shape.valueSize, 8) * possibleCpus() : shape.valueSize;
  }

  get fd(): number {
    if (this.#fd < 0) throw new Error(`BPF map "${this.name}" was used after it was closed`);
    return this.#fd;
  }

  get capacity(): number {
    return this.shape.maxEntries;
  }

  lookup(key: Uint8Array): Uint8Array | undefined {
    this.#expect("key", key, this.shape.keySize);
    const value = new Uint8Array(this.valueBytes);
    const result = libbpf.bpf_map_lookup_elem(this.fd, key, value);
    if (result === -ENOENT) return undefined;
    checked(result, this.#failure("bpf_map_lookup_elem", "read a row of"));
    return value;
  }

  update(key: Uint8Array, value: Uint8Array, existing: Existing = "any"): "written" | "exists" | "notFound" {
    this.#expect("key", key, this.shape.keySize);
    this.#expect("value", value, this.valueBytes);
    const result = libbpf.bpf_map_update_elem(this.fd, key, value, UPDATE_FLAGS[existing]);
    if (existing === "create" && result === -EEXIST) return "exists";
    if (existing === "replace" && result === -ENOENT) return "notFound";
    checked(result, this.#failure("bpf_map_update_elem", "write a row of"));
    return "written";
  }

  delete(key: Uint8Array): "deleted" | "notFound" {
    this.#expect("key", key, this.shape.keySize);
    const result = libbpf.bpf_map_delete_elem(this.fd, key);
    if (result === -ENOENT) return "notFound";
    checked(result, this.#failure("bpf_map_delete_elem", "delete a row of"));
    return "deleted";
  }

  /** The key after `key`, or the first one; `undefined` after the last. */
  getNextKey(key?: Uint8Array): Uint8Array | undefined {
    if (key !== undefined) this.#expect("key", key, this.shape.keySize);
    const next = new Uint8Array(this.shape.keySize);
    const result = libbpf.bpf_map_get_next_key(this.fd, key ?? null, next);
    if (result === -ENOENT) return undefined;
    checked(result, this.#failure("bpf_map_get_next_key", "list the keys of"));
    return next;
  }

  /**
   * Every row, read in chunks. A row that is there all the time is yielded exactly once, one that comes or goes meanwhile at most
   * once. The arrays are reused for later rows: copy what you keep.
   */
  *entries(): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
    const { keySize } = this.shape;
    let rows = Math.min(BATCH_ROWS, this.capacity);
    let keys = new Uint8Array(rows * keySize);
    let values = new Uint8Array(rows * this.valueBytes);
    let from: Uint8Array | null = null;
    for (;;) {
      const next: Uint8Array = new Uint8Array(Math.max(keySize, 8));
      const count = Uint32Array.of(rows);
      const result = libbpf.bpf_map_lookup_batch(this.fd, from, next, keys, values, count, null);
      if (result === -ENOSPC && rows < this.capacity) {
        rows = Math.min(rows * 2, this.capacity);
        keys = new Uint8Array(rows * keySize);
        values = new Uint8Array(rows * this.valueBytes);
        continue;
      }
      if (result !== -ENOENT) checked(result, this.#failure("bpf_map_lookup_batch", "list the rows of"));
      for (let i = 0; i < (count[0] ?? 0); i += 1) {
        yield [
          keys.subarray(i * keySize, (i + 1) * keySize),
          values.subarray(i * this.valueBytes, (i + 1) * this.valueBytes),
        ];
      }
      if (result === -ENOENT) return;
      from = next;
    }
  }

  /** Writes `count` rows that lie one behind the other. When it throws, some of them were written. */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): void {
    this.#expect("keys", keys, count * this.shape.keySize);
    this.#expect("values", values, count * this.valueBytes);
    if (count === 0) return;
    const done = Uint32Array.of(count);
    const result = libbpf.bpf_map_update_batch(this.fd, keys, values, done, null);
    if (result === 0) return;
    const attempt = `write ${count} rows of BPF map "${this.name}" (${done[0] ?? 0} were written, room for ${this.capacity})`;
    throw new SystemError({ call: "bpf_map_update_batch", errno: result, subject: this.name, attempt });
  }

  /** Deletes `count` rows that lie one behind the other; those that are not there are passed over. */
  deleteBatch(keys: Uint8Array, count: number): void {
    const { keySize } = this.shape;
    this.#expect("keys", keys, count * keySize);
    for (let start = 0; start < count;) {
      const done = Uint32Array.of(count - start);
      const result = libbpf.bpf_map_delete_batch(this.fd, keys.subarray(start * keySize), done, null);
      if (result === 0) return;
      if (result !== -ENOENT) checked(result, this.#failure("bpf_map_delete_batch", "delete rows of"));
      start += (done[0] ?? 0) + 1; // the kernel stops at the row that is missing
    }
  }

  /** A per-CPU counter (u64), summed; `0n` when the row is not there. */
  perCpuSum(key: Uint8Array): bigint {
    const value = this.lookup(key);
    return value === undefined ? 0n : sumCounters(value);
  }

  /**
   * An array with BPF_F_MMAPABLE as memory of this process: elements one behind the other, each padded to eight bytes, then zeroes to the
   * end of the page. A store is seen by the next packet. The buffer cannot be passed to a worker: a worker opens the pinned map itself.
   */
  mmap(): ArrayBuffer {
    this.#memory ??= mapMemory(this, 0, this.mappedBytes);
    return this.#memory.buffer;
  }

  /** The same a part at a time, for arrays too large to count as this process's memory all the time. */
  window(): MapWindow {
    this.#window ??= new MapWindow(this);
    return this.#window;
  }

  /** What {@link mmap} maps: whole elements, each padded to eight bytes. */
  get mappedBytes(): number {
    return roundUp(this.shape.valueSize, 8) * this.shape.maxEntries;
  }

  /** Detaches the mapped memory, and closes the file descriptor when it is this map's own; a map of a loaded object is closed with the object. */
  close(): void {
    this.#memory?.unmap();
    this.#memory = undefined;
    this.#window?.close();
    this.#window = undefined;
    if (this.#owned && this.#fd >= 0) close(this.#fd);
    this.#fd = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #expect(what: string, bytes: Uint8Array, length: number): void {
    if (!(bytes instanceof Uint8Array) || bytes.length !== length) {
      throw new TypeError(`BPF map "${this.name}" was given ${what} of ${bytes.length} bytes; it takes ${length}`);
    }
  }

  #failure(call: string, verb: string): { call: string; subject: string; attempt: string } {
    return { call, subject: this.name, attempt: `${verb} BPF map "${this.name}"` };
  }
}

/** Opens a map by its pin. */
export function openPinnedMap(path: string): BpfMap {
  const attempt = `open the pinned BPF map ${path}`;
  const fd = checked(libbpf.bpf_obj_get(path), { call: "bpf_obj_get", subject: path, attempt });
  try {
    return new BpfMap(path.slice(path.lastIndexOf("/") + 1), fd, readMapShape(fd, path), "owned");
  } catch (error) {
    close(fd);
    throw error;
  }
}

export interface MapInfo extends MapShape {
  readonly id: number;
  readonly btfId: number;
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
}

/** struct bpf_map_info. Throws when `fd` is no map. */
export function readMapInfo(fd: number, subject: string): MapInfo {
  const info = new Uint8Array(88);
  const failure = { call: "bpf_obj_get_info_by_fd", subject, attempt: `read the shape of BPF map ${subject}` };
  checked(libbpf.bpf_obj_get_info_by_fd(fd, info, Uint32Array.of(info.length)), failure);
  const view = new DataView(info.buffer);
  const word = (at: number): number => view.getUint32(at, true);
  const shape = { type: word(0), keySize: word(8), valueSize: word(12), maxEntries: word(16), flags: word(20) };
  return { ...shape, id: word(4), btfId: word(64), btfKeyTypeId: word(68), btfValueTypeId: word(72) };
}

function readMapShape(fd: number, subject: string): MapShape {
  const { type, keySize, valueSize, maxEntries, flags } = readMapInfo(fd, subject);
  return { type, keySize, valueSize, maxEntries, flags };
}

/** The sum of a per-CPU u64. */
export function sumCounters(value: Uint8Array): bigint {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  let sum = 0n;
  for (let at = 0; at < value.length; at += 8) sum += view.getBigUint64(at, true);
  return sum;
}

let cpus = 0;

/** CPUs the kernel reserves per-CPU values for. */
function possibleCpus(): number {
  if (cpus === 0) {
    const failure = {
      call: "libbpf_num_possible_cpus",
      subject: "/sys/devices/system/cpu/possible",
      attempt: "count the possible CPUs",
    };
    cpus = checked(libbpf.libbpf_num_possible_cpus(), failure);
  }
  return cpus;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
