/**
 * Who else answers ARP and NDP for addresses of Services: this node's own kernel, or others on its segments. Pure. The
 * datapath keeps the kernel silent about every address it knows, on every device that carries it (bpf/answer.h): what is
 * left are devices that do not, machines without an agent, and programs that announce by themselves.
 */
import { formatAddress, parseAddress } from "../../net/address.ts";
import { anycastOf } from "../../pool/anycast.ts";
import type { DeviceSettings, ForeignAnswer, Hazard, HazardFacts } from "./facts.ts";

/** kube-proxy in IPVS mode holds every Service address on it, on every node. */
const IPVS_DEVICE = /^kube-ipvs/;
const ARP_IGNORE = { anyDevice: 0, nothing: 8 } as const;
const ARP_ANNOUNCE_BEST = 2;
const NAMED_MAX = 3;

export function findAnswering(facts: HazardFacts): readonly Hazard[] {
  return [...facts.links.flatMap((link) => heldOn(link, facts)), ...answered(facts), ...ofAllRouters(facts)];
}

/** The first address of a segment's own network. */
function ofAllRouters(facts: HazardFacts): readonly Hazard[] {
  return facts.links.flatMap(({ name, addresses }): readonly Hazard[] => {
    const shared = new Set(addresses.flatMap((address) => anycastOf(address) ?? []));
    const here = facts.announced.filter(({ address, devices }) => devices.includes(name) && shared.has(address));
    if (here.length === 0) return [];
    const found = here.map(({ address }) => address);
    return [
      {
        check: "SubnetRouterAnycast",
        // Who answers in fact is found by asking: AddressAnswered.
        level: "advice",
        subject: name,
        message: `${named(found, facts)} is the first address of a network of ${name}, which belongs to all its routers (RFC 4291 §2.6.1): each of them answers for it, and so does the kernel of a node without an agent`,
        todo: "Let the pool begin with the next address, as a range; the Service gets another one.",
        addresses: found,
      },
    ];
  });
}

function heldOn({ name, addresses }: HazardFacts["links"][number], facts: HazardFacts): readonly Hazard[] {
  const held = addresses.map(canonical).filter((address) => facts.addresses.has(address));
  if (held.length === 0) return [];
  if (IPVS_DEVICE.test(name)) return strictArp(name, held.filter(isIPv4), facts);
  const answering = answeringDevices(name, held, facts);
  const isOnSegment = [...facts.devices, ...facts.unwatched].some((device) => device.name === name);
  const harm = answering.length > 0 ? `the kernel answers for that on ${answering.join(", ")}` : undefined;
  const risk = isOnSegment ? "whatever put it there may announce it on the segment" : undefined;
  const loss = "what this node itself sends there goes nowhere else";
  return [
    {
      check: "AddressHeld",
      level: harm === undefined && risk === undefined ? "advice" : "problem",
      subject: name,
      message: `it has ${named(held, facts)}: ${harm ?? risk ?? loss}`,
      todo: `Take the address off: Fairlead needs it on no device (\`ip address del ${held[0]} dev ${name}\`). Does another load balancer run here (keepalived, kube-vip, servicelb)?`,
      addresses: held,
    },
  ];
}

function answeringDevices(holder: string, held: readonly string[], { unwatched }: HazardFacts): readonly string[] {
  return unwatched
    .filter((device) => held.some((address) => answersFor(address, holder, device)))
    .map(({ name }) => name);
}

/** ARP names the address only, and any device may answer; a solicitation is answered by the device that has the address. */
function answersFor(address: string, holder: string, { name, settings }: HazardFacts["unwatched"][number]): boolean {
  if (!isIPv4(address)) return name === holder;
  const { arpIgnore } = settings;
  if (arpIgnore === ARP_IGNORE.anyDevice) return true;
  return arpIgnore < ARP_IGNORE.nothing && name === holder;
}

/** What kube-proxy's `strictARP` sets: arp_ignore=1, and arp_announce=2, so that no request of this node claims the address. */
function strictArp(holder: string, held: readonly string[], facts: HazardFacts): readonly Hazard[] {
  const isLax = ({ arpIgnore, arpAnnounce }: DeviceSettings): boolean =>
    arpIgnore === ARP_IGNORE.anyDevice || arpAnnounce < ARP_ANNOUNCE_BEST;
  const lax = [...facts.devices, ...facts.unwatched].filter(({ settings }) => isLax(settings));
  if (held.length === 0 || lax.length === 0) return [];
  const answering = answeringDevices(holder, held, facts);
  const consequence =
    answering.length > 0
      ? `the kernel answers ARP for that on ${answering.join(", ")}`
      : "Fairlead's datapath keeps the kernel from answering for that here; a node without it answers";
  return [
    {
      check: "StrictARP",
      level: answering.length > 0 ? "problem" : "advice",
      subject: holder,
      message: `kube-proxy (IPVS) has put ${named(held, facts)} there without strictARP: ${consequence}`,
      todo: "Set `ipvs.strictARP: true` in kube-proxy's configuration and restart it (kubectl -n kube-system edit configmap kube-proxy; kubectl -n kube-system rollout restart daemonset kube-proxy).",
      addresses: held,
    },
  ];
}

function answered(facts: HazardFacts): readonly Hazard[] {
  const groups = Map.groupBy(facts.answers, ({ device, mac }) => `${device} ${mac}`);
  return [...groups].flatMap(([subject, answers]): readonly Hazard[] => {
    const [first] = answers;
    if (first === undefined) return [];
    const addresses = answers.map(({ address }) => address).toSorted();
    return [
      {
        check: "AddressAnswered",
        level: "problem",
        subject,
        message: `this node announces ${named(addresses, facts)} on ${first.device}, and ${whoIs(first)} answers for it as well: who asks gets one or the other`,
        todo:
          first.node === undefined
            ? "Find the machine with this MAC address (the switch knows its port), and take the address from it or out of the pool."
            : `Look at ${first.node}: \`fairlead status\` there says whether its kernel answers; without an agent, see \`ip address\` and net.ipv4.conf.*.arp_ignore.`,
        addresses,
      },
    ];
  });
}

function whoIs({ mac, node }: ForeignAnswer): string {
  return node === undefined ? mac : `node ${node} (${mac})`;
}

/** `192.0.2.1 (default/web), 192.0.2.2 (default/api) and 4 more` */
function named(held: readonly string[], { addresses }: Pick<HazardFacts, "addresses">): string {
  const words = held.slice(0, NAMED_MAX).map((address) => {
    const [service] = addresses.get(address) ?? [];
    return service === undefined ? address : `${address} (${service})`;
  });
  const more = held.length - words.length;
  return `${words.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function isIPv4(address: string): boolean {
  return !address.includes(":");
}

function canonical(text: string): string {
  const [bare = ""] = text.split("/");
  const parsed = parseAddress(bare);
  return parsed === undefined ? bare : formatAddress(parsed);
}
