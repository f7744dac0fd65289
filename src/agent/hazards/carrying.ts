/** What keeps packets of Services from getting through this node, or makes it slow. Pure. */
import type { Hazard, HazardFacts } from "./facts.ts";

const STRICT = 1;
const FAMILIES = ["IPv4", "IPv6"] as const;

export function findCarrying(facts: HazardFacts): readonly Hazard[] {
  return [
    ...notForwarding(facts),
    ...withoutWay(facts),
    ...filtered(facts),
    ...narrow(facts),
    ...slow(facts),
    ...unpunctual(facts),
  ];
}

/** A route that refuses - `unreachable`, `blackhole`, `prohibit` - hides the default route behind it; no route at all is the same. */
function withoutWay({ lostBackends, announced, routed }: HazardFacts): readonly Hazard[] {
  return lostBackends.map(({ node, address, refusal }): Hazard => {
    return {
      check: "BackendUnreachable",
      level: routed || announced.length > 0 ? "problem" : "advice",
      subject: `${node} ${address.includes(":") ? "IPv6" : "IPv4"}`,
      message: `there is no way to its pods (${address}: ${refusal}): connections that come in here and are given to one of them fail`,
      todo: `Repair the route (\`ip route get ${address}\`, \`ip route show table all\`): the pod network or BGP should have made one; a route of type unreachable or blackhole hides the default route.`,
      addresses: [],
    };
  });
}

function unpunctual({ bfdPriority }: HazardFacts): readonly Hazard[] {
  if (bfdPriority === undefined || bfdPriority === "realTime") return [];
  return [
    {
      check: "BFDPriority",
      level: "advice",
      subject: "bfd",
      message: `the kernel refuses real-time scheduling for BFD (it is ${bfdPriority} now): on a busy node packets may be late, and sessions with short intervals go down`,
      todo: "Give the agent CAP_SYS_NICE (the chart does, unless speaker.realTime is false), or let BFD profiles be slower: 300 ms × 3 is safe.",
      addresses: [],
    },
  ];
}

/** Also what bpf_fib_lookup() finds is not used from a device that does not forward. */
function notForwarding({ devices, families }: HazardFacts): readonly Hazard[] {
  return devices.flatMap(({ name, settings }) =>
    FAMILIES.filter((family) => families[family] && !settings[`forwards${family}`]).map((family): Hazard => {
      const version = family === "IPv4" ? "ipv4" : "ipv6";
      return {
        check: "Forwarding",
        level: "problem",
        subject: `${name} ${family}`,
        message: `net.${version}.conf.${name}.forwarding is 0: no packet that comes in there reaches a pod`,
        todo: `sysctl net.${version}.conf.all.forwarding=1, and in /etc/sysctl.d for the next start`,
        addresses: [],
      };
    }),
  );
}

/** Strict: a packet is dropped where the route back to its sender leads out elsewhere (RFC 3704 §2.2). */
function filtered({ devices, defaultDevices, announced, routed }: HazardFacts): readonly Hazard[] {
  return devices.flatMap(({ name, settings }): readonly Hazard[] => {
    if (settings.rpFilter !== STRICT || defaultDevices.includes(name)) return [];
    const here = announced.filter(({ address, devices: on }) => on.includes(name) && !address.includes(":"));
    if (here.length === 0 && !routed) return [];
    const route = defaultDevices.length === 0 ? "there is none" : `that leads over ${defaultDevices.join(", ")}`;
    return [
      {
        check: "ReversePathFilter",
        level: "problem",
        subject: name,
        message: `net.ipv4.conf.${name}.rp_filter (or that of all) is 1 and the default route is not over it (${route}): clients beyond its own network are dropped on their way to pods`,
        todo: `sysctl net.ipv4.conf.${name}.rp_filter=2 (loose), or route the clients' networks over ${name}`,
        addresses: here.map(({ address }) => address),
      },
    ];
  });
}

function narrow({ devices, announced, routed, backendWays }: HazardFacts): readonly Hazard[] {
  const entries = devices.filter(({ name }) => routed || announced.some(({ devices: on }) => on.includes(name)));
  return entries.flatMap(({ name, mtu }) => {
    const narrower = backendWays.filter((way) => way.mtu < mtu);
    return [...Map.groupBy(narrower, (way) => `${way.device} ${way.mtu}`).values()].flatMap(
      (ways): readonly Hazard[] => {
        const [first] = ways;
        if (first === undefined) return [];
        const { device, mtu: found } = first;
        return [
          {
            check: "MTU",
            level: "advice",
            subject: `${name} ${device}`,
            message: `packets of up to ${mtu} bytes come in, the way over ${device} to pods of ${[...new Set(ways.map(({ node }) => node))].join(", ")} takes ${found}: larger ones are refused with "packet too big"`,
            todo: `Give ${device} the MTU of ${name}, or pods one of at most ${found}; clients' firewalls must let ICMP "fragmentation needed" through.`,
            addresses: [],
          },
        ];
      },
    );
  });
}

function slow({ devices }: HazardFacts): readonly Hazard[] {
  return devices
    .filter(({ xdp }) => xdp !== "native")
    .map(({ name, xdp }): Hazard => {
      return {
        check: "GenericXDP",
        level: "advice",
        subject: name,
        message: `its driver has no native XDP (${xdp}): packets are handled later and more slowly`,
        todo: "A newer driver or another card; with some drivers fewer queues or a smaller MTU. The log says what the kernel refused.",
        addresses: [],
      };
    });
}
