/**
 * Metrics of BGP and BFD. MetalLB's native mode and its FRR mode use the same names for the same things, the second with more of them
 * and a label for the VRF: here are both.
 */
import type { Registry } from "prom-client";
import { observe, observeTotal, type GaugeRow } from "./gauges.ts";

/** What is asked for at every scrape. */
export interface BgpMetricsSource {
  bgpSessions(): readonly BgpSessionNumbers[];
  bfdSessions(): Promise<readonly BfdSessionNumbers[]>;
  /** The way to a BMP collector, where there is one. */
  bmp(): { readonly connected: boolean; readonly dumps: number; readonly overflows: number } | undefined;
  /** Segments the kernel dropped without a word, by reason. */
  droppedSegments(): Readonly<Record<string, number>>;
}

export interface BgpSessionNumbers {
  readonly name: string;
  readonly peer: string;
  readonly port: number;
  readonly vrf?: string;
  readonly state: string;
  readonly announced: Readonly<Record<"IPv4" | "IPv6", number>>;
  readonly received: Readonly<Record<"IPv4" | "IPv6", number>>;
  readonly pending: number;
  readonly counters: {
    readonly sent: Readonly<Record<string, number>>;
    readonly received: Readonly<Record<string, number>>;
    readonly established: number;
    readonly faults: Readonly<Record<string, number>>;
  };
}

export interface BfdSessionNumbers {
  readonly peer: string;
  readonly state: string;
  readonly sent: number;
  readonly received: number;
  readonly flaps: number;
  readonly longestGapMilliseconds: number;
  readonly discarded: Readonly<Record<string, number>>;
  readonly echo: { readonly sent: number; readonly returned: number };
}

const SESSION_LABELS = ["peer", "vrf"] as const;

export function registerBgp(registry: Registry, source: BgpMetricsSource): void {
  const rows = (value: (session: BgpSessionNumbers) => number) => (): readonly GaugeRow[] =>
    source.bgpSessions().map((session) => ({ labels: labelsOf(session), value: value(session) }));
  for (const { name, help, value } of GAUGES) observe(registry, name, help, SESSION_LABELS, rows(value));
  for (const { name, help, value } of TOTALS) observeTotal(registry, name, help, SESSION_LABELS, rows(value));
  observe(
    registry,
    "fairlead_bgp_received_prefixes",
    "Routes a peer has told; none is used",
    [...SESSION_LABELS, "family"],
    () =>
      source.bgpSessions().flatMap((session) =>
        Object.entries(session.received).map(([family, value]) => ({
          labels: { ...labelsOf(session), family },
          value,
        })),
      ),
  );
  observeTotal(
    registry,
    "fairlead_bgp_faults_total",
    "What went wrong with a session, by name",
    [...SESSION_LABELS, "fault"],
    () =>
      source.bgpSessions().flatMap((session) =>
        Object.entries(session.counters.faults).map(([fault, value]) => ({
          labels: { ...labelsOf(session), fault },
          value,
        })),
      ),
  );
  observeTotal(
    registry,
    "fairlead_tcp_dropped_segments_total",
    "Segments dropped for their MD5 signature or TTL",
    ["reason"],
    () => Object.entries(source.droppedSegments()).map(([reason, value]) => ({ labels: { reason }, value })),
  );
  registerBmp(registry, source);
  registerBfd(registry, source);
}

function registerBmp(registry: Registry, source: BgpMetricsSource): void {
  type Numbers = NonNullable<ReturnType<BgpMetricsSource["bmp"]>>;
  const rows = (value: (numbers: Numbers) => number) => (): readonly GaugeRow[] => {
    const numbers = source.bmp();
    return numbers === undefined ? [] : [{ labels: {}, value: value(numbers) }];
  };
  const up = rows(({ connected }) => Number(connected));
  observe(registry, "fairlead_bmp_up", "1 while the BMP collector is connected", [], up);
  const dumps = rows((numbers) => numbers.dumps);
  observeTotal(registry, "fairlead_bmp_dumps_total", "Times the BMP collector was told everything", [], dumps);
  const overflows = rows((numbers) => numbers.overflows);
  observeTotal(registry, "fairlead_bmp_overflows_total", "Times it was cut off for reading too slowly", [], overflows);
}

interface SessionMetric {
  readonly name: string;
  readonly help: string;
  readonly value: (session: BgpSessionNumbers) => number;
}

const GAUGES: readonly SessionMetric[] = [
  {
    name: "metallb_bgp_session_up",
    help: "1 while the session is established",
    value: ({ state }) => Number(state === "established"),
  },
  {
    name: "metallb_bgp_announced_prefixes_total",
    help: "Routes the peer has been told",
    value: ({ announced }) => sum(announced),
  },
  {
    name: "metallb_bgp_pending_prefixes_total",
    help: "Routes the peer should be told and has not been yet",
    value: ({ pending }) => pending,
  },
];

