/**
 * The OPEN we send, and what follows from the two: whom we talk to, how long either may be silent, which routes go how
 * (RFC 4271 §4.2, §6.2 and the capabilities' RFCs). An OPEN that cannot be accepted is the NOTIFICATION that says so.
 */
import type { Family } from "../../net/address.ts";
import { asOf, AS_TRANS, type Open } from "./open.ts";
import type { Capability, Role } from "./capability.ts";
import type { SessionConfig } from "./config.ts";
import type { SessionContext } from "./context.ts";
import { bgpError, type BgpError } from "./error.ts";
import { AFI } from "./family.ts";

/**
 * How much of what we can do is said. A peer that refuses an OPEN for its capabilities gets one with only what is hard
 * to do without; one that refuses optional parameters altogether gets none (RFC 5492 §3).
 */
export type Offer = "full" | "minimal" | "bare";

export interface OpenFacts {
  /** 32 bits. */
  readonly bgpIdentifier: number;
  /** Shown by routers beside our address. */
  readonly hostname: string;
  /** This process has just started, and an earlier one had told the peer to keep its routes: the R bit (RFC 4724 §3). */
  readonly restarting: boolean;
  /** What the peer was told last is still forwarded: the F bit. Otherwise it drops what it keeps of us at once. */
  readonly forwarding: boolean;
  readonly offer: Offer;
}

export interface Negotiated {
  /** What the bytes of messages depend on. */
  readonly context: SessionContext;
  readonly peerAsn: number;
  readonly peerIdentifier: number;
  /** 0: nobody sends KEEPALIVEs, nobody waits for any. */
  readonly holdTimeSeconds: number;
  /** Between our KEEPALIVEs; 0: none. */
  readonly keepaliveTimeSeconds: number;
  readonly families: readonly Family[];
  readonly routeRefresh: boolean;
  /** The peer keeps our routes when the connection ends without a NOTIFICATION. */
  readonly gracefulRestart: boolean;
  /** It keeps them over NOTIFICATIONs too, unless that is a Hard Reset (RFC 8538). */
  readonly keepsOverNotification: boolean;
  /** A link-local address alone is a next hop it understands. */
  readonly linkLocalNextHop: boolean;
}

export type Negotiation =
  | { readonly ok: true; readonly value: Negotiated }
  | { readonly ok: false; readonly error: BgpError };

export function openOf(config: SessionConfig, facts: OpenFacts): Open {
  const { bgpIdentifier, offer } = facts;
  const { localAsn, holdTimeSeconds } = config;
  const myAs = localAsn > 0xffff ? AS_TRANS : localAsn;
  const capabilities = offer === "bare" ? [] : offer === "minimal" ? minimal(config) : everything(config, facts);
  return { type: "open", myAs, holdTimeSeconds, bgpIdentifier, capabilities };
}

function minimal({ families, localAsn }: SessionConfig): readonly Capability[] {
  return [
    // IPv4 as well: with capabilities but without this one it is ambiguous what an OPEN means.
    ...families.map((family): Capability => ({ type: "multiprotocol", family })),
    { type: "routeRefresh" },
    { type: "fourOctetAs", as: localAsn },
  ];
}

function everything(config: SessionConfig, { hostname, restarting, forwarding }: OpenFacts): readonly Capability[] {
  const { families, localAsn, role, gracefulRestart, peer } = config;
  const unnumbered = peer.type === "interface";
  const overIPv6 = unnumbered || (peer.type === "address" && peer.address.family === "IPv6");
  const capabilities: Capability[] = families.map((family) => ({ type: "multiprotocol", family }));
  capabilities.push({ type: "routeRefresh" });
  if (overIPv6 && families.includes("IPv4"))
    capabilities.push({ type: "extendedNextHop", entries: [{ family: "IPv4", nextHopAfi: AFI.IPv6 }] });
  capabilities.push({ type: "extendedMessage" });
  if (role !== undefined) capabilities.push({ type: "role", role });
  if (gracefulRestart !== undefined) {
    capabilities.push({
      type: "gracefulRestart",
      restarting,
      notification: gracefulRestart.notifications,
      restartTimeSeconds: gracefulRestart.restartTimeSeconds,
      families: families.map((family) => ({ family, forwarding })),
    });
  }
  capabilities.push({ type: "fourOctetAs", as: localAsn }, { type: "enhancedRouteRefresh" });
  const staleTimeSeconds = gracefulRestart?.longLivedSeconds;
  if (staleTimeSeconds !== undefined) {
    capabilities.push({
      type: "longLivedGracefulRestart",
      families: families.map((family) => ({ family, forwarding, staleTimeSeconds })),
    });
  }
  if (hostname !== "") capabilities.push({ type: "hostname", hostname, domain: "" });
  if (unnumbered) capabilities.push({ type: "linkLocalNextHop" });
  return capabilities;
}

