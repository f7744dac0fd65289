/**
 * From a scene to what iproute2 is told: which namespaces and cables there are, and what is configured in each. Pure.
 *
 *     namespace fl-<lab>-<segment>         fl-<lab>-<host>           fl-<lab>-<pod>
 *            br0 ── p0 ═══════ veth ═══════ eth0 … fl-<pod> ═══ veth ═══ eth0        routed
 *                                           cni0 ── veth… ═════ veth ═══ eth0        bridge
 *
 * `create` lines run once. `configure` lines may run again: a node that comes up again gets back what its devices lost when they went down.
 */
import { primaryAddress } from "./scene.ts";
import { parseAddress } from "../src/net/address.ts";
import type { Host, Interface, InterfaceAddress, Route, Scene } from "./scene.ts";
import { bridgeNetfilter, linkLocal, nodePodLines, podLines, podDevice } from "./pod-network.ts";

export interface NamespacePlan {
  readonly namespace: string;
  /** The host, pod or segment that this namespace is. */
  readonly member: string;
  readonly kind: "segment" | "client" | "router" | "node" | "pod";
  readonly forwarding: boolean;
  /** `ip -batch` lines. */
  readonly create: readonly string[];
  readonly configure: readonly string[];
  /** Ends of cables: their checksum offload is switched off. */
  readonly devices: readonly string[];
  /** Ends that face a node with an agent: they get the program that passes everything. */
  readonly passing: readonly string[];
  /** An nft rule set. */
  readonly netfilter?: string;
}

/** One end of a veth pair. */
export interface CableEnd {
  readonly member: string;
  readonly device: string;
  readonly mac: string;
}

export interface Cable {
  /** The host's or the pod's end. */
  readonly near: CableEnd;
  /** The segment's, the other host's or the node's end. */
  readonly far: CableEnd;
}

export interface Plan {
  readonly lab: string;
  readonly namespaces: readonly NamespacePlan[];
  readonly cables: readonly Cable[];
}

/** The name of the network namespace of a host, pod or segment. */
export function namespaceOf(lab: string, member: string): string {
  return `fl-${lab}-${member}`;
}

export function planLab(scene: Scene, lab: string): Plan {
  const cables = planCables(scene);
  const segments = scene.segments.map((name) => planSegment(scene, lab, name, cables));
  const hosts = scene.hosts.map((host) => planHost(scene, lab, host, cables));
  const pods = scene.pods.map((pod): NamespacePlan => {
    const cable = cables.find((each) => each.near.member === pod.name);
    const network = scene.hosts.find((host) => host.name === pod.node)?.podNetwork;
    if (cable === undefined || network === undefined)
      throw new Error(`Pod "${pod.name}" has no cable or no pod network: the scene was not checked`);
    return {
      namespace: namespaceOf(lab, pod.name),
      member: pod.name,
      kind: "pod",
      forwarding: false,
      create: [],
      configure: podLines(pod, network, cable),
      devices: ["eth0"],
      passing: [],
    };
  });
  return { lab, namespaces: [...segments, ...hosts, ...pods], cables };
}

/** `ip -batch` lines of the first namespace: every namespace and every cable at once. */
export function creationLines(plan: Plan): readonly string[] {
  const end = (each: CableEnd): string =>
    `${each.device} address ${each.mac} netns ${namespaceOf(plan.lab, each.member)}`;
  return [
    ...plan.namespaces.map((each) => `netns add ${each.namespace}`),
    ...plan.cables.map((each) => `link add ${end(each.far)} type veth peer name ${end(each.near)}`),
  ];
}

function planCables(scene: Scene): readonly Cable[] {
  const ends: (readonly [near: Omit<CableEnd, "mac">, far: Omit<CableEnd, "mac">])[] = [];
  const ports = new Map<string, number>();
  for (const host of scene.hosts) {
    for (const each of host.interfaces) {
      const far = scene.links.includes(each.on)
        ? otherEnd(scene, host, each)
        : { member: each.on, device: nextPort(ports, each.on) };
      if (far !== undefined) ends.push([{ member: host.name, device: each.name }, far]);
    }
  }
  for (const [index, pod] of scene.pods.entries()) {
    const kind = scene.hosts.find((host) => host.name === pod.node)?.podNetwork?.kind ?? "routed";
    ends.push([
      { member: pod.name, device: "eth0" },
      { member: pod.node, device: podDevice(kind, pod.name, index) },
    ]);
  }
  return ends.map(([near, far], index) => ({
    near: { ...near, mac: macOf(index, 1) },
    far: { ...far, mac: macOf(index, 2) },
  }));
}

function nextPort(ports: Map<string, number>, segment: string): string {
  const index = ports.get(segment) ?? 0;
  ports.set(segment, index + 1);
  return `p${index}`;
}

/** Of a link's two ends the first in the scene's order is the near one: the second finds nothing and adds no second cable. */
function otherEnd(
  scene: Scene,
  host: Host,
  own: Interface,
): { readonly member: string; readonly device: string } | undefined {
  const ends = scene.hosts.flatMap((each) =>
    each.interfaces.filter((one) => one.on === own.on).map((one) => ({ member: each.name, device: one.name })),
  );
  const [first, second] = ends;
  return first?.member === host.name && first.device === own.name ? second : undefined;
}

