/**
 * Services and EndpointSlices → what the datapath balances: frontends, each with its backends. Pure.
 *
 * Done again for the whole snapshot after every change. With a memo, Services whose objects are the same as last time cost
 * a comparison, and their frontends keep their identity (===), so that whoever programs them can skip them too.
 * Left out: NodePort, externalIPs, SCTP, sessionAffinity, loadBalancerSourceRanges.
 */
import { formatAddress, parseAddress, type Address } from "../net/address.ts";
import type { Problem } from "../net/problem.ts";
import { atOnce, type Sliced } from "../time/slices.ts";
import { algorithmOf, type Algorithm } from "./algorithm.ts";
import { backendsOf, isNodeGone, nodesOf, parseSlices, type Backend, type ThisNode } from "./backends.ts";
import type { EndpointSlice, Service, ServicePort } from "./objects.ts";
import { sameObjects, slicesOf } from "./slices.ts";

export type { Backend };

/** One address, port and protocol that clients connect to. */
export interface Frontend {
  /** `namespace/name`. */
  readonly service: string;
  readonly address: Address;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  readonly portName?: string;
  readonly algorithm: Algorithm;
  readonly externalTrafficPolicy: "Cluster" | "Local";
  /** By address, then port. Empty: nobody can answer. */
  readonly backends: readonly Backend[];
}

export interface FrontendInput {
  readonly services: ReadonlyMap<string, Service>;
  readonly endpointSlices: ReadonlyMap<string, EndpointSlice>;
}

export interface Resolved {
  /** In the order of the Services; every address, port and protocol once. */
  readonly frontends: readonly Frontend[];
  readonly problems: readonly Problem[];
}

/** What was resolved last time, by Service. Create an empty Map and pass it every time; it belongs to one node name. */
export type FrontendMemo = Map<string, Remembered>;

interface Remembered extends Resolved {
  readonly service: Service;
  readonly slices: readonly EndpointSlice[];
  /** The nodes of its endpoints, and those of them that were gone. */
  readonly nodes: readonly string[];
  readonly gone: string;
  readonly existingNodes: ReadonlySet<string> | undefined;
  /** formatFrontend() of each frontend. */
  readonly texts: readonly string[];
}

export function resolveFrontends(input: FrontendInput, node: ThisNode, memo: FrontendMemo = new Map()): Resolved {
  return atOnce(resolvingFrontends(input, node, memo));
}

/** So many Services that did not change are passed over between two pauses. */
const UNCHANGED_A_STEP = 64;

/** As {@link resolveFrontends}, with pauses. */
export function* resolvingFrontends(input: FrontendInput, node: ThisNode, memo: FrontendMemo): Sliced<Resolved> {
  const problems: Problem[] = [];
  const resolved: Remembered[] = [];
  for (const [key, service] of input.services) {
    if (service.spec.type !== "LoadBalancer") continue;
    const before = memo.get(key);
    const one = resolveAgain(key, service, slicesOf(input.endpointSlices, key), node, memo);
    resolved.push(one);
    problems.push(...one.problems);
    if (one !== before || resolved.length % UNCHANGED_A_STEP === 0) yield;
  }
  for (const key of memo.keys()) if (!input.services.has(key)) memo.delete(key);
  return { frontends: withoutClashes(resolved, problems), problems };
}

/** `192.0.2.1:80/TCP`, `[2001:db8::1]:53/UDP`. */
export function formatFrontend(f: Pick<Frontend, "address" | "port" | "protocol">): string {
  const address = formatAddress(f.address);
  return `${f.address.family === "IPv6" ? `[${address}]` : address}:${f.port}/${f.protocol}`;
}

function resolveAgain(
  key: string,
  service: Service,
  slices: readonly EndpointSlice[],
  node: ThisNode,
  memo: FrontendMemo,
): Remembered {
  const before = memo.get(key);
  if (before !== undefined && before.service === service && sameObjects(before.slices, slices)) {
    const asBefore = before.existingNodes === node.existingNodes && before.gone === "" && node.goneNodes.size === 0;
    if (asBefore) return before;
    if (before.gone === goneAmong(before.nodes, node)) {
      const same = { ...before, existingNodes: node.existingNodes };
      memo.set(key, same);
      return same;
    }
  }
  const nodes = nodesOf(slices);
  const problems: Problem[] = [];
  // A copy: what was pushed to has room for seventeen, ten thousand times.
  const frontends = frontendsOf(key, service, slices, node, problems).slice();
  const texts = frontends.map(formatFrontend);
  const { existingNodes } = node;
  const now = { service, slices, nodes, gone: goneAmong(nodes, node), existingNodes, frontends, texts, problems };
  memo.set(key, now);
  return now;
}