export function negotiate(config: SessionConfig, sent: Open, received: Open): Negotiation {
  const error =
    asError(config, received) ?? identifierError(sent, received) ?? timeError(received) ?? roleError(config, received);
  if (error !== undefined) return { ok: false, error };
  const both = (type: Capability["type"]): boolean => has(sent, type) && has(received, type);
  const holdTimeSeconds = Math.min(sent.holdTimeSeconds, received.holdTimeSeconds);
  const families = familiesOf(sent).filter((family) => familiesOf(received).includes(family));
  const gracefulRestart = both("gracefulRestart");
  const value: Negotiated = {
    context: {
      fourOctetAs: both("fourOctetAs"),
      receiveExtended: has(sent, "extendedMessage"),
      // RFC 8654 §4: only to a peer that said so, and only if we did.
      sendExtended: both("extendedMessage"),
      external: asOf(received) !== config.localAsn,
      families,
      extendedNextHop: hasExtendedNextHop(sent) && hasExtendedNextHop(received),
      enhancedRouteRefresh: both("enhancedRouteRefresh"),
    },
    peerAsn: asOf(received),
    peerIdentifier: received.bgpIdentifier,
    holdTimeSeconds,
    keepaliveTimeSeconds: keepaliveTime(config, holdTimeSeconds),
    families,
    routeRefresh: both("routeRefresh"),
    gracefulRestart,
    keepsOverNotification: gracefulRestart && keepsOverNotification(sent) && keepsOverNotification(received),
    linkLocalNextHop: both("linkLocalNextHop"),
  };
  return { ok: true, value };
}

/** RFC 4271 §10: a third of the hold time; at most, and at least a second. */
function keepaliveTime({ keepaliveTimeSeconds }: SessionConfig, holdTimeSeconds: number): number {
  if (holdTimeSeconds === 0) return 0;
  const third = holdTimeSeconds / 3;
  return Math.max(
    1,
    Math.min(keepaliveTimeSeconds === undefined || keepaliveTimeSeconds === 0 ? third : keepaliveTimeSeconds, third),
  );
}

function asError({ localAsn, peerAsn }: SessionConfig, received: Open): BgpError | undefined {
  const asn = asOf(received);
  // RFC 7607: 0 is nobody's.
  if (asn === 0 || received.myAs === 0) return bgpError("open", "badPeerAs", "the peer says that its AS is 0");
  if (received.myAs !== AS_TRANS && received.myAs !== asn)
    return bgpError(
      "open",
      "badPeerAs",
      `the peer says that its AS is ${received.myAs}, and in capability 65 that it is ${asn}`,
    );
  if (peerAsn === "internal" ? asn === localAsn : peerAsn === "external" ? asn !== localAsn : asn === peerAsn)
    return undefined;
  const expected =
    peerAsn === "internal"
      ? `${localAsn}, as ours`
      : peerAsn === "external"
        ? `another than ours, ${localAsn}`
        : `${peerAsn}`;
  return bgpError("open", "badPeerAs", `the peer's AS is ${asn}, expected ${expected}`);
}

/** RFC 6286 §2.2: unique inside one AS only. */
function identifierError(sent: Open, received: Open): BgpError | undefined {
  if (received.bgpIdentifier === 0) return bgpError("open", "badBgpIdentifier", "the peer's BGP identifier is 0.0.0.0");
  if (received.bgpIdentifier === sent.bgpIdentifier && asOf(received) === asOf(sent))
    return bgpError("open", "badBgpIdentifier", "the peer of our AS has the same BGP identifier as this node");
  return undefined;
}

function timeError({ holdTimeSeconds }: Open): BgpError | undefined {
  if (holdTimeSeconds === 0 || holdTimeSeconds >= 3) return undefined;
  return bgpError(
    "open",
    "unacceptableHoldTime",
    `the peer's hold time is ${holdTimeSeconds} s, neither 0 nor at least 3`,
  );
}

/** RFC 9234 §4.2, table 2. */
const COUNTERPART = {
  provider: "customer",
  customer: "provider",
  routeServer: "routeServerClient",
  routeServerClient: "routeServer",
  peer: "peer",
} as const satisfies Record<Role, Role>;

function roleError({ role, roleRequired = false }: SessionConfig, received: Open): BgpError | undefined {
  if (role === undefined) return undefined;
  const said = new Set(
    received.capabilities.flatMap((capability) => (capability.type === "role" ? [capability.role] : [])),
  );
  if (said.size === 0)
    return roleRequired ? bgpError("open", "roleMismatch", "the peer does not say its role") : undefined;
  if (said.size === 1 && said.has(COUNTERPART[role])) return undefined;
  return bgpError(
    "open",
    "roleMismatch",
    `we are ${role} to the peer, and it says that it is ${[...said].join(" and ")} to us`,
  );
}

function has(open: Open, type: Capability["type"]): boolean {
  return open.capabilities.some((capability) => capability.type === type);
}

/** Without any multiprotocol capability an OPEN means IPv4 unicast. */
function familiesOf({ capabilities }: Open): readonly Family[] {
  const said = capabilities.flatMap((capability) => (capability.type === "multiprotocol" ? [capability.family] : []));
  if (said.length === 0) return ["IPv4"];
  return [...new Set(said.filter((family) => family === "IPv4" || family === "IPv6"))];
}

function hasExtendedNextHop({ capabilities }: Open): boolean {
  return capabilities.some(
    (capability) =>
      capability.type === "extendedNextHop" &&
      capability.entries.some(({ family, nextHopAfi }) => family === "IPv4" && nextHopAfi === AFI.IPv6),
  );
}

function keepsOverNotification({ capabilities }: Open): boolean {
  return capabilities.some((capability) => capability.type === "gracefulRestart" && capability.notification);
}
