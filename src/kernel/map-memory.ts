/**
 * Array maps as memory of this process. The kernel puts every page of a mapping in place at once, and all of them count as
 * this process's: a large array is better mapped a window at a time.
 */
import koffi from "koffi";
import { SystemError } from "./error.ts";
import { lastErrno, MAP_FAILED, MAP_SHARED, mmap, munmap, PROT } from "./libc.ts";

/** An open map that is BPF_F_MMAPABLE. */
export interface Mappable {
  readonly name: string;
  readonly fd: number;
  readonly mappedBytes: number;
}

export interface MappedMemory {
  readonly buffer: ArrayBuffer;
  unmap(): void;
}

const PAGE_BYTES = 4096;
/** Large enough that a walk over an array is few system calls, small enough not to be noticed. */
const WINDOW_BYTES = 512 * 1024;

/** Maps from `offset`, which lies at the beginning of a page, to the end of the page in which `length` ends. */
export function mapMemory(map: Mappable, offset: number, length: number): MappedMemory {
  const bytes = pagesUp(length);
  const address = mmap(null, bytes, PROT.read | PROT.write, MAP_SHARED, map.fd, offset);
  if (address === MAP_FAILED) {
    const attempt = `map BPF map "${map.name}" into memory`;
    throw new SystemError({ call: "mmap", errno: lastErrno(), subject: map.name, attempt });
  }
  const buffer = koffi.view(address, bytes);
  const unmap = (): void => {
    buffer.transfer(0); // detached: a late use throws instead of crashing the process
    munmap(address, bytes);
  };
  return { buffer, unmap };
}

/** A part of an array, which moves to where something is asked for. */
export class MapWindow {
  readonly #map: Mappable;
  #memory: MappedMemory | undefined;
  #start = 0;
  #end = 0;

  constructor(map: Mappable) {
    this.#map = map;
  }

  get byteLength(): number {
    return this.#map.mappedBytes;
  }

  /** Where these bytes are, until something else of the map is asked for. A store is seen by the next packet. */
  reach(offset: number, length: number): { readonly buffer: ArrayBuffer; readonly byteOffset: number } {
    if (offset < 0 || length < 0 || offset + length > this.byteLength) {
      throw new RangeError(`BPF map "${this.#map.name}" has ${this.byteLength} bytes, not ${length} at ${offset}`);
    }
    if (this.#memory === undefined || offset < this.#start || offset + length > this.#end) this.#move(offset, length);
    const { buffer } = this.#memory as MappedMemory;
    return { buffer, byteOffset: offset - this.#start };
  }

  close(): void {
    this.#memory?.unmap();
    this.#memory = undefined;
  }

  #move(offset: number, length: number): void {
    this.close();
    this.#start = offset - (offset % PAGE_BYTES);
    this.#end = Math.min(pagesUp(this.byteLength), Math.max(this.#start + WINDOW_BYTES, pagesUp(offset + length)));
    this.#memory = mapMemory(this.#map, this.#start, this.#end - this.#start);
  }
}

function pagesUp(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}