function goneAmong(nodes: readonly string[], node: ThisNode): string {
  if (node.goneNodes.size === 0 && node.existingNodes === undefined) return "";
  return nodes
    .filter((name) => isNodeGone(name, node))
    .toSorted()
    .join("\n");
}

function frontendsOf(
  key: string,
  service: Service,
  slices: readonly EndpointSlice[],
  node: ThisNode,
  problems: Problem[],
): readonly Frontend[] {
  const subject = `Service ${key}`;
  const addresses = ingressAddresses(service, subject, problems);
  if (addresses.length === 0) return [];
  const algorithm = algorithmOf(service, subject, problems);
  const parsed = parseSlices(slices);
  const { externalTrafficPolicy } = service.spec;
  const frontends: Frontend[] = [];
  for (const [index, port] of service.spec.ports.entries()) {
    const { protocol } = port;
    if (protocol === "SCTP") {
      problems.push({
        subject,
        path: `spec.ports[${index}].protocol`,
        message: `port ${port.port} is not balanced: SCTP is not supported, only TCP and UDP`,
      });
      continue;
    }
    for (const address of addresses) {
      const backends = backendsOf({
        slices: parsed,
        port,
        protocol,
        family: address.family,
        node,
        localOnly: externalTrafficPolicy === "Local",
      });
      frontends.push({
        service: key,
        address,
        port: port.port,
        protocol,
        ...portName(port),
        algorithm,
        externalTrafficPolicy,
        backends,
      });
    }
  }
  return frontends;
}

function portName(port: ServicePort): { portName?: string } {
  return port.name === undefined || port.name === "" ? {} : { portName: port.name };
}

/** KEP-1860: with ipMode "Proxy" the balancer of that address wants to see the traffic itself. */
function ingressAddresses(service: Service, subject: string, problems: Problem[]): readonly Address[] {
  const addresses = new Map<string, Address>();
  for (const [index, { ip, ipMode }] of service.status.loadBalancer.ingress.entries()) {
    if (ip === undefined || ipMode === "Proxy") continue;
    const address = parseAddress(ip);
    if (address !== undefined) addresses.set(formatAddress(address), address);
    else
      problems.push({
        subject,
        path: `status.loadBalancer.ingress[${index}].ip`,
        message: `${JSON.stringify(ip)} is not an IP address`,
      });
  }
  return [...addresses.values()];
}

/** Services may share an address, not a port of it: the older Service keeps it, then the one whose name sorts first. */
function withoutClashes(resolved: readonly Remembered[], problems: Problem[]): readonly Frontend[] {
  const owners = new Map<string, { frontend: Frontend; service: Service }>();
  for (const { frontends, texts, service } of resolved) {
    for (const [index, frontend] of frontends.entries()) {
      const text = texts[index] ?? "";
      const owner = owners.get(text);
      if (owner === undefined) {
        owners.set(text, { frontend, service });
        continue;
      }
      const takesOver = comesFirst({ frontend, service }, owner);
      const loser = takesOver ? owner.frontend : frontend;
      const winner = takesOver ? frontend : owner.frontend;
      if (takesOver) owners.set(text, { frontend, service });
      problems.push({
        subject: `Service ${loser.service}`,
        message: `${text} is not balanced for it: Service ${winner.service} has the same address and port`,
      });
    }
  }
  return Array.from(owners.values(), (owner) => owner.frontend);
}

type Claim = { readonly frontend: Frontend; readonly service: Service };

function comesFirst(a: Claim, b: Claim): boolean {
  const ageA = a.service.metadata.creationTimestamp ?? "";
  const ageB = b.service.metadata.creationTimestamp ?? "";
  return ageA === ageB ? a.frontend.service < b.frontend.service : ageA < ageB;
}
