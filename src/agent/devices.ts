/** Which of a node's network interfaces carry the programs. Pure. */
import { parseAddress, type Address } from "../net/address.ts";
import { parseMac } from "../net/mac.ts";
import type { NodeDevice } from "../datapath/records.ts";

/** An interface as the kernel describes it. */
export interface NodeLink {
  readonly name: string;
  readonly ifindex: number;
  readonly mac: string;
  readonly up: boolean;
  /** Bond members and bridge ports: their master counts. */
  readonly master?: string | undefined;
  readonly noarp: boolean;
  readonly addresses: readonly string[];
}

export interface DeviceChoice {
  readonly exclude: RegExp;
  /** Only these, whatever `exclude` says. */
  readonly only: readonly string[] | undefined;
  /** Host ends of pods' veths: they have a program of their own. */
  readonly endpointDevices: ReadonlySet<string>;
}

/** MetalLB's rules: up, with an Ethernet address and ARP, no port of a bridge or bond, not excluded by name. */
export function selectDevices(links: readonly NodeLink[], choice: DeviceChoice): readonly NodeDevice[] {
  return links.flatMap((link) => {
    const { name, ifindex } = link;
    const mac = parseMac(link.mac);
    if (mac === undefined || mac.every((byte) => byte === 0)) return [];
    if (!link.up || link.noarp || link.master !== undefined || choice.endpointDevices.has(name)) return [];
    const chosen = choice.only === undefined ? !choice.exclude.test(name) : choice.only.includes(name);
    return chosen ? [{ name, ifindex, mac }] : [];
  });
}

/** Every address of this node, each once: probes and replies to translated sources come to them. */
export function nodeAddresses(links: readonly NodeLink[]): readonly Address[] {
  const texts = new Set(links.flatMap(({ addresses }) => addresses.map((text) => text.split("/")[0] ?? "")));
  return [...texts]
    .map(parseAddress)
    .filter((address) => address !== undefined)
    .filter((address) => !isLoopback(address));
}

function isLoopback({ family, value }: Address): boolean {
  return family === "IPv4" ? value >> 24n === 127n : value === 1n;
}
