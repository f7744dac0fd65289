/** For whom to listen, and with which keys: of the sessions that peers may call. Pure. */
import type { Address, Family } from "../../../net/address.ts";
import { hostPrefix, type Prefix } from "../../../net/prefix.ts";
import type { PeerLocation, SessionConfig } from "../config.ts";

export interface Listened {
  readonly family: Family;
  /** Addresses and prefixes whose connections must be signed. */
  readonly keys: readonly { readonly prefix: Prefix; readonly password: string }[];
}

export function listenedFor(sessions: readonly SessionConfig[]): readonly Listened[] {
  const accepting = sessions.filter(({ initiation, peer }) => initiation !== "dial" || peer.type === "prefix");
  return (["IPv4", "IPv6"] as const)
    .filter((family) => accepting.some(({ peer }) => familyOf(peer) === family))
    .map((family) => ({
      family,
      keys: accepting.flatMap(({ peer, password }) => {
        const prefix =
          peer.type === "prefix" ? peer.prefix : peer.type === "address" ? hostPrefix(peer.address) : undefined;
        return prefix?.family !== family || password === undefined ? [] : [{ prefix, password }];
      }),
    }));
}

function familyOf(peer: PeerLocation): Address["family"] {
  if (peer.type === "interface") return "IPv6";
  return peer.type === "prefix" ? peer.prefix.family : peer.address.family;
}
