/**
 * Liveness probes: the payload of UDP datagrams between nodes, `struct probe` of bpf/abi.h. Requests are sent from here and
 * answered by the peer's datapath (bpf/probe.h).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *     |                        magic = "FLPB"                         |
 *     +---------------+---------------+-------------------------------+
 *     |  version = 1  |     type      |         reserved = 0          |
 *     +---------------+---------------+-------------------------------+
 *     |                           sequence                            |
 *     +---------------------------------------------------------------+
 *     |    milliseconds left of the answering agent's stamp, or 0     |
 *     +---------------------------------------------------------------+
 *     |               nonce of the asker, echoed (8)                  |
 *     +---------------------------------------------------------------+
 *     |     SipHash-2-4 of the 24 bytes above, little endian (8)      |
 *     +---------------------------------------------------------------+
 */
import { decoded, faulty, type Decoded } from "../../bytes/decoded.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { sipHash, type SipKey } from "./siphash.ts";

const MAGIC = 0x464c5042;
const VERSION = 1;
const TAGGED_LENGTH = 24;
export const PROBE_LENGTH = 32;

const TYPES = { request: 1, answer: 2 } as const;

export interface Probe {
  readonly type: keyof typeof TYPES;
  /** 32 bits; grows with every request to a peer. */
  readonly sequence: number;
  /** How long the answering agent's stamp is still valid, at most 2^32-1; 0: it has run out. 0 in requests. */
  readonly remainingMilliseconds: number;
  /** 64 bits, chosen at random by the asker for one peer: an answer recorded earlier fits no request of today. */
  readonly nonce: bigint;
}

export type ProbeFault = "badLength" | "badMagic" | "otherVersion" | "badTag" | "unknownType" | "reservedBits";

export function decodeProbe(bytes: Uint8Array, key: SipKey): Decoded<Probe, ProbeFault> {
  if (bytes.length !== PROBE_LENGTH) return faulty("badLength");
  const reader = new Reader(bytes);
  if (reader.u32() !== MAGIC) return faulty("badMagic");
  if (reader.u8() !== VERSION) return faulty("otherVersion");
  // Nothing of what follows is believed before the tag is right.
  if (tagOf(bytes, key) !== littleEndian(bytes)) return faulty("badTag");
  const type = reader.u8();
  if (type !== TYPES.request && type !== TYPES.answer) return faulty("unknownType");
  if (reader.u16() !== 0) return faulty("reservedBits");
  const sequence = reader.u32();
  const remainingMilliseconds = reader.u32();
  return decoded({
    type: type === TYPES.request ? "request" : "answer",
    sequence,
    remainingMilliseconds,
    nonce: reader.u64(),
  });
}

/** Throws on numbers that do not fit their fields. */
export function encodeProbe(probe: Probe, key: SipKey): Uint8Array {
  const bytes = new Writer(PROBE_LENGTH)
    .u32(MAGIC)
    .u8(VERSION)
    .u8(TYPES[probe.type])
    .u16(0)
    .u32(probe.sequence)
    .u32(probe.remainingMilliseconds)
    .u64(probe.nonce)
    .u64(0n)
    .finish();
  new DataView(bytes.buffer).setBigUint64(TAGGED_LENGTH, tagOf(bytes, key), true);
  return bytes;
}

/** One line for logs and captures. */
export function formatProbe(probe: Probe): string {
  const left = probe.type === "answer" ? `, stamp valid ${probe.remainingMilliseconds} ms` : "";
  return `probe ${probe.type} ${probe.sequence}, nonce ${probe.nonce.toString(16).padStart(16, "0")}${left}`;
}

function tagOf(bytes: Uint8Array, key: SipKey): bigint {
  return sipHash(key, bytes.subarray(0, TAGGED_LENGTH));
}

function littleEndian(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(TAGGED_LENGTH, true);
}
