/**
 * SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012), 64-bit result. The datapath has the same in bpf/probe.h.
 * On 32-bit halves: as fast as a few hundred probes a second need, without bigints in the rounds.
 */

/** k0 and k1 of the paper: the first and the last eight bytes of the key, little endian. */
export type SipKey = readonly [bigint, bigint];

/** Throws on a key that is not two numbers of 64 bits. */
export function sipHash(key: SipKey, bytes: Uint8Array): bigint {
  const state = initialState(key);
  const whole = bytes.length - (bytes.length % 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < whole; at += 8) absorb(state, view.getUint32(at, true), view.getUint32(at + 4, true));
  const last = new DataView(new ArrayBuffer(8));
  for (let at = whole; at < bytes.length; at += 1) last.setUint8(at - whole, view.getUint8(at));
  last.setUint8(7, bytes.length & 0xff);
  absorb(state, last.getUint32(0, true), last.getUint32(4, true));
  state[V2] = at(state, V2) ^ 0xff;
  for (let i = 0; i < 4; i += 1) round(state);
  const low = at(state, V0) ^ at(state, V1) ^ at(state, V2) ^ at(state, V3);
  const high = at(state, V0 + 1) ^ at(state, V1 + 1) ^ at(state, V2 + 1) ^ at(state, V3 + 1);
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** v0 to v3: low half, high half. */
type State = Int32Array;
const V0 = 0;
const V1 = 2;
const V2 = 4;
const V3 = 6;

function initialState([k0, k1]: SipKey): State {
  for (const half of [k0, k1])
    if (BigInt.asUintN(64, half) !== half)
      throw new RangeError("Each half of a SipHash key is an unsigned number of 64 bits");
  const words = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ];
  return Int32Array.from(words.flatMap((word) => [Number(word & 0xffff_ffffn), Number(word >> 32n)]));
}

function absorb(state: State, low: number, high: number): void {
  state[V3] = at(state, V3) ^ low;
  state[V3 + 1] = at(state, V3 + 1) ^ high;
  round(state);
  round(state);
  state[V0] = at(state, V0) ^ low;
  state[V0 + 1] = at(state, V0 + 1) ^ high;
}

function round(state: State): void {
  add(state, V0, V1);
  rotateAndXor(state, V1, 13, V0);
  swapHalves(state, V0);
  add(state, V2, V3);
  rotateAndXor(state, V3, 16, V2);
  add(state, V0, V3);
  rotateAndXor(state, V3, 21, V0);
  add(state, V2, V1);
  rotateAndXor(state, V1, 17, V2);
  swapHalves(state, V2);
}

function add(state: State, to: number, from: number): void {
  const low = (at(state, to) >>> 0) + (at(state, from) >>> 0);
  state[to] = low;
  state[to + 1] = at(state, to + 1) + at(state, from + 1) + (low > 0xffff_ffff ? 1 : 0);
}

/** By less than 32 bits. */
function rotateAndXor(state: State, to: number, bits: number, by: number): void {
  const low = at(state, to);
  const high = at(state, to + 1);
  state[to] = ((low << bits) | (high >>> (32 - bits))) ^ at(state, by);
  state[to + 1] = ((high << bits) | (low >>> (32 - bits))) ^ at(state, by + 1);
}

/** Rotates by 32 bits. */
function swapHalves(state: State, word: number): void {
  const low = at(state, word);
  state[word] = at(state, word + 1);
  state[word + 1] = low;
}

function at(state: State, index: number): number {
  return state[index] ?? 0;
}
