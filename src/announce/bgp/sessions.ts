/** A BGPPeer as a session is told of it. */
import type { Family } from "../../net/address.ts";
import { CONNECT_TIME_SECONDS, HOLD_TIME_SECONDS, type SessionConfig } from "../../protocol/bgp/config.ts";
import type { Peer } from "./peers.ts";

/** A pod restarts in 10 to 60 s, its image pulled or not. */
const RESTART_TIME_SECONDS = 120;

export function sessionOf(peer: Peer): SessionConfig {
  const { localASN, keepaliveTimeSeconds, sourceAddress, vrf, routerId, password } = peer;
  return {
    name: peer.name,
    localAsn: localASN ?? peer.myASN,
    peerAsn: peer.peerASN,
    peer: peer.location,
    port: peer.port,
    initiation: peer.passive || peer.location.type === "prefix" ? "accept" : "dial",
    holdTimeSeconds: peer.holdTimeSeconds ?? HOLD_TIME_SECONDS,
    ...(keepaliveTimeSeconds === undefined ? {} : { keepaliveTimeSeconds }),
    connectTimeSeconds: peer.connectTimeSeconds ?? CONNECT_TIME_SECONDS,
    families: familiesOf(peer),
    ...(sourceAddress === undefined ? {} : { sourceAddress }),
    ...(vrf === undefined ? {} : { bindDevice: vrf }),
    ...(routerId === undefined ? {} : { routerId }),
    ...(password === undefined ? {} : { password }),
    ...extras(peer),
  };
}

/** The family of the session's addresses, or both: where that is asked for, and where the session has none. */
function familiesOf({ location, dualStackAddressFamily }: Peer): readonly Family[] {
  if (dualStackAddressFamily || location.type === "interface") return ["IPv4", "IPv6"];
  return [location.type === "address" ? location.address.family : location.prefix.family];
}

function extras(peer: Peer): Partial<SessionConfig> {
  const { ttlSecurityHops, role, receivedPrefixesMax, longLivedSeconds } = peer;
  const gracefulRestart = {
    restartTimeSeconds: peer.restartTimeSeconds ?? RESTART_TIME_SECONDS,
    notifications: false,
    ...(longLivedSeconds === undefined ? {} : { longLivedSeconds }),
  };
  return {
    ...(ttlSecurityHops === undefined ? {} : { ttlSecurityHops }),
    ...(peer.enableGracefulRestart ? { gracefulRestart } : {}),
    ...(role === undefined ? {} : { role, roleRequired: peer.roleRequired }),
    ...(receivedPrefixesMax === undefined ? {} : { receivedPrefixesMax }),
    ...(peer.bfdProfile !== undefined && peer.bfdStrict ? { bfdStrict: true } : {}),
  };
}
