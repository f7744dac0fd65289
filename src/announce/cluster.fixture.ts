/** For tests: a small cluster as objects, and who is elected in it. Nodes are called iris1 and iris2 as in MetalLB's own tests. */
import { createHash } from "node:crypto";
import { ipAddressPoolSchema } from "../pool/objects.ts";
import {
  endpointSliceSchema,
  nodeSchema,
  objectKey,
  SERVICE_NAME_LABEL,
  serviceSchema,
  type EndpointSlice,
  type Node,
  type Service,
} from "../service/objects.ts";
import type { Members } from "./coverage.ts";
import {
  electAnnouncers,
  electingOwn,
  emptyElectionMemo,
  type Announcer,
  type Election,
  type ElectionInput,
  type ElectionMemo,
  type OwnElectionMemo,
} from "./election.ts";
import { atOnce } from "../time/slices.ts";
import { l2AdvertisementSchema, type L2Advertisement } from "./objects.ts";

export const sha256 = (text: string): Uint8Array => createHash("sha256").update(text).digest();

export interface Shape {
  readonly nodes?: readonly Node[];
  readonly services?: readonly Service[];
  readonly slices?: readonly EndpointSlice[];
  readonly ads?: readonly L2Advertisement[];
  readonly pools?: readonly object[];
  /** Default: all nodes. */
  readonly alive?: readonly string[];
  /** Whose agents are away, and who was alive when they went. */
  readonly away?: Readonly<Record<string, readonly string[]>>;
  readonly ignoreExcludeLabel?: boolean;
}

export function node(name: string, labels: Record<string, string> = {}, conditions: readonly object[] = []): Node {
  return nodeSchema.parse({ metadata: { name, labels: { name, ...labels } }, status: { conditions } });
}

export function service(
  name: string,
  ips: readonly string[],
  {
    labels = {},
    annotations = {},
    ...spec
  }: {
    labels?: object;
    annotations?: object;
    externalTrafficPolicy?: string;
    type?: string;
    loadBalancerClass?: string;
  } = {},
): Service {
  return serviceSchema.parse({
    metadata: { name, labels, annotations },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }], ...spec },
    status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) } },
  });
}

export function slice(of: string, endpoints: Record<string, object | null>): EndpointSlice {
  const list = Object.entries(endpoints).map(([nodeName, conditions], index) => ({
    addresses: [`10.244.0.${index + 1}`],
    nodeName,
    conditions: conditions ?? { ready: true },
  }));
  return endpointSliceSchema.parse({
    metadata: { name: of, labels: { [SERVICE_NAME_LABEL]: of } },
    addressType: "IPv4",
    ports: [{ port: 80 }],
    endpoints: list,
  });
}

export function ad(spec: object = {}, name = "ad"): L2Advertisement {
  return l2AdvertisementSchema.parse({ metadata: { name, namespace: "metallb-system" }, spec });
}

export function pool(name: string, addresses: readonly string[], labels: object = {}): object {
  return { metadata: { name, namespace: "metallb-system", labels }, spec: { addresses } };
}

const EVERYTHING = pool("all", ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]);

export function world(shape: Shape): ElectionInput {
  const keyed = <T extends Parameters<typeof objectKey>[0]>(objects: readonly T[]): Map<string, T> =>
    new Map(objects.map((object) => [objectKey(object), object]));
  return {
    nodes: keyed(shape.nodes ?? []),
    services: keyed(shape.services ?? []),
    endpointSlices: keyed(shape.slices ?? []),
    l2Advertisements: keyed(shape.ads ?? [ad()]),
    ipAddressPools: keyed((shape.pools ?? [EVERYTHING]).map((object) => ipAddressPoolSchema.parse(object))),
  };
}

export function elect(shape: Shape, memo?: ElectionMemo): ReadonlyMap<string, Election> {
  return electAnnouncers(world(shape), members(shape), sha256, memo);
}

/** What one node does: its name, or that it is another one. */
export function electFor(
  nodeName: string,
  shape: Shape,
  memo: OwnElectionMemo = emptyElectionMemo(),
): ReadonlyMap<string, Election<Announcer>> {
  return atOnce(electingOwn(world(shape), members(shape), { nodeName, sha256 }, memo));
}

export function members({ nodes = [], alive, away = {}, ignoreExcludeLabel = false }: Shape): Members {
  return {
    alive: new Set(alive ?? nodes.map(({ metadata }) => metadata.name)),
    away: new Map(Object.entries(away).map(([name, before]) => [name, new Set(before)])),
    ignoreExcludeLabel,
  };
}

/** The announcer of the only Service, or why there is none. */
export function outcome(shape: Shape): string | undefined {
  const election = elect(shape).get("default/web");
  return election?.announcer ?? election?.reason;
}

export function web(shape: Shape & { readonly ip?: string; readonly spec?: Parameters<typeof service>[2] }): Shape {
  return {
    services: [service("web", [shape.ip ?? "10.20.30.1"], shape.spec)],
    slices: [slice("web", { iris1: null, iris2: null })],
    nodes: [node("iris1"), node("iris2")],
    ...shape,
  };
}

export const LOCAL = { externalTrafficPolicy: "Local" };
export const EXCLUDED = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };
export const onNode = (name: string): object => ({ nodeSelectors: [{ matchLabels: { name } }] });
