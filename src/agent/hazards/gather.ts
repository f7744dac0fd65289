/** Reads what hazards are found in: this node's links, settings and routes, and what the agent does here. */
import { listLinks, type Link } from "../../kernel/links.ts";
import { findWays, listDefaultDevices } from "../../kernel/routes.ts";
import { readSysctl } from "../../kernel/sysctl.ts";
import { formatAddress, type Family } from "../../net/address.ts";
import { forEach, inSlices, type Sliced } from "../../time/slices.ts";
import { EXCLUDED_INTERFACES } from "../config.ts";
import { linkRefusal } from "../devices.ts";
import type { AgentState } from "../state.ts";
import type { DeviceSettings, ForeignAnswer, HazardFacts } from "./facts.ts";

/** Routes are looked up to so many backends. */
const WAYS_MAX = 128;

const LEADS_TO_PODS = new RegExp(EXCLUDED_INTERFACES);

export async function gatherFacts(state: AgentState, answers: readonly ForeignAnswer[]): Promise<HazardFacts> {
  const links = await listLinks();
  const addresses = await inSlices(serviceAddresses(state));
  const backends = remoteBackends(state);
  const ways = await findWays(backends.map(({ address }) => address));
  return {
    devices: carrying(state, links),
    unwatched: unwatched(state, links),
    links,
    addresses,
    announced: (state.placed ?? []).map(({ address, devices }) => ({
      address: formatAddress(address),
      devices: devices.map(({ name }) => name),
    })),
    routed: isRouted(state),
    families: familiesOf(state),
    defaultDevices: await listDefaultDevices(),
    backendWays: backends.flatMap(({ node }, index) => {
      const found = ways[index];
      if (found?.ok !== true) return [];
      const { device } = found.way;
      const mtu = found.way.mtu ?? links.find(({ name }) => name === device)?.mtu;
      return mtu === undefined ? [] : [{ node, device, mtu }];
    }),
    lostBackends: backends.flatMap(({ node, address }, index) => {
      const found = ways[index];
      return found === undefined || found.ok ? [] : [{ node, address, refusal: found.refusal }];
    }),
    bfdPriority: bfdPriorityOf(state),
    answers,
  };
}

/** The thread stays when its last session has gone, and then nobody minds how it runs. */
function bfdPriorityOf({ bgp }: AgentState): HazardFacts["bfdPriority"] {
  const view = bgp?.watch.bfd?.view();
  return view === undefined || view.sessions.length === 0 ? undefined : view.priority;
}

function carrying({ devices }: AgentState, links: readonly Link[]): HazardFacts["devices"] {
  return devices.flatMap(({ name, xdp }) => {
    const link = links.find((each) => each.name === name);
    return link === undefined ? [] : [{ name, xdp, mtu: link.mtu, settings: readSettings(name) }];
  });
}

/** Devices that lead somewhere else than to pods, and do not carry the programs: the operator left them out. */
function unwatched({ devices, world }: AgentState, links: readonly Link[]): HazardFacts["unwatched"] {
  const choice = {
    exclude: LEADS_TO_PODS,
    only: undefined,
    endpointDevices: new Set(world?.endpoints.map(({ device }) => device)),
  };
  return links
    .filter((link) => linkRefusal(link, choice) === undefined && !devices.some(({ name }) => name === link.name))
    .map(({ name }) => ({ name, settings: readSettings(name) }));
}

/** How `all` and a device's own setting go together: include/linux/inetdevice.h. What cannot be read is taken for harmless. */
export function readSettings(device: string): DeviceSettings {
  const both = (name: string, missing: number): readonly number[] =>
    ["all", device].map((each) => readSysctl(`net/ipv4/conf/${each}/${name}`) ?? missing);
  return {
    rpFilter: Math.max(...both("rp_filter", 0)),
    arpIgnore: Math.max(...both("arp_ignore", 1)),
    arpAnnounce: Math.max(...both("arp_announce", 2)),
    forwardsIPv4: (readSysctl(`net/ipv4/conf/${device}/forwarding`) ?? 1) > 0,
    forwardsIPv6: (readSysctl(`net/ipv6/conf/${device}/forwarding`) ?? 1) > 0,
  };
}

/** So many Services are looked at between two pauses. */
const SERVICES_A_STEP = 256;

/** Without those that no pool of ours has: they are another's business. */
function* serviceAddresses({ announcing, bgp }: AgentState): Sliced<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>();
  const note = (service: string, address: string): void => {
    const services = found.get(address);
    if (services === undefined) found.set(address, [service]);
    else if (!services.includes(service)) services.push(service);
  };
  yield* forEach(announcing.elections, SERVICES_A_STEP, ([service, { addresses, reason }]) => {
    if (reason !== "ipNotAllowed") for (const address of addresses) note(service, formatAddress(address));
  });
  yield* forEach(bgp?.desired.verdicts ?? [], SERVICES_A_STEP, ([service, { addresses, offers }]) => {
    if (offers.length > 0) for (const address of addresses) note(service, formatAddress(address));
  });
  return found;
}

function isRouted({ bgp }: AgentState): boolean {
  return bgp?.desired.verdicts.values().some(({ offers }) => offers.length > 0) ?? false;
}

function familiesOf({ forwarding }: AgentState): HazardFacts["families"] {
  const has = (family: Family): boolean =>
    forwarding.frontends.values().some((all) => all.some(({ address }) => address.family === family));
  return { IPv4: has("IPv4"), IPv6: has("IPv6") };
}

/** One of each family for each other node. */
function remoteBackends({ forwarding }: AgentState): readonly { readonly node: string; readonly address: string }[] {
  const found = new Map<string, { readonly node: string; readonly address: string }>();
  for (const frontends of forwarding.frontends.values())
    for (const { backends } of frontends)
      for (const { nodeName, local, address } of backends) {
        const key = `${address.family} ${nodeName}`;
        if (local || nodeName === undefined || found.has(key)) continue;
        found.set(key, { node: nodeName, address: formatAddress(address) });
        if (found.size === WAYS_MAX) return [...found.values()];
      }
  return [...found.values()];
}
