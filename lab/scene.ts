/**
 * A scene: what a lab consists of, declared in YAML. This file is the schema; scene-file.ts reads files, scene-check.ts proves that
 * names refer to something. Unknown fields are refused, because a misspelt field in a topology is otherwise found with tcpdump.
 *
 *     segment  a switch that any number of interfaces hang on
 *     link     a cable with exactly two ends
 *     host     a client, router or node: one network namespace
 *     pod      one network namespace behind a node, with a small HTTP/TCP/UDP server
 *     program  a routing daemon on a host: FRR, BIRD or GoBGP with a configuration file as people have it
 */
import * as z from "zod";
import { parseAddress } from "../src/net/address.ts";
import type { Address, Family } from "../src/net/address.ts";

/** An address with the length of its network, as it stands on an interface: host bits are kept. */
export interface InterfaceAddress {
  readonly text: string;
  readonly address: Address;
  readonly family: Family;
  readonly length: number;
}

/** Parses `192.168.10.250/24`; `undefined` when it is not an address with a length that its family has. */
export function parseInterfaceAddress(text: string): InterfaceAddress | undefined {
  const [first = "", second = "", ...rest] = text.split("/");
  const address = parseAddress(first);
  if (address === undefined || rest.length > 0 || !/^\d{1,3}$/.test(second)) return undefined;
  const length = Number(second);
  if (length > (address.family === "IPv4" ? 32 : 128)) return undefined;
  return { text, address, family: address.family, length };
}

const withLength = z.string().transform((text, context): InterfaceAddress => {
  const parsed = parseInterfaceAddress(text);
  if (parsed !== undefined) return parsed;
  context.addIssue(`expected an address with a prefix length such as 192.168.10.250/24, found ${JSON.stringify(text)}`);
  return z.NEVER;
});

const plainAddress = z.string().refine((text) => parseAddress(text) !== undefined, "expected an IPv4 or IPv6 address");

/** No longer than a label: the name becomes part of a namespace's name and, for a pod, of a device's. */
const hostName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, "expected lower-case letters, digits and dashes");
const podName = hostName.max(12, "expected at most 12 characters: the device fl-NAME must fit into 15");
const deviceName = z.string().regex(/^[a-z][a-z0-9.]{0,14}$/, "expected a device name of at most 15 characters");

/** Without dashes, so that `fl-<lab>-<host>` can be read in one way only and no two labs share a namespace's name. */
export const LAB_NAME = /^[a-z][a-z0-9]{0,19}$/;
const labName = z.string().regex(LAB_NAME, "expected up to 20 lower-case letters and digits, without dashes");

const interfaceSchema = z.strictObject({
  on: hostName,
  name: deviceName.optional(),
  addresses: z.array(withLength).default([]),
});

/**
 * `via` a gateway, or straight out of `device` for networks without an address there (a VIP pool outside the segment's prefix). On a link
 * without addresses the gateway is the name of the host at its other end: its link-local address is meant.
 */
const routeSchema = z.strictObject({
  to: withLength.or(z.literal("default")),
  via: plainAddress.or(hostName).optional(),
  device: deviceName.optional(),
});

/** `config` is relative to the scene file. */
const routingProgramSchema = z.strictObject({ kind: z.enum(["frr", "bird", "gobgp"]), config: z.string().min(1) });

/**
 * `routed`: one veth per pod, ours, told to the agent. `bridge`: somebody else's CNI with its bridge and netfilter rules, played by the lab.
 * `kubelet`: a real kubelet with containerd, the bridge plug-in and kube-proxy; its pods come from the API server.
 */
const podNetworkSchema = z.strictObject({
  kind: z.enum(["routed", "bridge", "kubelet"]),
  cidrs: z.array(withLength).min(1),
});

const hostSchema = z.strictObject({
  name: hostName,
  role: z.enum(["client", "router", "node"]),
  agent: z.boolean().default(false),
  labels: z.record(z.string(), z.string()).default({}),
  /** On `lo`: how a host is known whose links have no addresses. */
  loopback: z.array(withLength).default([]),
  interfaces: z.array(interfaceSchema).min(1),
  routes: z.array(routeSchema).default([]),
  programs: z.array(routingProgramSchema).default([]),
  podNetwork: podNetworkSchema.optional(),
});

const port = z.int().min(1).max(65535);
const listenerSchema = z.strictObject({ protocol: z.enum(["HTTP", "TCP", "UDP"]), port });
const EVERY_PROTOCOL: z.infer<typeof listenerSchema>[] = [
  { protocol: "HTTP", port: 8080 },
  { protocol: "TCP", port: 9000 },
  { protocol: "UDP", port: 5353 },
];

const podSchema = z.strictObject({
  name: podName,
  namespace: hostName.default("default"),
  node: hostName,
  labels: z.record(z.string(), z.string()).default({}),
  addresses: z.array(plainAddress).min(1).optional(),
  listen: z.array(listenerSchema).default(EVERY_PROTOCOL),
});

/** The YAML file. Defaults that need other parts of the scene (device names, pod addresses) are filled in by scene-file.ts. */
export const sceneSchema = z.strictObject({
  name: labName,
  description: z.string().default(""),
  segments: z.array(hostName).default([]),
  links: z.array(hostName).default([]),
  hosts: z.array(hostSchema).min(1),
  pods: z.array(podSchema).default([]),
  manifests: z.array(z.string()).default([]),
  /** A host: the lab's objects lie in a real Kubernetes API server there, instead of in folders. */
  apiServer: hostName.optional(),
});

export type SceneFile = z.infer<typeof sceneSchema>;
export type Route = z.infer<typeof routeSchema>;
export type PodNetwork = z.infer<typeof podNetworkSchema>;
/** `config` is an absolute path. */
export type RoutingProgram = Readonly<z.infer<typeof routingProgramSchema>>;

export interface Interface {
  readonly on: string;
  readonly name: string;
  readonly addresses: readonly InterfaceAddress[];
}

export interface Host extends Omit<z.infer<typeof hostSchema>, "interfaces"> {
  readonly interfaces: readonly Interface[];
}

export interface Pod extends Omit<z.infer<typeof podSchema>, "addresses"> {
  readonly addresses: readonly Address[];
}

/** A scene in which every name refers to something and every default is filled in. */
export interface Scene {
  readonly name: string;
  readonly description: string;
  readonly segments: readonly string[];
  readonly links: readonly string[];
  readonly hosts: readonly Host[];
  readonly pods: readonly Pod[];
  /** Absolute paths. */
  readonly manifests: readonly string[];
  /** The host with the API server, where objects lie in one. */
  readonly apiServer?: string | undefined;
}

export function podsOn(scene: Scene, node: string): readonly Pod[] {
  return scene.pods.filter((pod) => pod.node === node);
}

/** The first address of a family, on `lo` or else on any interface: how the others know this host. */
export function primaryAddress(host: Host, family: Family): InterfaceAddress | undefined {
  const all = [...host.loopback, ...host.interfaces.flatMap((each) => each.addresses)];
  return all.find((each) => each.family === family);
}
