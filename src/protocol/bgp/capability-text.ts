/** Capabilities in words, for status and `fairlead bgp capabilities`. */
import { toHex } from "../../bytes/hex.ts";
import type { Capability, GracefulRestart } from "./capability.ts";

/** `graceful restart: 120 s, IPv4 (forwarding kept)`. */
export function formatCapability(capability: Capability): string {
  switch (capability.type) {
    case "multiprotocol":
      return `multiprotocol ${capability.family}`;
    case "routeRefresh":
      return "route refresh";
    case "enhancedRouteRefresh":
      return "enhanced route refresh";
    case "extendedMessage":
      return "extended message";
    case "linkLocalNextHop":
      return "link-local next hop";
    case "extendedNextHop":
      return `extended next hop: ${list(capability.entries.map(({ family, nextHopAfi }) => `${family} by AFI ${nextHopAfi}`))}`;
    case "role":
      return `role ${capability.role}`;
    case "fourOctetAs":
      return `four-octet AS ${capability.as}`;
    case "gracefulRestart":
      return formatGracefulRestart(capability);
    case "longLivedGracefulRestart":
      return `long-lived graceful restart: ${list(capability.families.map(({ family, staleTimeSeconds }) => `${family} ${staleTimeSeconds} s`))}`;
    case "hostname":
      return `host name ${JSON.stringify(capability.hostname)}`;
    case "unknown":
      return `${UNKNOWN_NAMES[capability.code] ?? `capability ${capability.code}`}${capability.value.length === 0 ? "" : ` 0x${toHex(capability.value)}`}`;
  }
}

/** What peers offer and we have no use for. */
const UNKNOWN_NAMES: Readonly<Record<number, string>> = {
  3: "outbound route filtering",
  67: "dynamic capability",
  69: "additional paths",
  74: "BFD strict mode",
  75: "software version",
  128: "route refresh (Cisco)",
  73: "host name",
};

function formatGracefulRestart({ restarting, notification, restartTimeSeconds, families }: GracefulRestart): string {
  const flags = [...(restarting ? ["restarted"] : []), ...(notification ? ["notifications"] : [])];
  const kept = families.map(({ family, forwarding }) => `${family}${forwarding ? " (forwarding kept)" : ""}`);
  const parts = [`${restartTimeSeconds} s`, ...flags, kept.length === 0 ? "as helper only" : list(kept)];
  return `graceful restart: ${parts.join(", ")}`;
}

function list(items: readonly string[]): string {
  return items.length === 0 ? "none" : items.join(", ");
}