/** Locally administered, readable in a capture, the same in every run: 02:fa:1e:CC:CC:EE with the cable's number and its end. */
function macOf(cable: number, end: 1 | 2): string {
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  return `02:fa:1e:${hex(cable >> 8)}:${hex(cable & 0xff)}:${hex(end)}`;
}

function planSegment(scene: Scene, lab: string, name: string, cables: readonly Cable[]): NamespacePlan {
  const ports = cables.filter((each) => each.far.member === name);
  return {
    namespace: namespaceOf(lab, name),
    member: name,
    kind: "segment",
    forwarding: false,
    // A plain switch: no spanning tree delay, and no multicast snooping, which without a querier loses neighbour solicitations.
    create: ["link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0"],
    configure: [
      "link set dev br0 up",
      ...ports.map(
        ({ near, far }) => `link set dev ${far.device} master br0 up alias to:${near.member}/${near.device}`,
      ),
    ],
    devices: ports.map((each) => each.far.device),
    passing: ports.filter((each) => runsAgent(scene, each.near.member)).map((each) => each.far.device),
  };
}

function planHost(scene: Scene, lab: string, host: Host, cables: readonly Cable[]): NamespacePlan {
  const ownEnds = cables.flatMap(({ near, far }) => [
    ...(near.member === host.name ? [{ device: near.device, other: far.member }] : []),
    ...(far.member === host.name ? [{ device: far.device, other: near.member }] : []),
  ]);
  const everyPod = scene.hosts.flatMap((each) => each.podNetwork?.cidrs ?? []);
  const netfilter = host.podNetwork?.kind === "bridge" ? bridgeNetfilter(host.podNetwork, everyPod) : undefined;
  return {
    namespace: namespaceOf(lab, host.name),
    member: host.name,
    kind: host.role,
    forwarding: host.role !== "client",
    create: host.podNetwork?.kind === "bridge" ? ["link add cni0 type bridge stp_state 0 forward_delay 0"] : [],
    configure: [
      "link set dev lo up",
      ...addressLines("lo", host.loopback),
      ...host.interfaces.flatMap(interfaceLines),
      ...nodePodLines(host, scene.pods, cables),
      ...otherNodesRoutes(scene, host),
      ...host.routes.map((route) => routeLine(host, route, cables)),
    ],
    devices: ownEnds.map((each) => each.device),
    passing: runsAgent(scene, host.name)
      ? []
      : ownEnds.filter((each) => runsAgent(scene, each.other)).map((each) => each.device),
    ...(netfilter === undefined ? {} : { netfilter }),
  };
}

function runsAgent(scene: Scene, member: string): boolean {
  return scene.hosts.some((host) => host.name === member && host.agent);
}

function interfaceLines(each: Interface): readonly string[] {
  return [`link set dev ${each.name} up`, ...addressLines(each.name, each.addresses)];
}

function addressLines(device: string, addresses: readonly InterfaceAddress[]): readonly string[] {
  return addresses.map(
    ({ text, family }) => `addr replace ${text} dev ${device}${family === "IPv6" ? " nodad" : " brd +"}`,
  );
}

/** Native routing of the pod network between nodes that share a segment or a link; anything farther is the scene's own routes. */
function otherNodesRoutes(scene: Scene, host: Host): readonly string[] {
  if (host.podNetwork === undefined) return [];
  return scene.hosts.flatMap((other) => {
    if (other === host || other.podNetwork === undefined) return [];
    const shared = other.interfaces.find((theirs) => host.interfaces.some((ours) => ours.on === theirs.on));
    if (shared === undefined) return [];
    return other.podNetwork.cidrs.flatMap((cidr) => {
      const via = shared.addresses.find((each) => each.family === cidr.family);
      const source = primaryAddress(host, cidr.family);
      if (via === undefined || source === undefined) return [];
      return [`route replace ${cidr.text} via ${bare(via.text)} src ${bare(source.text)}`];
    });
  });
}

function routeLine(host: Host, route: Route, cables: readonly Cable[]): string {
  // With a gateway of the other family iproute2 would take the word for ::/0.
  const isName = route.via !== undefined && parseAddress(route.via) === undefined;
  const to = route.to !== "default" ? route.to.text : isName ? "0.0.0.0/0" : "default";
  const via = route.via === undefined ? "" : ` via ${gatewayOf(host, route, route.via, cables)}`;
  const device = route.device === undefined ? "" : ` dev ${route.device}`;
  return `route replace ${to}${via}${device}`;
}

/** An address as it stands there; a host at the other end of a link by its link-local address, `inet6` also for IPv4 (RFC 5549). */
function gatewayOf(host: Host, { device }: Route, via: string, cables: readonly Cable[]): string {
  if (parseAddress(via) !== undefined) return via;
  const ends = cables.map(({ near, far }) => [near, far] as const);
  const own = (end: CableEnd): boolean => end.member === host.name && end.device === device;
  const cable = ends.find((each) => each.some(own));
  const other = cable?.find((end) => !own(end));
  if (other === undefined) throw new Error(`${host.name} has no cable at ${device ?? ""}: the scene was not checked`);
  return `inet6 ${linkLocal(other.mac)}`;
}

function bare(text: string): string {
  return text.split("/", 1)[0] ?? text;
}
