/**
 * Subnet-router anycast (RFC 4291 §2.6.1): the first address of an IPv6 network belongs to all its routers, and each of them answers
 * neighbor solicitations for it - so do nodes, for they forward. A Service there is found by nobody for sure. Pure. Which networks there
 * are only nodes know; but those with hosts are /64 (RFC 4291 §2.5.4).
 */
import { formatAddress, type Address } from "../net/address.ts";
import { parsePrefix } from "../net/prefix.ts";
import type { Range } from "../net/range.ts";

const HOST_BITS = 64n;
/** Between two routers there is no such address on a /127 (RFC 6164 §5.1). */
const LENGTH_MAX = 126;

/** The first address of the range that would be a /64's; undefined: none. */
export function anycastIn({ family, first, last }: Range): Address | undefined {
  if (family !== "IPv6") return undefined;
  const value = ((first + (1n << HOST_BITS) - 1n) >> HOST_BITS) << HOST_BITS;
  return value <= last ? { family, value } : undefined;
}

/** Of the network that a device is in by this address, as `address/prefix length`, in canonical text. */
export function anycastOf(addressOfDevice: string): string | undefined {
  const network = parsePrefix(addressOfDevice);
  if (network?.family !== "IPv6" || network.length > LENGTH_MAX) return undefined;
  return formatAddress({ family: "IPv6", value: network.value });
}

/** Of a pool that is announced by layer 2. */
export function anycastWarning(ranges: readonly Range[]): string | undefined {
  const found = ranges.map(anycastIn).find((each) => each !== undefined);
  if (found === undefined) return undefined;
  const text = formatAddress(found);
  return `${text} is the subnet-router anycast address of ${text}/64 (RFC 4291): where that network is on a segment its routers answer for it too; begin with ${formatAddress({ ...found, value: found.value + 1n })}, for example as a range`;
}
