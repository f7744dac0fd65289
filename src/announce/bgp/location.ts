/** Where a BGPPeer is: at an address, behind an interface (unnumbered), or - beyond MetalLB - anywhere in a prefix. */
import { formatAddress, parseAddress, type Address } from "../../net/address.ts";
import { formatPrefix, type Prefix } from "../../net/prefix.ts";
import type { PeerLocation } from "../../protocol/bgp/config.ts";
import { quote, type Finding } from "./findings.ts";

interface Located {
  readonly value?: PeerLocation;
  readonly findings: readonly Finding[];
}

/** Sessions of one prefix, where the annotation does not say. */
const SESSIONS_MAX = 100;
/** A name that Linux takes for a network device. */
const DEVICE_NAME = /^[^\s/]{1,15}$/;
const LINK_LOCAL_PREFIX = 0xfe80n;

export function parseLocation(
  spec: { readonly peerAddress: string; readonly interface: string },
  peerPrefix: Prefix | undefined,
  sessionsMax = SESSIONS_MAX,
): Located {
  const { peerAddress, interface: device } = spec;
  const given = [peerAddress !== "", device !== "", peerPrefix !== undefined].filter(Boolean).length;
  if (given > 1 && peerPrefix !== undefined)
    return fault("spec", "peer has an Address or Interface beside the annotation fairlead.io/peer-prefix: keep one");
  if (given > 1) return fault("spec.interface", "peer has both Address and Interface specified: remove one");
  if (peerPrefix !== undefined) return { value: { type: "prefix", prefix: peerPrefix, sessionsMax }, findings: [] };
  if (given === 0) return fault("spec.peerAddress", "peer has no Address or Interface specified: set one of them");
  return device === "" ? atAddress(peerAddress) : behind(device);
}

export function formatLocation(location: PeerLocation): string {
  switch (location.type) {
    case "address":
      return formatAddress(location.address) + (location.device === undefined ? "" : `%${location.device}`);
    case "interface":
      return location.device;
    case "prefix":
      return formatPrefix(location.prefix);
  }
}

export function isDeviceName(text: string): boolean {
  return DEVICE_NAME.test(text);
}

function behind(device: string): Located {
  if (isDeviceName(device)) return { value: { type: "interface", device }, findings: [] };
  return fault("spec.interface", `${quote(device)} is not the name of a network device`);
}

/** `ADDRESS`, or `ADDRESS%DEVICE` for a link-local one. */
function atAddress(text: string): Located {
  const path = "spec.peerAddress";
  const percent = text.indexOf("%");
  const address = parseAddress(percent === -1 ? text : text.slice(0, percent));
  if (address === undefined) return fault(path, `invalid BGPPeer address ${quote(text)}: not an IP address`);
  const device = percent === -1 ? undefined : text.slice(percent + 1);
  if (device !== undefined && (!isLinkLocal(address) || !isDeviceName(device)))
    return fault(path, `invalid BGPPeer address ${quote(text)}: only a link-local address is followed by %DEVICE`);
  if (device === undefined && isLinkLocal(address))
    return fault(
      path,
      `invalid BGPPeer address ${quote(text)}: it is link-local; add %DEVICE, or use interface instead`,
    );
  if (!isUnicast(address)) return fault(path, `invalid BGPPeer address ${quote(text)}: nobody can have it`);
  return { value: { type: "address", address, ...(device === undefined ? {} : { device }) }, findings: [] };
}

function isLinkLocal({ family, value }: Address): boolean {
  return family === "IPv6" && value >> 118n === LINK_LOCAL_PREFIX >> 6n;
}

/** Neither unspecified nor multicast nor, in IPv4, reserved or broadcast. */
function isUnicast({ family, value }: Address): boolean {
  return value !== 0n && (family === "IPv4" ? value >> 28n < 14n : value >> 120n !== 0xffn);
}

function fault(path: string, message: string): Located {
  return { findings: [{ path, message }] };
}
