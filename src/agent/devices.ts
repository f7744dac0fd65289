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

export function selectDevices(links: readonly NodeLink[], choice: DeviceChoice): readonly NodeDevice[] {
  return links.flatMap((link) => {
    const mac = parseMac(link.mac);
    if (mac === undefined || linkRefusal(link, choice) !== undefined) return [];
    return { name: link.name, ifindex: link.ifindex, mac };
  });
}

/** Why an interface does not carry the programs. MetalLB's rules: up, with an Ethernet address and ARP, no port of a bridge or bond, not excluded by name. */
export function linkRefusal(link: NodeLink, choice: DeviceChoice): string | undefined {
  const { name, master } = link;
  const mac = parseMac(link.mac);
  if (mac === undefined || mac.every((byte) => byte === 0)) return "it has no Ethernet address";
  if (!link.up) return "it is down";
  if (link.noarp) return "it has no ARP";
  if (master !== undefined) return `it is a port of ${master}`;
  if (choice.endpointDevices.has(name)) return "it leads to a pod";
  const chosen = choice.only === undefined ? !choice.exclude.test(name) : choice.only.includes(name);
  if (chosen) return undefined;
  return choice.only === undefined ? "its name is excluded (--interfaces-exclude)" : "it is not among --devices";
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
