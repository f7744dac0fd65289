/**
 * How pods are connected to their node. Pure.
 *
 * routed   Every pod has a veth of its own and a /32 and /128; the node is its gateway (169.254.1.1, and the link-local address of the host
 *          end), known by permanent neighbour entries. The agent is told about each pod by an endpoint file.
 * bridge   What a bridge CNI and kube-proxy leave on a node: pods on cni0 in the node's subnet, masquerade of what leaves the pod network,
 *          packets that connection tracking calls invalid dropped. The agent is told nothing.
 * kubelet  Nothing of it is ours: kubernetes/nodes.ts starts what connects them.
 */
import { createHash } from "node:crypto";
import { address, formatAddress } from "../src/net/address.ts";
import type { Address } from "../src/net/address.ts";
import { primaryAddress } from "./scene.ts";
import type { Host, InterfaceAddress, Pod, PodNetwork } from "./scene.ts";
import type { Cable } from "./plan.ts";

/** An address that exists nowhere else: on link for the pod, answered by nobody, known by its neighbour entry only. */
const ROUTED_GATEWAY = "169.254.1.1";

/** The host end of a pod's veth: ours is readable, a CNI's looks like one (and is on MetalLB's list of names to leave alone). */
export function podDevice(kind: PodNetwork["kind"], pod: string, index: number): string {
  if (kind === "routed") return `fl-${pod}`;
  return `veth${createHash("sha256").update(`${index}/${pod}`).digest("hex").slice(0, 8)}`;
}

/** `ip -batch` lines in the pod's namespace. */
export function podLines(pod: Pod, network: PodNetwork, cable: Cable): readonly string[] {
  return [
    "link set dev lo up",
    "link set dev eth0 up",
    ...pod.addresses.flatMap((each) => podAddressLines(each, network, cable)),
  ];
}

function podAddressLines(each: Address, network: PodNetwork, cable: Cable): readonly string[] {
  const nodad = each.family === "IPv6" ? " nodad" : "";
  if (network.kind === "bridge") {
    const cidr = network.cidrs.find((one) => one.family === each.family);
    if (cidr === undefined) return [];
    return [
      `addr replace ${formatAddress(each)}/${cidr.length} dev eth0${nodad}`,
      `route replace default via ${bridgeGateway(cidr)} dev eth0`,
    ];
  }
  if (each.family === "IPv4") {
    return [
      `addr replace ${formatAddress(each)}/32 dev eth0`,
      `neigh replace ${ROUTED_GATEWAY} lladdr ${cable.far.mac} dev eth0 nud permanent`,
      `route replace ${ROUTED_GATEWAY}/32 dev eth0 scope link`,
      `route replace default via ${ROUTED_GATEWAY} dev eth0`,
    ];
  }
  const gateway = linkLocal(cable.far.mac);
  return [
    `addr replace ${formatAddress(each)}/128 dev eth0 nodad`,
    `neigh replace ${gateway} lladdr ${cable.far.mac} dev eth0 nud permanent`,
    `route replace default via ${gateway} dev eth0`,
  ];
}

/** `ip -batch` lines in the node's namespace for all pods on it. */
export function nodePodLines(host: Host, pods: readonly Pod[], cables: readonly Cable[]): readonly string[] {
  const network = host.podNetwork;
  if (network === undefined) return [];
  // The bridge plug-in makes everything when the first pod comes.
  if (network.kind === "kubelet") return [];
  const own = pods.filter((pod) => pod.node === host.name);
  const deviceOf = (pod: Pod): string => cables.find((each) => each.near.member === pod.name)?.far.device ?? "";
  if (network.kind === "bridge") {
    return [
      "link set dev cni0 up",
      ...network.cidrs.map(
        (cidr) =>
          `addr replace ${bridgeGateway(cidr)}/${cidr.length} dev cni0${cidr.family === "IPv6" ? " nodad" : " brd +"}`,
      ),
      ...own.flatMap((pod) => [
        `link set dev ${deviceOf(pod)} master cni0 up`,
        `link set dev ${deviceOf(pod)} type bridge_slave hairpin on`,
      ]),
    ];
  }
  return own.flatMap((pod) => [
    `link set dev ${deviceOf(pod)} up`,
    ...pod.addresses.flatMap((each) => {
      const source = primaryAddress(host, each.family);
      if (source === undefined) return [];
      return [`route replace ${formatAddress(each)} dev ${deviceOf(pod)} src ${formatAddress(source.address)}`];
    }),
  ]);
}

/** The rules that stand beside us on such a node, with kube-proxy's mark and in its order. */
export function bridgeNetfilter(network: PodNetwork, everyPod: readonly InterfaceAddress[]): string {
  const masquerade = network.cidrs.map((cidr) => {
    const family = cidr.family === "IPv4" ? "ip" : "ip6";
    const multicast = cidr.family === "IPv4" ? "224.0.0.0/4" : "ff00::/8";
    const kept = [...everyPod.filter((each) => each.family === cidr.family).map((each) => each.text), multicast];
    return `    ${family} saddr ${cidr.text} ${family} daddr != { ${kept.join(", ")} } masquerade`;
  });
  return `
table inet kube-proxy {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state invalid drop
    meta mark & 0x4000 == 0x4000 accept
    ct state established,related accept
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0x4000 meta mark set meta mark xor 0x4000 masquerade fully-random
  }
}
table inet cni {
  chain postrouting {
    type nat hook postrouting priority srcnat + 1; policy accept;
${masquerade.join("\n")}
  }
}
`;
}

function bridgeGateway(cidr: InterfaceAddress): string {
  const bits = BigInt((cidr.family === "IPv4" ? 32 : 128) - cidr.length);
  return formatAddress({ family: cidr.family, value: ((cidr.address.value >> bits) << bits) + 1n });
}

/** RFC 4291 appendix A: the interface identifier made from a MAC address. */
export function linkLocal(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac.split(":").map((part) => Number.parseInt(part, 16));
  const words = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f];
  return formatAddress(address(`fe80::${words.map((word) => word.toString(16)).join(":")}`));
}