const TOTALS: readonly SessionMetric[] = [
  {
    name: "metallb_bgp_updates_total",
    help: "UPDATE messages sent",
    value: ({ counters }) => counters.sent["update"] ?? 0,
  },
  {
    name: "metallb_bgp_updates_total_received",
    help: "UPDATE messages received",
    value: ({ counters }) => counters.received["update"] ?? 0,
  },
  { name: "metallb_bgp_opens_sent", help: "OPEN messages sent", value: ({ counters }) => counters.sent["open"] ?? 0 },
  {
    name: "metallb_bgp_opens_received",
    help: "OPEN messages received",
    value: ({ counters }) => counters.received["open"] ?? 0,
  },
  {
    name: "metallb_bgp_notifications_sent",
    help: "NOTIFICATION messages sent",
    value: ({ counters }) => counters.sent["notification"] ?? 0,
  },
  {
    name: "metallb_bgp_keepalives_sent",
    help: "KEEPALIVE messages sent",
    value: ({ counters }) => counters.sent["keepalive"] ?? 0,
  },
  {
    name: "metallb_bgp_keepalives_received",
    help: "KEEPALIVE messages received",
    value: ({ counters }) => counters.received["keepalive"] ?? 0,
  },
  {
    name: "metallb_bgp_route_refresh_sent",
    help: "ROUTE-REFRESH messages sent",
    value: ({ counters }) => counters.sent["routeRefresh"] ?? 0,
  },
  { name: "metallb_bgp_total_sent", help: "Messages sent", value: ({ counters }) => sum(counters.sent) },
  { name: "metallb_bgp_total_received", help: "Messages received", value: ({ counters }) => sum(counters.received) },
  {
    name: "fairlead_bgp_established_total",
    help: "Times the session came up",
    value: ({ counters }) => counters.established,
  },
];

/** As Go's net.JoinHostPort writes it, which is what MetalLB's dashboards match. */
function labelsOf({ peer, port, vrf = "" }: BgpSessionNumbers): { readonly peer: string; readonly vrf: string } {
  return { peer: peer.includes(":") && !peer.includes("/") ? `[${peer}]:${port}` : `${peer}:${port}`, vrf };
}

function registerBfd(registry: Registry, source: BgpMetricsSource): void {
  const rows = (value: (session: BfdSessionNumbers) => number) => async (): Promise<readonly GaugeRow[]> =>
    (await source.bfdSessions()).map((session) => ({ labels: { peer: session.peer, vrf: "" }, value: value(session) }));
  for (const { name, help, value } of BFD_GAUGES) observe(registry, name, help, SESSION_LABELS, rows(value));
  for (const { name, help, value } of BFD_TOTALS) observeTotal(registry, name, help, SESSION_LABELS, rows(value));
  observeTotal(
    registry,
    "fairlead_bfd_discarded_packets_total",
    "BFD packets discarded, by reason",
    ["peer", "reason"],
    async () =>
      (await source.bfdSessions()).flatMap(({ peer, discarded }) =>
        Object.entries(discarded).map(([reason, value]) => ({ labels: { peer, reason }, value })),
      ),
  );
}

interface BfdMetric {
  readonly name: string;
  readonly help: string;
  readonly value: (session: BfdSessionNumbers) => number;
}

const BFD_GAUGES: readonly BfdMetric[] = [
  { name: "metallb_bfd_session_up", help: "1 while BFD is up", value: ({ state }) => Number(state === "up") },
  {
    name: "fairlead_bfd_longest_gap_milliseconds",
    help: "The longest pause between packets of the peer while up",
    value: ({ longestGapMilliseconds }) => longestGapMilliseconds,
  },
];

const BFD_TOTALS: readonly BfdMetric[] = [
  { name: "metallb_bfd_control_packet_input", help: "BFD packets received", value: ({ received }) => received },
  { name: "metallb_bfd_control_packet_output", help: "BFD packets sent", value: ({ sent }) => sent },
  {
    name: "metallb_bfd_echo_packet_input",
    help: "BFD echo packets of ours that came back",
    value: ({ echo }) => echo.returned,
  },
  { name: "metallb_bfd_echo_packet_output", help: "BFD echo packets sent", value: ({ echo }) => echo.sent },
  // It begins down, so it came up once more than it left, if it is up.
  {
    name: "metallb_bfd_session_up_events",
    help: "Times BFD came up",
    value: ({ flaps, state }) => flaps + Number(state === "up"),
  },
  { name: "metallb_bfd_session_down_events", help: "Times BFD left Up", value: ({ flaps }) => flaps },
];

function sum(numbers: Readonly<Record<string, number>>): number {
  return Object.values(numbers).reduce((total, value) => total + value, 0);
}
