/** The documents about BGP: the speaker's view, and what is desired. */
import { formatPrefix } from "../net/prefix.ts";
import type { BgpBfdRow, BgpPeerRow, BgpReceivedRow, BgpRouteRow } from "../observe/bgp-status.ts";
import { formatCommunity } from "../protocol/bgp/community.ts";
import type { Route } from "../protocol/bgp/route.ts";
import type { SessionView } from "../protocol/bgp/speaker.ts";
import { systemClock } from "../time/clock.ts";
import { forEach, type Sliced } from "../time/slices.ts";
import type { BgpState } from "./bgp.ts";
import type { AgentState } from "./state.ts";

export function bgpPeerRows({ bgp }: AgentState): BgpPeerRow[] {
  const state = bgp?.leaving.state ?? "announcing";
  const leaving = state === "announcing" ? {} : { leaving: state };
  const rows = (bgp?.speaker.view() ?? []).map((view): BgpPeerRow => ({ ...peerRow(view), ...leaving }));
  return rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function peerRow({ since, history, counters, ...view }: SessionView): BgpPeerRow {
  const { sent, received, faults, established } = counters;
  return {
    ...view,
    since: since.toISOString(),
    messages: { sent, received, faults },
    established,
    history: history.map(({ at, ...change }) => ({ ...change, at: at.toISOString() })),
  };
}

/** Peers that called from a prefix are told what that prefix's BGPPeer is told. */
export function* bgpRouteRows({ bgp }: AgentState): Generator<BgpRouteRow | undefined, void, void> {
  if (bgp === undefined) return;
  const services = yield* servicesByPrefix(bgp.desired);
  for (const { config, routes } of bgp.desired.sessions) {
    const told = isEstablished(config.name, bgp);
    for (const route of routes.values()) yield routeRow(route, config.name, services, told);
  }
}

/** The session of this name, or of a peer that called from its prefix. */
export function isEstablished(session: string, { speaker }: Pick<BgpState, "speaker">): boolean {
  return speaker.view().some(({ name, state }) => state === "established" && name.split("/", 1)[0] === session);
}

export function bgpReceivedRows({ bgp }: AgentState): BgpReceivedRow[] {
  return (bgp?.speaker.received() ?? []).toSorted((a, b) =>
    `${a.peer} ${a.prefix}` < `${b.peer} ${b.prefix}` ? -1 : 1,
  );
}

export async function bgpBfdRows({ bgp }: AgentState): Promise<BgpBfdRow[]> {
  const details = (await bgp?.watch.bfd?.details()) ?? [];
  const [now, wallClock] = [systemClock.now(), Date.now()];
  return details
    .map(({ name, peer, ...view }) => ({
      peer: name,
      address: peer,
      state: view.state,
      remoteState: view.remoteState,
      diagnostic: String(view.diagnostic),
      remoteDiagnostic: String(view.remoteDiagnostic),
      since: new Date(wallClock - (now - view.since)).toISOString(),
      flaps: view.flaps,
      multihop: view.multihop,
      transmitIntervalMilliseconds: view.transmitIntervalMilliseconds,
      detectionMilliseconds: view.detectionMilliseconds,
      longestGapMilliseconds: view.longestGapMilliseconds,
      sent: view.sent,
      received: view.received,
      discarded: view.discarded,
      ...(view.echo.sent === 0 ? {} : { echo: view.echo }),
      ...(view.problem === undefined ? {} : { problem: view.problem }),
    }))
    .toSorted((a, b) => (a.peer < b.peer ? -1 : 1));
}

type Desired = BgpState["desired"];
/** So many Services or prefixes are looked at between two pauses. */
const SERVICES_A_STEP = 256;

function* servicesByPrefix({ verdicts }: Desired): Sliced<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, Set<string>>();
  yield* forEach(verdicts, SERVICES_A_STEP, ([service, { offers }]) => {
    for (const { text } of offers) found.set(text, (found.get(text) ?? new Set()).add(service));
  });
  const sorted = new Map<string, readonly string[]>();
  yield* forEach(found, SERVICES_A_STEP, ([text, keys]) => sorted.set(text, [...keys].toSorted()));
  return sorted;
}

function routeRow(
  route: Route,
  peer: string,
  services: ReadonlyMap<string, readonly string[]>,
  told: boolean,
): BgpRouteRow {
  const { localPref, multiExitDisc, asPathPrepend, communities = [] } = route;
  const prefix = formatPrefix(route.prefix);
  return {
    peer,
    prefix,
    ...(localPref === undefined ? {} : { localPref }),
    ...(multiExitDisc === undefined ? {} : { med: multiExitDisc }),
    ...(asPathPrepend === undefined ? {} : { asPathPrepend }),
    communities: communities.map(formatCommunity),
    services: services.get(prefix) ?? [],
    told,
  };
}
