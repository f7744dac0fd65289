/** The small maps: what ARP and NDP are answered for, this node's devices, the pods whose veth is ours; and the runtime row. */
import type { Address } from "../net/address.ts";
import type { Row } from "../reconcile/rows.ts";
import { announced, announced_key, device, endpoint, runtime, traffic } from "./abi.generated.ts";
import { readAddress, viewOf, writeAddress } from "./encode.ts";

/** A device that carries the programs. */
export interface NodeDevice {
  readonly name: string;
  readonly ifindex: number;
  readonly mac: Uint8Array;
}

/** A pod at the other end of a veth whose host end is here. */
export interface PodEndpoint {
  readonly addresses: readonly Address[];
  /** Host end. */
  readonly ifindex: number;
  /** The pod's. */
  readonly mac: Uint8Array;
  /** Of the host end. */
  readonly nodeMac: Uint8Array;
}

export interface AnnouncedRecord {
  readonly address: Address;
  readonly ifindex: number;
  readonly requests: number;
  readonly answers: number;
}

/** Interfaces by name that a node does not have are left out: another node may have them. */
export function announcedRows(
  announcements: readonly { readonly address: Address; readonly interfaces: readonly string[] | "all" }[],
  devices: readonly NodeDevice[],
): Row[] {
  return announcements.flatMap(({ address, interfaces }) =>
    devices
      .filter(({ name }) => interfaces === "all" || interfaces.includes(name))
      .map(({ ifindex }) => ({ key: announcedKey(address, ifindex), value: new Uint8Array(announced.size) })),
  );
}

/** The datapath counts its answers in the value: a row that is there is right, whatever it counted. */
export function sameAnnounced(): boolean {
  return true;
}

export function announcedAddress(key: Uint8Array): Address {
  return readAddress(viewOf(key), announced_key.offset.address);
}

export function decodeAnnounced({ key, value }: Row): AnnouncedRecord {
  return {
    address: announcedAddress(key),
    ifindex: viewOf(key).getUint32(announced_key.offset.ifindex, true),
    requests: Number(viewOf(value).getBigUint64(announced.offset.requests, true)),
    answers: Number(viewOf(value).getBigUint64(announced.offset.answers, true)),
  };
}

export function deviceRows(devices: readonly NodeDevice[]): Row[] {
  return devices.map(({ ifindex, mac }) => {
    const value = new Uint8Array(device.size);
    value.set(mac, device.offset.mac);
    return { key: uint32Key(ifindex), value };
  });
}

export function endpointRows(endpoints: readonly PodEndpoint[]): Row[] {
  return endpoints.flatMap(({ addresses, ifindex, mac, nodeMac }) => {
    const value = new Uint8Array(endpoint.size);
    viewOf(value).setUint32(endpoint.offset.ifindex, ifindex, true);
    value.set(mac, endpoint.offset.mac);
    value.set(nodeMac, endpoint.offset.node_mac);
    return addresses.map((address) => {
      const key = new Uint8Array(16);
      writeAddress(viewOf(key), 0, address);
      return { key, value };
    });
  });
}

export interface RuntimeSettings {
  /** ARP and NDP fall silent this long before the stamp runs out. */
  readonly answerMarginNs: bigint;
  readonly probeKey: readonly [bigint, bigint];
  readonly probePort: number;
}

/** Stores what the agent decides once; the stamp is written by the membership driver alone. */
export function storeRuntime(row: DataView, { answerMarginNs, probeKey, probePort }: RuntimeSettings): void {
  const { offset } = runtime;
  row.setBigUint64(offset.answer_margin_ns, answerMarginNs, true);
  row.setBigUint64(offset.probe_key, probeKey[0], true);
  row.setBigUint64(offset.probe_key + 8, probeKey[1], true);
  row.setUint16(offset.probe_port, probePort);
}

/** One packet in N goes to the ring buffer; 0: none. */
export function storeSampling(
  row: DataView,
  { flows, drops }: { readonly flows: number; readonly drops: number },
): void {
  row.setUint32(runtime.offset.sample_flows, flows, true);
  row.setUint32(runtime.offset.sample_drops, drops, true);
}

/** Whose packets without a flow row are (bpf/handover.h). */
export type Traffic = "ours" | "takingOver" | "standingBy";

const TRAFFIC: Readonly<Record<Traffic, number>> = {
  ours: traffic.TRAFFIC_OURS,
  takingOver: traffic.TRAFFIC_TAKING_OVER,
  standingBy: traffic.TRAFFIC_STANDING_BY,
};

export function storeTraffic(row: DataView, whose: Traffic): void {
  row.setUint16(runtime.offset.traffic, TRAFFIC[whose], true);
}

export function loadStamp(row: DataView): bigint {
  return row.getBigUint64(runtime.offset.valid_until_ns, true);
}

function announcedKey(address: Address, ifindex: number): Uint8Array {
  const key = new Uint8Array(announced_key.size);
  writeAddress(viewOf(key), announced_key.offset.address, address);
  viewOf(key).setUint32(announced_key.offset.ifindex, ifindex, true);
  return key;
}

function uint32Key(value: number): Uint8Array {
  const key = new Uint8Array(4);
  viewOf(key).setUint32(0, value, true);
  return key;
}
