/**
 * Reads a BPF ring buffer without system calls (https://docs.kernel.org/bpf/ringbuf.html):
 *
 *     page 0   consumer position, ours to write
 *     page 1   producer position
 *     then     the records, mapped twice one behind the other, so that none is ever in two pieces
 *
 * A record starts with its length; the two top bits say that it is still being written, or was discarded. Node's event loop watches the map's
 * file descriptor, so an idle buffer costs nothing.
 */
import koffi from "koffi";
import { SystemError } from "./error.ts";
import { lastErrno, MAP_FAILED, MAP_SHARED, mmap, munmap, PROT } from "./libc.ts";
import { MAP_TYPE, type BpfMap } from "./map.ts";

const PAGE_BYTES = 4096;
const HEADER_BYTES = 8;
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;

export interface RingBuffer extends Disposable {
  /** Hands over every record that is complete now, at most `max`. The bytes are only valid during the call: copy what you keep. */
  consume(onRecord: (bytes: Uint8Array) => void, max?: number): number;
  /** Consumes whenever something arrives, until the function returned is called. Does not keep the process alive. */
  watch(onRecord: (bytes: Uint8Array) => void): () => void;
  close(): void;
}

export function openRingBuffer(map: BpfMap): RingBuffer {
  if (map.shape.type !== MAP_TYPE.ringbuf) throw new TypeError(`BPF map "${map.name}" is no ring buffer`);
  const size = map.shape.maxEntries;
  const ours = mapPart(map, PAGE_BYTES, PROT.read | PROT.write, 0);
  const theirs = mapPart(map, PAGE_BYTES + 2 * size, PROT.read, PAGE_BYTES);
  const consumed = new BigUint64Array(ours.buffer, 0, 1);
  const produced = new BigUint64Array(theirs.buffer, 0, 1);
  const headers = new Uint32Array(theirs.buffer, PAGE_BYTES);
  const bytes = new Uint8Array(theirs.buffer, PAGE_BYTES);
  const stops = new Set<() => void>();

  const consume: RingBuffer["consume"] = (onRecord, max = Number.POSITIVE_INFINITY) => {
    let position = Atomics.load(consumed, 0);
    let count = 0;
    while (count < max && position < Atomics.load(produced, 0)) {
      const at = Number(position % BigInt(size));
      const header = Atomics.load(headers, at / 4);
      if ((header & BUSY) !== 0) break;
      const length = header & LENGTH_MASK;
      position += BigInt(Math.ceil((length + HEADER_BYTES) / 8) * 8);
      try {
        if ((header & DISCARDED) === 0) {
          count += 1;
          onRecord(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length));
        }
      } finally {
        Atomics.store(consumed, 0, position);
      }
    }
    return count;
  };

  const watch: RingBuffer["watch"] = (onRecord) => {
    const handle = koffi.node.poll(map.fd, { readable: true }, () => consume(onRecord));
    handle.unref();
    const stop = (): void => {
      if (stops.delete(stop)) handle.close();
    };
    stops.add(stop);
    consume(onRecord);
    return stop;
  };

  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    for (const stop of stops) stop();
    ours.unmap();
    theirs.unmap();
  };
  return { consume, watch, close, [Symbol.dispose]: close };
}

function mapPart(
  map: BpfMap,
  length: number,
  protection: number,
  offset: number,
): { buffer: ArrayBuffer; unmap(): void } {
  const address = mmap(null, length, protection, MAP_SHARED, map.fd, offset);
  if (address === MAP_FAILED) {
    throw new SystemError({
      call: "mmap",
      errno: lastErrno(),
      subject: map.name,
      attempt: `map ring buffer "${map.name}" into memory`,
    });
  }
  const buffer = koffi.view(address, length);
  const unmap = (): void => {
    buffer.transfer(0);
    munmap(address, length);
  };
  return { buffer, unmap };
}
