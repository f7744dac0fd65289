/**
 * The liveness stamp in the pinned map `runtime`: written a few times a second by the membership worker, read by the datapath with every ARP
 * request and probe. A worker opens it by path, because mapped memory cannot be handed from one thread to another.
 */
import { runtime } from "../datapath/abi.generated.ts";
import { openPinnedMap } from "./map.ts";

export interface StampWriter {
  /** CLOCK_MONOTONIC nanoseconds until which the agent vouches for this datapath; 0n: not at all. */
  write(validUntilNs: bigint): void;
  read(): bigint;
  close(): void;
}

export function openStampWriter(pinPath: string): StampWriter {
  const map = openPinnedMap(pinPath);
  const word = new BigUint64Array(map.mmap(), runtime.offset.valid_until_ns, 1);
  return {
    // One store of eight aligned bytes: the datapath never sees half a stamp.
    write: (validUntilNs) => void Atomics.store(word, 0, validUntilNs),
    read: () => Atomics.load(word, 0),
    close: () => map.close(),
  };
}
