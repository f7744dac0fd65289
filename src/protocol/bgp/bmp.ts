/**
 * BGP Monitoring Protocol, version 3 (RFC 7854; RFC 8671 for what is announced): messages to a collector as bytes. One way only, a
 * collector never answers.
 *
 *     Initiation ─► Peer Up, Route Monitoring …, End-of-RIB ─► Route Monitoring, Statistics, Peer Down, Peer Up … ─► Termination
 */
import { Writer } from "../../bytes/writer.ts";
import { addressBytes, type Address, type Family } from "../../net/address.ts";
import { writeAfiSafi } from "./family.ts";
import type { TcpEnd } from "./traffic.ts";

const VERSION = 3;
const TYPES = { routeMonitoring: 0, statistics: 1, peerDown: 2, peerUp: 3, initiation: 4, termination: 5 } as const;
const COMMON_LENGTH = 6;
const PER_PEER_LENGTH = 42;

/** Whom a message is about; of one session the same until it goes down. */
export interface MonitoredPeer {
  readonly local: TcpEnd;
  readonly remote: TcpEnd;
  readonly asn: number;
  readonly bgpIdentifier: number;
  /** AS numbers in UPDATEs have four bytes. */
  readonly fourOctetAs: boolean;
}

/** `received`: Adj-RIB-In before any policy. `sent`: Adj-RIB-Out after it. */
export type Rib = "received" | "sent";

export function initiation(sysName: string, sysDescr: string): Uint8Array {
  return message("initiation", tlv(1, Buffer.from(sysDescr)), tlv(2, Buffer.from(sysName)));
}

/** Administratively closed. */
export function termination(): Uint8Array {
  return message("termination", tlv(1, Uint8Array.of(0, 0)));
}

/** With both OPENs as they were on the wire. */
export function peerUp(peer: MonitoredPeer, sent: Uint8Array, received: Uint8Array, wallClock: number): Uint8Array {
  const { local, remote } = peer;
  const ports = new Writer(4).u16(local.port).u16(remote.port).finish();
  return message("peerUp", perPeer(peer, 0, wallClock), wireAddress(local.address), ports, sent, received);
}

/** Why a session ended, in the numbers of RFC 7854 §4.9. */
export type PeerDownReason =
  | { readonly type: "notificationSent" | "notificationReceived"; readonly notification: Uint8Array }
  | { readonly type: "closedHere" | "closedByPeer" };

export function peerDown(peer: MonitoredPeer, reason: PeerDownReason, wallClock: number): Uint8Array {
  return message("peerDown", perPeer(peer, 0, wallClock), reasonBytes(reason));
}

/** `update`: a whole UPDATE message. */
export function routeMonitoring(peer: MonitoredPeer, rib: Rib, update: Uint8Array, wallClock: number): Uint8Array {
  return message("routeMonitoring", perPeer(peer, rib === "sent" ? POST_POLICY | ADJ_RIB_OUT : 0, wallClock), update);
}

/** Routes known by now, and what went wrong since the session was configured. */
export interface Statistics {
  readonly received: Readonly<Record<Family, number>>;
  readonly sent: Readonly<Record<Family, number>>;
  readonly treatedAsWithdraw: number;
}

/** RFC 7854 §4.8, RFC 8671 §6.2. */
const STATISTICS = { adjRibIn: 7, adjRibInOf: 9, treatedAsWithdraw: 11, adjRibOut: 15, adjRibOutOf: 17 } as const;

export function statisticsReport(peer: MonitoredPeer, statistics: Statistics, wallClock: number): Uint8Array {
  const { received, sent, treatedAsWithdraw } = statistics;
  const tlvs = [
    ...ribStatistics(STATISTICS.adjRibIn, STATISTICS.adjRibInOf, received),
    tlv(STATISTICS.treatedAsWithdraw, new Writer(4).u32(treatedAsWithdraw).finish()),
    ...ribStatistics(STATISTICS.adjRibOut, STATISTICS.adjRibOutOf, sent),
  ];
  return message("statistics", perPeer(peer, 0, wallClock), new Writer(4).u32(tlvs.length).finish(), ...tlvs);
}

/** All routes, then those of each family. */
function ribStatistics(type: number, typeOf: number, routes: Statistics["sent"]): readonly Uint8Array[] {
  const families = (["IPv4", "IPv6"] as const).map((family) =>
    tlv(typeOf, writeAfiSafi(new Writer(11), family).u64(BigInt(routes[family])).finish()),
  );
  return [tlv(type, new Writer(8).u64(BigInt(routes.IPv4 + routes.IPv6)).finish()), ...families];
}

function message(type: keyof typeof TYPES, ...parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, COMMON_LENGTH);
  const writer = new Writer(length).u8(VERSION).u32(length).u8(TYPES[type]);
  for (const part of parts) writer.bytes(part);
  return writer.finish();
}

function tlv(type: number, value: Uint8Array): Uint8Array {
  return new Writer(4 + value.length).u16(type).u16(value.length).bytes(value).finish();
}

const IPV6 = 0x80;
const POST_POLICY = 0x40;
const TWO_OCTET_AS = 0x20;
/** RFC 8671. Means nothing in Peer Up and Peer Down: they are about both directions. */
const ADJ_RIB_OUT = 0x10;

function perPeer(
  { remote, asn, bgpIdentifier, fourOctetAs }: MonitoredPeer,
  rib: number,
  wallClock: number,
): Uint8Array {
  const family = remote.address.family === "IPv6" ? IPV6 : 0;
  const seconds = Math.floor(wallClock / 1000);
  return new Writer(PER_PEER_LENGTH)
    .u8(0)
    .u8(family | rib | (fourOctetAs ? 0 : TWO_OCTET_AS))
    .u64(0n)
    .bytes(wireAddress(remote.address))
    .u32(asn)
    .u32(bgpIdentifier)
    .u32(seconds)
    .u32(Math.floor((wallClock - seconds * 1000) * 1000))
    .finish();
}

/** IPv4 in the last four of sixteen bytes, zeros before it. */
function wireAddress(address: Address): Uint8Array {
  if (address.family === "IPv6") return addressBytes(address);
  return new Writer(16).u64(0n).u64(address.value).finish();
}

function reasonBytes(reason: PeerDownReason): Uint8Array {
  switch (reason.type) {
    case "notificationSent":
      return Buffer.concat([Uint8Array.of(1), reason.notification]);
    case "closedHere":
      // No event of RFC 4271's list.
      return Uint8Array.of(2, 0, 0);
    case "notificationReceived":
      return Buffer.concat([Uint8Array.of(3), reason.notification]);
    case "closedByPeer":
      return Uint8Array.of(4);
  }
}
