/**
 * The configuration files of a node, as text. Pure. Paths are those in the node's own file system, where its folder is /mnt (node.sh).
 *
 *     containerd.toml, kubelet.yaml, kube-proxy.yaml   of the programs
 *     cni/net.d/10-bridge.conflist                     the reference bridge plug-in: cni0, masquerade of what leaves the pod network
 *     addresses                                        the node's addresses, IPv4 first
 */
import { stringify } from "yaml";
import { primaryAddress, type Host, type Scene } from "../scene.ts";
import { formatAddress } from "../../src/net/address.ts";

/** What pods of the machine's own images are called; the sandbox of every pod is the first. */
export const PAUSE_IMAGE = "docker.io/library/fairlead-pause:1";

/** File names, relative to the node's folder, with their contents. */
export function nodeFiles(scene: Scene, host: Host): Readonly<Record<string, string>> {
  return {
    addresses: nodeAddresses(host).join(","),
    "containerd.toml": CONTAINERD,
    "kubelet.yaml": stringify(KUBELET),
    "kube-proxy.yaml": stringify(kubeProxy(scene)),
    "cni/net.d/10-bridge.conflist": JSON.stringify(bridge(host), undefined, 2),
  };
}

function nodeAddresses(host: Host): readonly string[] {
  return (["IPv4", "IPv6"] as const).flatMap((family) => {
    const found = primaryAddress(host, family);
    return found === undefined ? [] : [formatAddress(found.address)];
  });
}

/** CIDRs of the pods of all nodes. */
function podCidrs(scene: Scene): readonly string[] {
  return scene.hosts.flatMap(({ podNetwork }) => podNetwork?.cidrs.map(({ text }) => text) ?? []);
}

/** Nothing is pulled: images come by import. Lowering oom_score_adj needs a right that this machine may not give. */
const CONTAINERD = `
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  enable_selinux = false
  disable_apparmor = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
`;

/** The machine may be fuller than a kubelet likes, and its cgroups are the old ones. */
const KUBELET = {
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: "/mnt/kubelet-client.crt" },
  },
  authorization: { mode: "Webhook" },
  cgroupDriver: "cgroupfs",
  failCgroupV1: false,
  failSwapOn: false,
  oomScoreAdj: 0,
  maxOpenFiles: 65_536,
  containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock",
  imageGCHighThresholdPercent: 100,
  evictionHard: { "memory.available": "50Mi", "nodefs.available": "100Mi", "imagefs.available": "100Mi" },
  nodeStatusUpdateFrequency: "2s",
  syncFrequency: "10s",
  fileCheckFrequency: "0s",
  // Tests kill agents one after the other, and none of them is broken.
  crashLoopBackOff: { maxContainerRestartPeriod: "1s" },
  readOnlyPort: 0,
  // Nobody serves names here.
  clusterDNS: ["10.96.0.10"],
  clusterDomain: "cluster.local",
  resolvConf: "",
};

function kubeProxy(scene: Scene): object {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig: "/mnt/kube-proxy.conf" },
    mode: "nftables",
    clusterCIDR: [4, 6]
      .flatMap((version) =>
        podCidrs(scene)
          .filter((cidr) => cidr.includes(":") === (version === 6))
          .slice(0, 1),
      )
      .join(","),
    detectLocalMode: "BridgeInterface",
    detectLocal: { bridgeInterface: "cni0" },
    // The table of connections is the machine's.
    conntrack: { maxPerCore: 0, min: 0 },
  };
}

function bridge({ podNetwork }: Host): object {
  const cidrs = podNetwork?.cidrs ?? [];
  return {
    cniVersion: "1.0.0",
    name: "bridge",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        isGateway: true,
        hairpinMode: true,
        ipMasq: true,
        ipMasqBackend: "nftables",
        ipam: {
          type: "host-local",
          ranges: cidrs.map(({ text }) => [{ subnet: text }]),
          routes: cidrs.map(({ family }) => ({ dst: family === "IPv4" ? "0.0.0.0/0" : "::/0" })),
        },
      },
      { type: "portmap", capabilities: { portMappings: true }, backend: "nftables" },
    ],
  };
}
