/** Sessions as an operator sees them. */
import { formatAddress } from "../../net/address.ts";
import { formatPrefix } from "../../net/prefix.ts";
import type { Instant } from "../../time/instant.ts";
import { formatCapability } from "./capability-text.ts";
import type { PeerLocation } from "./config.ts";
import type { MutableCounters } from "./counters.ts";
import type { Negotiated } from "./negotiate.ts";
import type { Outbound } from "./outbound.ts";
import type { ReceivedRoutes } from "./received.ts";
import { stateOf, type Session } from "./session.ts";
import type { SessionView } from "./speaker.ts";

/** What the view is made of; a peering offers it. */
export interface Seen {
  readonly session: Session;
  readonly outbound: Outbound;
  readonly counters: MutableCounters;
  readonly up: { readonly negotiated: Negotiated; readonly received: ReceivedRoutes } | undefined;
  readonly wire: { readonly local: End | undefined; readonly remote: End | undefined } | undefined;
}

interface End {
  readonly address: Parameters<typeof formatAddress>[0];
  readonly device?: string;
}

export interface Seeing {
  readonly peerings: ReadonlyMap<string, Seen>;
  /** Of what a session needs beside itself: a port to listen on, a device. */
  problems(name: string): readonly string[];
  readonly now: Instant;
  /** Milliseconds since the epoch. */
  readonly wallClock: number;
}

export function viewOf(seeing: Seeing): readonly SessionView[] {
  return [...seeing.peerings.values()].map((seen) => sessionView(seen, seeing));
}

function sessionView({ session, outbound, counters, up, wire }: Seen, seeing: Seeing): SessionView {
  const { config, history, lastReason, since } = session;
  const date = (moment: Instant): Date => new Date(seeing.wallClock - (seeing.now - moment));
  const open = session.connections.find(({ sent }) => sent !== undefined);
  const negotiated = up?.negotiated;
  const ends = { localAddress: endText(wire?.local), peerAddress: endText(wire?.remote) };
  return {
    name: config.name,
    peer: formatPeer(config.peer),
    port: config.port,
    ...(config.bindDevice === undefined ? {} : { vrf: config.bindDevice }),
    state: stateOf(session),
    since: date(since),
    localAsn: config.localAsn,
    peerAsn: negotiated?.peerAsn ?? config.peerAsn,
    ...(ends.localAddress === undefined ? {} : { localAddress: ends.localAddress }),
    ...(ends.peerAddress === undefined ? {} : { peerAddress: ends.peerAddress }),
    ...(open?.sent === undefined ? {} : { routerId: formatIdentifier(open.sent.bgpIdentifier) }),
    ...(negotiated === undefined
      ? {}
      : {
          peerRouterId: formatIdentifier(negotiated.peerIdentifier),
          holdTimeSeconds: negotiated.holdTimeSeconds,
          keepaliveTimeSeconds: negotiated.keepaliveTimeSeconds,
        }),
    families: negotiated?.families ?? config.families,
    capabilities: {
      sent: open?.sent?.capabilities.map(formatCapability) ?? [],
      received: open?.received?.capabilities.map(formatCapability) ?? [],
    },
    announced: outbound.announced,
    pending: outbound.pending,
    received: { IPv4: up?.received.count("IPv4") ?? 0, IPv6: up?.received.count("IPv6") ?? 0 },
    counters: { ...counters, updates: outbound.updates },
    ...(lastReason === undefined ? {} : { lastReason }),
    history: history.map(({ at, ...change }) => ({ ...change, at: date(at) })),
    problems: problemsOf({ session, outbound, up }, seeing),
  };
}

function problemsOf(
  { session, outbound, up }: Pick<Seen, "session" | "outbound" | "up">,
  seeing: Seeing,
): readonly string[] {
  const { config, lastReason, offer } = session;
  const problems: string[] = [...seeing.problems(config.name)];
  if (config.peer.type === "interface" && session.target === undefined)
    problems.push(`no router has advertised itself on ${config.peer.device} so far`);
  if (lastReason !== undefined && stateOf(session) !== "established") problems.push(lastReason);
  if (up === undefined && lastReason !== undefined && config.password !== undefined && NO_ANSWER.test(lastReason))
    problems.push("a password is set: one that differs from the peer's looks like a peer that does not answer");
  if (up !== undefined && up.negotiated.families.length === 0)
    problems.push(`the peer carries none of ${config.families.join(", ")} in its OPEN: nothing can be announced`);
  if (offer !== "full") problems.push(`the peer refuses some of our capabilities: it is offered ${offer} ones`);
  const [first] = outbound.withheld;
  if (first !== undefined) {
    const more = outbound.withheld.length > 1 ? ` and ${outbound.withheld.length - 1} more` : "";
    problems.push(`${formatPrefix(first.route.prefix)}${more} cannot be announced: ${first.reason}`);
  }
  return problems;
}

const NO_ANSWER = /does not answer|ETIMEDOUT/;

/** Address, `address%device`, device or prefix. */
export function formatPeer(peer: PeerLocation): string {
  switch (peer.type) {
    case "address":
      return peer.device === undefined ? formatAddress(peer.address) : `${formatAddress(peer.address)}%${peer.device}`;
    case "interface":
      return peer.device;
    case "prefix":
      return formatPrefix(peer.prefix);
  }
}

/** As an IPv4 address, which is how everybody writes it. */
function formatIdentifier(identifier: number): string {
  return formatAddress({ family: "IPv4", value: BigInt(identifier) });
}

function endText(end: End | undefined): string | undefined {
  if (end === undefined) return undefined;
  return end.device === undefined ? formatAddress(end.address) : `${formatAddress(end.address)}%${end.device}`;
}
