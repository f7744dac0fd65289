/** Whole snapshots for tests of what a node announces, from what a row says. */
import { formatPrefix } from "../../net/prefix.ts";
import { formatCommunity } from "../../protocol/bgp/community.ts";
import type { Route } from "../../protocol/bgp/route.ts";
import { endpointSliceSchema, nodeSchema, objectKey, serviceSchema } from "../../service/objects.ts";
import { bgpObjects, type BgpRow } from "./configuration.fixture.ts";
import { desiredBgp, type BgpInput, type BgpMemo, type BgpNode, type DesiredBgp } from "./desired.ts";

export interface ServiceRow {
  /** Its addresses; default: none. */
  readonly ips?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly policy?: "Cluster" | "Local";
  readonly type?: "LoadBalancer" | "ClusterIP";
  readonly loadBalancerClass?: string;
  /** Where its endpoints are and how they do: `iris1`, `iris2 notReady`. Default: one on iris1. */
  readonly endpoints?: readonly string[];
}

export interface NodeRow {
  readonly labels?: Readonly<Record<string, string>>;
  readonly networkUnavailable?: boolean;
  readonly podCIDRs?: readonly string[];
}

export interface AnnounceRow extends Omit<BgpRow, "nodes"> {
  readonly services?: Readonly<Record<string, ServiceRow>>;
  /** Default: iris1 and iris2, without labels. */
  readonly nodes?: Readonly<Record<string, NodeRow>>;
}

export const EXCLUDED = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };

const CONDITIONS: Readonly<Record<string, object>> = {
  "": { ready: true, serving: true, terminating: false },
  notReady: { ready: false, serving: false, terminating: false },
  serving: { ready: false, serving: true, terminating: true },
  readyNotServing: { ready: true, serving: false, terminating: false },
  unset: {},
  unsetNotServing: { serving: false },
  notReadyUnset: { ready: false },
};

export function bgpInput(row: AnnounceRow): BgpInput {
  const services = Object.entries(row.services ?? {});
  const nodes = Object.entries(row.nodes ?? { iris1: {}, iris2: {} });
  const { nodes: _, ...rest } = row;
  return {
    ...bgpObjects(rest),
    nodes: new Map(nodes.map(([name, node]) => [name, nodeOf(name, node)])),
    services: keyed(services.map(([name, service]) => serviceOf(name, service))),
    endpointSlices: keyed(services.map(([name, { endpoints = ["iris1"] }]) => sliceOf(name, endpoints))),
  };
}

export function announcedBy(row: AnnounceRow, me: Partial<BgpNode> = {}, memo?: BgpMemo): DesiredBgp {
  return desiredBgp(bgpInput(row), { name: "iris1", ...me }, memo);
}

/** The routes of every session as text: `192.0.2.1/32 localPref 100 med 5 prepend 2 64512:1 no-export`. */
export function said(desired: DesiredBgp): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    desired.sessions.map(({ config, routes }) => [config.name, Array.from(routes.values(), routeText).toSorted()]),
  );
}

/** Why each Service is not announced; those that are are left out. */
export function reasons(desired: DesiredBgp): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...desired.verdicts].flatMap(([key, { reason }]) => (reason === undefined ? [] : [[key, reason] as const])),
  );
}

export function routeText(route: Route): string {
  const { prefix, localPref, multiExitDisc, asPathPrepend, communities = [] } = route;
  return [
    formatPrefix(prefix),
    ...(localPref === undefined ? [] : [`localPref ${localPref}`]),
    ...(multiExitDisc === undefined ? [] : [`med ${multiExitDisc}`]),
    ...(asPathPrepend === undefined ? [] : [`prepend ${asPathPrepend}`]),
    ...communities.map(formatCommunity),
  ].join(" ");
}

function nodeOf(name: string, { labels = {}, networkUnavailable, podCIDRs = [] }: NodeRow) {
  const status = networkUnavailable === true ? "True" : "False";
  const conditions = networkUnavailable === undefined ? [] : [{ type: "NetworkUnavailable", status }];
  return nodeSchema.parse({ metadata: { name, labels }, spec: { podCIDRs }, status: { conditions } });
}

function serviceOf(name: string, row: ServiceRow) {
  const { ips = [], labels = {}, annotations = {}, policy = "Cluster", type = "LoadBalancer", loadBalancerClass } = row;
  return serviceSchema.parse({
    metadata: { name, labels, annotations },
    spec: { type, externalTrafficPolicy: policy, loadBalancerClass },
    status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) } },
  });
}

function sliceOf(service: string, endpoints: readonly string[]) {
  return endpointSliceSchema.parse({
    metadata: { name: `${service}-1`, labels: { "kubernetes.io/service-name": service } },
    addressType: "IPv4",
    endpoints: endpoints.map((text, index) => {
      const [nodeName = "", condition = ""] = text.split(" ");
      return { addresses: [`10.244.0.${index + 2}`], nodeName, conditions: CONDITIONS[condition] ?? {} };
    }),
  });
}

function keyed<T extends Parameters<typeof objectKey>[0]>(objects: readonly T[]): ReadonlyMap<string, T> {
  return new Map(objects.map((object) => [objectKey(object), object]));
}
