/** For tests: what an agent says about two BGP sessions, of which one does not come up. */
import type { BgpPeerRow, BgpReceivedRow, BgpRouteRow } from "../observe/bgp-status.ts";

export const bgpPeers: readonly BgpPeerRow[] = [
  {
    name: "backup",
    peer: "fe80::1%eth1",
    port: 1790,
    state: "active",
    since: "2026-11-21T11:59:18Z",
    localAsn: 7776,
    peerAsn: "external",
    families: ["IPv4", "IPv6"],
    capabilities: { sent: [], received: [] },
    announced: { IPv4: 0, IPv6: 0 },
    received: { IPv4: 0, IPv6: 0 },
    pending: 0,
    messages: { sent: { open: 3 }, received: {}, faults: { "sent 2/2": 3 } },
    established: 0,
    lastReason: "the peer is AS 7777, expected another than 7776",
    history: [
      {
        at: "2026-11-21T11:59:18Z",
        from: "openSent",
        to: "active",
        reason: "the peer refuses: Bad Peer AS",
        times: 3,
      },
    ],
    problems: ["the peer refuses: Bad Peer AS"],
  },
  {
    name: "router",
    peer: "172.16.1.1",
    port: 179,
    state: "established",
    since: "2026-11-21T11:57:00.120Z",
    localAsn: 7776,
    peerAsn: 7675,
    localAddress: "172.16.1.11",
    peerAddress: "172.16.1.1",
    routerId: "172.16.1.11",
    peerRouterId: "172.16.1.1",
    holdTimeSeconds: 90,
    keepaliveTimeSeconds: 30,
    families: ["IPv4"],
    capabilities: {
      sent: ["multiprotocol IPv4", "four-octet AS 7776"],
      received: ["multiprotocol IPv4", "route refresh"],
    },
    announced: { IPv4: 2, IPv6: 0 },
    received: { IPv4: 1, IPv6: 0 },
    pending: 0,
    messages: { sent: { open: 1, update: 3, keepalive: 7 }, received: { open: 1, keepalive: 7 }, faults: {} },
    established: 1,
    history: [
      {
        at: "2026-11-21T11:57:00.120Z",
        from: "openConfirm",
        to: "established",
        reason: "the peer agreed",
        times: 1,
      },
    ],
    problems: [],
  },
];

export const bgpRoutes: readonly BgpRouteRow[] = [
  {
    peer: "backup",
    prefix: "10.254.254.1/32",
    communities: [],
    services: ["default/web"],
    told: false,
  },
  {
    peer: "router",
    prefix: "10.254.0.0/16",
    localPref: 150,
    med: 20,
    asPathPrepend: 2,
    communities: ["64512:1", "no-export"],
    services: ["a/a", "b/b", "c/c", "d/d", "e/e", "f/f", "g/g"],
    told: true,
  },
  { peer: "router", prefix: "10.244.0.0/24", communities: [], services: [], told: true },
];

export const bgpReceived: readonly BgpReceivedRow[] = [
  { peer: "router", prefix: "10.254.254.1/32", nextHop: "172.16.2.21" },
];
