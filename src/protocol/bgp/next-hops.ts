/**
 * What we tell a peer to send packets to: our addresses on the interface that the session runs over. An IPv6 next hop has the
 * link-local address beside it where the peer is on the link (RFC 2545 §3); without any address of a family its routes stay here.
 */
import { sameAddress, type Address } from "../../net/address.ts";
import { parsePrefix, prefixContains, prefixOf, type Prefix } from "../../net/prefix.ts";
import type { NextHop } from "./multiprotocol.ts";
import type { Negotiated } from "./negotiate.ts";
import type { Sender } from "./route.ts";

export interface LocalInterface {
  readonly name: string;
  readonly addresses: readonly { readonly address: Address; readonly prefixLength: number }[];
}

const LINK_LOCAL = parsePrefix("fe80::/10");

export function isLinkLocal(address: Address): boolean {
  return LINK_LOCAL !== undefined && prefixContains(LINK_LOCAL, address);
}

export interface Ends {
  readonly local: Address;
  readonly remote: Address;
}

export function nextHopsOf(
  { local, remote }: Ends,
  interfaces: readonly LocalInterface[],
  { linkLocalNextHop, context }: Pick<Negotiated, "linkLocalNextHop" | "context">,
): Sender["nextHops"] {
  const own = interfaces.find(({ addresses }) => addresses.some(({ address }) => sameAddress(address, local)));
  const IPv6 = ipv6NextHop({ local, remote }, own, linkLocalNextHop);
  // A classic next hop works with every peer, whatever the session runs over.
  const ipv4 =
    local.family === "IPv4" ? local : own?.addresses.find(({ address }) => address.family === "IPv4")?.address;
  const IPv4: NextHop | undefined = ipv4 !== undefined ? { address: ipv4 } : context.extendedNextHop ? IPv6 : undefined;
  return { ...(IPv4 === undefined ? {} : { IPv4 }), ...(IPv6 === undefined ? {} : { IPv6 }) };
}

function ipv6NextHop({ local, remote }: Ends, own: LocalInterface | undefined, bare: boolean): NextHop | undefined {
  // Twice where there is no other address, as FRR does: every router understands it.
  if (isLinkLocal(local)) return bare ? { address: local } : { address: local, linkLocal: local };
  const sixes = own?.addresses.filter(({ address }) => address.family === "IPv6") ?? [];
  const linkLocal = sixes.map(({ address }) => address).find(isLinkLocal);
  const global = local.family === "IPv6" ? local : sixes.find(({ address }) => !isLinkLocal(address))?.address;
  if (global === undefined) return undefined;
  return linkLocal !== undefined && isOnLink(remote, own) ? { address: global, linkLocal } : { address: global };
}

function isOnLink(remote: Address, own: LocalInterface | undefined): boolean {
  const subnets: readonly Prefix[] =
    own?.addresses.map(({ address, prefixLength }) => prefixOf(address, prefixLength)) ?? [];
  return subnets.some((subnet) => prefixContains(subnet, remote));
}
