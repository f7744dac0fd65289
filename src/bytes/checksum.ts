/** The Internet checksum, RFC 1071: the complement of the one's complement sum of 16-bit words. */

/** Over the parts as if they were one piece. Zero over a piece that contains its own right checksum. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  let high = true;
  for (const part of parts) {
    for (const byte of part) {
      sum += high ? byte << 8 : byte;
      high = !high;
      // A carry comes back at the low end at once, so any length stays exact.
      if (sum > 0xffff) sum -= 0xffff;
    }
  }
  return ~sum & 0xffff;
}
